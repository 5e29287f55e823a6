//! `simulate`: plays seeds of the simulation (docs/decisions/simulation.md), and says what they have found.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use simplegrid::internals::simulation::{self, Played};

/// Plays whole grids in one thread, by a clock that jumps, with everything broken that a seed says, and
/// checks what must hold all the same (docs/guarantees.md).
#[derive(Debug, Parser)]
struct Flags {
    /// Plays this seed, and shows all that happens.
    #[arg(long, conflicts_with_all = ["seeds", "seconds"])]
    seed: Option<u64>,
    /// Plays these seeds, `A..B` without B.
    #[arg(long, value_parser = range, conflicts_with = "seconds")]
    seeds: Option<(u64, u64)>,
    /// Begins no further seed after this time. The clock gives the first one.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Goes on after a seed that fails.
    #[arg(long)]
    keep_going: bool,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let numbers = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    numbers
        .ok_or_else(|| "write the first seed, two dots, and the seed after the last one: 0..1000".to_owned())
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if let Some(seed) = flags.seed {
        return one(seed);
    }
    let began = Instant::now();
    let deadline = began + Duration::from_secs(flags.seconds);
    let (first, end) = flags.seeds.unwrap_or_else(|| {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since_epoch| since_epoch.as_secs());
        (now * 1_000_000, u64::MAX)
    });
    let (mut played, mut failures, mut total) = (0_u32, 0, Played::default());
    for seed in first..end {
        if flags.seeds.is_none() && Instant::now() >= deadline {
            break;
        }
        played += 1;
        match simulation::play(seed) {
            Ok(one) => total += one,
            Err(report) => {
                println!("{report}\nagain: simulate --seed {seed}");
                failures += 1;
                if !flags.keep_going {
                    break;
                }
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{played} seeds, {failures} failed; {total}; {seconds:.1} s, {:.0} seeds a minute",
        f64::from(played) * 60.0 / seconds
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays one seed, and shows what happens.
fn one(seed: u64) -> ExitCode {
    match simulation::play_and_tell(seed) {
        Ok(story) => {
            println!("{story}");
            ExitCode::SUCCESS
        }
        Err(report) => {
            println!("{report}");
            ExitCode::FAILURE
        }
    }
}
