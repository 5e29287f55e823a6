//! Rows as workers write them, split into cells: CSV in which an empty text is quoted and NULL is not, or raw
//! lines. Pure.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::plugin::{Column, quote_csv, write_csv};

/// A cell; `None` is NULL.
pub(crate) type Cell<'a> = Option<Cow<'a, [u8]>>;

/// Calls `each` with the cells of every row, until it fails.
///
/// # Errors
/// That of `each`.
pub(crate) fn each_row<'a, E>(
    rows: &'a [u8],
    raw: bool,
    cells: &mut Vec<Cell<'a>>,
    mut each: impl FnMut(&[Cell<'a>]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest = rows;
    while !rest.is_empty() {
        cells.clear();
        rest = if raw { take_line(rest, cells) } else { take_row(rest, cells) };
        each(cells)?;
    }
    Ok(())
}

fn take_line<'a>(rest: &'a [u8], cells: &mut Vec<Cell<'a>>) -> &'a [u8] {
    let end = memchr(b'\n', rest).unwrap_or(rest.len());
    cells.push(Some(Cow::Borrowed(&rest[..end])));
    rest.get(end + 1..).unwrap_or_default()
}

/// Takes a row off; returns what follows it.
fn take_row<'a>(mut rest: &'a [u8], cells: &mut Vec<Cell<'a>>) -> &'a [u8] {
    loop {
        let (cell, after) = take_cell(rest);
        cells.push(cell);
        match after.split_first() {
            Some((b',', after)) => rest = after,
            Some((_, after)) => return after,
            None => return after,
        }
    }
}

/// Takes a cell off; what follows begins with what ends it.
fn take_cell(rest: &[u8]) -> (Cell<'_>, &[u8]) {
    let Some((b'"', mut quoted)) = rest.split_first() else {
        let end = memchr2(b',', b'\n', rest).unwrap_or(rest.len());
        let cell = &rest[..end];
        return ((!cell.is_empty()).then_some(Cow::Borrowed(cell)), &rest[end..]);
    };
    let mut unquoted: Option<Vec<u8>> = None;
    loop {
        let end = memchr(b'"', quoted).unwrap_or(quoted.len());
        let after = quoted.get(end + 1..).unwrap_or_default();
        if after.first() == Some(&b'"') {
            let text = unquoted.get_or_insert_default();
            text.extend_from_slice(&quoted[..=end]);
            quoted = &after[1..];
            continue;
        }
        let cell = match unquoted {
            Some(mut text) => {
                text.extend_from_slice(&quoted[..end]);
                Cow::Owned(text)
            }
            None => Cow::Borrowed(&quoted[..end]),
        };
        return (Some(cell), after);
    }
}

/// The text of a cell.
///
/// # Errors
/// The refusal, if it is not UTF-8.
pub(crate) fn text_of<'a>(cell: &'a [u8], column: &Column) -> Result<&'a str, String> {
    str::from_utf8(cell).map_err(|_| refusal(column, "its text is not valid UTF-8"))
}

/// The message for a row that is refused because of its cell in that column.
pub(crate) fn refusal(column: &Column, why: &str) -> String {
    format!("column `{}`: {why}", column.name)
}

/// Appends a raw line as a row of CSV.
pub(crate) fn push_line_as_csv(line: &[u8], out: &mut Vec<u8>) {
    if line.is_empty() {
        quote_csv(line, out);
    } else {
        write_csv(line, out);
    }
    out.push(b'\n');
}

/// The names of columns as the first row of CSV.
pub(crate) fn header_line<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, name) in names.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_csv(name.as_bytes(), &mut out);
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(rows: &[u8], raw: bool) -> Vec<Vec<Option<Vec<u8>>>> {
        let mut all = Vec::new();
        let done: Result<(), ()> = each_row(rows, raw, &mut Vec::new(), |cells| {
            all.push(cells.iter().map(|cell| cell.as_ref().map(|cell| cell.to_vec())).collect());
            Ok(())
        });
        done.unwrap();
        all
    }

    #[test]
    fn null_is_nothing_and_an_empty_text_has_quotes() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(
            parsed(b"a,,\"\"\n\"x\"\"y\",\"1,2\",\"l\nm\"\n", false),
            [vec![some("a"), None, some("")], vec![some("x\"y"), some("1,2"), some("l\nm")]]
        );
        assert_eq!(parsed(b"\n\"\"\n", false), [vec![None], vec![some("")]]);
        assert_eq!(parsed(b"a,\"b\n\nlast", true), [[some("a,\"b")], [some("")], [some("last")]]);
    }

    proptest! {
        #[test]
        fn any_cells_come_back(rows in prop::collection::vec(prop::collection::vec(prop::option::of(prop::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), any::<u8>()], 0..6)), 1..4), 0..5)) {
            let mut text = Vec::new();
            for row in &rows {
                for (index, cell) in row.iter().enumerate() {
                    if index > 0 { text.push(b','); }
                    if let Some(cell) = cell { quote_csv(cell, &mut text); }
                }
                text.push(b'\n');
            }
            prop_assert_eq!(parsed(&text, false), rows);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), any::<u8>()], 0..40)) {
            parsed(&bytes, false);
            parsed(&bytes, true);
        }
    }
}
