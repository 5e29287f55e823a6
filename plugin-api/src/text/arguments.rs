//! A task's arguments, from `name=value` pairs.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::TextError;
use super::serde_calls::{newtypes_are_looked_through, unit_structs_are_units};
use super::value::Value;

/// The pairs as a `T`. A name that `T` does not have is refused, even without `deny_unknown_fields`: a
/// mistyped argument that does nothing is worse than an error.
pub(crate) fn from_args<'a, T: Deserialize<'a>>(pairs: &[(&'a str, &'a str)]) -> Result<T, TextError> {
    T::deserialize(Arguments { pairs })
}

/// All pairs.
struct Arguments<'p, 'a> {
    pairs: &'p [(&'a str, &'a str)],
}

impl<'a> Arguments<'_, 'a> {
    fn refuse_all_but(&self, known: &[&str]) -> Result<(), TextError> {
        match self.pairs.iter().find(|(name, _)| !known.contains(name)) {
            None => Ok(()),
            Some((name, _)) => {
                Err(TextError::new(format_args!("no task argument `{name}`: {}", listed(known))))
            }
        }
    }

    fn visit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_map(Pairs { rest: self.pairs.iter(), value: None })
    }
}

impl<'de> Deserializer<'de> for Arguments<'_, 'de> {
    type Error = TextError;

    /// A map, for arguments with any names.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.visit(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.refuse_all_but(fields)?;
        self.visit(visitor).map_err(|error| match error {
            TextError::Missing(name) => {
                TextError::new(format_args!("the task argument `{name}` is missing: {}", listed(fields)))
            }
            other => other,
        })
    }

    newtypes_are_looked_through! {}

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.refuse_all_but(&[])?;
        visitor.visit_unit()
    }

    unit_structs_are_units! {}

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

/// The pairs that are left.
struct Pairs<'p, 'a> {
    rest: std::slice::Iter<'p, (&'a str, &'a str)>,
    value: Option<(&'a str, &'a str)>,
}

impl<'a> MapAccess<'a> for Pairs<'_, 'a> {
    type Error = TextError;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, TextError> {
        self.value = self.rest.next().copied();
        let Some((name, _)) = self.value else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, TextError> {
        let (name, value) = self.value.take().expect("serde asks for a value only after its key");
        seed.deserialize(Value(value.as_bytes()))
            .map_err(|error| error.at(format_args!("the task argument `{name}`")))
    }
}

fn listed(known: &[&str]) -> String {
    if known.is_empty() {
        return "the task takes none".into();
    }
    format!("the task takes {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoArgs;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    struct Args {
        limit: u8,
        #[serde(default)]
        dry_run: bool,
        #[serde(rename = "from")]
        start: Option<Start>,
        #[serde(default = "five")]
        wait: Seconds,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Start {
        Top,
        Bottom,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Seconds(f64);

    fn five() -> Seconds {
        Seconds(5.0)
    }

    fn error(pairs: &[(&str, &str)]) -> String {
        from_args::<Args>(pairs).unwrap_err().to_string()
    }

    #[test]
    fn pairs_become_typed_arguments() {
        let args: Args =
            from_args(&[("limit", " 3 "), ("dry-run", "yes"), ("from", "bottom"), ("wait", "1.5")]).unwrap();
        let expected = Args { limit: 3, dry_run: true, start: Some(Start::Bottom), wait: Seconds(1.5) };
        assert_eq!(args, expected);
        let defaults: Args = from_args(&[("limit", "3")]).unwrap();
        assert_eq!(defaults, Args { limit: 3, dry_run: false, start: None, wait: Seconds(5.0) });
    }

    #[test]
    fn an_error_names_the_argument() {
        assert_eq!(
            error(&[("limit", "x")]),
            "the task argument `limit`: `x` is not a whole number: invalid digit found in string"
        );
        assert_eq!(
            error(&[("limit", "300")]),
            "the task argument `limit`: `300` is not a whole number: number too large to fit in target type"
        );
        assert!(error(&[("limit", "1"), ("from", "left")]).starts_with("the task argument `from`: unknown"));
        assert_eq!(error(&[("limit", "1"), ("limit", "2")]), "duplicate field `limit`");
    }

    #[test]
    fn an_unknown_or_missing_argument_lists_the_known_ones() {
        assert_eq!(
            error(&[("limti", "1")]),
            "no task argument `limti`: the task takes limit, dry-run, from, wait"
        );
        assert_eq!(
            error(&[]),
            "the task argument `limit` is missing: the task takes limit, dry-run, from, wait"
        );
        let none = from_args::<NoArgs>(&[("x", "1")]).unwrap_err();
        assert_eq!(none.to_string(), "no task argument `x`: the task takes none");
    }

    #[test]
    fn a_map_takes_arguments_of_any_name() {
        let args: std::collections::HashMap<String, u32> = from_args(&[("a", "1"), ("b", "2")]).unwrap();
        assert_eq!(args["b"], 2);
    }
}
