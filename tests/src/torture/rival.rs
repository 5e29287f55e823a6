//! Another master that asks for nodes of the same registry in the middle of a round. What it gets must be
//! right, too, and it must not harm the run that it disturbs.

use std::time::Duration;

use crate::grid::Grid;
use crate::process::Process;
use crate::wait;

/// The first id of rivals' records; each rival has its own thousand.
const FIRST_ID: usize = 1_000_000_000;

/// Records of a rival.
const RECORDS: usize = 30;

/// How long it can take: it waits for nodes, and suffers what the round suffers.
const PATIENCE: Duration = Duration::from_secs(90);

/// A rival.
#[derive(Debug)]
pub(super) struct Rival {
    process: Process,
    first: usize,
}

impl Rival {
    /// Whether an id is a rival's.
    pub(super) fn owns(id: usize) -> bool {
        id >= FIRST_ID
    }

    /// Starts the n-th.
    pub(super) fn start(grid: &Grid, nth: usize) -> Self {
        let first = FIRST_ID + nth * 1000;
        let input: String = (first..first + RECORDS).map(|id| format!("@0,{id},sleep 2,\n")).collect();
        let call = grid.master().args("-k -m 1 --wait-nodes 3s --retries 50").input(input);
        Self { process: call.start(), first }
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !self.process.is_running()
    }

    /// Waits for its end, and returns what is wrong with it.
    pub(super) fn judge(mut self) -> Vec<String> {
        wait::until_some_within(PATIENCE, "another master ends", || self.has_ended().then_some(()));
        let ended = self.process.wait();
        let ids: Vec<usize> =
            ended.text().lines().filter_map(|row| row.split(',').next()?.parse().ok()).collect();
        let all: Vec<_> = (self.first..self.first + RECORDS).collect();
        let is_right = match ended.status {
            0 => ids == all,
            // It got no node, or lost the one that it had: what came out is right as far as it goes.
            3 => ids.is_empty(),
            4 => all.starts_with(&ids),
            _ => false,
        };
        if is_right {
            Vec::new()
        } else {
            vec![format!(
                "another master ended with {} and the rows of {ids:?}:\n{}",
                ended.status, ended.stderr
            )]
        }
    }
}
