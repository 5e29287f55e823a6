//! What the program says on stderr while it runs: one short line per event, for people. It never writes to
//! stdout, which belongs to the results.

use std::fmt;
use std::time::SystemTime;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogSettings;
use crate::stderr::StderrPiece;

/// Bright red and yellow stand out on dark and on light terminals.
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const PLAIN: &str = "\x1b[0m";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// `SIMPLEGRID_LOG` is not a filter that tracing understands.
    #[error(
        "the environment variable SIMPLEGRID_LOG has the invalid value `{filter}`; write it like debug or info,simplegrid::master=trace"
    )]
    WrongFilter {
        /// The variable's value.
        filter: String,
        /// What tracing says.
        source: tracing_subscriber::filter::ParseError,
    },
}

/// Sends events to stderr from now on. A process does this once; if it is done again, as in tests, the first
/// time counts.
///
/// # Errors
/// If `SIMPLEGRID_LOG` cannot be understood.
pub(crate) fn init(settings: &LogSettings) -> Result<(), LogError> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(settings)?)
        .with_ansi(settings.colour)
        .event_format(LogLine { role: settings.role, time: settings.time })
        .with_writer(StderrPiece::default)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// `SIMPLEGRID_LOG` if it is set, or else as much as the flags ask for. The first `-v` leaves out the
/// libraries that we use, which are rarely what the user is looking for.
fn filter(settings: &LogSettings) -> Result<EnvFilter, LogError> {
    let directives = match (&settings.filter, settings.verbose, settings.quiet) {
        (Some(filter), ..) => filter,
        (None, 0, true) => "warn",
        (None, 0, false) => "info",
        (None, 1, _) => "info,simplegrid=debug",
        (None, ..) => "debug,simplegrid=trace",
    };
    EnvFilter::try_new(directives)
        .map_err(|source| LogError::WrongFilter { filter: directives.to_owned(), source })
}

/// `simplegrid slave: warning: message key=value`, with the time in front if a slave writes to a file.
struct LogLine {
    role: &'static str,
    time: bool,
}

impl<S> FormatEvent<S, DefaultFields> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.time {
            write!(writer, "{} ", humantime::format_rfc3339_seconds(SystemTime::now()))?;
        }
        write!(writer, "simplegrid {}: ", self.role)?;
        write_level(&mut writer, *event.metadata().level())?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            match extensions.get::<FormattedFields<DefaultFields>>() {
                Some(fields) if !fields.is_empty() => write!(writer, " {fields}")?,
                _ => {}
            }
        }
        writeln!(writer)
    }
}

/// Marks warnings and errors only.
fn write_level(writer: &mut Writer<'_>, level: Level) -> fmt::Result {
    let (mark, colour) = match level {
        Level::ERROR => ("error", RED),
        Level::WARN => ("warning", YELLOW),
        _ => return Ok(()),
    };
    if writer.has_ansi_escapes() {
        write!(writer, "{colour}{mark}:{PLAIN} ")
    } else {
        write!(writer, "{mark}: ")
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    fn settings() -> LogSettings {
        LogSettings { role: "slave", quiet: false, verbose: 0, filter: None, colour: false, time: false }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(settings: &LogSettings, say: impl FnOnce()) -> String {
        let lines = Lines::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(settings).unwrap())
            .with_ansi(settings.colour)
            .event_format(LogLine { role: settings.role, time: settings.time })
            .with_writer(move || written.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, say);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_is_short_and_marks_what_is_wrong() {
        let text = logged(&settings(), || {
            tracing::info!(port = 1337, "listening");
            let _node = tracing::info_span!("node", slot = 3).entered();
            tracing::warn!("a worker died");
            tracing::debug!("not shown");
        });
        assert_eq!(
            text,
            "simplegrid slave: listening port=1337\nsimplegrid slave: warning: a worker died slot=3\n"
        );
    }

    #[test]
    fn quiet_leaves_warnings_and_verbose_adds() {
        let say = || {
            tracing::warn!("w");
            tracing::info!("i");
            tracing::debug!("d");
        };
        let count = |settings: &LogSettings| logged(settings, say).lines().count();
        assert_eq!(count(&LogSettings { quiet: true, ..settings() }), 1);
        assert_eq!(count(&settings()), 2);
        assert_eq!(count(&LogSettings { verbose: 1, quiet: true, ..settings() }), 3);
        assert_eq!(count(&LogSettings { filter: Some("error".into()), ..settings() }), 0);
    }

    #[test]
    fn a_slave_that_writes_to_a_file_writes_the_time() {
        let text = logged(&LogSettings { time: true, ..settings() }, || tracing::info!("hello"));
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
        assert_eq!(rest, "simplegrid slave: hello\n");
    }

    #[test]
    fn an_invalid_filter_is_named() {
        let error =
            filter(&LogSettings { filter: Some("simplegrid=loud".into()), ..settings() }).unwrap_err();
        assert!(error.to_string().contains("SIMPLEGRID_LOG"));
    }
}
