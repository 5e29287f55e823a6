//! A task that does everything that a task should not do. Each record says what is to happen with it, see
//! `fault`; arguments spoil the rest of the task's life, see `args`.
//!
//! Records that begin with `@` also name themselves, and their rows repeat the name: see `tagged`.
//!
//! What is executed can be seen from outside, even by tests whose worker does not survive: see `side_log`.

mod args;
mod fault;
mod side_log;
mod tagged;

use simplegrid_plugin_api::{Error, Held, Line, Output, Partitioner, Record, Result, Task};

use args::{Args, Flush, Spoiled};
use fault::Fault;
use side_log::SideLog;
use tagged::Tagged;

/// The task `hostile`.
#[derive(Debug)]
pub struct Hostile {
    flush: Flush,
    batch: usize,
    drop: Option<Spoiled>,
    log: Option<SideLog>,
    held: Vec<(Held, Vec<u8>)>,
    /// Held and never finished: the next flush aborts because of these.
    deadly: Vec<Held>,
    /// Held, and finished by the last flush.
    late: Vec<Held>,
}

impl Task for Hostile {
    type Args = Args;
    type Row = Line;

    fn prepare(args: &Args) -> Result {
        spoil(args.prepare, "prepare")
    }

    fn new(args: Args) -> Result<Self> {
        spoil(args.new, "new")?;
        if let Some(file) = &args.new_waits_for {
            fault::wait_for(file);
        }
        // Of several that begin at once, only one can remove it.
        if args.new_hangs_once.is_some_and(|file| std::fs::remove_file(file).is_ok()) {
            fault::hang();
        }
        Ok(Self {
            flush: args.flush,
            batch: args.batch,
            drop: args.drop,
            log: args.side_log.map(SideLog::at),
            held: Vec::new(),
            deadly: Vec::new(),
            late: Vec::new(),
        })
    }

    fn batch_max(&self) -> usize {
        self.batch
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Line>) -> Result {
        if let Some(tagged) = Tagged::of(record.line()) {
            let earlier = self.note(tagged.name().as_bytes(), tagged.counts())?;
            return self.handle_tagged(tagged, earlier, record, output);
        }
        let earlier = self.note(record.line(), record.line().starts_with(b"retry-once"))?;
        match Fault::of(record.line()) {
            Fault::RetryOnce if earlier > 0 => output.line(record.line()),
            Fault::RetryOnce => Err(Error::retry("not the first time")),
            Fault::Hold => {
                let text = record.line().to_vec();
                self.held.push((record.hold(), text));
                Ok(())
            }
            Fault::Drop => {
                output.line(b"of a record that is dropped")?;
                drop(record.hold());
                Ok(())
            }
            Fault::Forget => {
                output.line(b"of a record that is forgotten")?;
                std::mem::forget(record.hold());
                Ok(())
            }
            Fault::Late => {
                self.late.push(record.hold());
                Ok(())
            }
            Fault::Finish => {
                self.finish_held(output)?;
                output.line(record.line())
            }
            Fault::FinishFatal => {
                for (held, _) in self.held.drain(..) {
                    output.fail(held, Error::fatal("told to fail what it holds"));
                }
                output.line(record.line())
            }
            fault => fault.happen(output),
        }
    }

    fn flush(&mut self, output: &mut Output<Line>, last: bool) -> Result {
        if !self.deadly.is_empty() {
            output.line(b"leaked")?;
            std::process::abort();
        }
        if last {
            for held in self.late.drain(..) {
                output.line(b"late")?;
                output.done(held);
            }
        }
        match self.flush {
            Flush::Finish => self.finish_held(output),
            Flush::Keep => Ok(()),
            Flush::Reject if !self.held.is_empty() => Err(Error::reject("told to reject in flush")),
            Flush::Panic if !self.held.is_empty() => panic!("told to panic in flush"),
            Flush::Abort if !self.held.is_empty() => std::process::abort(),
            Flush::Hang if !self.held.is_empty() => Fault::Hang.happen(output),
            Flush::Reject | Flush::Panic | Flush::Abort | Flush::Hang => Ok(()),
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        // An error has no way out of here.
        let _ = spoil(self.drop, "drop");
    }
}

impl Hostile {
    fn note(&self, name: &[u8], counts: bool) -> Result<usize> {
        Ok(self.log.as_ref().map_or(Ok(0), |log| log.note(name, counts))?)
    }

    fn handle_tagged(
        &mut self,
        tagged: Tagged<'_>,
        earlier: usize,
        record: Record<'_>,
        output: &mut Output<Line>,
    ) -> Result {
        if tagged.aborts_flush() {
            output.line(b"leaked")?;
            self.deadly.push(record.hold());
            return Ok(());
        }
        if tagged.holds() {
            output.line(&tagged.row(0))?;
            let last_row = tagged.row(1);
            self.held.push((record.hold(), last_row));
            return Ok(());
        }
        if tagged.finishes() {
            self.finish_held(output)?;
        }
        tagged.happen(earlier, output)
    }

    fn finish_held(&mut self, output: &mut Output<Line>) -> Result {
        for (held, text) in self.held.drain(..) {
            output.line(&text)?;
            output.done(held);
        }
        Ok(())
    }
}

fn spoil(how: Option<Spoiled>, place: &str) -> Result {
    match how {
        None => Ok(()),
        Some(Spoiled::Fail) => Err(Error::fatal(format_args!("told to fail in {place}"))),
        Some(Spoiled::Panic) => panic!("told to panic in {place}"),
        Some(Spoiled::Hang) => fault::hang(),
    }
}

/// The partitioner `by-tag`: the key of a record that names itself.
#[derive(Debug)]
pub struct ByTag;

impl Partitioner for ByTag {
    fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> Result {
        let tagged = Tagged::of(record.line()).ok_or_else(|| Error::reject("it does not say who it is"))?;
        key.extend_from_slice(tagged.key().as_bytes());
        Ok(())
    }
}

/// The partitioner `by-fault`: the key of a record is the record, unless it says that something else is to
/// happen.
#[derive(Debug)]
pub struct ByFault;

impl Partitioner for ByFault {
    fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> Result {
        Fault::of(record.line()).happen_to_key()?;
        key.extend_from_slice(record.line());
        Ok(())
    }
}

simplegrid_plugin_api::export! {
    tasks: { "hostile" => Hostile },
    partitioners: { "by-tag" => ByTag, "by-fault" => ByFault },
}
