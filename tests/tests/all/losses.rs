//! Processes that are killed or stopped in the middle of a run: nothing is lost, and nothing comes twice.

use nix::sys::signal::Signal;
use simplegrid_tests::{Dice, Finished, Grid, Process, Slave, kill, numbered, wait};

/// Two slaves that note what they run.
fn two_slaves(grid: &Grid) -> [Slave; 2] {
    [grid.noting_slave(), grid.noting_slave()]
}

/// A master that reads its input from `write` until the input is closed.
fn open_master(grid: &Grid, slaves: &[Slave]) -> Process {
    let master = grid.master().arg("-k").start();
    slaves.iter().for_each(|slave| grid.wait_for_state(slave.port(), "reserved"));
    master
}

/// Which of the slaves a worker belongs to.
#[track_caller]
fn slave_of(grid: &Grid, slaves: &[Slave], worker: i32) -> usize {
    let workers = grid.workers();
    let owns = |slave: &Slave| slave.workers(&workers).iter().any(|found| found.pid == worker);
    slaves.iter().position(owns).expect("the worker belongs to a slave")
}

/// Input with a record in its middle that waits at the gate.
fn input_around_gate(grid: &Grid) -> String {
    format!("{}{}\n{}", numbered("a ", 500), grid.gate("gate"), numbered("b ", 500))
}

/// A run over two slaves whose input has a record in its middle that waits at a gate.
struct GatedRun<'g> {
    grid: &'g Grid,
    slaves: [Slave; 2],
    master: Process,
    input: String,
    /// The slave whose worker is at the gate.
    at_gate: usize,
}

impl<'g> GatedRun<'g> {
    /// Starts it, and waits until that record has begun.
    fn start(grid: &'g Grid) -> Self {
        let slaves = two_slaves(grid);
        let mut master = open_master(grid, &slaves);
        let input = input_around_gate(grid);
        master.write(&input);
        let at_gate = slave_of(grid, &slaves, grid.wait_at_gate("gate", 1));
        Self { grid, slaves, master, input, at_gate }
    }

    /// The slave whose worker was at the gate first.
    fn slave(&self) -> &Slave {
        &self.slaves[self.at_gate]
    }

    /// Waits until that record has begun a second time, and lets it go on.
    fn open_gate_to_the_second(&self) {
        self.grid.wait_at_gate("gate", 2);
        self.grid.open_gate("gate");
    }

    /// Ends the input. The output must be the input, each record once and in order.
    #[track_caller]
    fn finish(self) -> ([Slave; 2], Finished) {
        let records = self.input.lines().count() as u64;
        let ended = self.master.finish().expect(0).expect_counts(records, records, 0);
        assert!(ended.text() == self.input, "the output differs from the input");
        (self.slaves, ended)
    }
}

#[test]
fn a_slave_that_is_killed_costs_nothing() {
    let grid = Grid::new();
    let run = GatedRun::start(&grid);
    run.slave().signal(Signal::SIGKILL);
    run.open_gate_to_the_second();
    let (_slaves, master) = run.finish();
    assert!(master.summary().contains("2 nodes used, 1 lost"), "{}", master.summary());
}

#[test]
fn workers_that_are_killed_again_and_again_cost_nothing() {
    let grid = Grid::new();
    let slaves = two_slaves(&grid);
    let mut master = open_master(&grid, &slaves);
    let mut input = String::new();
    for round in 0..6 {
        let gate = format!("gate{round}");
        let part = format!(
            "{}{}\n{}",
            numbered(&format!("a{round} "), 50),
            grid.gate(&gate),
            numbered(&format!("b{round} "), 50)
        );
        master.write(&part);
        input.push_str(&part);
        let worker = grid.wait_at_gate(&gate, 1);
        kill(worker, Signal::SIGKILL);
        grid.wait_at_gate(&gate, 2);
        grid.open_gate(&gate);
    }
    let master = master.finish().expect(0).expect_counts(606, 606, 0);
    assert!(master.text() == input, "the output differs from the input");
    // The records in hand ran twice; no other record did.
    assert_eq!(grid.side_log("log").len(), 612);
    slaves.iter().for_each(|slave| assert_eq!(slave.workers(&grid.workers()).len(), 2));
}

#[test]
fn slaves_of_a_killed_master_are_soon_free() {
    let grid = Grid::new();
    let slaves = two_slaves(&grid);
    let mut master = open_master(&grid, &slaves);
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    master.signal(Signal::SIGKILL);
    master.wait().expect(-9);
    slaves.iter().for_each(|slave| grid.wait_for_state(slave.port(), "enabled"));
    let next = grid.master().arg("-k").input(numbered("next ", 1000)).finish().expect(0);
    assert_eq!(next.text(), numbered("next ", 1000), "nothing is left of the run before");
}

#[test]
fn a_slave_that_stands_still_is_given_up_and_comes_back() {
    let grid = Grid::new();
    let run = GatedRun::start(&grid);
    let still = run.at_gate;
    run.slave().signal(Signal::SIGSTOP);
    run.open_gate_to_the_second();
    let (slaves, master) = run.finish();
    assert!(master.summary().contains("2 nodes used, 1 lost"), "{}", master.summary());
    assert_eq!(grid.state(slaves[still].port()), "invalid");
    slaves[still].signal(Signal::SIGCONT);
    grid.wait_for_state(slaves[still].port(), "enabled");
    grid.manage(slaves[1 - still].port(), "disable").finish().expect(0);
    assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
}

#[test]
fn late_answers_of_a_slave_that_was_given_up_are_dropped() {
    let grid = Grid::new();
    let mut run = GatedRun::start(&grid);
    run.slave().signal(Signal::SIGSTOP);
    // Both workers finish the record now, and the slave that was given up has much to report.
    run.open_gate_to_the_second();
    run.slave().signal(Signal::SIGCONT);
    run.slave().wait_for_stderr("is lost");
    let more = numbered("c ", 500);
    run.master.write(&more);
    run.input.push_str(&more);
    run.finish();
}

#[test]
fn a_record_that_kills_its_slave_condemns_no_other() {
    let grid = Grid::new();
    // A slave can be killed before anyone has seen that it listens.
    let start = || grid.slave_call("hostile").task_arg("side-log", grid.path("log")).start();
    let mut slave = start();
    let input = format!("{}kill-slave\n{}", numbered("sleep 1 ", 600), numbered("sleep 1 b", 600));
    let master = grid.master().args("--reallocate-every 200ms --wait-nodes 40s").path("--failed", "failed");
    let mut master = master.input(&input).start();
    wait::until("the run ends", || {
        if !slave.is_running() && master.is_running() {
            slave = start();
        }
        !master.is_running()
    });
    let master = master.wait().expect(1).expect_counts(1201, 1200, 1);
    let [guilty] = &grid.failed("failed")[..] else { panic!("{}", master.stderr) };
    assert_eq!((guilty.reason.as_str(), guilty.record.as_str()), ("lost", "kill-slave"), "{guilty:?}");
    let executions = grid.side_log("log").count("kill-slave");
    assert_eq!(guilty.attempts as usize, executions, "{guilty:?}");
    let mut rows: Vec<_> = master.text().lines().map(str::to_owned).collect();
    rows.sort();
    let mut expected: Vec<_> = input.lines().filter(|line| *line != "kill-slave").collect();
    expected.sort();
    assert!(rows == expected, "a row is missing, or comes twice");
}

#[test]
fn a_slave_that_was_killed_can_be_started_again() {
    let grid = Grid::new();
    let slave = grid.slave("echo");
    let port = slave.port();
    slave.signal(Signal::SIGKILL);
    slave.into_process().wait().expect(-9);
    wait::until("its workers see that it is gone", || grid.workers().is_empty());
    let again = Slave::start(grid.slave_call("echo").arg("-p").arg(port.to_string()));
    assert_eq!((again.port(), grid.state(port).as_str()), (port, "enabled"));
    assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
}

#[test]
fn a_master_that_stands_still_is_given_up_and_goes_on_later() {
    let grid = Grid::new();
    let run = GatedRun::start(&grid);
    run.master.signal(Signal::SIGSTOP);
    run.slaves.iter().for_each(|slave| slave.wait_for_stderr("is lost"));
    run.slaves.iter().for_each(|slave| grid.wait_for_state(slave.port(), "enabled"));
    run.master.signal(Signal::SIGCONT);
    run.open_gate_to_the_second();
    run.finish();
}

#[test]
fn a_worker_that_stands_still_is_replaced_after_the_limit_of_a_record() {
    let grid = Grid::new();
    let _slave = grid.noting_slave();
    let mut master = grid.master().args("-k --record-timeout 2s --retries 5").start();
    let input = input_around_gate(&grid);
    master.write(&input);
    kill(grid.wait_at_gate("gate", 1), Signal::SIGSTOP);
    grid.wait_at_gate("gate", 2);
    grid.open_gate("gate");
    let master = master.finish().expect(0).expect_counts(1001, 1001, 0);
    assert!(master.text() == input, "the output differs from the input");
}

#[test]
fn a_master_gets_the_nodes_of_one_that_was_killed() {
    let grid = Grid::new();
    let slaves = two_slaves(&grid);
    let mut first = open_master(&grid, &slaves);
    first.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    let second = grid.master().args("--wait-nodes 40s").input("a\n").start();
    first.signal(Signal::SIGKILL);
    first.wait().expect(-9);
    assert_eq!(second.wait().expect(0).text(), "a\n");
}

#[test]
fn an_idle_worker_that_is_killed_is_replaced_each_time() {
    let grid = Grid::new();
    let slave = grid.noting_slave();
    for round in 0..8 {
        let record = format!("round {round}");
        assert_eq!(grid.master().input(&record).finish().expect(0).text(), record.clone() + "\n");
        let worker = grid.side_log("log").last_worker(&record).expect("it was run");
        kill(worker, Signal::SIGKILL);
        wait::until("it is replaced", || {
            let now = slave.workers(&grid.workers());
            now.len() == 2 && now.iter().all(|found| found.pid != worker)
        });
    }
}

#[test]
fn workers_of_a_killed_run_end_after_their_record() {
    let grid = Grid::new();
    let mut run = grid.run("hostile").task_arg("side-log", grid.path("log")).start();
    run.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    run.signal(Signal::SIGKILL);
    run.wait().expect(-9);
    grid.open_gate("gate");
    wait::until("its workers end", || grid.processes().is_empty());
}

#[test]
fn whatever_is_killed_in_whatever_order_the_output_is_the_input() {
    let grid = Grid::new();
    let mut dice = Dice::new(0x5eed);
    let mut slaves = [grid.noting_slave(), grid.noting_slave(), grid.noting_slave()];
    let input = numbered("sleep 1 ", 4000);
    let master =
        grid.master().args("-k --retries 20 --reallocate-every 200ms --wait-nodes 40s").input(&input);
    let mut master = master.start();
    for round in 1..=12 {
        // Each loss hits a run that has come further since the last one.
        wait::until("the run goes on", || !master.is_running() || grid.side_log("log").len() > round * 250);
        let victim = dice.roll(slaves.len());
        if dice.roll(3) == 0 {
            slaves[victim].signal(Signal::SIGKILL);
            slaves[victim] = grid.noting_slave();
        } else {
            let workers = slaves[victim].workers(&grid.workers());
            workers.iter().take(1 + dice.roll(2)).for_each(|worker| worker.signal(Signal::SIGKILL));
        }
    }
    let master = master.wait().expect(0).expect_counts(4000, 4000, 0);
    assert!(master.text() == input, "the output differs from the input");
}
