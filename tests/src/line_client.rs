//! A client that speaks Net::SimpleGrid's wire form: it sends lines and reads nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use nix::sys::socket::{setsockopt, sockopt};

use crate::wait;

/// A connection to a slave's port.
#[derive(Debug)]
pub struct LineClient(TcpStream);

impl LineClient {
    /// Connects, and sends nothing yet.
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the slave listens");
        stream.set_read_timeout(Some(wait::PATIENCE)).expect("a timeout can be set");
        Self(stream)
    }

    /// Sends something.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the slave takes it");
    }

    /// Ends what it sends, and waits until the slave closes the connection, which it must do without sending
    /// anything.
    #[track_caller]
    pub fn finish(mut self) {
        self.0.shutdown(Shutdown::Write).expect("the connection is open");
        self.expect_closed();
    }

    /// Waits until the slave closes the connection, which it must do without sending anything.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        let mut said = Vec::new();
        // A reset is as good as an end: the slave resets the connection if it has not read everything.
        if let Err(error) = self.0.read_to_end(&mut said) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the slave closes it: {error}");
        }
        assert_eq!(said, b"", "a slave never answers lines");
    }

    /// Resets the connection.
    pub fn reset(self) {
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&self.0, sockopt::Linger, &linger).expect("it can be set");
    }

    /// Sends the same bytes again and again until the slave has accepted none for a while. Returns how many
    /// bytes it accepted.
    pub fn send_until_stuck(&mut self, bytes: &[u8]) -> u64 {
        let while_stuck = std::time::Duration::from_secs(1);
        self.0.set_write_timeout(Some(while_stuck)).expect("a timeout can be set");
        let mut sent = 0;
        while let Ok(taken @ 1..) = self.0.write(bytes) {
            sent += taken as u64;
        }
        sent
    }
}

/// Sends all of it over its own connection, and waits until the slave has finished with it.
#[track_caller]
pub fn send_lines(port: u16, lines: impl AsRef<[u8]>) {
    let mut client = LineClient::connect(port);
    client.send(lines);
    client.finish();
}
