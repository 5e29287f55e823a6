//! A seed gives a plan and a schedule: the same one each time.

use crate::simulation::order::Order;
use crate::simulation::{Evidence, Plan, play, try_plan};

/// Seeds that are played with each `cargo test`: a few seconds' worth of a debug build. Seeds that have found
/// something stand in `EARLIER`.
const SEEDS: std::ops::Range<u64> = 0..100;

/// Seeds that have failed before, with what they have found.
const EARLIER: [(u64, &str); 0] = [];

/// Plays a plan, and shows all that happened if anything is wrong.
#[track_caller]
pub(super) fn must_be_right(plan: &Plan) -> Evidence {
    try_plan(plan).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn a_grid_and_a_run_of_one_process_echo() {
    for is_local in [false, true] {
        let plan = Plan { is_local, ..Plan::calm(1, 2, vec![Order::Echo(1); 50]) };
        let evidence = must_be_right(&plan);
        assert_eq!((evidence.count("done"), evidence.executions.len()), (50, 50));
    }
}

#[test]
fn the_same_seed_gives_the_same_simulation_and_another_one_another() {
    let play = |seed| play(&Plan::of_seed(seed));
    for seed in 0..10 {
        let (first, second) = (play(seed), play(seed));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
    }
    assert_ne!(play(1).fingerprint, play(2).fingerprint);
}

#[test]
fn every_record_ends_once_whatever_is_broken() {
    for seed in SEEDS.chain(EARLIER.iter().map(|(seed, _)| *seed)) {
        must_be_right(&Plan::of_seed(seed));
    }
}

#[test]
fn a_checker_that_is_shown_what_is_wrong_says_so() {
    let plan = Plan::calm(1, 1, vec![Order::Echo(1); 3]);
    let right = play(&plan);
    assert!(crate::simulation::judge(&plan, &right).is_empty());
    let lines: Vec<_> = right.output.lines().collect();
    for (output, complaint) in [
        (format!("{}\n{}\n", lines[0], lines[1]), "has the rows []"),
        (format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2]), "out of order"),
        (format!("{}{}\n", right.output, lines[0]), "record 0"),
        ("0,0,0\n1,0,2\n2,0,1\n".to_owned(), "other executions"),
    ] {
        let complaints = crate::simulation::judge(&plan, &Evidence { output, ..right.clone() });
        assert!(complaints.iter().any(|said| said.contains(complaint)), "{complaint}: {complaints:?}");
    }
}
