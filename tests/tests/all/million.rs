//! Many records, while workers die all the time: the output is the input.

use std::io::Write;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use simplegrid_tests::{Dice, Grid, Slave, numbered, wait};

const RECORDS: usize = 1_000_000;

/// How often a worker is killed.
const KILL_EVERY: Duration = Duration::from_millis(100);

/// The input comes in so many parts, with a pause between them: all at once, it would be over before much
/// could break.
const PARTS: usize = 500;
const PART_EVERY: Duration = Duration::from_millis(10);

/// Kills after which a slave is also killed, and started again on the same port.
const SLAVE_DIES_AT: [usize; 2] = [5, 25];

#[test]
fn a_million_records_survive_workers_that_die_all_the_time() {
    let grid = Grid::new();
    let mut dice = Dice::new(0x5eed);
    let slave = || grid.slave_call("echo").args("-m 2");
    let mut slaves = [Slave::start(slave()), Slave::start(slave())];
    let input = numbered("record ", RECORDS);
    let master = grid.master().args("-k --retries 100 --reallocate-every 200ms --wait-nodes 40s");
    let mut master = master.path("-o", grid.path("output")).start();
    let (mut kills, mut pipe) = (0, master.take_input());
    thread::scope(|scope| {
        let bytes = input.as_bytes();
        scope.spawn(move || {
            for part in bytes.chunks(bytes.len().div_ceil(PARTS)) {
                pipe.write_all(part).expect("the master reads its input");
                wait::until_the_next_strike(PART_EVERY);
            }
        });
        while master.is_running() {
            wait::until_the_next_strike(KILL_EVERY);
            let workers = slaves[dice.roll(2)].workers(&grid.workers());
            if !workers.is_empty() {
                workers[dice.roll(workers.len())].signal(Signal::SIGKILL);
                kills += 1;
            }
            if SLAVE_DIES_AT.contains(&kills) {
                slaves[0].signal(Signal::SIGKILL);
                let port = slaves[0].port().to_string();
                slaves[0] = Slave::start(slave().arg("-p").arg(port));
                kills += 1;
            }
        }
    });
    let records = RECORDS as u64;
    let master = master.wait().expect(0).expect_counts(records, records, 0);
    assert!(grid.read("output") == input.into_bytes(), "the output differs from the input");
    assert!(kills > SLAVE_DIES_AT[1], "only {kills} processes were killed: {}", master.summary());
}
