//! Which protocol a connection speaks, if the slave takes two: the first bytes tell. Nothing is sent before
//! that, because a client of Net::SimpleGrid never reads.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::wire::{PREAMBLE_BYTES, may_be_preamble};

/// What kind of peer it is.
#[derive(Debug)]
pub(super) enum Caller {
    /// One of ours, with its preamble.
    Ours([u8; PREAMBLE_BYTES]),
    /// A client that sends lines, and what it has sent so far, which is at least a byte.
    Lines(Vec<u8>),
    /// It has left without sending anything.
    Gone,
}

/// Reads until it is clear who is there, and not a byte beyond our preamble. There is no time limit: the next
/// line of a pipeline can take long, and a connection that only holds a place can be made to leave it.
///
/// # Errors
/// If the connection breaks.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Caller> {
    let mut bytes = [0; PREAMBLE_BYTES];
    let mut count = 0;
    while count < bytes.len() {
        match stream.read(&mut bytes[count..]).await? {
            0 if count == 0 => return Ok(Caller::Gone),
            0 => return Ok(Caller::Lines(bytes[..count].to_vec())),
            read => count += read,
        }
        if !may_be_preamble(&bytes[..count]) {
            return Ok(Caller::Lines(bytes[..count].to_vec()));
        }
    }
    Ok(Caller::Ours(bytes))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn caller(pieces: &[&[u8]]) -> Caller {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let saying = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(client);
        };
        tokio::join!(read(&mut stream), saying).0.unwrap()
    }

    #[tokio::test]
    async fn the_first_bytes_tell_who_is_there() {
        assert!(
            matches!(caller(&[b"SIMPLEG\x01more"]).await, Caller::Ours(bytes) if &bytes == b"SIMPLEG\x01")
        );
        assert!(matches!(caller(&[b"SIM", b"PLEG", b"\x07"]).await, Caller::Ours(_)));
        assert!(matches!(caller(&[b"SIMPLE"]).await, Caller::Lines(bytes) if bytes == b"SIMPLE"));
        assert!(matches!(caller(&[b":scheduler=x\n"]).await, Caller::Lines(bytes) if bytes == b":schedul"));
        assert!(matches!(caller(&[b"\n"]).await, Caller::Lines(bytes) if bytes == b"\n"));
        assert!(matches!(caller(&[]).await, Caller::Gone));
    }
}
