//! A worker of a simulation, from its birth to its end. It speaks the worker's protocol over pipes in memory,
//! and uses a real scoreboard; its task is what the records say (`order.rs`), and it may have quirks.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::executions::Executions;
use super::order::{Order, Planned};
use super::pipe::Pipe;
use super::quirk::Quirk;
use super::vitals::{Vitals, by_signal};
use crate::build::Build;
use crate::ids::BatchId;
use crate::limits::HELD_BATCHES_MAX;
use crate::record::{Format, RawRecords};
use crate::scoreboard::{Board, Outcome, Status};
use crate::turns::Dice;
use crate::wire::{
    Frame, FrameReader, FrameWriter, HostToWorker, ItemDone, LossKind, ReadEnd, WorkerToHost, WriteEnd,
};

/// What a worker says of its library. (`plugin::Manifest`)
const MANIFEST: &str = r#"{"package":"simulated","version":"1","api":"1","tasks":[{"name":"simulated",
    "columns":[{"name":"line","kind":"text","nullable":false}],"output":"lines"}]}"#;

/// How long it takes to load a library, usually.
const LOADING_MAX: Duration = Duration::from_millis(20);

/// Between two steps lies so much at most.
const STEP_MAX: Duration = Duration::from_micros(300);

/// What a worker is born with.
pub(super) struct Newborn {
    /// Its life, as seen from outside.
    pub vitals: Arc<Vitals>,
    /// What it hears.
    pub input: FrameReader<ReadEnd>,
    /// What it says.
    pub output: FrameWriter<WriteEnd>,
    /// Its socket: what it hears, and what it says.
    pub socket: [Pipe; 2],
    /// The node that it belongs to, and where it can be brought down.
    pub node: (usize, mpsc::UnboundedSender<usize>),
    /// Its scoreboard's file.
    pub board: std::fs::File,
    /// Says that a part was read.
    pub receipts: mpsc::UnboundedReceiver<()>,
    /// What it does wrong.
    pub quirks: Vec<Quirk>,
    /// Where it notes what it runs.
    pub executions: Executions,
    /// Its chances.
    pub dice: Dice,
}

/// How a worker's life ends.
enum Demise {
    Exit,
    Died(ExitStatus),
}

/// Lives until its end.
pub(super) async fn live(newborn: Newborn) {
    let vitals = Arc::clone(&newborn.vitals);
    let status = match begin(newborn).await {
        Ok(()) | Err(Demise::Exit) => ExitStatus::default(),
        Err(Demise::Died(status)) => status,
    };
    // What it had open is closed by now.
    vitals.die(status);
}

async fn begin(newborn: Newborn) -> Result<(), Demise> {
    let Newborn {
        vitals,
        mut input,
        mut output,
        socket,
        node,
        board,
        receipts,
        quirks,
        executions,
        mut dice,
    } = newborn;
    let has = |quirk: Quirk| quirks.contains(&quirk);
    let Some(HostToWorker::Start(_)) = hear(&mut input).await? else { return Ok(()) };
    for quirk in &quirks {
        if let Quirk::SlowLoad(pause) = quirk {
            tokio::time::sleep(*pause).await;
        }
    }
    tokio::time::sleep(dice.duration(Duration::ZERO, LOADING_MAX)).await;
    never_if(has(Quirk::HangInLoad)).await;
    die_if(has(Quirk::DieInLoad))?;
    say(&mut output, WorkerToHost::Loaded { manifest: MANIFEST.to_owned(), build: Build::default() }).await?;
    let Some(HostToWorker::Create) = hear(&mut input).await? else { return Ok(()) };
    never_if(has(Quirk::HangInNew)).await;
    die_if(has(Quirk::DieInNew))?;
    say(&mut output, WorkerToHost::Created).await?;
    let board = Board::map(&board).expect("the scoreboard of a simulation can be mapped");
    let worker = SimulatedWorker {
        vitals,
        output,
        socket,
        node,
        board,
        receipts,
        quirks,
        executions,
        dice,
        turn: 0,
        items: 0,
        steps: 0,
        item: BatchId(0),
        began: Instant::now(),
        all_done: true,
        held: Vec::new(),
    };
    worker.serve(input).await
}

async fn hear(input: &mut FrameReader<ReadEnd>) -> Result<Option<HostToWorker>, Demise> {
    input.next().await.map(|frame| frame.map(|frame| frame.head)).map_err(|_| Demise::Exit)
}

async fn say(output: &mut FrameWriter<WriteEnd>, message: WorkerToHost) -> Result<(), Demise> {
    output.push(&Frame::from(message));
    output.flush().await.map_err(|_| Demise::Exit)
}

async fn never_if(condition: bool) {
    if condition {
        std::future::pending::<()>().await;
    }
}

fn die_if(condition: bool) -> Result<(), Demise> {
    if condition { Err(Demise::Died(by_signal(Signal::SIGSEGV))) } else { Ok(()) }
}

/// A record that is held.
struct HeldRecord {
    batch_low: u32,
    index: u16,
    planned: Planned,
    execution: usize,
}

struct SimulatedWorker {
    vitals: Arc<Vitals>,
    output: FrameWriter<WriteEnd>,
    socket: [Pipe; 2],
    node: (usize, mpsc::UnboundedSender<usize>),
    board: Board,
    receipts: mpsc::UnboundedReceiver<()>,
    quirks: Vec<Quirk>,
    executions: Executions,
    dice: Dice,
    turn: u64,
    items: u32,
    steps: u32,
    item: BatchId,
    began: Instant,
    all_done: bool,
    held: Vec<HeldRecord>,
}

impl SimulatedWorker {
    async fn serve(mut self, mut input: FrameReader<ReadEnd>) -> Result<(), Demise> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = input.next::<HostToWorker>() => frame.map_err(|_| Demise::Exit)?,
                end = idle(&self.quirks, &self.vitals) => return Err(end),
            };
            let Some(frame) = frame else { return Ok(()) };
            match frame.head {
                HostToWorker::Begin { .. } => {}
                HostToWorker::Batch { item, base, with_row_ends } => {
                    self.start_item(item).await?;
                    let records = RawRecords::new(base, &frame.table, &frame.body);
                    self.run_batch(records, with_row_ends).await?;
                    self.lie().await?;
                }
                HostToWorker::Flush { item, last } => {
                    self.start_item(item).await?;
                    self.flush(last, 0).await?;
                }
                HostToWorker::Stop => break,
                _ => return Ok(()),
            }
        }
        never_if(self.quirks.contains(&Quirk::HangInDrop)).await;
        Ok(())
    }

    async fn start_item(&mut self, item: BatchId) -> Result<(), Demise> {
        self.step().await?;
        self.items += 1;
        if self.quirks.contains(&Quirk::BeginNothing(self.items)) {
            std::future::pending::<()>().await;
        }
        self.item = item;
        self.board.start_item(item, self.turn);
        self.turn += 1;
        self.began = Instant::now();
        self.all_done = true;
        self.step().await
    }

    async fn run_batch(&mut self, records: RawRecords<'_>, with_row_ends: bool) -> Result<(), Demise> {
        let count = records.len();
        for (index, record) in records.iter().enumerate() {
            let record = record.expect("a slave passes on whole batches");
            self.run_record(index as u16, Format::Lines.content(record)).await?;
            if self.quirks.contains(&Quirk::ManyParts) && index + 1 < count {
                self.hand_over_part().await?;
            }
        }
        let is_full = self.held_batches() >= HELD_BATCHES_MAX;
        if !self.held.is_empty() && (is_full || self.dice.once_in(2)) {
            return self.flush(false, count).await;
        }
        self.hand_over(true, count, with_row_ends).await
    }

    async fn run_record(&mut self, index: u16, text: &[u8]) -> Result<(), Demise> {
        let text = std::str::from_utf8(text).expect("records of a simulation are text");
        let planned: Planned = text.parse().expect("a record of a simulation");
        let (execution, before) = self.executions.begin(planned.id);
        self.board.begin_record();
        self.step().await?;
        let status = self.perform(planned, execution, before).await?;
        self.step().await?;
        let batch_low = self.item.0 as u32;
        self.all_done &= status == Status::Done;
        if status == Status::Held {
            self.held.push(HeldRecord { batch_low, index, planned, execution });
        }
        self.push(batch_low, index, status);
        self.step().await?;
        self.board.settle_record();
        if status == Status::Panicked {
            self.hand_over(false, 0, false).await?;
            let message = "a panic".to_owned();
            say(&mut self.output, WorkerToHost::Leaving { kind: LossKind::Panic, message }).await?;
            return Err(Demise::Exit);
        }
        self.step().await
    }

    async fn perform(&mut self, planned: Planned, execution: usize, before: usize) -> Result<Status, Demise> {
        match planned.order {
            Order::Slow(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Order::Hang => std::future::pending().await,
            Order::KillNode => {
                // A world that is over has no nodes.
                let _ = self.node.1.send(self.node.0);
                std::future::pending().await
            }
            Order::Stop => {
                self.vitals.stop(true);
                // If someone lets it go on, it does not end all the same.
                std::future::pending().await
            }
            Order::Orphan => {
                self.socket.iter().for_each(Pipe::hold_open);
                return Err(Demise::Died(by_signal(Signal::SIGABRT)));
            }
            Order::Crash => return Err(Demise::Died(by_signal(Signal::SIGSEGV))),
            _ => {}
        }
        let status = match planned.order {
            Order::Reject => Status::Rejected,
            Order::Retry => Status::Retry,
            Order::RetryOnce if before == 0 => Status::Retry,
            Order::Panic => Status::Panicked,
            Order::Hold | Order::HoldCrash => Status::Held,
            _ => Status::Done,
        };
        match status {
            Status::Done => self.write_rows(planned, execution).await?,
            Status::Held => {}
            _ => self.write("as it was told"),
        }
        Ok(status)
    }

    async fn write_rows(&mut self, planned: Planned, execution: usize) -> Result<(), Demise> {
        for row in 0..planned.order.rows() {
            self.write(&format!("{},{row},{execution}\n", planned.id));
            self.step().await?;
        }
        Ok(())
    }

    fn write(&mut self, text: &str) {
        self.board.write(text.as_bytes()).expect("a simulation writes little");
    }

    fn push(&mut self, batch_low: u32, index: u16, status: Status) {
        let end = self.board.rows_bytes() as u64;
        self.board.push_outcome(Outcome { end, batch_low, index, status });
    }

    /// Finishes what is held. `records` is how many the item has.
    async fn flush(&mut self, last: bool, records: usize) -> Result<(), Demise> {
        self.board.start_flush();
        self.step().await?;
        if self.held.iter().any(|held| held.planned.order == Order::HoldCrash) {
            return Err(Demise::Died(by_signal(Signal::SIGSEGV)));
        }
        self.all_done &= self.held.is_empty();
        // A task may finish some now, and the others later.
        let keeps_some = !last && self.held_batches() < HELD_BATCHES_MAX && self.dice.once_in(4);
        let kept = if keeps_some { self.held.len() / 2 } else { 0 };
        for held in self.held.split_off(kept) {
            let HeldRecord { batch_low, index, planned, execution } = held;
            self.write_rows(planned, execution).await?;
            self.push(batch_low, index, Status::Done);
        }
        self.board.settle_flush();
        self.step().await?;
        self.hand_over(true, records, false).await
    }

    fn held_batches(&self) -> usize {
        let mut batches: Vec<_> = self.held.iter().map(|held| held.batch_low).collect();
        batches.dedup();
        batches.len()
    }

    async fn hand_over(&mut self, last: bool, records: usize, with_row_ends: bool) -> Result<(), Demise> {
        self.step().await?;
        let done = ItemDone {
            item: self.item,
            outcomes: self.board.outcomes() as u32,
            rows_bytes: self.board.rows_bytes() as u64,
            all_done: last && records > 0 && !with_row_ends && self.all_done,
            last,
            held: self.held.len() as u32,
            busy_ns: self.began.elapsed().as_nanos() as u64,
        };
        say(&mut self.output, WorkerToHost::Done(done)).await?;
        self.step().await
    }

    async fn hand_over_part(&mut self) -> Result<(), Demise> {
        self.hand_over(false, 0, false).await?;
        if self.receipts.recv().await.is_none() {
            return Err(Demise::Exit);
        }
        self.board.start_part();
        self.all_done = false;
        self.began = Instant::now();
        Ok(())
    }

    /// Says what is not so, if that is its way.
    async fn lie(&mut self) -> Result<(), Demise> {
        let done = ItemDone {
            item: self.item,
            outcomes: 0,
            rows_bytes: 0,
            all_done: false,
            last: true,
            held: 0,
            busy_ns: 0,
        };
        for quirk in self.quirks.clone() {
            match quirk {
                Quirk::Garbage(items) if items == self.items => {
                    say(&mut self.output, WorkerToHost::Prepared).await?;
                }
                Quirk::WrongItem(items) if items == self.items => {
                    let done = ItemDone { item: BatchId(self.item.0 + 1000), last: false, ..done.clone() };
                    say(&mut self.output, WorkerToHost::Done(done)).await?;
                }
                Quirk::DoneTwice(items) if items == self.items => {
                    say(&mut self.output, WorkerToHost::Done(done.clone())).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// One step further: time passes, others have their turns, and what is to happen here happens.
    async fn step(&mut self) -> Result<(), Demise> {
        self.steps += 1;
        for quirk in self.quirks.clone() {
            match quirk {
                Quirk::KilledAtStep(step) if step == self.steps => {
                    return Err(Demise::Died(by_signal(Signal::SIGKILL)));
                }
                Quirk::CrashAtStep(step) if step == self.steps => {
                    return Err(Demise::Died(by_signal(Signal::SIGSEGV)));
                }
                Quirk::StopAtStep(step, length) if step == self.steps => self.stop(length).await,
                Quirk::HangInKernel(step) if step == self.steps => {
                    self.vitals.hang_in_kernel();
                    std::future::pending::<()>().await;
                }
                _ => {}
            }
        }
        match self.dice.roll(8) {
            0 => tokio::time::sleep(self.dice.duration(Duration::ZERO, STEP_MAX)).await,
            1 => tokio::task::yield_now().await,
            _ => {}
        }
        Ok(())
    }

    /// Stops, for so long or for ever.
    async fn stop(&self, length: Option<Duration>) {
        match length {
            // Nothing that it does counts until then.
            Some(length) => tokio::time::sleep(length).await,
            None => {
                self.vitals.stop(true);
                tokio::task::yield_now().await;
            }
        }
    }
}

/// What happens to a worker that has nothing to do.
async fn idle(quirks: &[Quirk], vitals: &Vitals) -> Demise {
    for quirk in quirks {
        match quirk {
            Quirk::StopWhenIdle(after) => {
                tokio::time::sleep(*after).await;
                vitals.stop(true);
            }
            Quirk::DieWhenIdle(after) => {
                tokio::time::sleep(*after).await;
                return Demise::Died(by_signal(Signal::SIGTERM));
            }
            _ => {}
        }
    }
    std::future::pending().await
}
