//! What is fuzzed: one function for each target, which accepts any bytes and panics if a promise is broken.
//!
//! `fuzz/` calls them with bytes that a fuzzer makes up, and the test `corpus` with those in `fuzz/corpus/`.
//! No time passes, no thread runs, and nothing is random: the same bytes always do the same.

mod chunks;
pub mod codec;
mod csv_reference;
mod fields;
mod frame;
mod message;
mod records;
mod report;
mod script;

pub use fields::fields;
pub use frame::frame;
pub use message::message;
pub use records::records;
pub use report::report;

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 5] =
    [("fields", fields), ("frame", frame), ("message", message), ("records", records), ("report", report)];
