//! The input of a partitioned run whose keys a plugin computes: between the thread that reads records and the
//! dispatcher, each block gets its keys. It holds no more than the block in hand.

use tokio::sync::mpsc;

use super::key_process::KeyProcess;
use crate::owned_task::OwnedTask;
use crate::record::{Input, ReadError, RecordReader};

/// Blocks with their keys that wait for the dispatcher: one that is ready while the next one is worked on.
const BLOCKS_AHEAD_MAX: usize = 1;

/// A reader whose records come with their keys.
pub(super) fn with_keys(reader: RecordReader, keys: KeyProcess) -> RecordReader {
    let (out, events) = mpsc::channel(BLOCKS_AHEAD_MAX);
    RecordReader::of_task(events, OwnedTask::spawn(pass_on(reader, keys, out)))
}

async fn pass_on(mut reader: RecordReader, mut keys: KeyProcess, out: mpsc::Sender<Input>) {
    loop {
        let keyed = tokio::select! {
            biased;
            () = out.closed() => break,
            keyed = next(&mut reader, &mut keys) => keyed,
        };
        let Some(input) = keyed else { break };
        let is_last = matches!(input, Input::End | Input::Failed(_));
        if out.send(input).await.is_err() || is_last {
            break;
        }
    }
    // What was read counts, and waits for nothing that is left of the process.
    drop(out);
    keys.end().await;
}

async fn next(reader: &mut RecordReader, keys: &mut KeyProcess) -> Option<Input> {
    Some(match reader.recv().await? {
        Input::Records { records, remaining_bytes, .. } => match keys.keys_of(&records).await {
            Ok(keys) => Input::Records { records, remaining_bytes, keys: Some(keys) },
            Err(error) => Input::Failed(ReadError::NoKeys { why: error.to_string() }),
        },
        other => {
            keys.pass_over(1);
            other
        }
    })
}
