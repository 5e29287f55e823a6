//! What the user sees while a run goes on, on a terminal.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::master::decisions::Counts;
use crate::stderr::StderrPiece;

/// How often the line is drawn: often enough to look alive, and too seldom to cost anything.
const DRAWS_PER_SECOND: u8 = 5;

/// How long a run shows no line: one that ends sooner should not flicker.
const HIDDEN_AT_FIRST: Duration = Duration::from_millis(500);

/// One line on standard error that is drawn over itself.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    began: std::time::Instant,
}

impl ProgressLine {
    /// A line, or nothing.
    pub(crate) fn new(visible: bool) -> Self {
        let bar = if visible {
            ProgressBar::with_draw_target(
                None,
                ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), DRAWS_PER_SECOND),
            )
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{elapsed} {msg}").expect("the template is a constant");
        bar.set_style(style);
        Self { bar, began: std::time::Instant::now() }
    }

    /// Shows how far the run is.
    pub(crate) fn show(&self, counts: &Counts) {
        if self.bar.is_hidden() || self.began.elapsed() < HIDDEN_AT_FIRST {
            return;
        }
        let Counts { read, done, failed, retried, resumed } = counts;
        let rate = (done + failed - resumed) as f64 / self.began.elapsed().as_secs_f64();
        self.bar.set_message(format!(
            "{read} read, {done} done, {failed} failed, {retried} retried, {rate:.0}/s"
        ));
    }

    /// Prints something without the line in its way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Columns of a terminal that does not say how wide it is.
const WIDTH_USUAL: u16 = 80;

/// The terminal behind stderr, as the progress line sees it: what is drawn goes through the same queue as the
/// log (ECMA-48 control sequences), so that the two keep their order and neither waits for the terminal.
#[derive(Debug, Default)]
struct Terminal {
    drawing: Mutex<StderrPiece>,
}

impl Terminal {
    fn draw(&self, text: impl std::fmt::Display) -> io::Result<()> {
        write!(self.drawing.lock().unwrap_or_else(PoisonError::into_inner), "{text}")
    }

    /// Moves the cursor; `direction` is the letter of the control sequence.
    fn move_cursor(&self, cells: usize, direction: char) -> io::Result<()> {
        if cells == 0 { Ok(()) } else { self.draw(format_args!("\x1b[{cells}{direction}")) }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        terminal_size::terminal_size_of(io::stderr()).map_or(WIDTH_USUAL, |(width, _)| width.0)
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.move_cursor(lines, 'A')
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.move_cursor(lines, 'B')
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.move_cursor(columns, 'C')
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.move_cursor(columns, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(format_args!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        // What was drawn so far is said when its piece is dropped.
        drop(std::mem::take(&mut *self.drawing.lock().unwrap_or_else(PoisonError::into_inner)));
        Ok(())
    }
}
