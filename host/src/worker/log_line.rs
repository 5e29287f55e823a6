//! How a worker's log reaches its slave: as lines on standard error. Those that come from the log, and not
//! from a plugin that prints, begin with a mark.

use std::fmt;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStderr;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::label::WorkerLabel;

/// What stands before a line of the log: a control character that no one prints by chance.
const MARK: u8 = 0x1e;

/// Longest line of a worker that is logged whole.
const LOG_LINE_BYTES_MAX: usize = 16 * 1024;

/// Makes everything that this process logs go to its slave.
pub(super) fn init() {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::DEBUG)
        .event_format(Marked)
        .finish();
    // Only the first subscriber of a process counts, and this is the first thing that a worker does.
    let first = tracing::subscriber::set_global_default(subscriber);
    debug_assert!(first.is_ok(), "a worker sets its log up once");
}

/// Logs what a worker prints, line by line.
pub(super) async fn log_lines(stderr: ChildStderr, label: WorkerLabel) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        let end_of_line = match reader.fill_buf().await {
            Ok([]) | Err(_) => {
                log_line(&line, &label);
                return;
            }
            Ok(bytes) => {
                let newline = memchr::memchr(b'\n', bytes);
                let length = newline.map_or(bytes.len(), |at| at + 1);
                let room = LOG_LINE_BYTES_MAX.saturating_sub(line.len());
                line.extend_from_slice(&bytes[..newline.unwrap_or(length).min(room)]);
                reader.consume(length);
                newline.is_some()
            }
        };
        if end_of_line {
            log_line(&line, &label);
            line.clear();
        }
    }
}

fn log_line(line: &[u8], label: &WorkerLabel) {
    if line.is_empty() {
        return;
    }
    let (level, text) = split(line);
    let text = String::from_utf8_lossy(text);
    let (node, slot) = (label.slot.map(|_| label.node.as_str()), label.slot);
    match level {
        tracing::Level::ERROR => tracing::error!(node, slot, "{text}"),
        tracing::Level::WARN => tracing::warn!(node, slot, "{text}"),
        tracing::Level::INFO => tracing::info!(node, slot, "{text}"),
        tracing::Level::DEBUG => tracing::debug!(node, slot, "{text}"),
        tracing::Level::TRACE => tracing::trace!(node, slot, "{text}"),
    }
}

/// The level and the text of a worker's line. What a plugin prints itself is information.
fn split(line: &[u8]) -> (Level, &[u8]) {
    match line {
        [MARK, level, text @ ..] => (level_of(*level), text),
        text => (Level::INFO, text),
    }
}

fn level_of(letter: u8) -> Level {
    match letter {
        b'E' => Level::ERROR,
        b'W' => Level::WARN,
        b'D' => Level::DEBUG,
        b'T' => Level::TRACE,
        _ => Level::INFO,
    }
}

struct Marked;

impl<S, N> FormatEvent<S, N> for Marked
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = event.metadata().level().as_str();
        write!(writer, "{}{}", char::from(MARK), &level[..1])?;
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        // One event is one line for the slave.
        writeln!(writer, "{}", text.replace('\n', " | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_lines_keep_their_level_and_others_are_information() {
        assert_eq!(split(b"\x1eWlow on paper"), (Level::WARN, &b"low on paper"[..]));
        assert_eq!(split(b"printed"), (Level::INFO, &b"printed"[..]));
        assert_eq!(split(b"\x1e"), (Level::INFO, &b"\x1e"[..]));
    }
}
