//! A master in a simulation: dispatcher, nodes and results put together as `run` and `grid_run` do it, with
//! other ends.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::decisions::{DispatchState, RunRules};
use super::dispatcher::{self, RunPlan};
use super::nodes::{BuildRules, LinkEvent, NodeKeeper};
use super::output::{FailedWriter, OutputTarget, ProgressLine, ResultWriter, Results, Summary, WriteFailure};
use super::run::LINK_EVENTS;
use super::run_end::Ending;
use super::streamed_run::StreamedEnd;
use crate::ids::RunId;
use crate::limits::RECORD_BYTES_MAX;
use crate::owned_task::OwnedTask;
use crate::plugin::RowFormat;
use crate::record::{Format, Input, RecordReader};
use crate::registry::{Registry, Reservation};
use crate::shutdown::Shutdown;
use crate::time;
use crate::wire::{Dialer, Role};

/// What such a master is told.
pub(crate) struct SimulatedMaster {
    /// What it runs, with an end.
    pub records: mpsc::Receiver<Input>,
    /// Rows come out in the order of the input.
    pub keep_order: bool,
    /// How often a record is tried again.
    pub retries: u32,
    /// The limit of one record.
    pub record_timeout: Option<Duration>,
    /// Where rows go.
    pub output: PathBuf,
    /// Where failed records go.
    pub failed: PathBuf,
    /// Who it is.
    pub reservation: String,
    /// How long it may be without nodes.
    pub wait_nodes: Duration,
    /// Asks it to end.
    pub shutdown: Shutdown,
}

/// A master over the nodes in `registry`, reached through `dialer`.
///
/// # Errors
/// If its file cannot be opened.
pub(crate) fn master_over(
    registry: Registry,
    dialer: Dialer,
    master: SimulatedMaster,
) -> anyhow::Result<impl Future<Output = StreamedEnd> + Send> {
    let (events_in, events) = mpsc::channel(LINK_EVENTS);
    let (leave, enough) = oneshot::channel();
    let keeper = NodeKeeper {
        registry,
        dialer,
        reservation: Reservation::from_text(&*master.reservation),
        role: role(&master),
        nodes_max: usize::MAX,
        builds: BuildRules::default(),
        journaled_task: None,
        wait_nodes: master.wait_nodes,
        reallocate_every: REALLOCATE_EVERY,
        init_commands: Default::default(),
        events: events_in,
        enough,
    };
    let ending = Ending { shutdown_slaves: false, begins: Some(leave), harvest: None };
    let running = run_over(events, ending, master)?;
    Ok(async move {
        let (over, is_over) = oneshot::channel();
        let mut keeping = OwnedTask::spawn(keeper.keep(is_over));
        let end = running.await;
        let _ = over.send(());
        keeping.join().await;
        end
    })
}

/// As often as `--reallocate` has it, unless the user says otherwise.
const REALLOCATE_EVERY: Duration = Duration::from_secs(5);

/// How such a master introduces itself.
fn role(master: &SimulatedMaster) -> Role {
    Role::Master {
        reservation: master.reservation.clone(),
        format: Format::Lines,
        record_timeout_ms: master.record_timeout.map(|limit| limit.as_millis() as u64),
        run: RunId([7; 16]),
        rows: RowFormat::Csv,
    }
}

/// A run over whatever links there are.
///
/// # Errors
/// If its file cannot be opened.
pub(crate) fn run_over(
    events: mpsc::Receiver<LinkEvent>,
    ending: Ending,
    master: SimulatedMaster,
) -> anyhow::Result<impl Future<Output = StreamedEnd> + Send> {
    let SimulatedMaster { records, keep_order, retries, output, failed, shutdown, .. } = master;
    let (writer, rows_end) = ResultWriter::start(OutputTarget::open(&output)?, None)?;
    let (failed, failed_end) = FailedWriter::to_file(OutputTarget::open(&failed)?, Format::Lines)?;
    let plan = RunPlan {
        state: DispatchState::new(RunRules { retries, keep_order, format: Format::Lines, keys: None }),
        reader: RecordReader::of_channel(records),
        record_bytes_max: RECORD_BYTES_MAX,
        results: Results::new(writer, failed),
        write_failure: WriteFailure::new(rows_end, Some(failed_end)),
        header: false,
        rows: RowFormat::Csv,
        progress: ProgressLine::new(false),
        logs_workers: true,
        ending,
    };
    Ok(async move {
        let began = time::now();
        let report = dispatcher::run(plan, events, shutdown).await;
        let summary = Summary::new(&report, time::now().duration_since(began));
        StreamedEnd { end: report.end, summary }
    })
}
