//! Lines that clients of Net::SimpleGrid send to a slave are a run of their own inside it: a master's
//! dispatcher works over a link to the slave's own pool, with batches, retries and all the rest.

use std::pin::Pin;

use tokio::sync::mpsc;

use super::link::{self, LocalLink};
use crate::ids::RunId;
use crate::limits::RECORD_BYTES_MAX;
use crate::master::{KeyOf, KeySource, LINK_EVENTS, RunEnd, StreamedEnd, StreamedRun, run_stream};
use crate::plugin::RowFormat;
use crate::record::{Format, Records, RecordsBuilder};
use crate::sink::{Destination, HARVEST};
use crate::slave::{Incoming, LineRun, LineRunEnd, LineRunner, RunRequest};
use crate::wire::{Batch, Frame, HASH_PREFIX_BYTES, LineScheduler, MasterToSlave, PeerError, split_hash};

/// How often a line is tried again: as often as a master does without `--retries`.
const RETRIES: u32 = 2;

/// Runs lines.
#[derive(Debug)]
pub(crate) struct LineRuns;

impl LineRunner for LineRuns {
    fn run(&self, run: LineRun) -> Pin<Box<dyn Future<Output = LineRunEnd> + Send>> {
        Box::pin(run_lines(run))
    }
}

async fn run_lines(run: LineRun) -> LineRunEnd {
    let LineRun { lines, scheduler, commands, pool, welcome, shutdown } = run;
    let run = match RunId::random() {
        Ok(run) => run,
        Err(error) => return LineRunEnd::Broken(format!("this slave cannot get random numbers: {error}")),
    };
    let (harvest, commands) = take_harvest(commands);
    let is_partitioned = scheduler == LineScheduler::Partitioned;
    let stream = StreamedRun {
        records: lines,
        format: Format::Lines,
        keys: is_partitioned.then(|| KeySource::Here(Box::new(HashKey))),
        retries: RETRIES,
        record_bytes_max: RECORD_BYTES_MAX,
        harvest,
    };
    let (events_in, events) = mpsc::channel(LINK_EVENTS);
    // The run has no limit of its own, so the slave's applies.
    let request = RunRequest { run, format: Format::Lines, rows: RowFormat::Csv, record_timeout: None };
    let link = LocalLink { request, welcome, pool, commands, events: events_in };
    let carrying = link::carry(link, |frames| WithoutHashes { frames, is_partitioned });
    let (end, ()) = tokio::join!(run_stream(stream, events, shutdown), carrying);
    match end {
        Ok(StreamedEnd { end: RunEnd::Finished | RunEnd::Drained(_), summary }) => {
            LineRunEnd::Finished(summary.to_string())
        }
        Ok(StreamedEnd { end: RunEnd::OutputClosed, .. }) => LineRunEnd::OutputGone(
            "standard output is closed, and the rows have nowhere else to go".to_owned(),
        ),
        Ok(StreamedEnd {
            end:
                RunEnd::CannotGoOn(why) | RunEnd::InputFailed(why) | RunEnd::NoNode(why) | RunEnd::OtherRun(why),
            summary,
        }) => LineRunEnd::Broken(format!("{why}; {summary}")),
        Ok(StreamedEnd { end: RunEnd::Stopped(signal), summary }) => {
            LineRunEnd::Broken(format!("{signal} stopped it; {summary}"))
        }
        Err(error) => LineRunEnd::Broken(format!("{error:#}")),
    }
}

/// Separates where files of a sink are to be delivered (`-i scpto=DEST`) from the other commands. The last
/// one counts, as on a command line.
fn take_harvest(commands: Vec<(String, String)>) -> (Option<String>, Vec<(String, String)>) {
    let is_harvest = |(name, _): &(String, String)| HARVEST.contains(&name.as_str());
    let (harvests, others): (Vec<_>, Vec<_>) = commands.into_iter().partition(is_harvest);
    let (name, destination) = match harvests.into_iter().next_back() {
        Some(harvest) => harvest,
        None => return (None, others),
    };
    match destination.parse::<Destination>() {
        Ok(_) => (Some(destination), others),
        Err(error) => {
            tracing::warn!("«{name}={destination:.100}» is ignored: {error:.200}");
            (None, others)
        }
    }
}

/// The hash at the beginning of a line is its key.
struct HashKey;

impl KeyOf for HashKey {
    fn key_into(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), String> {
        let (hash, _) = split_hash(content).map_err(|error| error.to_string())?;
        key.extend_from_slice(hash);
        Ok(())
    }
}

/// The master's frames as the session sees them: workers get lines without their hashes.
struct WithoutHashes {
    frames: mpsc::Receiver<Frame<MasterToSlave>>,
    is_partitioned: bool,
}

impl Incoming for WithoutHashes {
    async fn next(&mut self) -> Result<Option<Frame<MasterToSlave>>, PeerError> {
        let Some(frame) = self.frames.recv().await else { return Ok(None) };
        Ok(Some(match frame.head {
            MasterToSlave::Batch(head) if self.is_partitioned => {
                let batch = Batch::of_own_frame(head, frame.table, frame.body);
                Batch { records: without_hashes(&batch.records), ..batch }.into_frame()
            }
            _ => frame,
        }))
    }
}

/// Takes the hashes off. Every line in a batch has one: a line without a hash has no key, and fails earlier.
fn without_hashes(lines: &Records) -> Records {
    let mut records = RecordsBuilder::default();
    lines.iter().for_each(|line| records.push(line.get(HASH_PREFIX_BYTES..).unwrap_or_default()));
    records.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_get_lines_without_their_hashes() {
        let lines = Records::from_iter(["7         a,b\n", "12        \n", "7         c"]);
        let stripped = without_hashes(&lines.slice(1..3));
        assert_eq!(stripped.iter().collect::<Vec<_>>(), [&b"\n"[..], b"c"]);
        assert_eq!(without_hashes(&lines).get(0), b"a,b\n");
    }

    #[test]
    fn the_key_of_a_line_is_its_hash() {
        let mut key = Vec::new();
        HashKey.key_into(b"1234      a@example.org", &mut key).unwrap();
        assert_eq!(key, b"1234");
        assert!(
            HashKey.key_into(b"a@example.org", &mut key).unwrap_err().contains("does not begin with a hash")
        );
    }
}
