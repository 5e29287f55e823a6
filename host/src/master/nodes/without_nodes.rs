//! How long a run has been without nodes, and when it has waited long enough. Pure.

use std::time::{Duration, Instant};

use crate::own_time::OwnTime;

/// More than lies between two looks, unless the master does not run.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(500);

/// How long a run has had no node; `None` while it has some, or wants none.
#[derive(Debug, Default)]
pub(super) struct WithoutNodes(Option<(OwnTime, Duration)>);

impl WithoutNodes {
    /// Whether a run that has nodes or not, and can wait for `wait`, has waited long enough. Time in which
    /// the master itself did not run does not count: nodes that it has lost by that have not been missing.
    pub(super) fn on_look(&mut self, has_nodes: bool, wait: Duration, now: Instant) -> bool {
        if has_nodes {
            self.0 = None;
            return false;
        }
        let (own_time, lasted) = self.0.get_or_insert_with(|| (OwnTime::new(now), Duration::ZERO));
        *lasted += own_time.on_look(LOOK_EVERY_MAX, now);
        *lasted >= wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(3);

    #[test]
    fn a_run_that_loses_its_nodes_waits_from_then_on() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut without = WithoutNodes::default();
        assert!(!without.on_look(true, WAIT, start));
        // It had nodes until just now, and had no reason to look meanwhile.
        assert!(!without.on_look(false, WAIT, at(5000)));
        let mut looks = (5000..9000).step_by(200);
        let over = looks.find(|millis| without.on_look(false, WAIT, at(*millis)));
        assert_eq!(over, Some(8000));
    }

    #[test]
    fn a_run_that_was_stopped_has_not_waited_for_nodes() {
        let start = Instant::now();
        let mut without = WithoutNodes::default();
        assert!(!without.on_look(false, WAIT, start));
        assert!(!without.on_look(false, WAIT, start + 100 * WAIT));
    }
}
