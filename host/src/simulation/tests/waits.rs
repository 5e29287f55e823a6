//! Waits that have no end say what they wait for; and time in which a process did not run is not counted.

use std::time::Duration;

use super::seeds::must_be_right;
use crate::simulation::Plan;
use crate::simulation::fault::Fault;
use crate::simulation::order::Order;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_record_that_never_ends_is_named() {
    let plan = Plan { patience: 700 * SECOND, ..Plan::calm(0, 1, vec![Order::Echo(1), Order::Hang]) };
    for is_local in [false, true] {
        let evidence = must_be_right(&Plan { is_local, ..plan.clone() });
        assert!(evidence.end.is_none());
        for still in ["10s", "1m", "10m"] {
            let said = format!("nothing has ended for {still}: record 2 is at slot 0 of ");
            assert_eq!(evidence.said(&said), 1, "{said}");
        }
    }
}

#[test]
fn an_output_that_no_one_reads_is_named() {
    let plan = Plan {
        faults: vec![(Duration::ZERO, Fault::StallOutput { length: None })],
        patience: 100 * SECOND,
        ..Plan::calm(0, 1, vec![Order::Echo(1); 10])
    };
    let evidence = must_be_right(&plan);
    assert!(evidence.end.is_none());
    assert_eq!(evidence.said("nothing has ended for 10s: the reader of the output takes no more rows"), 1);
}

#[test]
fn time_in_which_the_slave_was_stopped_is_not_counted_against_a_record() {
    let plan = Plan {
        record_timeout: Some(2 * SECOND),
        retries: 0,
        faults: vec![(SECOND, Fault::StopSlave { node: 0, length: Some(4 * SECOND) })],
        ..Plan::calm(0, 1, Vec::new())
    };
    for seed in 0..8 {
        // Several short ones, and one that ends soon after the slave goes on.
        for records in [vec![Order::Slow(1500); 4], vec![Order::Slow(5300)]] {
            let evidence = must_be_right(&Plan { seed, records, ..plan.clone() });
            assert_eq!(evidence.count("failed"), 0);
        }
    }
}

#[test]
fn time_in_which_a_run_was_stopped_is_not_counted_against_a_record() {
    let plan = Plan {
        is_local: true,
        record_timeout: Some(2 * SECOND),
        retries: 0,
        faults: vec![(SECOND, Fault::StopMaster { length: Some(30 * SECOND) })],
        ..Plan::calm(0, 1, Vec::new())
    };
    for seed in 0..8 {
        // Several short ones, and one that ends soon after the run goes on.
        for records in [vec![Order::Slow(1900); 4], vec![Order::Slow(31_200)]] {
            let evidence = must_be_right(&Plan { seed, records, ..plan.clone() });
            assert_eq!(evidence.count("failed"), 0);
        }
    }
}
