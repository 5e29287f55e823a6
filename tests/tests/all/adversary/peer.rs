//! A connection that says whatever a test asks for.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use simplegrid::internals::ids::{BatchId, Epoch, RunId, SlotIndex};
use simplegrid::internals::plugin::RowFormat;
use simplegrid::internals::record::Format;
use simplegrid::internals::wire::{BatchHead, Frame, Hello, MasterToSlave, Role, SeqRanges, SlaveToMaster};
use simplegrid_fuzz_targets::codec;
use simplegrid_tests::wait;

/// The first bytes of our protocol.
pub(crate) const PREAMBLE: &[u8] = b"SIMPLEG\x04";

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
}

impl Peer {
    /// Connects to a slave.
    pub(crate) fn connect(port: u16) -> Self {
        Self::new(TcpStream::connect(("127.0.0.1", port)).expect("the slave listens"))
    }

    /// Takes over an existing connection.
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(wait::PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(wait::PATIENCE)).expect("a timeout can be set");
        Self { stream }
    }

    /// Our end, as the log of the other side names it.
    pub(crate) fn name(&self) -> String {
        self.stream.local_addr().expect("it is connected").to_string()
    }

    /// Sends bytes. `false` if the other side has closed the connection.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Ends what it sends.
    pub(crate) fn end_sending(&mut self) {
        // A connection that is already closed needs no end.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Sends preamble and hello.
    pub(crate) fn say_hello(&mut self, role: Role) -> bool {
        let hello = MasterToSlave::Hello(Hello { role, program: "a test".to_owned() });
        self.send(PREAMBLE) && self.send(&codec::encode(&Frame::from(hello)))
    }

    /// Becomes the master of a slave, and waits until its workers are up.
    pub(crate) fn become_master(port: u16, slots: usize) -> Self {
        let mut peer = Self::connect(port);
        assert!(peer.say_hello(master("a bad master")));
        peer.read_preamble();
        for _ in 0..slots {
            peer.wait_for(|said| matches!(said, SlaveToMaster::SlotUp { .. }));
        }
        peer
    }

    /// Sends a batch. `false` if the connection is closed.
    pub(crate) fn send_batch(
        &mut self,
        batch: u64,
        slot: u16,
        epoch: u32,
        ends: &[u32],
        body: &[u8],
    ) -> bool {
        let (batch, slot, epoch) = (BatchId(batch), SlotIndex(slot), Epoch(epoch));
        let head = MasterToSlave::Batch(BatchHead {
            batch,
            slot,
            epoch,
            base: 0,
            with_row_ends: false,
            seqs: SeqRanges::default(),
        });
        let table: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        self.send(&codec::encode(&Frame { head, table: table.into(), body: body.to_vec().into() }))
    }

    /// Reads the other side's preamble.
    pub(crate) fn read_preamble(&mut self) -> bool {
        let mut preamble = [0; PREAMBLE.len()];
        self.stream.read_exact(&mut preamble).is_ok() && preamble == PREAMBLE
    }

    /// Reads until the slave says something.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: impl Fn(&SlaveToMaster) -> bool) {
        while let Some(frame) = self.read::<SlaveToMaster>() {
            if what(&frame.head) {
                return;
            }
        }
        panic!("the slave has closed the connection");
    }

    /// The next frame; `None` if the connection is closed.
    pub(crate) fn read<M: serde::de::DeserializeOwned>(&mut self) -> Option<Frame<M>> {
        let mut frame = vec![0; 12];
        self.stream.read_exact(&mut frame).ok()?;
        let parts =
            frame.chunks_exact(4).map(|part| u32::from_le_bytes(part.try_into().expect("four bytes")));
        let bytes: usize = parts.map(|bytes| bytes as usize).sum();
        frame.resize(12 + bytes, 0);
        self.stream.read_exact(&mut frame[12..]).ok()?;
        codec::decode(&frame).expect("our own programs say what can be read")
    }

    /// Reads until the other side closes the connection.
    #[track_caller]
    pub(crate) fn expect_closed(mut self) {
        let mut said = Vec::new();
        // A reset is as good as an end: the other side resets the connection if it has not read everything.
        if let Err(error) = self.stream.read_to_end(&mut said) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the connection is kept: {error}");
        }
    }
}

/// The role of a master.
pub(crate) fn master(reservation: &str) -> Role {
    Role::Master {
        reservation: reservation.to_owned(),
        format: Format::Lines,
        record_timeout_ms: None,
        run: RunId::default(),
        rows: RowFormat::Csv,
    }
}
