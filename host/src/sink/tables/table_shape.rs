//! What a table needs to hold a task's rows, and whether an existing one has it. Pure; each database's own
//! file says what its types mean.

use crate::plugin::{Column, Kind};
use crate::sink::narrow::{NarrowColumn, TextMax};
use crate::sink::shape::Shape;
use crate::sink::url::quoted;

/// A column of an existing table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundColumn {
    /// Its name.
    pub name: String,
    /// Its type, as the database calls it.
    pub declared: String,
    /// The kinds of values that it can hold.
    pub takes: Vec<Kind>,
    /// Whether a row must have a value for it.
    pub is_needed: bool,
    /// The longest text that it can hold, if it holds texts and they have a limit.
    pub text_max: Option<TextMax>,
    /// Whether it is in a key, where two texts that differ must not become the same.
    pub is_key: bool,
    /// Whether the database computes its values itself, and takes no others.
    pub is_computed: bool,
}

/// Why a view, or something else that is no table, cannot be a sink.
pub(crate) fn not_a_table(table: &str, what: &str) -> String {
    format!("{table} is {what}, and not a table; name the table that its rows are in")
}

/// How the names of columns are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Character by character.
    Exact,
    /// Without regard to case, as SQLite and MySQL do.
    AnyCase,
}

impl Names {
    /// Whether two names mean the same column.
    fn are_same(self, one: &str, other: &str) -> bool {
        match self {
            Self::Exact => one == other,
            Self::AnyCase => one.eq_ignore_ascii_case(other),
        }
    }
}

/// Checks whether a table can take a task's rows.
///
/// # Errors
/// The first thing that is wrong, with the column's name.
pub(crate) fn check(table: &str, found: &[FoundColumn], shape: &Shape, names: Names) -> Result<(), String> {
    let is_same = |one: &str, other: &str| names.are_same(one, other);
    for column in &shape.columns {
        let (name, kind) = (&column.name, column.kind);
        let Some(there) = found.iter().find(|there| is_same(&there.name, name)) else {
            return Err(format!(
                "the table {table} has no column `{name}`, which the task writes ({}); add it, or name another table",
                kind.word()
            ));
        };
        if there.is_computed {
            return Err(format!(
                "the database computes the column `{name}` of the table {table} itself, and the task writes it, too; \
                 make it an ordinary column, or name another table"
            ));
        }
        if !there.takes.contains(&kind) {
            return Err(format!(
                "the column `{name}` of the table {table} is {}, which does not fit what the task writes ({}); \
                 change it, or name another table",
                there.declared,
                kind.word()
            ));
        }
    }
    let is_written =
        |there: &FoundColumn| shape.columns.iter().any(|column| is_same(&there.name, &column.name));
    match found.iter().find(|there| there.is_needed && !is_written(there)) {
        Some(there) => Err(format!(
            "the table {table} needs a value for its column `{}`, which the task does not write; give it a default, \
             or let it be NULL",
            there.name
        )),
        None => Ok(()),
    }
}

/// The columns whose texts are shortened if they do not fit: texts of the task that are in no key of the
/// table.
pub(crate) fn narrow_columns(found: &[FoundColumn], shape: &Shape, names: Names) -> Vec<NarrowColumn> {
    let narrow = |(index, column): (usize, &Column)| {
        let there = found.iter().find(|there| names.are_same(&there.name, &column.name))?;
        let text_max = there.text_max.filter(|_| column.kind == Kind::Text && !there.is_key)?;
        Some(NarrowColumn { index, name: column.name.clone(), text_max })
    };
    shape.columns.iter().enumerate().filter_map(narrow).collect()
}

/// The names of the task's columns, as SQL wants them.
pub(crate) fn names(shape: &Shape, quote: char) -> String {
    let names: Vec<_> = shape.columns.iter().map(|column| quoted(&column.name, quote)).collect();
    names.join(", ")
}

/// The columns of a new table, each with the type that `declared` gives to its kind.
pub(crate) fn declarations(shape: &Shape, quote: char, declared: impl Fn(Kind) -> &'static str) -> String {
    let column = |column: &Column| format!("{} {}", quoted(&column.name, quote), declared(column.kind));
    shape.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, takes: &[Kind], is_needed: bool) -> FoundColumn {
        let (name, declared, takes) = (name.into(), "integer".into(), takes.to_vec());
        FoundColumn { name, declared, takes, is_needed, text_max: None, is_key: false, is_computed: false }
    }

    #[test]
    fn a_table_must_have_the_columns_and_may_have_more() {
        let shape =
            Shape { columns: vec![Column { name: "n".into(), kind: Kind::Int, nullable: true }], raw: false };
        let check = |found: &[FoundColumn], names| check("t", found, &shape, names);
        let good = found("n", &[Kind::Int], true);
        assert_eq!(check(&[good.clone(), found("more", &[], false)], Names::Exact), Ok(()));
        let says = |found: &[FoundColumn], text: &str| {
            let error = check(found, Names::Exact).unwrap_err();
            assert!(error.contains(text), "{error}");
        };
        says(&[], "has no column `n`, which the task writes (int)");
        says(
            &[found("n", &[Kind::Bool], false)],
            "the column `n` of the table t is integer, which does not fit",
        );
        says(&[FoundColumn { is_computed: true, ..good.clone() }], "the database computes the column `n`");
        says(&[good, found("more", &[], true)], "needs a value for its column `more`");
        let upper = [found("N", &[Kind::Int], false)];
        assert!(check(&upper, Names::Exact).is_err() && check(&upper, Names::AnyCase).is_ok());
    }

    #[test]
    fn texts_are_shortened_for_narrow_columns_that_are_in_no_key() {
        let text = |name: &str| Column { name: name.into(), kind: Kind::Text, nullable: true };
        let number = Column { name: "n".into(), kind: Kind::Int, nullable: true };
        let shape = Shape { columns: vec![text("key"), number, text("message"), text("wide")], raw: false };
        let narrow = |name: &str, is_key| {
            let text_max = Some(TextMax::Characters(100));
            FoundColumn { text_max, is_key, ..found(name, &[Kind::Text], false) }
        };
        let there =
            [narrow("key", true), narrow("n", false), narrow("Message", false), found("wide", &[], false)];
        let column = NarrowColumn { index: 2, name: "message".into(), text_max: TextMax::Characters(100) };
        assert_eq!(narrow_columns(&there, &shape, Names::AnyCase), [column]);
        assert_eq!(narrow_columns(&there, &shape, Names::Exact), []);
    }
}
