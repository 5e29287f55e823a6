//! The bytes of a journal. `docs/journal.md` specifies them. Pure; any bytes give an answer or an error.
//!
//! A preamble says which format it is and guards the length of the header; entries follow, each with a
//! checksum. The first entry is the header, all others are checkpoints. The first checkpoint that is not
//! whole, and whatever follows it, is not part of the journal: it is a write that was cut off, or bits have
//! flipped. A header that is claimed must be whole, because its run may have put rows into a sink.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::checkpoint::Checkpoint;
use super::identity::{RunIdentity, TaskIdentity};
use super::saved::Saved;
use super::stream_head::StreamHead;
use crate::ids::RunId;
use crate::limits::JOURNAL_ENTRY_BYTES_MAX;

/// The first bytes of every journal.
const MAGIC: &[u8; 8] = b"SGRIDJNL";

/// The version of this format.
pub(super) const VERSION: u32 = 4;

/// Magic, version, the run, length of the header, and the low half of the xxh3 of those.
const PREAMBLE_BYTES: usize = 8 + 4 + 16 + 4 + 4;

/// The preamble of the first version, which named no run.
const FIRST_PREAMBLE_BYTES: usize = 8 + 4 + 4 + 4;

/// Length and checksum before the payload of an entry.
const FRAME_BYTES: usize = 4 + 8;

/// Which run a journal belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// What the user asked for.
    pub run: RunIdentity,
    /// The task; `None` if the input was empty, and no node was needed.
    pub task: Option<TaskIdentity>,
    /// How the input begins.
    pub head: StreamHead,
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The run's name; `None` if the journal is empty.
    pub run: Option<RunId>,
    /// Which run it belongs to; `None` if that run had not begun.
    pub header: Option<Header>,
    /// What its checkpoints say together.
    pub saved: Saved,
    /// Bytes up to the end of the last whole entry.
    pub intact_bytes: u64,
    /// Whole entries, the header included.
    pub entries: u64,
}

/// Why nothing in a journal can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    /// It does not begin like a journal.
    #[error("it is not a journal")]
    NotAJournal,
    /// It was written by another version.
    #[error("it has version {0}")]
    OtherVersion(u32),
    /// It ends after so many bytes, before the end of its header.
    #[error("it ends within its header, after {0} bytes")]
    CutShort(u64),
    /// The header is there, and its checksum is wrong.
    #[error("its header is damaged")]
    Header,
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The bytes with which a journal begins: the preamble that claims a header, and the header, which must be on
/// the disk before it is claimed.
pub(super) fn encode_header(run: RunId, header: &Header) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let entry = encode_entry(header, 0)?;
    Ok((encode_preamble(run, entry.len() - FRAME_BYTES), entry))
}

/// The bytes of a journal whose run has a name, and nothing else yet.
pub(super) fn encode_name(run: RunId) -> Vec<u8> {
    encode_preamble(run, 0)
}

fn encode_preamble(run: RunId, header_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREAMBLE_BYTES + FRAME_BYTES + header_bytes);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(run.0);
    bytes.extend((header_bytes as u32).to_le_bytes());
    bytes.extend(preamble_sum(&bytes).to_le_bytes());
    bytes
}

/// The bytes of an entry that follows `index` others.
///
/// # Errors
/// If it is larger than an entry can be.
pub(super) fn encode_entry(entry: &impl Serialize, index: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; FRAME_BYTES];
    bytes = postcard::to_extend(entry, bytes).map_err(io::Error::other)?;
    let payload = &bytes[FRAME_BYTES..];
    if payload.len() > JOURNAL_ENTRY_BYTES_MAX {
        return Err(io::Error::other("an entry would be larger than entries can be"));
    }
    let (length, sum) = (payload.len() as u32, xxh3_64_with_seed(payload, index));
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..FRAME_BYTES].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// Reads a journal up to the end of its last whole entry.
///
/// # Errors
/// If it is not a journal, its header is damaged or cut short, or it cannot be read.
pub(super) fn read(mut journal: impl Read) -> Result<Contents, Damage> {
    let mut not_begun =
        Contents { run: None, header: None, saved: Saved::default(), intact_bytes: 0, entries: 0 };
    let Some((run, header_bytes)) = read_preamble(&mut journal)? else { return Ok(not_begun) };
    not_begun.run = Some(run);
    if header_bytes == 0 {
        return Ok(not_begun);
    }
    let header = match read_payload(&mut journal, 0, Some(header_bytes))? {
        Payload::Missing(bytes) => return Err(Damage::CutShort(PREAMBLE_BYTES as u64 + bytes)),
        Payload::Whole(payload) => postcard::from_bytes(&payload).ok(),
        Payload::Damaged => None,
    };
    let header = Some(header.ok_or(Damage::Header)?);
    let intact_bytes = (PREAMBLE_BYTES + FRAME_BYTES + header_bytes) as u64;
    let mut contents = Contents { header, intact_bytes, entries: 1, ..not_begun };
    while let Payload::Whole(payload) = read_payload(&mut journal, contents.entries, None)? {
        let checkpoint = postcard::from_bytes::<Checkpoint>(&payload);
        if !checkpoint.is_ok_and(|checkpoint| contents.saved.add(&checkpoint)) {
            break;
        }
        contents.entries += 1;
        contents.intact_bytes += (FRAME_BYTES + payload.len()) as u64;
    }
    Ok(contents)
}

/// The run, and the length of the header, which is 0 while there is none; `None` if the journal is empty.
fn read_preamble(journal: &mut impl Read) -> Result<Option<(RunId, usize)>, Damage> {
    let preamble = read_up_to(journal, PREAMBLE_BYTES)?;
    // Zeros alone are a new file whose length has reached the disk before its bytes, when the power failed.
    if preamble.iter().all(|byte| *byte == 0) && read_up_to(journal, 1)?.is_empty() {
        return Ok(None);
    }
    let magic = &preamble[..preamble.len().min(MAGIC.len())];
    if !MAGIC.starts_with(magic) {
        return Err(Damage::NotAJournal);
    }
    if is_of_the_first_version(&preamble) {
        return Err(Damage::OtherVersion(1));
    }
    if preamble.len() < PREAMBLE_BYTES {
        return Err(Damage::CutShort(preamble.len() as u64));
    }
    let number = |at: usize| u32::from_le_bytes(preamble[at..at + 4].try_into().expect("it has four bytes"));
    let (version, header_bytes, sum) = (number(8), number(28), number(32));
    if sum != preamble_sum(&preamble[..32]) {
        return Err(Damage::Header);
    }
    if version != VERSION {
        return Err(Damage::OtherVersion(version));
    }
    let run = RunId(preamble[12..28].try_into().expect("it has sixteen bytes"));
    Ok(Some((run, header_bytes as usize)))
}

/// Whether a journal begins like those of the first version.
fn is_of_the_first_version(preamble: &[u8]) -> bool {
    preamble.len() >= FIRST_PREAMBLE_BYTES
        && preamble[8..12] == 1_u32.to_le_bytes()
        && preamble[16..20] == preamble_sum(&preamble[..16]).to_le_bytes()
}

/// What comes next in a journal.
enum Payload {
    /// It ends within the entry, after so many bytes of it, or before it.
    Missing(u64),
    /// The entry is not what was written.
    Damaged,
    Whole(Vec<u8>),
}

/// Reads the entry that follows `index` others; it must have the `expected` length, if that is known.
fn read_payload(journal: &mut impl Read, index: u64, expected: Option<usize>) -> io::Result<Payload> {
    let frame = read_up_to(journal, FRAME_BYTES)?;
    if frame.len() < FRAME_BYTES {
        return Ok(Payload::Missing(frame.len() as u64));
    }
    let length = u32::from_le_bytes(frame[..4].try_into().expect("it has four bytes")) as usize;
    let sum = u64::from_le_bytes(frame[4..].try_into().expect("it has eight bytes"));
    if length > JOURNAL_ENTRY_BYTES_MAX || expected.is_some_and(|expected| expected != length) {
        return Ok(Payload::Damaged);
    }
    let payload = read_up_to(journal, length)?;
    Ok(if payload.len() < length {
        Payload::Missing((FRAME_BYTES + payload.len()) as u64)
    } else if xxh3_64_with_seed(&payload, index) == sum {
        Payload::Whole(payload)
    } else {
        Payload::Damaged
    })
}

/// As many bytes as asked for, or as many as there are. Memory grows as bytes come, whatever a length says.
fn read_up_to(journal: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    journal.take(bytes as u64).read_to_end(&mut read)?;
    Ok(read)
}

fn preamble_sum(bytes: &[u8]) -> u32 {
    xxh3_64_with_seed(bytes, 0) as u32
}
