//! Calls of serde that the deserialisers and serialisers of this crate all answer in the same way.
//!
//! They are macros because serde's traits require these functions of each type that implements them.

/// In an `impl Deserializer<'de>`: a newtype is read as the value in it.
macro_rules! newtypes_are_looked_through {
    () => {
        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            visitor: V,
        ) -> Result<V::Value, TextError> {
            visitor.visit_newtype_struct(self)
        }
    };
}

/// In an `impl Deserializer<'de>`: a unit struct is read as a unit.
macro_rules! unit_structs_are_units {
    () => {
        fn deserialize_unit_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            visitor: V,
        ) -> Result<V::Value, TextError> {
            self.deserialize_unit(visitor)
        }
    };
}

/// In an `impl Serializer`: each of these calls is refused with the same error.
macro_rules! refused {
    ($error:expr; $($serialize:ident($($type:ty),*) -> $ok:ty;)*) => {
        $(
            fn $serialize(self, $(_: $type),*) -> Result<$ok, TextError> {
                Err($error)
            }
        )*
    };
}

/// In an `impl Serializer`: a newtype is written as the value in it. What has several values is refused,
/// except a struct with named fields, about which the serialiser decides itself.
macro_rules! compounds_are_refused {
    ($error:expr) => {
        type SerializeSeq = Impossible<(), TextError>;
        type SerializeTuple = Impossible<(), TextError>;
        type SerializeTupleStruct = Impossible<(), TextError>;
        type SerializeTupleVariant = Impossible<(), TextError>;
        type SerializeMap = Impossible<(), TextError>;
        type SerializeStructVariant = Impossible<(), TextError>;

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _name: &'static str,
            value: &T,
        ) -> Result<(), TextError> {
            value.serialize(self)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _name: &'static str,
            _index: u32,
            _variant: &'static str,
            _value: &T,
        ) -> Result<(), TextError> {
            Err($error)
        }

        refused! {
            $error;
            serialize_seq(Option<usize>) -> Impossible<(), TextError>;
            serialize_tuple(usize) -> Impossible<(), TextError>;
            serialize_tuple_struct(&'static str, usize) -> Impossible<(), TextError>;
            serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<(), TextError>;
            serialize_map(Option<usize>) -> Impossible<(), TextError>;
            serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<(), TextError>;
        }
    };
}

pub(crate) use compounds_are_refused;
pub(crate) use newtypes_are_looked_through;
pub(crate) use refused;
pub(crate) use unit_structs_are_units;
