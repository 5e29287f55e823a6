//! csv-core, used in the plainest way: the reference for our own ways through CSV.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

/// The records of `input` that end with `terminator`: the offset just past each, and its fields.
pub(crate) fn records(input: &[u8], terminator: u8) -> Vec<(usize, Vec<Vec<u8>>)> {
    let mut reader = ReaderBuilder::new().terminator(Terminator::Any(terminator)).build();
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some((read, fields)) = next(&mut reader, &input[at..]) {
        at += read;
        records.push((at, fields));
    }
    records
}

fn next(reader: &mut Reader, input: &[u8]) -> Option<(usize, Vec<Vec<u8>>)> {
    let (mut text, mut ends) = (vec![0; input.len() + 1], vec![0; input.len() + 2]);
    let (mut written, mut fields, mut at) = (0, 0, 0);
    loop {
        let (result, read, wrote, ended) =
            reader.read_record(&input[at..], &mut text[written..], &mut ends[fields..]);
        at += read;
        written += wrote;
        fields += ended;
        match result {
            ReadRecordResult::Record => break,
            ReadRecordResult::End => return None,
            ReadRecordResult::InputEmpty => {}
            full => panic!("there is room for everything, yet: {full:?}"),
        }
    }
    let starts = [0].into_iter().chain(ends[..fields].iter().copied());
    Some((at, starts.zip(&ends[..fields]).map(|(from, to)| text[from..*to].to_vec()).collect()))
}
