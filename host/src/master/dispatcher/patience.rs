//! A run in which nothing ends says what it waits for. `standstill.rs` decides when; this says it.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::{Dispatcher, RunPlan, TICK};
use crate::master::decisions::WaitsFor;
use crate::master::run_end::RunEnd;
use crate::shutdown::Shutdown;
use crate::standstill::Standstill;

impl Dispatcher {
    /// Says what the run waits for, if nothing has ended for a while.
    pub(super) fn say_if_nothing_ends(&mut self, now: Instant) {
        let (state, has_room) = (&self.plan.state, self.plan.results.has_room());
        let has_work = state.has_work() || !has_room;
        if let Some(still) = self.standstill.on_look(state.ended(), has_work, now) {
            let waits_for = if has_room { state.waits_for() } else { WaitsFor::Output };
            say(still, &waits_for);
        }
    }

    /// Writes what is left to write, unless the program is to stop at once. Returns how the run ends after
    /// that.
    pub(super) async fn finish_results(&mut self, end: RunEnd, shutdown: &Shutdown) -> RunEnd {
        let RunPlan { results, state, write_failure, .. } = &mut self.plan;
        tokio::select! {
            biased;
            end = patiently(results.finish(end, state, write_failure)) => end,
            signal = shutdown.second() => RunEnd::Stopped(signal),
        }
    }
}

/// Does the last of the writing, and says so if it takes long.
async fn patiently<T>(writing: impl Future<Output = T>) -> T {
    let mut standstill = Standstill::new(Instant::now());
    let mut ticker = tokio::time::interval(TICK);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut writing = pin!(writing);
    loop {
        tokio::select! {
            biased;
            written = &mut writing => return written,
            _ = ticker.tick() => if let Some(still) = standstill.on_look(0, true, Instant::now()) {
                say(still, &WaitsFor::Output);
            },
        }
    }
}

fn say(still: Duration, waits_for: &WaitsFor) {
    tracing::warn!("nothing has ended for {}: {waits_for}", humantime::format_duration(still));
}
