//! The fields of any record are those that csv-core finds.

use simplegrid_plugin_api::testing::key_of;
use simplegrid_plugin_api::{Partitioner, Record, Result};

use crate::csv_reference;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Splits the bytes as one record.
pub fn fields(data: &[u8]) {
    // The fields of a record that contains every possible byte end at a zero byte: there is nothing to
    // compare with.
    let Some(terminator) = (0..=u8::MAX).find(|byte| !b",\"".contains(byte) && !data.contains(byte)) else {
        return;
    };
    let ours = key_of(&AllFields, data).expect("fields are no error");
    let content = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    let content = content.strip_suffix(b"\r").unwrap_or(content);
    let theirs = if content.is_empty() { vec![Vec::new()] } else { by_csv_core(content, terminator) };
    assert_eq!(ours, joined(theirs.iter().map(Vec::as_slice)));
}

/// What follows the record's byte order mark can begin with another mark, which is text then; csv-core would
/// drop it.
fn by_csv_core(content: &[u8], terminator: u8) -> Vec<Vec<u8>> {
    let protected = [b"x,", content].concat();
    let mut records = csv_reference::records(&protected, terminator);
    assert_eq!(records.len(), 1, "one record is one record");
    let (_, mut fields) = records.remove(0);
    assert_eq!(fields.remove(0), b"x");
    fields
}

/// Uses a record's fields, each after its length, as its key: that makes them visible.
struct AllFields;

impl Partitioner for AllFields {
    fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> Result {
        *key = joined((0..record.len()).filter_map(|index| record.bytes(index)));
        Ok(())
    }
}

fn joined<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    for field in fields {
        all.extend_from_slice(&field.len().to_le_bytes());
        all.extend_from_slice(field);
    }
    all
}
