//! Workers that die in odd ways, or do not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::seeds::must_be_right;
use crate::simulation::fault::Fault;
use crate::simulation::nursery::Birth;
use crate::simulation::order::Order;
use crate::simulation::quirk::Quirk;
use crate::simulation::{Evidence, Plan};

/// Schedules of each scenario.
const SCHEDULES: std::ops::Range<u64> = 0..8;

const FIRST: Birth = (0, 0, 0);

fn quirks<const N: usize>(quirks: [(Birth, Quirk); N]) -> BTreeMap<Birth, Vec<Quirk>> {
    quirks.into_iter().map(|(birth, quirk)| (birth, vec![quirk])).collect()
}

/// Plays a plan over a grid and in one process, with several schedules.
fn each(plan: &Plan, check: impl Fn(&Evidence)) {
    for is_local in [false, true] {
        for seed in SCHEDULES {
            check(&must_be_right(&Plan { seed, is_local, ..plan.clone() }));
        }
    }
}

/// Neighbours, and in their middle another one.
fn among_neighbours(order: Order) -> Vec<Order> {
    let mut records = vec![Order::Echo(1); 21];
    records[10] = order;
    records
}

#[test]
fn a_worker_is_known_to_be_dead_though_its_child_holds_its_socket() {
    let plan = Plan { retries: 0, ..Plan::calm(0, 1, among_neighbours(Order::Orphan)) };
    each(&plan, |evidence| {
        assert!(evidence.took < Duration::from_secs(5), "{:?}", evidence.took);
        assert_eq!((evidence.count("done"), evidence.count("failed")), (20, 1));
        assert_eq!(
            (&evidence.failed[0]["seq"], &evidence.failed[0]["reason"]),
            (&10.into(), &"crash".into())
        );
    });
}

#[test]
fn a_worker_that_stops_while_idle_is_replaced_and_blames_no_record() {
    let stops = Quirk::StopWhenIdle(Duration::from_millis(5));
    let input_pause = Duration::from_secs(1);
    let plan = Plan {
        quirks: quirks([(FIRST, stops)]),
        input_pause,
        retries: 0,
        ..Plan::calm(0, 1, vec![Order::Echo(1); 30])
    };
    each(&plan, |evidence| {
        assert_eq!((evidence.count("done"), evidence.executions.len()), (30, 30));
        assert!(evidence.said("began none for 10s") > 0);
    });
}

#[test]
fn a_worker_that_begins_nothing_of_its_item_is_replaced_and_blames_no_record() {
    let plan = Plan {
        quirks: quirks([(FIRST, Quirk::BeginNothing(2))]),
        retries: 0,
        ..Plan::calm(0, 1, vec![Order::Echo(1); 30])
    };
    each(&plan, |evidence| assert_eq!((evidence.count("done"), evidence.executions.len()), (30, 30)));
}

#[test]
fn a_worker_that_hangs_in_its_kernel_is_left_and_its_slot_goes_on() {
    let plan = Plan {
        quirks: quirks([(FIRST, Quirk::HangInKernel(40))]),
        record_timeout: Some(Duration::from_secs(2)),
        ..Plan::calm(0, 1, vec![Order::Echo(1); 30])
    };
    each(&plan, |evidence| {
        assert_eq!(evidence.count("read"), 30);
        assert_eq!(evidence.said("it hangs in the kernel, and is left"), 1);
    });
}

#[test]
fn a_worker_that_is_stuck_in_its_start_is_replaced_and_the_run_says_what_it_waits_for() {
    for hang in [Quirk::HangInLoad, Quirk::HangInNew] {
        let plan = Plan {
            quirks: quirks([(FIRST, Quirk::KilledAtStep(30)), ((0, 0, 1), hang)]),
            ..Plan::calm(0, 1, vec![Order::Echo(1); 100])
        };
        each(&plan, |evidence| {
            assert_eq!(evidence.count("done"), 100);
            assert_eq!(evidence.said("nothing has ended for 10s: no worker is ready"), 1);
            assert!(evidence.took < Duration::from_secs(70), "{:?}", evidence.took);
        });
    }
}

#[test]
fn a_run_whose_first_worker_never_gets_ready_does_not_begin_and_says_why() {
    for hang in [Quirk::HangInLoad, Quirk::HangInNew] {
        let quirks = quirks([(FIRST, hang)]);
        let plan = Plan { quirks, is_local: true, ..Plan::calm(0, 2, vec![Order::Echo(1)]) };
        let why = must_be_right(&plan).refusal.unwrap_or_default();
        assert!(why.contains("did not end within 1m"), "{why}");
    }
}

#[test]
fn a_task_that_never_ends_holds_up_neither_a_run_nor_a_slave_that_ends() {
    let second = Duration::from_secs(1);
    let plan = Plan {
        quirks: quirks([(FIRST, Quirk::HangInDrop), ((0, 1, 0), Quirk::HangInDrop)]),
        faults: vec![(10 * second, Fault::DrainSlave { node: 0 })],
        ..Plan::calm(0, 2, vec![Order::Echo(1); 30])
    };
    each(&plan, |evidence| assert!(evidence.took < 10 * second, "{:?}", evidence.took));
    let plan = Plan {
        faults: vec![(second, Fault::DrainSlave { node: 0 }), (200 * second, Fault::CutLink { node: 0 })],
        ..plan
    };
    let ended = must_be_right(&plan).said("node 0 has ended");
    assert_eq!(ended, 1, "its workers are killed");
}

#[test]
fn an_idle_run_that_loses_a_worker_now_and_then_goes_on() {
    let kill = |number: u64| (Duration::from_secs(5 * number), Fault::KillWorker { node: 0, slot: 0 });
    let plan = Plan {
        faults: (1..40).map(kill).collect(),
        input_pause: Duration::from_secs(400),
        ..Plan::calm(0, 1, vec![Order::Echo(1); 5])
    };
    each(&plan, |evidence| {
        assert!(evidence.births > 19, "{} workers", evidence.births);
        assert_eq!((evidence.count("done"), evidence.count("nodes_lost")), (5, 0));
    });
}

#[test]
fn a_worker_that_says_what_no_worker_may_say_is_replaced() {
    let lies = [Quirk::Garbage(2), Quirk::DoneTwice(1), Quirk::WrongItem(2)];
    for lie in lies {
        let plan = Plan { quirks: quirks([(FIRST, lie)]), ..Plan::calm(0, 2, vec![Order::Echo(1); 60]) };
        each(&plan, |evidence| {
            assert_eq!((evidence.count("done"), evidence.count("nodes_lost")), (60, 0), "{lie:?}");
        });
    }
}
