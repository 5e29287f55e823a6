//! A run in which nothing ends says what it waits for. `standstill.rs` decides when; this says it.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, timeout};

use super::{Dispatcher, RunPlan, TICK};
use crate::master::decisions::WaitsFor;
use crate::master::output::{Results, WriteError, WriteFailure};
use crate::master::run_end::RunEnd;
use crate::shutdown::Shutdown;
use crate::standstill::Standstill;
use crate::time;

impl Dispatcher {
    /// Says what the run waits for, if nothing has ended for a while.
    pub(super) fn say_if_nothing_ends(&mut self, now: Instant) {
        let (state, no_room) = (&self.plan.state, self.plan.results.waits_for());
        let has_work = state.has_work() || no_room.is_some();
        if let Some(still) = self.standstill.on_look(state.ended(), has_work, now) {
            say(still, &no_room.unwrap_or_else(|| state.waits_for()));
        }
    }

    /// Writes what is left to write, unless a second signal says that no one waits for it. Returns how the
    /// run ends after that.
    pub(super) async fn finish_results(&mut self, mut end: RunEnd, shutdown: &Shutdown) -> RunEnd {
        let RunPlan { results, state, write_failure, .. } = &mut self.plan;
        if matches!(end, RunEnd::NoNode(_) | RunEnd::OtherRun(_)) {
            return end;
        }
        results.close(&end, state);
        let mut writing = pin!(write_out(results, write_failure));
        if !matches!(end, RunEnd::Stopped(_)) {
            tokio::select! {
                biased;
                error = &mut writing => return match error {
                    None => end,
                    Some(error) => after(end, error),
                },
                signal = shutdown.second() => end = RunEnd::Stopped(signal),
            }
        }
        // What a reader takes at once is still written. A failure changes nothing about the stop.
        let _ = timeout(MOMENT, writing).await;
        end
    }
}

/// How long a run that was told to stop at once still writes: its user waits for the prompt, and a reader
/// that reads takes less.
pub(crate) const MOMENT: Duration = Duration::from_millis(200);

/// Writes what waits, and returns the first error.
async fn write_out(results: &mut Results, failure: &mut WriteFailure) -> Option<WriteError> {
    let failed = patiently(results.finish_failed(failure), &WaitsFor::FailedFile).await;
    let rows = patiently(results.finish_rows(failure), &WaitsFor::Output).await;
    failed.and(rows).err()
}

/// How a run ends that should have ended in another way, when its results could not be written.
fn after(end: RunEnd, error: WriteError) -> RunEnd {
    match end {
        RunEnd::Finished | RunEnd::Drained(_) | RunEnd::OutputClosed => error.into(),
        RunEnd::InputFailed(why) => RunEnd::CannotGoOn(format!("{why}; and {error}")),
        earlier => earlier,
    }
}

/// Does the last of the writing, and says so if it takes long.
pub(crate) async fn patiently<T>(writing: impl Future<Output = T>, waits_for: &WaitsFor) -> T {
    let mut standstill = Standstill::new(time::now());
    let mut ticker = tokio::time::interval(TICK);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut writing = pin!(writing);
    loop {
        tokio::select! {
            biased;
            written = &mut writing => return written,
            _ = ticker.tick() => if let Some(still) = standstill.on_look(0, true, time::now()) {
                say(still, waits_for);
            },
        }
    }
}

fn say(still: Duration, waits_for: &WaitsFor) {
    tracing::warn!("nothing has ended for {}: {waits_for}", humantime::format_duration(still));
}
