//! What processes have open, print and remember: only what is theirs.

use std::collections::BTreeSet;

use simplegrid_tests::{Descriptor, Found, Grid, Process, Slave, program, wait};

/// A slave whose workers are in the middle of a run.
fn busy_slave(grid: &Grid) -> (Slave, Process) {
    let slave = grid.noting_slave();
    let mut master = grid.master().start();
    master.write(format!("a\n{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    (slave, master)
}

/// What distinguishes a worker's descriptors, without those that every process has: the null device, and what
/// this test itself was started with and passes on.
fn own(worker: &Found) -> Vec<Descriptor> {
    let ours = simplegrid_tests::own_descriptors();
    let passed_on: BTreeSet<_> =
        ours.iter().filter(|ours| ours.is_inherited).map(|ours| ours.inode).collect();
    let descriptors = worker.descriptors().into_iter();
    descriptors.filter(|own| own.target != "/dev/null" && !passed_on.contains(&own.inode)).collect()
}

fn inodes(descriptors: &[Descriptor]) -> BTreeSet<u64> {
    descriptors.iter().map(|descriptor| descriptor.inode).collect()
}

#[test]
fn a_worker_has_nothing_open_but_what_is_its_own() {
    let grid = Grid::new();
    let (slave, _master) = busy_slave(&grid);
    let workers = slave.workers(&grid.workers());
    let [one, two] = &workers[..] else { panic!("not two workers: {workers:?}") };
    // All workers of a slave load the library from one file.
    let library = program::library("hostile").display().to_string();
    let (mut one, mut two) = (own(one), own(two));
    for worker in [&mut one, &mut two] {
        let all = worker.len();
        worker.retain(|open| open.target != library);
        assert_eq!(worker.len(), all - 1, "the library once: {worker:?}");
    }
    assert!(inodes(&one).is_disjoint(&inodes(&two)), "shared by siblings: {one:?} {two:?}");
    let of_slave = slave.descriptors();
    for worker in [&one, &two] {
        let sockets: Vec<_> =
            worker.iter().filter(|open| open.target.starts_with("socket:")).cloned().collect();
        assert_eq!(inodes(&sockets).len(), 1, "one way to its slave: {worker:?}");
        assert!(inodes(&sockets).is_disjoint(&inodes(&of_slave)), "a connection of its slave: {worker:?}");
        assert!(!worker.iter().any(|open| open.target.contains("grid.db")), "the registry: {worker:?}");
        let known = ["socket:", "pipe:", "/memfd:"];
        let strange: Vec<_> =
            worker.iter().filter(|open| !known.iter().any(|kind| open.target.starts_with(kind))).collect();
        assert!(strange.is_empty(), "{strange:?}");
    }
    grid.open_gate("gate");
}

#[test]
fn settings_with_secrets_do_not_reach_plugins() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    for worker in slave.workers(&grid.workers()) {
        let variables = worker.environment();
        let ours: Vec<_> = variables.iter().filter(|variable| variable.starts_with("SIMPLEGRID_")).collect();
        assert!(ours.is_empty() && !variables.is_empty(), "{ours:?}");
    }
}

#[test]
fn a_worker_is_in_a_group_of_its_own() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    for worker in slave.workers(&grid.workers()) {
        let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(worker.pid))).unwrap();
        assert_eq!(group.as_raw(), worker.pid);
    }
}

#[test]
fn what_a_plugin_prints_is_logged_and_is_no_result() {
    let grid = Grid::new();
    let run = grid
        .run("hostile")
        .args("-k")
        .input("before\nstdout loud\nstderr louder\nafter\n")
        .finish()
        .expect(0);
    assert_eq!(run.text(), "before\nprinted\nprinted\nafter\n");
    assert!(run.stderr.contains("loud") && run.stderr.contains("louder"), "{}", run.stderr);
    let grid = Grid::new();
    let slave = grid.slave("hostile");
    let master = grid.master().input("stdout loud\n").finish().expect(0);
    assert_eq!(master.text(), "printed\n");
    slave.wait_for_stderr("loud");
    assert!(slave.stderr().contains("slot="), "{}", slave.stderr());
}

/// Bytes that are streamed: far more than any process is allowed to remember.
const STREAM_BYTES: usize = 200 << 20;

/// How much memory a process can use. In flight, by `limits.rs`, are batches of 256 KiB: a few for each slot.
const MEMORY_KB_MAX: u64 = 64 * 1024;

/// Writes a stream of records, and waits until almost all of it has been read.
#[track_caller]
fn stream(process: &mut Process) {
    let chunk = format!("{}\n", "x".repeat(4095)).repeat(256);
    for _ in 0..STREAM_BYTES / chunk.len() {
        process.write(&chunk);
    }
}

#[track_caller]
fn expect_little_memory(what: &str, peak: Option<String>) {
    expect_memory_below(MEMORY_KB_MAX, what, peak);
}

#[track_caller]
fn expect_memory_below(kilobytes_max: u64, what: &str, peak: Option<String>) {
    let peak = peak.expect("the process lives");
    let kilobytes: u64 = peak.trim_end_matches(" kB").trim().parse().expect("it is a number of kB");
    println!("{what}: {kilobytes} kB");
    assert!(kilobytes < kilobytes_max, "{what} needed {kilobytes} kB");
}

#[test]
fn memory_does_not_grow_with_the_input_of_a_local_run() {
    let grid = Grid::new();
    let mut run = grid.run("echo").args("-k -o /dev/null").start();
    stream(&mut run);
    expect_little_memory("the run", run.status("VmHWM"));
    for worker in grid.workers() {
        expect_little_memory("a worker", worker.status("VmHWM"));
    }
    let records = (STREAM_BYTES / 4096) as u64;
    run.finish().expect(0).expect_counts(records, records, 0);
}

#[test]
fn memory_of_master_and_slave_does_not_grow_with_the_input() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let mut master = grid.master().args("-k -o /dev/null").start();
    stream(&mut master);
    expect_little_memory("the master", master.status("VmHWM"));
    expect_little_memory("the slave", slave.status("VmHWM"));
    master.finish().expect(0);
}

/// Waits until two figures that a slave enters into its row, a second apart, are the same.
#[track_caller]
fn wait_until_nothing_moves(grid: &Grid, slave: &Slave) {
    let figures =
        || (grid.column(slave.port(), "last_seen").as_i64(), grid.column(slave.port(), "done").as_u64());
    let mut before = figures();
    wait::until("nothing moves any more", || {
        let now = figures();
        let stands_still = now.0 > before.0 && now.1 == before.1 && now.1 > Some(0);
        before = if now.0 > before.0 { now } else { before };
        stands_still
    });
}

#[test]
fn a_slow_record_does_not_make_a_master_read_on() {
    /// What can wait for the slow record (`arranger.rs`), and as much again for everything else.
    const MEMORY_KB_MAX: u64 = 128 * 1024;
    let grid = Grid::new();
    let slave = grid.slave("hostile");
    let mut input = format!("{}\n", grid.gate("gate"));
    input.push_str(&format!("{}\n", "x".repeat(8191)).repeat(300 * 128));
    let master = grid.master().args("-k -o /dev/null").input(input).start();
    wait_until_nothing_moves(&grid, &slave);
    expect_memory_below(MEMORY_KB_MAX, "the master", master.status("VmHWM"));
    grid.open_gate("gate");
    let records = 300 * 128 + 1;
    master.wait().expect(0).expect_counts(records, records, 0);
}

#[test]
fn a_replaced_worker_leaves_no_zombie_and_no_descriptor() {
    let grid = Grid::new();
    let slave = grid.slave("hostile");
    grid.master().args("--retries 0").input("abort\n").finish().expect(1);
    wait::until("the worker is replaced", || slave.workers(&grid.workers()).len() == 2);
    let before = slave.descriptors().len();
    grid.master().args("--retries 0").input("abort\n".repeat(20)).finish().expect(1);
    wait::until("all workers are replaced", || slave.workers(&grid.workers()).len() == 2);
    wait::until("nothing is left open", || slave.descriptors().len() <= before);
    assert_eq!(grid.zombies_of(slave.pid()), 0);
}
