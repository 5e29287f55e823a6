//! `torture`: rounds of [`simplegrid_tests::torture`] until the time is over, or one fails.
//!
//! It is also the program under test: called with one of that program's commands, it does what that program
//! does, so that `cargo run --bin torture` needs nothing else to be built.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use simplegrid_tests::torture::{self, Failure, Faults, Mode, Report, Wishes};

/// Breaks everything that can break, and checks what must hold all the same (docs/guarantees.md).
#[derive(Debug, Parser)]
struct Flags {
    /// Begins no further round after this time.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Plays at most this many rounds.
    #[arg(long)]
    rounds: Option<u64>,
    /// The seed of the first round; each following round has the next one. Without it, the clock gives one.
    #[arg(long)]
    seed: Option<u64>,
    /// Records of each round; without it, the dice decide.
    #[arg(long)]
    records: Option<usize>,
    /// Small rounds, as in `cargo test`.
    #[arg(long)]
    small: bool,
    /// What becomes of faults.
    #[arg(long, value_enum, default_value_t = FaultsFlag::Healed)]
    faults: FaultsFlag,
    /// All rounds are `simplegrid run`, without slaves.
    #[arg(long)]
    local: bool,
    /// All rounds keep the order of the rows.
    #[arg(long)]
    keep_order: bool,
    /// All rounds are partitioned by key.
    #[arg(long)]
    partitioned: bool,
    /// No round keeps an order or is partitioned.
    #[arg(long, conflicts_with_all = ["keep_order", "partitioned"])]
    unordered: bool,
}

/// What becomes of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FaultsFlag {
    /// They are healed after a while: nothing may be lost.
    Healed,
    /// They stay until the run has ended, or has said why it cannot.
    NeverHealed,
}

impl Flags {
    fn wishes(&self) -> Wishes {
        let mode = match (self.unordered, self.keep_order, self.partitioned) {
            (true, ..) => Some(Mode::Unordered),
            (_, true, true) => Some(Mode::PartitionedKeepOrder),
            (_, true, false) => Some(Mode::KeepOrder),
            (_, false, true) => Some(Mode::Partitioned),
            (false, false, false) => None,
        };
        let faults = match self.faults {
            FaultsFlag::Healed => Faults::Healed,
            FaultsFlag::NeverHealed => Faults::NeverHealed,
        };
        Wishes { records: self.records, mode, small: self.small, faults, local: self.local }
    }

    /// The flags that shape a round, without its seed.
    fn shape(&self) -> String {
        let records = self.records.map_or_else(String::new, |records| format!(" --records {records}"));
        let flags = [
            (self.small, " --small"),
            (self.faults == FaultsFlag::NeverHealed, " --faults never-healed"),
            (self.local, " --local"),
            (self.keep_order, " --keep-order"),
            (self.partitioned, " --partitioned"),
            (self.unordered, " --unordered"),
        ];
        flags.iter().filter(|(is_set, _)| *is_set).fold(records, |text, (_, flag)| text + flag)
    }
}

fn main() -> ExitCode {
    let is_under_test = std::env::args().nth(1).is_some_and(|first| !first.starts_with('-'));
    if is_under_test { simplegrid::main_impl() } else { torture() }
}

fn torture() -> ExitCode {
    let flags = Flags::parse();
    let first = flags.seed.unwrap_or_else(|| {
        SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since_epoch| since_epoch.as_secs() % 1_000_000)
    });
    let deadline = Instant::now() + Duration::from_secs(flags.seconds);
    let mut report = Report::default();
    for round in 0..flags.rounds.unwrap_or(u64::MAX) {
        if round > 0 && Instant::now() >= deadline {
            break;
        }
        match torture::round(first + round, &flags.wishes()) {
            Ok(played) => {
                println!("{played}");
                report.add(played);
            }
            Err(failure) => {
                tell(&failure, first + round, &flags);
                println!("{report}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{report}");
    ExitCode::SUCCESS
}

fn tell(failure: &Failure, seed: u64, flags: &Flags) {
    println!("seed {seed} has failed: {}", failure.plan);
    failure.complaints.iter().for_each(|complaint| println!("- {complaint}"));
    println!("everything is in {}", failure.directory.display());
    println!(
        "again: cargo run -p simplegrid-tests --bin torture -- --seed {seed} --rounds 1{}",
        flags.shape()
    );
}
