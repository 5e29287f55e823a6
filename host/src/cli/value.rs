//! How the value of a flag is read: durations, sizes, NAME=VALUE, and the short lists of choices.

use std::time::Duration;

use clap::ValueEnum;

use crate::build::Digest;

/// The largest value of `--max-record-bytes`. A buffer of records counts its bytes in 32 bits, and a record
/// is in memory several times on its way.
const RECORD_BYTES_LIMIT: usize = 1 << 30;

/// The least memory with which a worker can start, and some room for its task: without a plugin, it needs
/// about 8 MiB.
const MEMORY_MIN: u64 = 16 << 20;

/// A name and its value, as in `--task-arg lower=true`.
pub(crate) type Pair = (String, String);

/// How the input is cut into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    /// One record per line.
    Lines,
    /// One record per row of CSV (RFC 4180); a quoted field may contain line breaks.
    Csv,
    /// Records end with a zero byte, as `find -print0` writes them.
    Nul,
    /// A file that --failed wrote: the records in it are run again.
    Failed,
}

impl InputFormat {
    /// As it is written after `--format`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Csv => "csv",
            Self::Nul => "nul",
            Self::Failed => "failed",
        }
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// CSV (RFC 4180).
    Csv,
    /// Cells with tabs between them; \t, \n, \r, \\ and \N as in PostgreSQL's COPY.
    Tsv,
    /// A JSON object for each row, with the types of the columns.
    Jsonl,
}

impl OutputFormat {
    /// As it is written after `--output-format`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Whether compressed input is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputCompression {
    /// Each input whose first bytes are those of compressed data.
    Auto,
    /// No input: its bytes are records, whatever they look like.
    None,
}

/// Which worker gets which record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scheduler {
    /// Any worker that has room.
    #[value(alias = "Net::SimpleGrid::Scheduler::RoundRobinStrategy")]
    RoundRobin,
    /// Records with equal keys go to the same worker, in the order of the input.
    #[value(alias = "Net::SimpleGrid::Scheduler::PartitionedStrategy")]
    Partitioned,
}

/// Whether the progress of a run is drawn on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// If stderr is a terminal.
    Auto,
    /// Even if it is not.
    Always,
    /// Not at all.
    Never,
}

/// A SHA-256 as 64 hexadecimal digits.
pub(super) fn digest(text: &str) -> Result<Digest, String> {
    text.trim().parse::<Digest>().map_err(|error| error.to_string())
}

/// A duration with units (`500ms`, `30s`, `1m 30s`), or a bare number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 500ms, 30s or 2m, or as a number of seconds"))
}

/// A duration that is not zero, for things that are repeated.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("it must be longer than zero".into()) } else { Ok(duration) }
}

/// A number of bytes, at least one and at most `RECORD_BYTES_LIMIT`. As in GNU's tools, `k`, `M` and
/// `G` (and `KiB`, `MiB`, `GiB`) are powers of 1024, `kB`, `MB` and `GB` powers of 1000.
pub(super) fn record_bytes(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    if (1..=RECORD_BYTES_LIMIT).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("it must be between 1 byte and {} MiB", RECORD_BYTES_LIMIT >> 20))
    }
}

/// A number of bytes for the memory of a worker, at least `MEMORY_MIN`.
pub(super) fn memory_bytes(text: &str) -> Result<u64, String> {
    let bytes = size(text)? as u64;
    if bytes >= MEMORY_MIN { Ok(bytes) } else { Err(format!("it must be at least {} MiB", MEMORY_MIN >> 20)) }
}

fn size(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    unit_bytes(unit.trim())
        .and_then(|unit| number.parse::<usize>().ok()?.checked_mul(unit))
        .ok_or_else(|| "write it like 4096, 64k or 16MiB".into())
}

fn unit_bytes(unit: &str) -> Option<usize> {
    Some(match unit {
        "" | "B" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    })
}

/// `NAME=VALUE`, cut at the first equals sign; the value may be empty and may hold more of them.
pub(super) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "-1", "soon", "1 fortnight", "nan", "1e300"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(interval("0s").is_err());
    }

    #[test]
    fn sizes_have_units_of_both_kinds() {
        assert_eq!(record_bytes("4096"), Ok(4096));
        assert_eq!(record_bytes("64k"), Ok(65_536));
        assert_eq!(record_bytes("16MiB"), Ok(16 << 20));
        assert_eq!(record_bytes("16 MB"), Ok(16_000_000));
        for wrong in ["", "0", "k", "-1", "1.5M", "2G", "1x", "99999999999999999999", "9999999999999999G"] {
            assert!(record_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pair_is_cut_at_the_first_equals_sign() {
        assert_eq!(pair("dsn=dbi:Pg:dbname=g"), Ok(("dsn".into(), "dbi:Pg:dbname=g".into())));
        assert_eq!(pair("empty="), Ok(("empty".into(), String::new())));
        assert!(pair("nothing").is_err() && pair("=value").is_err());
    }
}
