//! What the tracer finds out about types of all kinds.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::*;
use crate::{Line, NoArgs};

/// Each field in short: its name, kind, and `?` if `mark` says so.
fn short(fields: Result<Vec<Field>, SchemaError>, mark: fn(&Field) -> bool) -> Vec<String> {
    let short =
        |field: &Field| format!("{} {}{}", field.name, field.kind.name(), if mark(field) { "?" } else { "" });
    fields.unwrap().iter().map(short).collect()
}

fn args_of<T: DeserializeOwned>() -> Vec<String> {
    short(args::<T>(), |field| field.optional)
}

fn columns_of<T: DeserializeOwned>() -> Vec<String> {
    short(columns::<T>(), |field| field.nullable)
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
enum Colour {
    Red,
    Green,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Metres(f64);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[allow(dead_code)]
struct Mixed {
    plain_name: String,
    #[serde(default)]
    dry_run: bool,
    #[serde(rename = "max", default = "seven")]
    limit: u32,
    note: Option<String>,
    colour: Colour,
    width: Metres,
    mark: char,
    #[serde(skip)]
    hidden: Vec<u8>,
}

fn seven() -> u32 {
    7
}

#[test]
fn required_and_optional_arguments_are_told_apart() {
    assert_eq!(
        args_of::<Mixed>(),
        [
            "plain-name text",
            "dry-run bool?",
            "max int?",
            "note text?",
            "colour text",
            "width float",
            "mark text"
        ]
    );
}

#[test]
fn only_options_are_nullable_columns() {
    assert_eq!(
        columns_of::<Mixed>(),
        [
            "plain-name text",
            "dry-run bool",
            "max int",
            "note text?",
            "colour text",
            "width float",
            "mark text"
        ]
    );
}

#[test]
fn a_default_of_the_whole_struct_makes_all_optional() {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    #[allow(dead_code)]
    struct All {
        a: u8,
        b: String,
    }
    assert_eq!(args_of::<All>(), ["a int?", "b text?"]);
}

#[test]
fn types_that_check_their_text_do_not_hide_what_follows() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Checked {
        address: IpAddr,
        fallback: Option<IpAddr>,
        path: PathBuf,
        count: std::num::NonZeroU8,
        #[serde(default)]
        after: u16,
    }
    let args = ["address text", "fallback text?", "path text", "count int", "after int?"];
    assert_eq!(args_of::<Checked>(), args);
    let columns = ["address text", "fallback text?", "path text", "count int", "after int"];
    assert_eq!(columns_of::<Checked>(), columns);
}

#[test]
fn a_type_that_refuses_every_sample_is_described_as_far_as_possible() {
    #[derive(Debug)]
    struct Never;
    impl<'de> Deserialize<'de> for Never {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            Err(serde::de::Error::custom(format_args!("{text} is never right")))
        }
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Args {
        never: Never,
        maybe: Option<u8>,
        after: u8,
    }
    assert_eq!(args_of::<Args>(), ["never text", "maybe int?", "after int"]);
}

#[test]
fn newtypes_and_conversions_are_looked_through() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        a: u8,
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Outer(Inner);
    #[derive(Deserialize)]
    #[serde(try_from = "Inner")]
    struct Converted;
    impl TryFrom<Inner> for Converted {
        type Error = &'static str;
        fn try_from(_: Inner) -> Result<Self, Self::Error> {
            Err("not today")
        }
    }
    assert_eq!(columns_of::<Outer>(), ["a int"]);
    assert_eq!(columns_of::<Converted>(), ["a int"]);
}

#[test]
fn the_types_of_this_crate_have_schemas() {
    assert_eq!(columns_of::<Line>(), ["line text"]);
    assert!(args_of::<NoArgs>().is_empty());
    assert!(args_of::<()>().is_empty());
    assert!(args_of::<std::collections::HashMap<String, String>>().is_empty());
}

#[test]
fn what_is_not_flat_is_named() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Deep {
        name: String,
        list: Vec<u8>,
    }
    assert!(matches!(columns::<Deep>(), Err(SchemaError::NotFlat { field: "list", .. })));
    assert!(matches!(columns::<String>(), Err(SchemaError::NotAStruct { .. })));
    assert!(matches!(columns::<(u8, u8)>(), Err(SchemaError::NotAStruct { .. })));
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Flattened {
        #[serde(flatten)]
        deep: Deep,
    }
    assert!(matches!(columns::<Flattened>(), Err(SchemaError::NotAStruct { .. })));
}
