//! Records as a peer sent them: bytes and a table of ends that can say anything. Pure, and total: for every
//! table and any bytes each record is a part of those bytes, or known to be wrong.

use super::ends;

/// Records whose table of ends is checked while they are read, record by record.
#[derive(Debug, Clone, Copy)]
pub struct RawRecords<'a> {
    base: u32,
    table: &'a [u8],
    data: &'a [u8],
}

impl<'a> RawRecords<'a> {
    /// Records in the three parts in which they travel (see `Parts`).
    pub fn new(base: u32, table: &'a [u8], data: &'a [u8]) -> Self {
        Self { base, table, data }
    }

    /// How many records there are, if the table is right.
    pub fn len(&self) -> usize {
        ends::iter(self.table).len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records, terminators included; `None` in place of one whose end is wrong.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let (base, data) = (self.base, self.data);
        let mut start = 0;
        ends::iter(self.table).map(move |end| {
            let end = end.checked_sub(base)? as usize;
            let record = data.get(start..end)?;
            start = end;
            Some(record)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::records::{Parts, Records};

    proptest! {
        #[test]
        fn whatever_a_table_says_a_record_is_a_part_of_the_bytes(
            base in 0..9_u32,
            ends in prop::collection::vec(prop_oneof![0..40_u32, any::<u32>()], 0..9),
            cut in 0..4_usize,
            data in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            let mut table: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
            table.truncate(table.len().saturating_sub(cut));
            let records = RawRecords::new(base, &table, &data);
            prop_assert_eq!(records.iter().count(), records.len());
            let mut at = 0;
            for record in records.iter().flatten() {
                prop_assert_eq!(record, &data[at..at + record.len()]);
                at += record.len();
            }
        }

        #[test]
        fn records_of_ours_arrive_as_they_were_sent(
            texts in prop::collection::vec("[ab]{0,3}\n", 1..9),
            from in 0..9_usize,
        ) {
            let from = from.min(texts.len());
            let records = Records::from_iter(&texts).slice(from..texts.len());
            let Parts { base, table, data } = records.into_parts();
            let arrived: Vec<_> = RawRecords::new(base, &table, &data).iter().collect();
            let sent: Vec<_> = texts[from..].iter().map(|text| Some(text.as_bytes())).collect();
            prop_assert_eq!(&arrived, &sent);
            let records = Records::of_parts(Parts { base, table, data });
            prop_assert_eq!(records.iter().map(Some).collect::<Vec<_>>(), sent);
        }
    }
}
