//! Small rounds of torture: three seeds that are always the same, and one that never is. For longer ones:
//! `cargo run -p simplegrid-tests --bin torture -- --seconds 600`.

use std::time::SystemTime;

use simplegrid_tests::torture::{self, Wishes};

/// Rounds of each test.
const ROUNDS: u64 = 6;

/// Plays some rounds, starting with that seed.
#[track_caller]
fn expect_all_well(seed: u64) {
    for seed in seed..seed + ROUNDS {
        match torture::round(seed, &Wishes { small: true, ..Wishes::default() }) {
            Ok(played) => println!("{played}"),
            Err(failure) => panic!(
                "torture --small --rounds 1 --seed {seed}: {}\n{}\neverything is in {}",
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
