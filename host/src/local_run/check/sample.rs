//! The records on which a task is tried.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::InputFormat;
use crate::exit_code::UsageError;

/// Records for a task that is checked without an input: words, fields, numbers, and what people forget.
const BUILT_IN: &str =
    "hello\na,b,c\n42\n3.5,-1\nann@example.org\n\n\"quoted, with a comma\",x\nžluťoučký kůň\n";

/// Bytes of the input that are used at most: it is repeated many times.
const SAMPLE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The beginning of the input, or the records that are built in.
///
/// # Errors
/// If the input cannot be read, or is empty.
pub(super) fn read(input: Option<&Path>, format: InputFormat) -> anyhow::Result<Vec<u8>> {
    let terminator = if format == InputFormat::Nul { 0 } else { b'\n' };
    let Some(path) = input else {
        let ended = |byte| if byte == b'\n' { terminator } else { byte };
        return Ok(BUILT_IN.bytes().map(ended).collect());
    };
    let unreadable = |error: io::Error| UsageError::mark(anyhow::anyhow!("read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    let stream: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(fs::File::open(path).map_err(unreadable)?),
    };
    stream.take(SAMPLE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 == SAMPLE_BYTES_MAX
        && let Some(end) = bytes.iter().rposition(|byte| *byte == terminator)
    {
        bytes.truncate(end);
    }
    if bytes.is_empty() {
        return Err(UsageError::mark(anyhow::anyhow!("{} has no records to try", path.display())));
    }
    if bytes.last() != Some(&terminator) {
        bytes.push(terminator);
    }
    Ok(bytes)
}
