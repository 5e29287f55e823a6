//! One value as a text cell.

use std::fmt;

use serde::Serialize;
use serde::ser::{Impossible, Serializer};

use super::TextError;
use super::row_buffer::RowBuffer;
use super::serde_calls::{compounds_are_refused, refused};

/// Appends one cell to a row.
pub(super) struct CellWriter<'a> {
    pub(super) row: &'a mut RowBuffer,
}

impl CellWriter<'_> {
    #[inline]
    fn bytes(self, bytes: &[u8]) -> Result<(), TextError> {
        self.row.cell(bytes);
        Ok(())
    }

    fn display(self, value: impl fmt::Display) -> Result<(), TextError> {
        self.row.displayed(value).map_err(TextError::new)
    }
}

/// Writes values as `Display` does.
macro_rules! displayed {
    ($($serialize:ident $type:ty),* $(,)?) => {
        $(
            fn $serialize(self, value: $type) -> Result<(), TextError> {
                self.display(value)
            }
        )*
    };
}

#[cold]
fn not_flat() -> TextError {
    TextError::new("a column must be a number, a boolean, a text, an option of one, or a unit enum")
}

impl Serializer for CellWriter<'_> {
    type Ok = ();
    type Error = TextError;
    type SerializeStruct = Impossible<(), TextError>;

    compounds_are_refused! { not_flat() }

    displayed! {
        serialize_i8 i8,
        serialize_i16 i16,
        serialize_i32 i32,
        serialize_i64 i64,
        serialize_i128 i128,
        serialize_u8 u8,
        serialize_u16 u16,
        serialize_u32 u32,
        serialize_u64 u64,
        serialize_u128 u128,
        serialize_f32 f32,
        serialize_f64 f64,
    }

    fn serialize_bool(self, value: bool) -> Result<(), TextError> {
        self.bytes(if value { b"true" } else { b"false" })
    }

    fn serialize_char(self, value: char) -> Result<(), TextError> {
        self.bytes(value.encode_utf8(&mut [0; 4]).as_bytes())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), TextError> {
        self.bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), TextError> {
        self.bytes(value)
    }

    fn serialize_none(self) -> Result<(), TextError> {
        self.row.null();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), TextError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), TextError> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), TextError> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), TextError> {
        self.bytes(variant.as_bytes())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), TextError> {
        self.display(value)
    }

    refused! {
        not_flat();
        serialize_struct(&'static str, usize) -> Impossible<(), TextError>;
    }
}
