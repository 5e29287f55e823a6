//! One text as a serde value.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::TextError;
use super::serde_calls::newtypes_are_looked_through;

/// A text that becomes whatever the type asks for: a number, a boolean, a text, an enum's variant. For an
/// `Option`, an empty text is `None`. Numbers and booleans can have spaces around them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a>(pub(super) &'a [u8]);

impl<'a> Value<'a> {
    fn text(self) -> Result<&'a str, TextError> {
        std::str::from_utf8(self.0).map_err(TextError::new)
    }

    /// Parses the text. If that fails, the error says what was expected.
    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(self, expected: &str) -> Result<T, TextError> {
        let text = self.text()?;
        text.trim()
            .parse()
            .map_err(|cause| TextError::new(format_args!("`{text}` is not {expected}: {cause}")))
    }
}

/// Deserialises numbers of one type by parsing them.
macro_rules! parsed {
    ($($deserialize:ident $visit:ident $expected:literal),* $(,)?) => {
        $(
            fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
                visitor.$visit(self.parse($expected)?)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = TextError;

    parsed! {
        deserialize_i8 visit_i8 "an integer",
        deserialize_i16 visit_i16 "an integer",
        deserialize_i32 visit_i32 "an integer",
        deserialize_i64 visit_i64 "an integer",
        deserialize_i128 visit_i128 "an integer",
        deserialize_u8 visit_u8 "a whole number",
        deserialize_u16 visit_u16 "a whole number",
        deserialize_u32 visit_u32 "a whole number",
        deserialize_u64 visit_u64 "a whole number",
        deserialize_u128 visit_u128 "a whole number",
        deserialize_f32 visit_f32 "a number",
        deserialize_f64 visit_f64 "a number",
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self.text()?.trim() {
            "1" | "true" | "yes" | "on" => visitor.visit_bool(true),
            "0" | "false" | "no" | "off" => visitor.visit_bool(false),
            text => Err(TextError::new(format_args!("`{text}` is neither true nor false"))),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_borrowed_bytes(self.0)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_borrowed_bytes(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    newtypes_are_looked_through! {}

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.text()?))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier
    }
}
