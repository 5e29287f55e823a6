//! Messages from any bytes: whatever can be decoded is encoded and decoded again to the same message.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use simplegrid::internals::wire::{FrameError, HostToWorker, MasterToSlave, SlaveToMaster, WorkerToHost};

use crate::codec::{decode, encode};
use crate::script::Script;

/// Decodes the bytes as the head of a message of each kind.
pub fn message(data: &[u8]) {
    let mut script = Script::new(data);
    let kind = script.below(4);
    let head = script.into_rest();
    match kind {
        0 => there_and_back::<MasterToSlave>(head),
        1 => there_and_back::<SlaveToMaster>(head),
        2 => there_and_back::<HostToWorker>(head),
        _ => there_and_back::<WorkerToHost>(head),
    }
}

fn there_and_back<M: Serialize + DeserializeOwned + PartialEq + Debug>(head: &[u8]) {
    let length = u32::try_from(head.len()).expect("a fuzzer's input is short");
    let framed = [&length.to_le_bytes()[..], &[0; 8], head].concat();
    match decode::<M>(&framed) {
        Ok(Some(frame)) => {
            let again = decode::<M>(&encode(&frame)).expect("what we write can be read");
            assert_eq!(again, Some(frame));
        }
        Ok(None) => panic!("a whole frame is no end"),
        Err(FrameError::BadMessage(_) | FrameError::TooLarge { .. }) => {}
        Err(error) => panic!("a whole frame is either good or bad: {error}"),
    }
}
