//! One round: slaves, a master, and what breaks them, from the first process to the last.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::checker;
use super::evidence::Evidence;
use super::fleet::Fleet;
use super::master::{Master, work_bytes};
use super::nemesis::{Nemesis, replace_plugin};
use super::patience::{LOOK_EVERY, Patience, Signs, Standing, Standstill};
use super::plan::{Plan, Subject, Wishes};
use super::records::{Order, Poison};
use super::report::RoundReport;
use crate::call::Finished;
use crate::grid::Grid;
use crate::wait;

/// How long a run can take. A longer one is stuck.
const RUN_MAX: Duration = Duration::from_secs(300);

/// A round that went wrong.
#[derive(Debug)]
pub struct Failure {
    /// What was wrong.
    pub complaints: Vec<String>,
    /// The plan.
    pub plan: String,
    /// Where everything is: input, output, logs.
    pub directory: PathBuf,
}

/// Plays a round.
///
/// # Errors
/// What went wrong, and where to look at it.
pub fn round(seed: u64, wishes: &Wishes) -> Result<RoundReport, Failure> {
    let plan = Plan::throw(seed, wishes);
    let mut grid = Grid::new();
    // A wait that fails is a panic. It must not end the rounds that follow, and its directory is kept, too.
    let played = panic::catch_unwind(AssertUnwindSafe(|| play(&grid, &plan)));
    let complaints = match played {
        Ok((report, complaints)) if complaints.is_empty() => return Ok(report),
        Ok((_, complaints)) => complaints,
        Err(panic) => vec![words_of(panic.as_ref())],
    };
    let failure = Failure { complaints, plan: plan.to_string(), directory: grid.keep() };
    let words = format!("seed {seed}: {}\n{}\n", failure.plan, failure.complaints.join("\n"));
    // The file is for someone who looks at the directory later; the failure itself is reported in any case.
    let _ = fs::write(failure.directory.join("what-was-wrong"), words);
    Err(failure)
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

fn play(grid: &Grid, plan: &Plan) -> (RoundReport, Vec<String>) {
    let began = Instant::now();
    replace_plugin(grid, 0);
    let mut fleet = Fleet::start(grid, plan);
    fleet.wait_until_ready();
    let mut nemesis = Nemesis::new(grid, plan.strikes.clone());
    let mut master = Master::start(grid, plan);
    let (ended, standstills) = run(grid, plan, &mut fleet, &mut nemesis, &mut master);
    nemesis.rest(&fleet);
    let was_drained = master.was_drained();
    // Masters that were stopped for ever end here.
    drop(master);
    let mut complaints = Vec::new();
    let mut rivals = nemesis.take_rivals();
    wait::until_some_within(RUN_MAX, "other masters end", || {
        fleet.step();
        rivals.iter_mut().all(super::rival::Rival::has_ended).then_some(())
    });
    complaints.extend(rivals.into_iter().flat_map(super::rival::Rival::judge));
    if plan.subject == Subject::Grid {
        wait::until("no row is reserved any more", || reserved_rows(grid) == 0);
        complaints.extend(fleet.end());
        if reserved_rows(grid) > 0 {
            complaints.push(format!("a row is reserved after all: {:?}", grid.nodes()));
        }
    }
    complaints.extend(survivors(grid, plan, &fleet));
    let evidence = Evidence::gather(grid, plan, ended, was_drained, nemesis.done(), standstills);
    complaints.extend(checker::judge(&evidence));
    (RoundReport::new(&evidence, began.elapsed()), complaints)
}

/// Runs the master to its end. Where it stands still and has said why, everything is healed, and it must go
/// on. One that has not said why, or stands still all the same, is killed.
fn run<'g>(
    grid: &'g Grid,
    plan: &'g Plan,
    fleet: &mut Fleet<'g>,
    nemesis: &mut Nemesis<'g>,
    master: &mut Master<'g>,
) -> (Finished, Vec<Standstill>) {
    let work = work_bytes(plan, plan.records.len()).max(1);
    let bytes_of = |name| fs::metadata(grid.path(name)).map_or(0, |file| file.len());
    let (mut patience, mut standstills) = (Patience::new(Instant::now()), Vec::<Standstill>::new());
    let mut next_look = Instant::now();
    let ended = wait::until_some_within(RUN_MAX, "the run ends", || {
        let noted = bytes_of("log");
        let progress = usize::try_from(noted * 1000 / work).unwrap_or(usize::MAX);
        nemesis.step(progress, fleet, master);
        fleet.step();
        if plan.drained_at.is_some_and(|at| at <= progress) {
            master.drain();
        }
        if next_look > Instant::now() {
            return master.step(noted);
        }
        next_look = Instant::now() + LOOK_EVERY;
        let signs = Signs { noted_bytes: noted, ended_bytes: bytes_of("output") + bytes_of("failed") };
        let (said, now) = (master.said(), Instant::now());
        match patience.on_look(signs, &said, now) {
            Standing::GoesOn => {}
            Standing::HearsNothing => master.go_on_reading_stderr(),
            standing => {
                standstills.push(Standstill { standing, after: nemesis.done().len() });
                nemesis.rest(fleet);
                master.heal();
                patience.renew(&said, now);
                if checker::is_out_of_patience(&standstills) {
                    master.kill();
                }
            }
        }
        master.step(noted)
    });
    (ended, standstills)
}

fn reserved_rows(grid: &Grid) -> usize {
    grid.nodes().iter().filter(|node| node["state"] == "reserved").count()
}

/// What is still running. A killed slave cannot end what its tasks have left behind, and nothing ends what
/// has a session of its own; nothing else is allowed to stay.
fn survivors(grid: &Grid, plan: &Plan, fleet: &Fleet<'_>) -> Vec<String> {
    let leaves_heirs = |order| order == Order::Poison(Poison::Orphan);
    let may_stay = fleet.has_killed_slaves()
        || plan.subject == Subject::LocalRun && plan.journal
        || plan.records.iter().any(|record| leaves_heirs(record.order));
    let of_tasks = |command: &str| may_stay && command.starts_with("sleep ");
    let left = || {
        let all = grid.processes().into_iter();
        all.filter(|process| !of_tasks(&process.command)).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + wait::PATIENCE;
    wait::until_some("all processes end", || {
        let left = left();
        if left.is_empty() {
            return Some(Vec::new());
        }
        let say = |process: &crate::processes::Found| format!("a process is left: {process:?}");
        (Instant::now() > deadline - Duration::from_secs(15)).then(|| left.iter().map(say).collect())
    })
}
