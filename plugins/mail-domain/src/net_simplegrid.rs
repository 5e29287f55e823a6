//! The partitions of Net::SimpleGrid, to the number, for those whose tasks count on them. Pure: it knows no
//! grid.
//!
//! Its hash of an address is the sum of the bytes of the last two labels of the domain. A domain counts only
//! if it has one of a few endings, in small letters, somewhere; all other addresses have the hash 0, and so
//! have lines that `Text::CSV_XS` cannot read (`Scheduler/PartitionedStrategy.pm` and
//! `Scheduler/PartitionedStrategy/ByEmailDomain.pm`).

use std::borrow::Cow;

/// What must follow a dot in a domain.
const ENDINGS: [&[u8]; 14] = [
    b"com", b"net", b"org", b"edi", b"mil", b"gov", b"int", b"biz", b"info", b"name", b"pro", b"aero",
    b"coop", b"museum",
];

/// The hash of a line.
pub(super) fn hash(line: &[u8]) -> u64 {
    let field = first_field(line);
    let domain = field.as_deref().and_then(domain).unwrap_or_default();
    last_two_labels(domain).iter().map(|byte| u64::from(*byte)).sum()
}

/// The first field, if the whole line is CSV as strict as `Text::CSV_XS` wants it by default: quotes stand
/// only around a whole field, and doubled within it.
fn first_field(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (first, mut rest) = field(line)?;
    while let Some(next) = rest {
        rest = field(next)?.1;
    }
    Some(first)
}

/// A field, and what follows the comma after it.
type Field<'a> = (Cow<'a, [u8]>, Option<&'a [u8]>);

/// The field at the beginning of a text, if it can be read.
fn field(text: &[u8]) -> Option<Field<'_>> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        return quoted_field(quoted);
    }
    let end = memchr::memchr(b',', text).unwrap_or(text.len());
    let is_plain = memchr::memchr2(b'"', b'\r', &text[..end]).is_none();
    is_plain.then(|| (Cow::Borrowed(&text[..end]), text.get(end + 1..)))
}

/// The field whose opening quote is before `text`. A quote and a zero digit stand for a zero byte.
fn quoted_field(text: &[u8]) -> Option<Field<'_>> {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        let quote = at + memchr::memchr(b'"', &text[at..])?;
        content.extend_from_slice(&text[at..quote]);
        match text.get(quote + 1) {
            Some(b'"') => content.push(b'"'),
            Some(b'0') => content.push(0),
            Some(b',') => return Some((Cow::Owned(content), Some(&text[quote + 2..]))),
            None => return Some((Cow::Owned(content), None)),
            Some(_) => return None,
        }
        at = quote + 2;
    }
}

/// What follows the first `@` that has a domain after it, up to the last of the endings there.
fn domain(field: &[u8]) -> Option<&[u8]> {
    memchr::memchr_iter(b'@', field).find_map(|at| {
        let after = &field[at + 1..];
        let end = after.iter().position(|byte| !is_of_domain(*byte)).unwrap_or(after.len());
        up_to_last_ending(&after[..end])
    })
}

fn is_of_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// At least one byte, and then the last dot that is followed by one of the endings. More may follow it, as in
/// `example.community`.
fn up_to_last_ending(text: &[u8]) -> Option<&[u8]> {
    memchr::memrchr_iter(b'.', text).filter(|dot| *dot > 0).find_map(|dot| {
        let ending = ENDINGS.iter().find(|ending| text[dot + 1..].starts_with(ending))?;
        Some(&text[..dot + 1 + ending.len()])
    })
}

fn last_two_labels(domain: &[u8]) -> &[u8] {
    let mut dots = memchr::memrchr_iter(b'.', domain);
    dots.nth(1).map_or(domain, |dot| &domain[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Net::SimpleGrid's own code computes for these lines: the number, a tab, and the line.
    const HASHES: &str = include_str!("net_simplegrid/hashes.txt");

    #[test]
    fn the_hash_is_the_one_that_net_simplegrid_computes() {
        let pairs: Vec<_> = HASHES.split('\n').filter_map(|line| line.split_once('\t')).collect();
        assert!(pairs.len() > 300, "{}", pairs.len());
        let wrong: Vec<_> =
            pairs.iter().filter(|(number, line)| hash(line.as_bytes()).to_string() != *number).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_carriage_return_outside_quotes_is_unreadable() {
        assert_eq!(hash(b"x\r@y.com"), 0);
        assert_eq!(hash(b"\"x\r@y.com\""), hash(b"x@y.com"));
    }
}
