//! How a worker's log reaches its slave: lines on standard error, with a mark before those that come from
//! the log and not from a plugin that prints.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// What stands before a line of the log: a control character that no one prints by chance.
const MARK: u8 = 0x1e;

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

/// The level and the text of a worker's line. What a plugin prints by itself is information.
pub(super) fn split(line: &[u8]) -> (Level, &[u8]) {
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
