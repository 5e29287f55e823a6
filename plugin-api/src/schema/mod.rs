//! Finds out what a type's fields are by watching its `Deserialize` at work.
//!
//! A derived `Deserialize` names its fields and says what it wants for each. The tracer offers it every field
//! in turn with a value of the wanted kind, and notes what was wanted. Leaving fields out shows which of them
//! are optional. This is the best that is possible without a macro of our own: a type with a
//! `#[serde(alias)]` may show that name, too, and a type whose own `Deserialize` refuses every sample value
//! is described as far as the tracer got.

mod field;
mod sample;
mod tracer;

pub(crate) use field::Field;

use std::fmt;

use serde::de::DeserializeOwned;

use tracer::{Shape, Trace};

use crate::text::TextError;

/// Why a type has no schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SchemaError {
    /// It is not a struct with named fields.
    NotAStruct { what: &'static str, of: &'static str },
    /// One of its fields is not a single value.
    NotFlat { of: &'static str, field: &'static str },
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAStruct { what, of } => {
                write!(f, "{of} cannot be {what}: it must be a struct with named fields, without `flatten`")
            }
            Self::NotFlat { of, field } => write!(
                f,
                "field `{field}` of {of} is not flat: it must be a number, a boolean, a text, an option of \
                 one, or a unit enum"
            ),
        }
    }
}

impl std::error::Error for SchemaError {}

/// The arguments of a task. A type that takes arguments with any name (a map) has none that can be listed.
pub(crate) fn args<T: DeserializeOwned>() -> Result<Vec<Field>, SchemaError> {
    let mut trace = traced::<T>();
    match trace.shape {
        Shape::Struct | Shape::Unit | Shape::Map => {}
        Shape::Other => return Err(not_a_struct::<T>("a task's arguments")),
    }
    mark_optional::<T>(&mut trace);
    flat::<T>(trace)
}

/// The columns of a row.
pub(crate) fn columns<T: DeserializeOwned>() -> Result<Vec<Field>, SchemaError> {
    let trace = traced::<T>();
    match trace.shape {
        Shape::Struct => flat::<T>(trace),
        Shape::Unit | Shape::Map | Shape::Other => Err(not_a_struct::<T>("an output row")),
    }
}

fn not_a_struct<T>(what: &'static str) -> SchemaError {
    SchemaError::NotAStruct { what, of: std::any::type_name::<T>() }
}

fn flat<T>(trace: Trace) -> Result<Vec<Field>, SchemaError> {
    match trace.deep {
        Some(field) => Err(SchemaError::NotFlat { of: std::any::type_name::<T>(), field }),
        None => Ok(trace.fields()),
    }
}

/// Offers all fields. A field whose value is refused ends the attempt, so the next attempt leaves it out;
/// what it wanted is known by then. Each attempt but the last gets past one more such field, so this comes to
/// an end.
fn traced<T: DeserializeOwned>() -> Trace {
    let mut trace = Trace::default();
    while T::deserialize(trace.offer_all()).is_err() && trace.leave_out_last() {}
    trace
}

/// Offers no fields at first, and then those that turn out to be required. The others are optional.
fn mark_optional<T: DeserializeOwned>(trace: &mut Trace) {
    // Each required field, with the number of the sample value that it is offered.
    let mut required: Vec<(&'static str, usize)> = Vec::new();
    loop {
        match T::deserialize(trace.offer(&required)) {
            Err(TextError::Missing(name)) if required.iter().all(|(known, _)| *known != name) => {
                required.push((name, 0));
            }
            // The type may check its value and have refused the one that was offered last: try the next
            // sample.
            Err(_) if trace.next_sample(&mut required) => {}
            // Which of the fields after it are optional stays unknown, except for those that are an `Option`.
            Err(_) => return trace.mark_optional(|_, nullable| nullable),
            Ok(_) => {
                return trace.mark_optional(|name, _| required.iter().all(|(known, _)| *known != name));
            }
        }
    }
}

#[cfg(test)]
mod tests;
