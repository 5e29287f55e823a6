//! A deserialiser that gives only sample values, and notes what it is asked for.

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::field::{Field, Kind};
use super::sample::SAMPLES;
use crate::text::TextError;
use crate::text::serde_calls::{newtypes_are_looked_through, unit_structs_are_units};

/// What a type is as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// A struct with named fields.
    Struct,
    /// A unit, without any fields.
    Unit,
    /// A map, with any names.
    Map,
    /// Something else.
    #[default]
    Other,
}

/// What is known about a type so far.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// What the type is as a whole.
    pub(super) shape: Shape,
    /// A field that is not a single value.
    pub(super) deep: Option<&'static str>,
    /// The fields in the order in which they were met.
    met: Vec<Field>,
    /// All names, in the type's order.
    names: &'static [&'static str],
    /// Names that are no longer offered: their value was refused, or they are another name of a field.
    left_out: Vec<&'static str>,
    /// The name that was offered last.
    last: Option<&'static str>,
}

impl Trace {
    /// A deserialiser that offers every field that is not left out.
    pub(super) fn offer_all(&mut self) -> Tracer<'_> {
        self.last = None;
        Tracer { trace: self, only: None }
    }

    /// A deserialiser that offers certain fields, each with the sample that its number stands for.
    pub(super) fn offer<'a>(&'a mut self, fields: &'a [(&'static str, usize)]) -> Tracer<'a> {
        self.last = None;
        Tracer { trace: self, only: Some(fields) }
    }

    /// Leaves out the field that was offered last, whose value was refused. False if there was none, or if it
    /// has been left out before.
    pub(super) fn leave_out_last(&mut self) -> bool {
        match self.last {
            Some(name) if !self.left_out.contains(&name) => {
                self.left_out.push(name);
                true
            }
            _ => false,
        }
    }

    /// Offers the next sample to the field that was offered last. False if there is none left.
    pub(super) fn next_sample(&self, fields: &mut [(&'static str, usize)]) -> bool {
        let last = fields.iter_mut().find(|(name, _)| Some(*name) == self.last);
        match last {
            Some((_, sample)) if *sample + 1 < SAMPLES.len() => {
                *sample += 1;
                true
            }
            _ => false,
        }
    }

    /// Marks the fields that can be left out, by name and by whether they are an `Option`.
    pub(super) fn mark_optional(&mut self, is_optional: impl Fn(&str, bool) -> bool) {
        for field in &mut self.met {
            field.optional = is_optional(field.name, field.nullable);
        }
    }

    /// The fields in the type's order.
    pub(super) fn fields(mut self) -> Vec<Field> {
        self.met.sort_by_key(|field| self.names.iter().position(|name| *name == field.name));
        self.met
    }

    fn meet(&mut self, name: &'static str, kind: Kind) -> &mut Field {
        let index = self.met.iter().position(|field| field.name == name).unwrap_or_else(|| {
            self.met.push(Field { name, kind, nullable: false, optional: false });
            self.met.len() - 1
        });
        &mut self.met[index]
    }
}

/// The type as a whole.
pub(super) struct Tracer<'a> {
    trace: &'a mut Trace,
    only: Option<&'a [(&'static str, usize)]>,
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = TextError;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, TextError> {
        Err(TextError::new("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.trace.shape = Shape::Struct;
        self.trace.names = fields;
        visitor.visit_map(Fields { trace: self.trace, only: self.only, rest: fields.iter(), sample: 0 })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.trace.shape = Shape::Map;
        visitor.visit_map(Fields { trace: self.trace, only: None, rest: [].iter(), sample: 0 })
    }

    newtypes_are_looked_through! {}

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.trace.shape = Shape::Unit;
        visitor.visit_unit()
    }

    unit_structs_are_units! {}

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option seq tuple
        tuple_struct enum identifier ignored_any
    }
}

/// The fields that are left to offer.
struct Fields<'a> {
    trace: &'a mut Trace,
    only: Option<&'a [(&'static str, usize)]>,
    rest: std::slice::Iter<'static, &'static str>,
    sample: usize,
}

impl Fields<'_> {
    fn next_name(&mut self) -> Option<&'static str> {
        let left_out = &self.trace.left_out;
        match self.only {
            None => self.rest.by_ref().copied().find(|name| !left_out.contains(name)),
            Some(only) => {
                let wanted = |name: &&str| only.iter().find(|(known, _)| known == name);
                let name = self.rest.by_ref().copied().find(|name| wanted(name).is_some())?;
                self.sample = wanted(&name).map_or(0, |(_, sample)| *sample);
                Some(name)
            }
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = TextError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TextError> {
        let Some(name) = self.next_name() else {
            self.trace.last = None;
            return Ok(None);
        };
        self.trace.last = Some(name);
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TextError> {
        let name = self.trace.last.expect("serde asks for a value only after its key");
        seed.deserialize(FieldTracer { trace: self.trace, name, sample: SAMPLES[self.sample] })
    }
}

/// One field.
struct FieldTracer<'a> {
    trace: &'a mut Trace,
    name: &'static str,
    sample: &'static str,
}

/// Notes the kind of a field, and gives a value of that kind.
macro_rules! traced {
    ($($deserialize:ident $visit:ident $kind:ident $value:expr),* $(,)?) => {
        $(
            fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
                self.trace.meet(self.name, Kind::$kind);
                visitor.$visit($value)
            }
        )*
    };
}

impl FieldTracer<'_> {
    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.trace.meet(self.name, Kind::Text);
        visitor.visit_borrowed_str(self.sample)
    }

    fn deep<T>(self) -> Result<T, TextError> {
        self.trace.meet(self.name, Kind::Text);
        self.trace.deep.get_or_insert(self.name);
        Err(TextError::new("not flat"))
    }
}

impl<'de> Deserializer<'de> for FieldTracer<'_> {
    type Error = TextError;

    // One, not zero, because some types are never zero.
    traced! {
        deserialize_bool visit_bool Bool false,
        deserialize_i8 visit_i8 Int 1,
        deserialize_i16 visit_i16 Int 1,
        deserialize_i32 visit_i32 Int 1,
        deserialize_i64 visit_i64 Int 1,
        deserialize_i128 visit_i128 Int 1,
        deserialize_u8 visit_u8 Int 1,
        deserialize_u16 visit_u16 Int 1,
        deserialize_u32 visit_u32 Int 1,
        deserialize_u64 visit_u64 Int 1,
        deserialize_u128 visit_u128 Int 1,
        deserialize_f32 visit_f32 Float 1.0,
        deserialize_f64 visit_f64 Float 1.0,
        deserialize_char visit_char Text 'a',
        deserialize_bytes visit_borrowed_bytes Bytes b"",
        deserialize_byte_buf visit_borrowed_bytes Bytes b"",
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.text(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.text(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.trace.meet(self.name, Kind::Text).nullable = true;
        visitor.visit_unit()
    }

    unit_structs_are_units! {}

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        let Self { trace, name, sample } = self;
        let result = visitor.visit_some(FieldTracer { trace, name, sample });
        // The value within has been met by now, and with it the kind.
        trace.meet(name, Kind::Text).nullable = true;
        result
    }

    newtypes_are_looked_through! {}

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.trace.meet(self.name, Kind::Text);
        visitor.visit_enum(StrDeserializer::new(variants.first().copied().unwrap_or_default()))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, TextError> {
        self.deep()
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, TextError> {
        self.deep()
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        _visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deep()
    }

    fn deserialize_map<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, TextError> {
        self.deep()
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deep()
    }

    forward_to_deserialize_any! {
        identifier ignored_any
    }
}
