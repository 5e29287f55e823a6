//! Hands a round's records to the master, in parts if the plan asks for that. A thread writes them: a master
//! that does not read must not hold up the round.

use std::io::Write;
use std::process::ChildStdin;
use std::sync::mpsc;
use std::thread;

/// Parts of an input that are not yet written.
#[derive(Debug)]
pub(super) struct Feeder {
    parts: std::vec::IntoIter<(u64, String)>,
    next: Option<(u64, String)>,
    writer: Option<mpsc::Sender<String>>,
}

impl Feeder {
    /// Writes each part to `input` when the side log has reached its size.
    pub(super) fn start(parts: Vec<(u64, String)>, mut input: ChildStdin) -> Self {
        let (writer, written) = mpsc::channel::<String>();
        thread::spawn(move || {
            for part in written {
                // A master that was told to end stops reading.
                if input.write_all(part.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let mut parts = parts.into_iter();
        let next = parts.next();
        Self { parts, next, writer: Some(writer) }
    }

    /// Writes what is due, and closes the input after the last part.
    pub(super) fn step(&mut self, noted_bytes: u64) {
        while let Some((_, part)) = self.next.take_if(|(from, _)| *from <= noted_bytes) {
            if let Some(writer) = &self.writer {
                // If the thread has ended, nothing reads the channel.
                let _ = writer.send(part);
            }
            self.next = self.parts.next();
        }
        if self.next.is_none() {
            self.writer = None;
        }
    }
}
