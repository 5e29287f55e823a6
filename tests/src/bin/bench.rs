//! `bench`: how fast it is, against a ceiling ([`simplegrid_tests::bench`]).
//!
//! Depending on its first word, it is also the program under test, the ceiling or a kernel, so that `cargo
//! run --bin bench` needs nothing else to be built.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use simplegrid_tests::bench::{self, Wishes, ceiling, instructions};

/// Measures SimpleGrid against a ceiling of the same shape, on this machine, and prints tables.
#[derive(Debug, Parser)]
struct Flags {
    /// Fewer records and rounds.
    #[arg(long)]
    quick: bool,
    /// Rounds of each case [default: 7, or 3 with --quick].
    #[arg(long)]
    rounds: Option<usize>,
    /// Only the parts with this word in their names; can be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// Writes all samples to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws plots into a directory.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Counts instructions with callgrind, and fails if there are many more than in the baseline.
    Instructions {
        /// Makes the counts the baseline.
        #[arg(long)]
        record: bool,
    },
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let played = match words.first().map(String::as_str) {
        Some(ceiling::WORD) => ceiling::play(&words[1..]),
        Some(instructions::WORD) => instructions::play(&words[1..]),
        Some("instructions") => measure(Flags::parse()),
        Some(word) if !word.starts_with('-') => return simplegrid::main_impl(),
        _ => measure(Flags::parse()),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(flags: Flags) -> anyhow::Result<()> {
    let Flags { quick, rounds, only, json, plots, command } = flags;
    if let Some(What::Instructions { record }) = command {
        return instructions::check(record);
    }
    let rounds = rounds.unwrap_or(if quick { 3 } else { 7 }).max(1);
    bench::run(&Wishes { quick, rounds, only, json, plots })
}
