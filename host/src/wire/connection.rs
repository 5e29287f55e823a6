//! A connection in a session: frames both ways, and the heartbeats that tell a silent peer from a busy one.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::frame::{Frame, FrameError};
use super::frame_reader::FrameReader;
use super::frame_writer::FrameWriter;
use super::message::{MasterToSlave, SlaveToMaster};
use crate::limits::{HEARTBEAT_EVERY, SILENCE_MAX};
use crate::{own_time, time};

/// Pongs that wait to be sent. One that finds no room is dropped: others are on their way.
const PONGS_WAITING_MAX: usize = 4;

/// A sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// To be answered with the same number.
    Ping(u64),
    /// An answer.
    Pong(u64),
}

/// Messages that include signs of life.
pub(crate) trait Beats: Sized {
    /// The message for a sign of life.
    fn of(beat: Beat) -> Self;
    /// The sign of life that this message is, if it is one.
    fn beat(&self) -> Option<Beat>;
}

macro_rules! beats {
    ($($messages:ident),*) => {$(
        impl Beats for $messages {
            fn of(beat: Beat) -> Self {
                match beat {
                    Beat::Ping(number) => Self::Ping(number),
                    Beat::Pong(number) => Self::Pong(number),
                }
            }

            fn beat(&self) -> Option<Beat> {
                match self {
                    Self::Ping(number) => Some(Beat::Ping(*number)),
                    Self::Pong(number) => Some(Beat::Pong(*number)),
                    _ => None,
                }
            }
        }
    )*};
}

beats!(MasterToSlave, SlaveToMaster);

/// Why a peer is given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// Nothing was heard from it.
    #[error("it has been silent for {} s", SILENCE_MAX.as_secs())]
    Silent,
    /// The connection, or what came over it, is broken.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// What was heard.
#[derive(Debug)]
pub(crate) enum Heard<M> {
    /// A message.
    Said(Frame<M>),
    /// The answer to a ping of ours.
    RoundTrip(Duration),
}

/// Makes the two halves of a connection. They share what they must know of each other.
pub(crate) fn halves<R, W, In, Out>(
    reader: FrameReader<R>,
    writer: FrameWriter<W>,
    frames: mpsc::Receiver<Frame<Out>>,
) -> (ReceivingHalf<R, In>, SendingHalf<W, Out>) {
    let (pongs, pongs_out) = mpsc::channel(PONGS_WAITING_MAX);
    let began = time::now();
    let receiving = ReceivingHalf { reader, pongs, began, message: PhantomData };
    (receiving, SendingHalf { writer, frames, pongs: pongs_out, began })
}

/// The half that receives.
#[derive(Debug)]
pub(crate) struct ReceivingHalf<R, In> {
    reader: FrameReader<R>,
    pongs: mpsc::Sender<u64>,
    began: Instant,
    message: PhantomData<fn() -> In>,
}

impl<R: AsyncRead + Unpin, In: DeserializeOwned + Beats> ReceivingHalf<R, In> {
    /// The next thing heard; `None` when the peer has closed the connection. Pings are answered on the way.
    ///
    /// Only the time spent in here counts as silence: a peer is not blamed while we are busy ourselves, or do
    /// not run at all.
    ///
    /// # Errors
    /// If the peer is silent for too long, or breaks the protocol.
    pub(crate) async fn next(&mut self) -> Result<Option<Heard<In>>, PeerError> {
        loop {
            let Some(frame) = self.next_frame().await? else { return Ok(None) };
            match frame.head.beat() {
                None => return Ok(Some(Heard::Said(frame))),
                Some(Beat::Ping(number)) => {
                    let _ = self.pongs.try_send(number);
                }
                Some(Beat::Pong(sent_us)) => {
                    let now_us = time::now().duration_since(self.began).as_micros() as u64;
                    return Ok(Some(Heard::RoundTrip(Duration::from_micros(now_us.saturating_sub(sent_us)))));
                }
            }
        }
    }
}

impl<R: AsyncRead + Unpin, In: DeserializeOwned> ReceivingHalf<R, In> {
    /// The next frame. A large one can take long on a slow line, as long as bytes keep coming.
    async fn next_frame(&mut self) -> Result<Option<Frame<In>>, PeerError> {
        loop {
            let before = self.reader.bytes_read();
            match own_time::within(SILENCE_MAX, self.reader.next::<In>()).await {
                Some(frame) => return Ok(frame?),
                None if self.reader.bytes_read() > before => {}
                None => return Err(PeerError::Silent),
            }
        }
    }
}

/// The half that sends.
#[derive(Debug)]
pub(crate) struct SendingHalf<W, Out> {
    writer: FrameWriter<W>,
    frames: mpsc::Receiver<Frame<Out>>,
    pongs: mpsc::Receiver<u64>,
    began: Instant,
}

impl<W: AsyncWrite + Unpin, Out: Serialize + Beats> SendingHalf<W, Out> {
    /// Sends frames and signs of life until no more frames can come.
    ///
    /// # Errors
    /// If the connection fails.
    pub(crate) async fn run(mut self) -> std::io::Result<()> {
        let mut heartbeat = tokio::time::interval(HEARTBEAT_EVERY);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Signs of life come first: they are few, and a queue that is never empty must not hold them up.
            tokio::select! {
                biased;
                _ = heartbeat.tick() => {
                    let now_us = time::now().duration_since(self.began).as_micros() as u64;
                    self.writer.push(&Out::of(Beat::Ping(now_us)).into());
                }
                Some(number) = self.pongs.recv() => self.writer.push(&Out::of(Beat::Pong(number)).into()),
                frame = self.frames.recv() => match frame {
                    Some(frame) => self.push_all(&frame),
                    None => return self.writer.flush().await,
                },
            }
            self.writer.flush().await?;
        }
    }

    /// Gathers a frame and those that wait behind it.
    fn push_all(&mut self, frame: &Frame<Out>) {
        self.writer.push(frame);
        while !self.writer.is_full()
            && let Ok(frame) = self.frames.try_recv()
        {
            self.writer.push(&frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::wire::frame::FrameLimits;

    fn receiving(far: tokio::io::DuplexStream) -> ReceivingHalf<tokio::io::DuplexStream, MasterToSlave> {
        let (_, frames) = mpsc::channel::<Frame<SlaveToMaster>>(1);
        halves(FrameReader::new(far, FrameLimits::SESSION), FrameWriter::new(tokio::io::sink()), frames).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_frame_on_a_slow_line_is_no_silence() {
        let (mut near, far) = tokio::io::duplex(1000);
        let mut receiving = receiving(far);
        let slowly = tokio::spawn(async move {
            near.write_all(&[1u32, 0, 10].map(u32::to_le_bytes).concat()).await.unwrap();
            for byte in [6; 11] {
                tokio::time::sleep(SILENCE_MAX / 2).await;
                near.write_all(&[byte]).await.unwrap();
            }
            near
        });
        let heard = receiving.next().await.unwrap();
        assert!(matches!(heard, Some(Heard::Said(Frame { head: MasterToSlave::Bye, .. }))), "{heard:?}");
        let _open = slowly.await.unwrap();
        assert!(matches!(receiving.next().await, Err(PeerError::Silent)));
    }
}
