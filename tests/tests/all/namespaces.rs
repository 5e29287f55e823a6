//! A cable that is pulled: no connection closes, nothing is refused, nothing arrives.

use std::time::{Duration, Instant};

use simplegrid_tests::{Grid, Namespaces, Need, Slave, numbered, wait};

/// The silence after which a node is given up (`limits.rs`), and as much again for a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_node_behind_a_pulled_cable_is_given_up_and_comes_back() {
    let grid = Grid::new();
    let Some(namespaces) = Need::Namespaces.check(Namespaces::make()) else { return };
    let (here, there) = (namespaces.name(0), namespaces.name(1));
    let slave = |namespace: &str, address: &str| {
        let call = grid.slave_call("hostile").task_arg("side-log", grid.path("log")).in_namespace(namespace);
        Slave::start(call.args(&format!("--listen {address} --advertise {address}")))
    };
    let [near, far] = [slave(here, "127.0.0.1"), slave(there, Namespaces::ADDRESSES[1])];
    let master = || grid.master().arg("-k").in_namespace(here);

    let mut run = master().start();
    [&near, &far].iter().for_each(|slave| grid.wait_for_state(slave.port(), "reserved"));
    // As many gates as workers, so that the far slave's workers have some of them.
    let gates: Vec<_> = (0..4).map(|gate| grid.gate(&format!("gate{gate}"))).collect();
    let input = format!("{}\n{}", gates.join("\n"), numbered("record ", 500));
    run.write(&input);
    let workers: Vec<_> = (0..4).map(|gate| grid.wait_at_gate(&format!("gate{gate}"), 1)).collect();
    let far_workers: Vec<_> = far.workers(&grid.workers()).iter().map(|worker| worker.pid).collect();
    let cut_off: Vec<_> = (0..4).filter(|gate| far_workers.contains(&workers[*gate])).collect();
    assert!(!cut_off.is_empty(), "both slaves have work");

    namespaces.set_cable(1, "down");
    let pulled = Instant::now();
    // The near slave's workers are free for what the far one had.
    workers.iter().enumerate().filter(|(_, worker)| !far_workers.contains(worker)).for_each(|(gate, _)| {
        grid.open_gate(&format!("gate{gate}"));
    });
    // Which of them is first does not matter: they can be in one batch.
    let begins_again = |gate: &usize| grid.side_log("log").count(&gates[*gate]) >= 2;
    wait::until("the far slave's work begins elsewhere", || cut_off.iter().any(begins_again));
    let took = pulled.elapsed();
    assert!(took < NOTICED_WITHIN, "it took {took:?} until the work went elsewhere");
    (0..4).for_each(|gate| grid.open_gate(&format!("gate{gate}")));
    let run = run.finish().expect(0).expect_counts(504, 504, 0);
    assert!(run.text() == input, "the output differs from the input");
    assert!(run.summary().contains("2 nodes used, 1 lost"), "{}", run.summary());
    far.wait_for_stderr("is lost");

    namespaces.set_cable(1, "up");
    grid.manage(near.port(), "disable").finish().expect(0);
    let again = master().args("--wait-nodes 30s").input("again\n").finish().expect(0);
    assert_eq!(again.text(), "again\n");
    assert!(
        far.workers(&grid.workers())
            .iter()
            .any(|worker| { grid.side_log("log").last_worker("again") == Some(worker.pid) })
    );
}
