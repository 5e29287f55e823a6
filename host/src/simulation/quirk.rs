//! How a worker of a simulation differs from a good one, whatever its records say.

use std::time::Duration;

/// One thing that a worker does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// It takes its time to load.
    SlowLoad(Duration),
    /// It never gets to the end of loading.
    HangInLoad,
    /// It never gets to the end of `new`.
    HangInNew,
    /// It dies while it loads.
    DieInLoad,
    /// It dies in `new`.
    DieInNew,
    /// It never gets to the end of `drop`.
    HangInDrop,
    /// It dies at its so manieth step, of a signal that someone sends.
    KilledAtStep(u32),
    /// It dies at its so manieth step, of itself.
    CrashAtStep(u32),
    /// It stops at its so manieth step, for so long, or for ever.
    StopAtStep(u32, Option<Duration>),
    /// It stops when it has been idle for so long, for ever.
    StopWhenIdle(Duration),
    /// It dies when it has been idle for so long.
    DieWhenIdle(Duration),
    /// It takes its so manieth item, and begins none of its records.
    BeginNothing(u32),
    /// It says after so many items what no worker may say.
    Garbage(u32),
    /// It says after so many items that it is done with one that it was not given.
    WrongItem(u32),
    /// It says after so many items twice that it is done.
    DoneTwice(u32),
    /// It hands over what it has after each record.
    ManyParts,
    /// From its so manieth step on nothing ends it, and it does nothing.
    HangInKernel(u32),
}

impl Quirk {
    /// Whether there is no limit for it. (`has_limit`: there is one for records.)
    pub(super) fn lasts_for_ever(self, has_limit: bool) -> bool {
        match self {
            Self::StopAtStep(_, None) | Self::HangInKernel(_) => !has_limit,
            _ => false,
        }
    }
}
