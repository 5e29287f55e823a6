//! Values to offer to a type while it is being traced.

/// Texts for types that check what they are given: addresses, durations, dates, paths and the like. The first
/// one that a type accepts will do, because the value is not used.
pub(super) const SAMPLES: &[&str] = &[
    "",
    "0",
    "1",
    "a",
    "1s",
    "127.0.0.1",
    "127.0.0.1:1",
    "http://localhost/",
    "a@b.example",
    "2000-01-01",
    "2000-01-01T00:00:00Z",
    "00000000-0000-0000-0000-000000000000",
    "/",
];
