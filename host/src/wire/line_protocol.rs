//! The wire form of Net::SimpleGrid: lines, some of which are commands, and what they mean.
//! `docs/line-protocol.md` is the user's side of this file. It must not know where lines come from or what
//! becomes of them.

use super::handshake::{MAGIC, PREAMBLE_BYTES};

/// Bytes of the hash that stands before each record of a partitioned run, padded with spaces.
pub(crate) const HASH_PREFIX_BYTES: usize = 10;

/// The package of Net::SimpleGrid's schedulers for slaves.
const SCHEDULER_PACKAGE: &str = "Net::SimpleGrid::ProcessScheduler::";

/// Which worker of a slave gets which line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LineScheduler {
    /// Any.
    #[default]
    RoundRobin,
    /// Lines with equal hashes meet in one worker. Each line begins with its hash.
    Partitioned,
}

/// What a line asks for if it is not a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineCommand {
    /// Whether the slave is to end when the client has gone.
    Done(bool),
    /// The scheduler for the lines that follow.
    Scheduler(LineScheduler),
    /// An unknown scheduler, or a property of one: Net::SimpleGrid's own classes had no properties, and its
    /// users' classes do not exist here.
    NoSuchScheduler {
        /// The command, and its value.
        text: String,
    },
    /// Something else, such as `-i NAME=VALUE` sends.
    Other {
        /// What to set or do.
        name: String,
        /// Its value.
        value: String,
    },
}

/// Why a line of a partitioned run has no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it does not begin with a hash (a number padded with spaces to {HASH_PREFIX_BYTES} characters), as every line must once its sender has chosen the partitioned scheduler"
)]
pub(crate) struct NoHash;

/// Whether a connection that began with these bytes can still turn out to be a peer's of ours: as far as they
/// go, they are our preamble.
pub(crate) fn may_be_preamble(bytes: &[u8]) -> bool {
    let seen = bytes.len().min(MAGIC.len());
    bytes.len() <= PREAMBLE_BYTES && bytes[..seen] == MAGIC[..seen]
}

impl LineCommand {
    /// The command in a line without its terminator; `None` if it is a record. Only `:NAME=VALUE` is a
    /// command: a line that begins with a colon and has no equals sign is a record (`Manager.pm`,
    /// `handleAdminCmd`).
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b":")?;
        let equals = memchr::memchr(b'=', rest)?;
        let name = String::from_utf8_lossy(&rest[..equals]).into_owned();
        let value = String::from_utf8_lossy(&rest[equals + 1..]).into_owned();
        Some(match name.to_lowercase().as_str() {
            "done" => Self::Done(is_yes(&value)),
            "scheduler" => match scheduler(&value) {
                Some(scheduler) => Self::Scheduler(scheduler),
                None => Self::NoSuchScheduler { text: format!("{name}={value}") },
            },
            property if property.starts_with("scheduler.") => {
                Self::NoSuchScheduler { text: format!("{name}={value}") }
            }
            _ => Self::Other { name, value },
        })
    }
}

/// Takes the hash off a line of a partitioned run.
///
/// # Errors
/// If it does not begin with one.
pub(crate) fn split_hash(line: &[u8]) -> Result<(&[u8], &[u8]), NoHash> {
    let (prefix, record) = line.split_at_checked(HASH_PREFIX_BYTES).ok_or(NoHash)?;
    let hash = prefix.trim_ascii_end();
    let digits = hash.strip_prefix(b"-").unwrap_or(hash);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NoHash);
    }
    Ok((hash, record))
}

/// Whether the value of the command `done` means yes: what Perl takes for true, after Net::SimpleGrid has
/// looked for a “no” and a “yes” anywhere in the word.
pub(crate) fn is_yes(value: &str) -> bool {
    let word = value.to_lowercase();
    !(word.contains("no") || word.is_empty() || word == "0")
}

fn scheduler(class: &str) -> Option<LineScheduler> {
    match class.strip_prefix(SCHEDULER_PACKAGE).unwrap_or(class) {
        "RoundRobinStrategy" | "round-robin" => Some(LineScheduler::RoundRobin),
        "PartitionedStrategy" | "partitioned" => Some(LineScheduler::Partitioned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_line_is_a_command_or_a_record_and_has_a_hash_or_none(
            line in prop::collection::vec(prop::sample::select(&b":::==  -019abc\xff\r"[..]), 0..20),
        ) {
            let is_command = line.first() == Some(&b':') && line.contains(&b'=');
            prop_assert_eq!(LineCommand::parse(&line).is_some(), is_command);
            if let Ok((hash, record)) = split_hash(&line) {
                prop_assert_eq!(record, &line[HASH_PREFIX_BYTES..]);
                prop_assert!(line.starts_with(hash) && !hash.is_empty());
            }
        }
    }

    #[test]
    fn a_command_is_a_colon_a_name_and_an_equals_sign() {
        let parse = |line: &str| LineCommand::parse(line.as_bytes());
        let other = |name: &str, value: &str| LineCommand::Other { name: name.into(), value: value.into() };
        assert_eq!(parse(":scpto=user@host:dir"), Some(other("scpto", "user@host:dir")));
        assert_eq!(parse(":a=b=c"), Some(other("a", "b=c")));
        assert_eq!(parse(":="), Some(other("", "")));
        for record in ["", ":", ":no equals sign", "a:b=c", " :a=b"] {
            assert_eq!(parse(record), None, "{record:?}");
        }
        assert!(LineCommand::parse(b":\xff=\xfe").is_some(), "whatever bytes it has");
    }

    #[test]
    fn done_is_taken_as_perl_takes_it() {
        for (value, done) in
            [("1", true), ("yes", true), ("2", true), ("0", false), ("", false), ("no", false), ("No", false)]
        {
            let line = format!(":Done={value}");
            assert_eq!(LineCommand::parse(line.as_bytes()), Some(LineCommand::Done(done)), "{line}");
        }
    }

    #[test]
    fn schedulers_are_known_by_their_classes() {
        let parse = |value: &str| LineCommand::parse(format!(":scheduler={value}").as_bytes());
        let package = "Net::SimpleGrid::ProcessScheduler";
        assert_eq!(
            parse(&format!("{package}::RoundRobinStrategy")),
            Some(LineCommand::Scheduler(LineScheduler::RoundRobin))
        );
        assert_eq!(
            parse(&format!("{package}::PartitionedStrategy")),
            Some(LineCommand::Scheduler(LineScheduler::Partitioned))
        );
        assert!(matches!(parse("My::Own"), Some(LineCommand::NoSuchScheduler { .. })));
        let property = LineCommand::parse(b":scheduler.weight=3");
        assert_eq!(property, Some(LineCommand::NoSuchScheduler { text: "scheduler.weight=3".into() }));
    }

    #[test]
    fn a_hash_is_a_number_in_ten_characters() {
        assert_eq!(split_hash(b"1234      a,b\n"), Ok((&b"1234"[..], &b"a,b\n"[..])));
        assert_eq!(split_hash(b"0123456789"), Ok((&b"0123456789"[..], &b""[..])));
        assert_eq!(split_hash(b"-5        x"), Ok((&b"-5"[..], &b"x"[..])));
        for line in [&b"a@example.org,1"[..], b"123", b"", b"          x", b"1 2       x", b"123\n"] {
            assert_eq!(split_hash(line), Err(NoHash), "{line:?}");
        }
    }

    #[test]
    fn our_own_peers_are_known_by_their_first_bytes() {
        for ours in [&b""[..], b"S", b"SIMPL", b"SIMPLEG", b"SIMPLEG\x01"] {
            assert!(may_be_preamble(ours), "{ours:?}");
        }
        for other in [&b":scheduler="[..], b"s", b"SIMPLE!", b"\n"] {
            assert!(!may_be_preamble(other), "{other:?}");
        }
    }
}
