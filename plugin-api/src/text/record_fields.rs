//! A record's fields as a struct or tuple, by their order.

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::TextError;
use super::serde_calls::newtypes_are_looked_through;
use super::value::Value;

/// The fields as a `T`. Fields that `T` does not ask for are ignored.
pub(crate) fn from_fields<'a, T: Deserialize<'a>>(
    fields: impl Iterator<Item = &'a [u8]>,
) -> Result<T, TextError> {
    T::deserialize(Fields { rest: fields, index: 0 })
}

/// The fields that are left, and the index of the next.
struct Fields<I> {
    rest: I,
    index: usize,
}

impl<'de, I: Iterator<Item = &'de [u8]>> Fields<I> {
    /// A type with so many members, as far as there are fields: those at the end can have defaults.
    fn members<V: Visitor<'de>>(mut self, wanted: usize, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_seq(&mut self).map_err(|error| match (error, self.index) {
            (TextError::TooFew(_), 1) => {
                TextError::new(format_args!("the record has 1 field, and the task wants {wanted}"))
            }
            (TextError::TooFew(_), found) => {
                TextError::new(format_args!("the record has {found} fields, and the task wants {wanted}"))
            }
            (other, _) => other,
        })
    }
}

impl<'de, I: Iterator<Item = &'de [u8]>> Deserializer<'de> for Fields<I> {
    type Error = TextError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_seq(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, TextError> {
        self.members(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.members(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.members(fields.len(), visitor)
    }

    newtypes_are_looked_through! {}

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq map enum identifier ignored_any
    }
}

impl<'a, I: Iterator<Item = &'a [u8]>> SeqAccess<'a> for Fields<I> {
    type Error = TextError;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, TextError> {
        let Some(field) = self.rest.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Value(field)).map(Some).map_err(|error| error.at(format_args!("field {index}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Order<'a> {
        name: &'a str,
        #[serde(borrow)]
        note: Option<&'a str>,
        count: u32,
    }

    fn parse<'a, T: Deserialize<'a>>(fields: &[&'a str]) -> Result<T, TextError> {
        from_fields(fields.iter().map(|field| field.as_bytes()))
    }

    #[test]
    fn fields_become_members_in_their_order() {
        let order: Order = parse(&["nails", "", "12", "ignored"]).unwrap();
        assert_eq!(order, Order { name: "nails", note: None, count: 12 });
        let (count, name): (i64, String) = parse(&["-1", "x"]).unwrap();
        assert_eq!((count, name.as_str()), (-1, "x"));
        let all: Vec<u8> = parse(&["1", "2", "3"]).unwrap();
        assert_eq!(all, [1, 2, 3]);
    }

    #[test]
    fn an_error_names_the_field() {
        let error = parse::<Order>(&["nails", "", "many"]).unwrap_err();
        assert_eq!(error.to_string(), "field 2: `many` is not a whole number: invalid digit found in string");
    }

    #[test]
    fn a_record_with_too_few_fields_is_told_so_in_words_for_its_user() {
        let error = parse::<Order>(&["nails"]).unwrap_err();
        assert_eq!(error.to_string(), "the record has 1 field, and the task wants 3");
        let error = parse::<(u8, u8, u8)>(&["1", "2"]).unwrap_err();
        assert_eq!(error.to_string(), "the record has 2 fields, and the task wants 3");
    }

    #[test]
    fn members_with_defaults_can_be_left_out() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Item {
            name: String,
            #[serde(default)]
            count: u32,
        }
        assert_eq!(parse::<Item>(&["nails"]).unwrap(), Item { name: "nails".to_owned(), count: 0 });
    }

    #[test]
    fn bytes_need_not_be_utf8_but_text_must() {
        let bytes: [&[u8]; 1] = [b"\xff"];
        assert!(from_fields::<(String,)>(bytes.into_iter()).is_err());
        let (bytes,): (&[u8],) = from_fields(bytes.into_iter()).unwrap();
        assert_eq!(bytes, b"\xff");
    }
}
