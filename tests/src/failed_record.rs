//! A line of `--failed FILE`.

use serde_json::Value;

/// A record that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRecord {
    /// Its place in the input, from zero.
    pub seq: u64,
    /// Its text, or its bytes as base64.
    pub record: String,
    /// `base64` if the record is encoded that way.
    pub encoding: Option<String>,
    /// The word for the reason.
    pub reason: String,
    /// The message.
    pub message: String,
    /// How often it was run.
    pub attempts: u64,
}

impl FailedRecord {
    /// All lines of a file, in the order of the input.
    pub fn all(file: &[u8]) -> Vec<Self> {
        let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut all: Vec<_> = lines.map(Self::parse).collect();
        all.sort_by_key(|failed| failed.seq);
        all
    }

    fn parse(line: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(line).expect("every line is JSON");
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let number = |name: &str| value[name].as_u64().expect("it is a number");
        Self {
            seq: number("seq"),
            record: text("record").expect("the record is a text"),
            encoding: text("encoding"),
            reason: text("reason").expect("the reason is a word"),
            message: text("message").expect("the message is a text"),
            attempts: number("attempts"),
        }
    }
}
