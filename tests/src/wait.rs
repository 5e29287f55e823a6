//! Waiting until something is so: the only way to wait in a test, and the only place that sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take. Nothing here takes that long unless it has failed, or the machine is very busy.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `condition` is true.
///
/// # Panics
/// If it does not come true; `what` is named.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Waits until there is something, and returns it.
///
/// # Panics
/// If it does not come; `what` is named.
#[track_caller]
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(LOOK_EVERY);
    }
}
