//! Many records, while workers die all the time: the output is the input.

use std::time::Duration;

use nix::sys::signal::Signal;
use simplegrid_tests::{Dice, Grid, Slave, numbered, wait};

/// Enough that a build with all checks takes seconds over them.
const RECORDS: usize = 1_000_000;

/// How often a worker is killed.
const KILL_EVERY: Duration = Duration::from_millis(100);

#[test]
fn a_million_records_survive_workers_that_die_all_the_time() {
    let grid = Grid::new();
    let mut dice = Dice::new(0x5eed);
    let mut slaves = [grid.slave("echo"), grid.slave("echo")];
    let input = numbered("record ", RECORDS);
    let master = grid.master().args("-k --retries 100 --reallocate-every 200ms --wait-nodes 40s");
    let master = master.path("-o", grid.path("output")).arg(grid.write("input", &input));
    let mut master = master.start();
    let mut kills = 0;
    while master.is_running() {
        wait::until_the_next_strike(KILL_EVERY);
        let workers = slaves[dice.roll(2)].workers(&grid.workers());
        if !workers.is_empty() {
            workers[dice.roll(workers.len())].signal(Signal::SIGKILL);
        }
        kills += 1;
        if kills == 5 {
            slaves[0].signal(Signal::SIGKILL);
            let port = slaves[0].port().to_string();
            slaves[0] = Slave::start(grid.slave_call("echo").arg("-p").arg(port));
        }
    }
    let records = RECORDS as u64;
    let master = master.wait().expect(0).expect_counts(records, records, 0);
    assert!(grid.read("output") == input.into_bytes(), "the output differs from the input");
    assert!(kills > 5, "the run was over before anything was killed: {}", master.summary());
}
