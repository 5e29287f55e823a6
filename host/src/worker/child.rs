//! The main function of a worker process: takes what its slave passed, loads the plugin, and serves.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::desk::Desk;
use super::error::WorkerError;
use super::row_text::RowText;
use super::{key_loop, limits, serve_loop, watchdog};
use crate::limits::HEADER_BYTES_MAX;
use crate::plugin::{CallError, LibraryFile, LoadedPlugin, OutputKind, TaskManifest};
use crate::scoreboard::{self, Board};
use crate::wire::{BlockingReader, BlockingWriter, HostToWorker, KeyStart, WorkerStart, WorkerToHost};

/// Bytes of the largest manifest: it travels in the head of a frame, and no sensible library needs as much.
const MANIFEST_BYTES_MAX: usize = HEADER_BYTES_MAX / 2;

/// Serves the slave at standard input until it says stop or is gone.
///
/// # Errors
/// If the process was not started by a slave, or the slave breaks the protocol.
pub(crate) fn run() -> anyhow::Result<()> {
    super::log_line::init();
    let stopping = handle_signals()?;
    let socket = take_socket()?;
    watchdog::start(&socket)?;
    let passed = scoreboard::receive(&socket)?;
    let board = Board::map(&passed.board)?;
    let mut output = BlockingWriter::new(socket.try_clone()?);
    let mut input = BlockingReader::new(socket);
    let start = match receive_start(&mut input)? {
        Some(FirstMessage::Task(start)) => start,
        Some(FirstMessage::Keys(start)) => {
            let library = LibraryFile::passed(start.library.clone(), passed.library);
            return compute_keys(library, &start, input, output, board);
        }
        None => return Ok(()),
    };
    if let Err(error) = limits::apply(&start.limits) {
        return refuse(&mut output, format!("a worker's limits cannot be set: {error}"));
    }
    let library = LibraryFile::passed(start.library.clone(), passed.library);
    let plugin = match LoadedPlugin::load(library) {
        Ok(plugin) => plugin,
        Err(error) => return refuse(&mut output, error.to_string()),
    };
    // To be looked into, a library need not have the task, or any.
    send_manifest(&mut output, &plugin)?;
    let task = plugin.task(&start.task);
    loop {
        let order = match input.read_frame::<HostToWorker>()?.map(|frame| frame.head) {
            Some(order @ (HostToWorker::Prepare | HostToWorker::Create)) => order,
            Some(HostToWorker::Stop) | None => return Ok(()),
            Some(_) => return Err(WorkerError::Protocol("an item before the task was created").into()),
        };
        let task = match &task {
            Ok(task) => task,
            // This one names the library.
            Err(error) => return refuse(&mut output, error.to_string()),
        };
        let args = arguments(&start, task);
        if order == HostToWorker::Prepare {
            match plugin.prepare(&task.name, &args) {
                Ok(()) => output.send(WorkerToHost::Prepared)?,
                Err(error) => return refuse_task(&mut output, &start, &error),
            }
            continue;
        }
        let row_text = RowText::new(&task.columns, task.output == OutputKind::Lines, start.marks_null);
        let desk = Desk::new(board, row_text, stopping);
        return match plugin.create(&task.name, &args, desk) {
            Ok(task) => {
                match serve_loop::serve(input, output, task, passed.receipts) {
                    // No one is left to be told.
                    Err(error) if error.is_slave_gone() => Ok(()),
                    served => Ok(served?),
                }
            }
            Err(error) => refuse_task(&mut output, &start, &error),
        };
    }
}

/// What Ctrl-C in a terminal and a hang-up mean is for the slave to decide; TERM only tells the task to
/// hurry.
fn handle_signals() -> io::Result<Arc<AtomicBool>> {
    let ignored = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, ignored.clone())?;
    signal_hook::flag::register(SIGHUP, ignored)?;
    let stopping = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, stopping.clone())?;
    Ok(stopping)
}

/// Takes the socket from standard input, where the plugin would otherwise find it. What the plugin prints to
/// standard output goes where its errors go: to the log.
fn take_socket() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let nothing = std::fs::File::open("/dev/null")?;
    nix::unistd::dup2_stdin(&nothing)?;
    nix::unistd::dup2_stdout(io::stderr())?;
    Ok(socket)
}

/// What this process is for.
enum FirstMessage {
    Task(WorkerStart),
    Keys(KeyStart),
}

/// Computes partition keys for a master.
fn compute_keys(
    library: LibraryFile,
    start: &KeyStart,
    input: BlockingReader,
    mut output: BlockingWriter,
    board: Board,
) -> anyhow::Result<()> {
    let plugin = match LoadedPlugin::load(library) {
        Ok(plugin) => plugin,
        Err(error) => return refuse(&mut output, error.to_string()),
    };
    let partitioner = match plugin.partitioner(start.partitioner.as_deref()) {
        Ok(partitioner) => partitioner,
        Err(error) => return refuse(&mut output, error.to_string()),
    };
    output.send(WorkerToHost::Created)?;
    match key_loop::serve(input, output, partitioner, board, start.format) {
        // No one is left to be told.
        Err(error) if error.is_slave_gone() => Ok(()),
        served => Ok(served?),
    }
}

fn receive_start(input: &mut BlockingReader) -> Result<Option<FirstMessage>, WorkerError> {
    match input.read_frame::<HostToWorker>()?.map(|frame| frame.head) {
        Some(HostToWorker::Start(start)) => Ok(Some(FirstMessage::Task(*start))),
        Some(HostToWorker::StartKeys(start)) => Ok(Some(FirstMessage::Keys(*start))),
        Some(_) => Err(WorkerError::Protocol("something before the start message")),
        None => Ok(None),
    }
}

fn send_manifest(output: &mut BlockingWriter, plugin: &LoadedPlugin) -> anyhow::Result<()> {
    let manifest = serde_json::to_string(plugin.manifest())?;
    if manifest.len() > MANIFEST_BYTES_MAX {
        return refuse(
            output,
            format!("its manifest has {} bytes; at most {MANIFEST_BYTES_MAX} are allowed", manifest.len()),
        );
    }
    Ok(output.send(WorkerToHost::Loaded { manifest, build: plugin.build() })?)
}

fn refuse(output: &mut BlockingWriter, message: String) -> anyhow::Result<()> {
    Ok(output.send(WorkerToHost::Unusable { message })?)
}

/// Refuses with what a task said. It does not know which file it is in, and the user must.
fn refuse_task(output: &mut BlockingWriter, start: &WorkerStart, error: &CallError) -> anyhow::Result<()> {
    refuse(output, format!("{}: {error}", start.library.path.display()))
}

/// The task's own arguments, and those of the slave's that it has an argument of that name for. Its own win.
fn arguments(start: &WorkerStart, task: &TaskManifest) -> Vec<(String, String)> {
    let wanted = |name: &str| {
        task.args.iter().any(|arg| arg.name == name) && !start.task_args.iter().any(|(own, _)| own == name)
    };
    let from_manager = start.manager_args.iter().filter(|(name, _)| wanted(name));
    start.task_args.iter().chain(from_manager).cloned().collect()
}
