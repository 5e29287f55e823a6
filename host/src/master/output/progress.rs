//! What the user sees while a run goes on, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::master::decisions::Counts;

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
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND))
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
