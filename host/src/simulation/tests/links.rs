//! Nodes, links, masters and registries that are lost, or seem to be.

use std::time::Duration;

use super::seeds::must_be_right;
use crate::simulation::Plan;
use crate::simulation::fault::Fault;
use crate::simulation::order::Order;

const SECOND: Duration = Duration::from_secs(1);

/// Work for some seconds on two nodes.
fn two_nodes() -> Plan {
    Plan { nodes: vec![1, 1], ..Plan::calm(0, 1, vec![Order::Slow(200); 60]) }
}

#[test]
fn a_record_that_brings_its_node_down_condemns_no_other() {
    let mut records = vec![Order::Slow(20); 60];
    records[30] = Order::KillNode;
    for seed in 0..8 {
        let plan = Plan { nodes: vec![2, 2], records: records.clone(), seed, ..Plan::calm(0, 2, Vec::new()) };
        let evidence = must_be_right(&plan);
        assert_eq!((evidence.count("done"), evidence.count("failed")), (59, 1));
        assert_eq!((&evidence.failed[0]["seq"], &evidence.failed[0]["reason"]), (&30.into(), &"lost".into()));
    }
}

#[test]
fn a_link_that_carries_nothing_any_more_costs_five_seconds_and_no_record() {
    for (to_slave, to_master) in [(true, false), (false, true), (true, true)] {
        let stall = Fault::StallLink { node: 0, to_slave, to_master, length: Some(600 * SECOND) };
        for seed in 0..8 {
            let plan = Plan { faults: vec![(SECOND, stall)], seed, ..two_nodes() };
            let evidence = must_be_right(&plan);
            assert_eq!(evidence.count("failed"), 0);
            assert!(evidence.took < 30 * SECOND, "{:?}", evidence.took);
        }
    }
}

#[test]
fn a_link_that_one_side_finds_closed_costs_no_record() {
    for to_slave in [false, true] {
        for seed in 0..8 {
            let fault = Fault::HalfCloseLink { node: 1, to_slave };
            let plan = Plan { faults: vec![(SECOND, fault)], seed, ..two_nodes() };
            assert_eq!(must_be_right(&plan).count("failed"), 0);
        }
    }
}

#[test]
fn a_master_that_was_stopped_for_long_carries_on_with_the_nodes_that_it_can_get() {
    for seed in 0..8 {
        let stop = Fault::StopMaster { length: Some(60 * SECOND) };
        let plan = Plan { faults: vec![(SECOND, stop)], seed, ..two_nodes() };
        let evidence = must_be_right(&plan);
        assert_eq!(evidence.count("failed"), 0);
        assert!(evidence.took < 120 * SECOND, "{:?}", evidence.took);
    }
}

#[test]
fn the_nodes_of_a_master_that_is_killed_are_free_soon() {
    for seed in 0..8 {
        let plan = Plan { faults: vec![(SECOND, Fault::KillMaster)], seed, ..two_nodes() };
        assert!(must_be_right(&plan).end.is_none());
    }
}

#[test]
fn a_run_goes_on_whatever_becomes_of_its_registry() {
    let faults = [
        Fault::RegistryDown { length: Some(600 * SECOND) },
        Fault::RegistrySlow { delay: 4 * SECOND, length: Some(600 * SECOND) },
        Fault::RegistryReplaced,
        Fault::RegistryJump { seconds: 3600 },
        Fault::RegistryJump { seconds: -3600 },
    ];
    for fault in faults {
        for seed in 0..4 {
            let plan = Plan { faults: vec![(SECOND, fault)], seed, ..two_nodes() };
            let evidence = must_be_right(&plan);
            assert_eq!((evidence.count("done"), evidence.count("nodes_lost")), (60, 0), "{fault:?}");
            assert!(evidence.took < 30 * SECOND, "{fault:?}: {:?}", evidence.took);
        }
    }
}

/// While the registry is away, its clock is set back by an hour: no lease runs out soon.
fn away_and_set_back(at: Duration) -> [(Duration, Fault); 2] {
    let away = Fault::RegistryDown { length: Some(8 * SECOND) };
    [(at, away), (at + SECOND, Fault::RegistryJump { seconds: -3600 })]
}

#[test]
fn a_node_that_could_not_be_given_back_while_the_registry_was_away_is_used_when_it_is_back() {
    let stop = Fault::StopSlave { node: 0, length: Some(8 * SECOND) };
    let mut faults = vec![(Duration::from_millis(190), stop)];
    faults.extend(away_and_set_back(Duration::from_millis(300)));
    for seed in 0..8 {
        let plan = Plan { faults: faults.clone(), seed, ..Plan::calm(0, 1, vec![Order::Echo(1); 20]) };
        let evidence = must_be_right(&plan);
        assert_eq!(evidence.count("done"), 20);
        assert!(evidence.took < 40 * SECOND, "{:?}", evidence.took);
    }
}

#[test]
fn a_node_whose_run_ends_while_the_registry_is_away_is_free_when_it_is_back() {
    for seed in 0..8 {
        let faults = away_and_set_back(Duration::from_millis(300)).to_vec();
        let plan = Plan { faults, seed, ..Plan::calm(0, 1, vec![Order::Slow(20); 30]) };
        let evidence = must_be_right(&plan);
        assert!(evidence.took < 8 * SECOND, "{:?}", evidence.took);
    }
}

#[test]
fn a_slave_whose_row_was_entered_again_is_enabled_although_the_registry_was_away_when_it_became_free() {
    let faults = vec![
        (SECOND, Fault::RegistryReplaced),
        (3 * SECOND, Fault::RegistryDown { length: Some(4 * SECOND) }),
        (4 * SECOND, Fault::CutLink { node: 0 }),
    ];
    for seed in 0..8 {
        let plan = Plan { faults: faults.clone(), seed, ..Plan::calm(0, 1, vec![Order::Slow(200); 40]) };
        let evidence = must_be_right(&plan);
        assert_eq!((evidence.count("done"), evidence.count("nodes_lost")), (40, 1));
        assert!(evidence.took < 40 * SECOND, "{:?}", evidence.took);
    }
}
