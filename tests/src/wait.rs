//! Waiting for a condition: the only way to wait in a test, and the only place that sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything can take. Nothing takes this long unless it has failed, or the machine is very busy.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// How often a condition is checked.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `condition` is true.
///
/// # Panics
/// If it does not come true; `what` is named.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// If it finds nothing; `what` is named.
#[track_caller]
pub fn until_some<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_some_within(PATIENCE, what, look)
}

/// Waits with another patience.
///
/// # Panics
/// If it finds nothing; `what` is named.
#[track_caller]
pub fn until_some_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Lets time pass, for code that has to strike at unpredictable moments. A test never waits with this for
/// something to come true.
pub fn until_the_next_strike(pause: Duration) {
    thread::sleep(pause);
}
