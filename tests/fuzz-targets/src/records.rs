//! Records from any bytes, however they are read: concatenated they are the input, and a CSV record ends
//! where csv-core ends it.

use simplegrid::internals::record::{Block, Format, Piece};

use crate::csv_reference;
use crate::script::Script;

/// Longer than any input from a fuzzer.
const NO_LIMIT: usize = 1 << 30;

/// Cuts the bytes in one format, read in pieces, with and without a limit for the length of a record.
pub fn records(data: &[u8]) {
    let mut script = Script::new(data);
    let format = [Format::Lines, Format::Csv, Format::Nul][usize::from(script.below(3))];
    let limit = 1 + usize::from(script.byte());
    let block_bytes = 1 + usize::from(script.byte());
    let eager = script.flag();
    let reads = script.bytes();
    let input = script.into_rest();
    let whole = cut(format, NO_LIMIT, NO_LIMIT, eager, &[], input);
    let pieces = cut(format, NO_LIMIT, block_bytes, eager, reads, input);
    assert_eq!(whole, pieces, "pieces make no difference");
    let lengths: u64 = whole.iter().map(|one| one.bytes).sum();
    assert_eq!(lengths, input.len() as u64);
    assert!(whole.iter().flat_map(|one| &one.kept).eq(input), "put together they are the input");
    if format == Format::Csv {
        agrees_with_csv_core(input, &whole);
    }
    respects_the_limit(limit, &cut(format, limit, block_bytes, eager, reads, input), input);
}

/// A record: all its bytes, or only the first ones if it was too long.
#[derive(Debug, PartialEq)]
struct One {
    bytes: u64,
    kept: Vec<u8>,
}

fn cut(
    format: Format,
    limit: usize,
    block_bytes: usize,
    eager: bool,
    reads: &[u8],
    input: &[u8],
) -> Vec<One> {
    let mut block = Block::new(format, limit, block_bytes.min(1 << 12));
    let (mut all, mut at) = (Vec::new(), 0);
    let mut reads = reads.iter().map(|bytes| usize::from(*bytes).max(1)).cycle();
    while at < input.len() {
        let room = block.room();
        let bytes = reads.next().unwrap_or(usize::MAX).min(room.len()).min(input.len() - at);
        room[..bytes].copy_from_slice(&input[at..at + bytes]);
        at += bytes;
        block.on_read(bytes);
        if block.is_full() || eager {
            take(&mut block, &mut all);
        }
    }
    block.on_input_ended();
    take(&mut block, &mut all);
    assert_eq!((block.has_pieces(), block.bytes_held()), (false, 0), "nothing stays behind");
    all
}

fn take(block: &mut Block, all: &mut Vec<One>) {
    while let Some(piece) = block.take() {
        match piece {
            Piece::Records(records) => {
                all.extend(records.iter().map(|one| One { bytes: one.len() as u64, kept: one.into() }));
            }
            Piece::TooLong { record, bytes } => all.push(One { bytes, kept: record.into() }),
        }
    }
}

fn respects_the_limit(limit: usize, all: &[One], input: &[u8]) {
    let mut at = 0;
    for one in all {
        let (bytes, is_too_long) = (one.bytes as usize, one.bytes > limit as u64);
        assert!(is_too_long || one.kept.len() == bytes, "what fits is whole");
        assert!(input[at..at + bytes].starts_with(&one.kept), "what is kept is its beginning");
        at += bytes;
    }
    assert_eq!(at, input.len(), "every byte is counted");
}

fn agrees_with_csv_core(input: &[u8], ours: &[One]) {
    // A mark inside the input starts a field for us in every record, for csv-core only in the first.
    if input.windows(4).any(|bytes| bytes == b"\n\xef\xbb\xbf") {
        return;
    }
    let theirs = csv_reference::records(input, b'\n').into_iter().map(|(end, _)| end);
    let mut end = 0;
    let ends = ours.iter().filter_map(|one| {
        end += one.kept.len();
        // csv-core drops blank lines, and a mark with nothing after it.
        (!csv_reference::records(&one.kept, b'\n').is_empty()).then_some(end)
    });
    assert!(ends.eq(theirs), "CSV ends where csv-core ends it");
}
