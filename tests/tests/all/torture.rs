//! Small rounds of torture: seeds that are always the same, and some that never are. For longer ones:
//! `cargo run -p simplegrid-tests --bin torture -- --seconds 600`.

use std::time::SystemTime;

use simplegrid_tests::torture::{self, Faults, Wishes};

/// Rounds of each test whose faults are healed.
const ROUNDS: u64 = 6;

/// Rounds of each test whose faults are never healed: a run that cannot end says so after a while only.
const LASTING_ROUNDS: u64 = 3;

const HEALED: Wishes =
    Wishes { small: true, faults: Faults::Healed, local: false, records: None, mode: None };
const LASTING: Wishes = Wishes { faults: Faults::NeverHealed, ..HEALED };

/// Plays some rounds, starting with that seed.
#[track_caller]
fn expect_all_well(seed: u64) {
    play(seed, ROUNDS, "", &HEALED);
}

#[track_caller]
fn play(first: u64, rounds: u64, flags: &str, wishes: &Wishes) {
    for seed in first..first + rounds {
        match torture::round(seed, wishes) {
            Ok(played) => println!("{played}"),
            Err(failure) => panic!(
                "torture --small{flags} --rounds 1 --seed {seed}: {}\n{}\neverything is in {}",
                failure.plan,
                failure.complaints.join("\n"),
                failure.directory.display()
            ),
        }
    }
}

#[test]
fn nothing_is_lost_with_the_first_seed() {
    expect_all_well(4);
}

#[test]
fn nothing_is_lost_with_the_second_seed() {
    expect_all_well(14);
}

#[test]
fn nothing_is_lost_with_the_third_seed() {
    expect_all_well(200);
}

#[test]
fn nothing_is_lost_with_a_random_seed() {
    let since_epoch = SystemTime::UNIX_EPOCH.elapsed().expect("the clock is right");
    expect_all_well(1_000_000 + since_epoch.as_millis() as u64 % 1_000_000_000);
}

#[test]
fn a_local_run_loses_nothing() {
    play(3, ROUNDS, " --local", &Wishes { local: true, ..HEALED });
}

#[test]
fn a_run_whose_faults_are_never_healed_ends_or_says_why() {
    play(1, LASTING_ROUNDS, " --faults never-healed", &LASTING);
}

#[test]
fn a_local_run_whose_faults_are_never_healed_ends_or_says_why() {
    let wishes = Wishes { local: true, ..LASTING };
    play(1003, LASTING_ROUNDS, " --local --faults never-healed", &wishes);
}
