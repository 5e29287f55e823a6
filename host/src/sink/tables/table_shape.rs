//! What a table needs to hold a task's rows, and whether an existing one has it. Pure; each database's own
//! file says what its types mean.

use crate::plugin::{Column, Kind};
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
}

/// How the names of columns are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Character by character.
    Exact,
    /// Without regard to case, as SQLite and MySQL do.
    AnyCase,
}

/// Checks whether a table can take a task's rows.
///
/// # Errors
/// The first thing that is wrong, with the column's name.
pub(crate) fn check(table: &str, found: &[FoundColumn], shape: &Shape, names: Names) -> Result<(), String> {
    let is_same = |one: &str, other: &str| match names {
        Names::Exact => one == other,
        Names::AnyCase => one.eq_ignore_ascii_case(other),
    };
    for column in &shape.columns {
        let (name, kind) = (&column.name, column.kind);
        let Some(there) = found.iter().find(|there| is_same(&there.name, name)) else {
            return Err(format!(
                "the table {table} has no column `{name}`, which the task writes ({}); add it, or name another table",
                kind.word()
            ));
        };
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
        FoundColumn { name: name.into(), declared: "integer".into(), takes: takes.to_vec(), is_needed }
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
        says(&[good, found("more", &[], true)], "needs a value for its column `more`");
        let upper = [found("N", &[Kind::Int], false)];
        assert!(check(&upper, Names::Exact).is_err() && check(&upper, Names::AnyCase).is_ok());
    }
}
