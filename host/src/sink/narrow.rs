//! Columns of a table that hold shorter texts than a task may write, and what becomes of a text that does not
//! fit. Pure.

use std::borrow::Cow;

use super::rows::Cell;

/// What to do with a text that does not fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LongTexts {
    /// Shorten it.
    #[default]
    Shorten,
    /// Let the database refuse its record.
    Refuse,
}

/// The longest text that a column can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextMax {
    /// In characters.
    Characters(usize),
    /// In bytes of UTF-8.
    Bytes(usize),
}

impl TextMax {
    /// The beginning of a text that fits; `None` if all of it does.
    fn cut(self, text: &str) -> Option<&str> {
        let end = match self {
            // No text has more characters than bytes.
            Self::Characters(max) if text.len() <= max => return None,
            Self::Characters(max) => text.char_indices().nth(max)?.0,
            Self::Bytes(max) if text.len() <= max => return None,
            Self::Bytes(max) => (0..=max).rev().find(|end| text.is_char_boundary(*end))?,
        };
        Some(&text[..end])
    }
}

impl std::fmt::Display for TextMax {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Characters(max) => write!(f, "{max} characters"),
            Self::Bytes(max) => write!(f, "{max} bytes"),
        }
    }
}

/// A column whose texts are shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NarrowColumn {
    /// Its place among the columns of the task.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What fits.
    pub text_max: TextMax,
}

/// The narrow columns of a table, and how many texts were shortened for each.
#[derive(Debug, Clone, Default)]
pub(crate) struct NarrowColumns(Vec<(NarrowColumn, u64)>);

/// Which texts of a row were shortened: places among the narrow columns.
pub(crate) type Shortened = Vec<usize>;

impl NarrowColumns {
    /// These columns.
    pub(crate) fn new(columns: Vec<NarrowColumn>) -> Self {
        Self(columns.into_iter().map(|column| (column, 0)).collect())
    }

    /// The columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &NarrowColumn> {
        self.0.iter().map(|(column, _)| column)
    }

    /// A row with texts that fit, and which of them were shortened; `None` if all texts fit as they are. A
    /// cell that is not text is left to those who judge that.
    pub(crate) fn fit<'a>(&self, cells: &[Cell<'a>]) -> Option<(Vec<Cell<'a>>, Shortened)> {
        let mut fitted: Option<(Vec<Cell<'a>>, Shortened)> = None;
        for (place, (column, _)) in self.0.iter().enumerate() {
            let Some(Some(cell)) = cells.get(column.index) else { continue };
            let text = str::from_utf8(cell).ok();
            let Some(cut) = text.and_then(|text| column.text_max.cut(text)) else { continue };
            let (cells, shortened) = fitted.get_or_insert_with(|| (cells.to_vec(), Vec::new()));
            cells[column.index] = Some(Cow::Owned(cut.as_bytes().to_vec()));
            shortened.push(place);
        }
        fitted
    }

    /// Notes that a text was shortened. Returns the column if it is the first one there.
    pub(crate) fn note(&mut self, place: usize) -> Option<&NarrowColumn> {
        let (column, texts) = self.0.get_mut(place)?;
        *texts += 1;
        (*texts == 1).then_some(column)
    }

    /// The columns for which texts were shortened since this was last asked, each with how many.
    pub(crate) fn take_counts(&mut self) -> Vec<(String, u64)> {
        let mut counts = Vec::new();
        for (column, texts) in &mut self.0 {
            if *texts > 0 {
                counts.push((column.name.clone(), std::mem::take(texts)));
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn narrow(index: usize, text_max: TextMax) -> NarrowColumn {
        NarrowColumn { index, name: format!("c{index}"), text_max }
    }

    #[test]
    fn only_texts_that_do_not_fit_are_shortened_and_counted() {
        let mut columns =
            NarrowColumns::new(vec![narrow(0, TextMax::Characters(3)), narrow(2, TextMax::Bytes(3))]);
        let row = |texts: [&'static [u8]; 3]| texts.map(|text| Some(Cow::Borrowed(text)));
        assert!(columns.fit(&row([b"abc", b"a long one", b"xyz"])).is_none());
        assert!(columns.fit(&row(["\u{e4}\u{e4}\u{e4}".as_bytes(), b"", b"\xff\xff\xff\xff"])).is_none());
        assert!(columns.fit(&[None, None]).is_none());
        let long = row(["\u{e4}\u{e4}\u{e4}\u{e4}".as_bytes(), b"a long one", "\u{e4}\u{e4}".as_bytes()]);
        let (cells, shortened) = columns.fit(&long).unwrap();
        assert_eq!(cells[..], row(["\u{e4}\u{e4}\u{e4}".as_bytes(), b"a long one", "\u{e4}".as_bytes()]));
        assert_eq!(shortened, [0, 1]);
        assert_eq!(columns.note(1).unwrap().name, "c2");
        assert!(columns.note(1).is_none());
        assert_eq!(columns.take_counts(), [("c2".to_owned(), 2)]);
        assert!(columns.take_counts().is_empty());
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_longest_beginning_that_fits(text in ".{0,12}", max in 0..12_usize) {
            let characters = TextMax::Characters(max).cut(&text).unwrap_or(&text);
            prop_assert_eq!(characters, text.chars().take(max).collect::<String>());
            let bytes = TextMax::Bytes(max).cut(&text).unwrap_or(&text);
            prop_assert!(text.starts_with(bytes) && bytes.len() <= max.min(text.len()));
            let next = text[bytes.len()..].chars().next().map_or(0, char::len_utf8);
            prop_assert!(next == 0 || bytes.len() + next > max);
        }
    }
}
