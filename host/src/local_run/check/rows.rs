//! Whether rows are what the manifest says of them. *Pure*.

use csv_core::{ReadRecordResult, Reader};

use crate::plugin::{Column, Kind, OutputKind, TaskOutput};

/// Cells of a row that are looked at.
const CELLS_MAX: usize = 4096;

/// What is wrong with the first row that is not as its task has promised.
pub(super) fn first_wrong(rows: &[u8], output: &TaskOutput) -> Option<String> {
    if output.kind == OutputKind::Lines {
        return None;
    }
    let (mut reader, mut rest) = (Reader::new(), rows);
    // A row is never longer than all of them.
    let (mut cells, mut ends) = (vec![0; rows.len().max(1)], [0; CELLS_MAX]);
    for row in 1.. {
        let (result, read, _, count) = reader.read_record(rest, &mut cells, &mut ends);
        rest = &rest[read..];
        match result {
            ReadRecordResult::Record => {}
            ReadRecordResult::InputEmpty if count > 0 => {}
            ReadRecordResult::InputEmpty if !rest.is_empty() || read > 0 => continue,
            _ => return None,
        }
        let columns = &output.columns;
        if count != columns.len() {
            return Some(format!("row {row} has {count} cells, and the manifest {} columns", columns.len()));
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        for (column, (start, end)) in columns.iter().zip(starts.zip(ends)) {
            let text = String::from_utf8_lossy(&cells[start..end]);
            if !fits(&text, column) {
                let (name, kind) = (&column.name, column.kind.word());
                return Some(format!("row {row} has `{text:.80}` in the column {name}, which is {kind}"));
            }
        }
    }
    None
}

fn fits(text: &str, column: &Column) -> bool {
    match column.kind {
        _ if text.is_empty() && column.nullable => true,
        Kind::Bool => matches!(text, "true" | "false"),
        Kind::Int => text.parse::<i128>().is_ok(),
        Kind::Float => text.parse::<f64>().is_ok(),
        Kind::Text | Kind::Bytes => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(rows: &str) -> Option<String> {
        let column = |name: &str, kind| Column { name: name.into(), kind, nullable: kind == Kind::Bool };
        let columns = vec![column("n", Kind::Int), column("b", Kind::Bool), column("t", Kind::Text)];
        first_wrong(rows.as_bytes(), &TaskOutput { kind: OutputKind::Rows, columns })
    }

    #[test]
    fn rows_that_the_manifest_does_not_promise_are_named() {
        assert_eq!(wrong(""), None);
        assert_eq!(wrong("1,true,\"a,b\nc\"\n-2,,\n"), None);
        assert_eq!(wrong("1,true,a\n1,true\n").unwrap(), "row 2 has 2 cells, and the manifest 3 columns");
        assert_eq!(wrong("x,true,a\n").unwrap(), "row 1 has `x` in the column n, which is int");
        assert!(wrong(",true,a\n").is_some() && wrong("1,yes,a\n").is_some());
    }
}
