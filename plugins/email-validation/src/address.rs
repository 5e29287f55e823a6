//! What an e-mail address can look like: the `Mailbox` of RFC 5321, with the letters of RFC 6531.
//!
//! Comments, display names and folding are not allowed: they belong to the headers of a message (RFC 5322),
//! not to the place that it is sent to. An address that passes here contains no control character, so it can
//! be put into a command as it is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most bytes of a local part (RFC 5321, 4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;

/// The most bytes of a label (RFC 1035, 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// The most bytes of a domain as text: the 255 of RFC 5321 (4.5.3.1.2) and RFC 1035 count a length before
/// each label and the root.
const DOMAIN_BYTES_MAX: usize = 253;

/// The most bytes of an address: the 256 of a path (RFC 5321, 4.5.3.1.3) without its brackets.
const ADDRESS_BYTES_MAX: usize = 254;

/// An address that mail could be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    local: String,
    domain: Domain,
}

/// Where its mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Domain {
    /// A name in lower-case ASCII letters, as in DNS.
    Name(String),
    /// The address of a machine.
    Literal(IpAddr),
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("it is empty")]
    Empty,
    #[error("it has no @")]
    NoAt,
    #[error("there is nothing before the @")]
    NoLocal,
    #[error("there is nothing after the @")]
    NoDomain,
    #[error("{0:?} is not allowed before the @ without quotes")]
    LocalCharacter(char),
    #[error("before the @, a dot must not come first or last, or follow another dot")]
    LocalDots,
    #[error("the quotes before the @ are not closed")]
    OpenQuote,
    #[error("{0:?} is not allowed in quotes")]
    QuotedCharacter(char),
    #[error("the quotes are followed by {0:?} instead of an @")]
    AfterQuote(char),
    #[error("there are {0} bytes before the @, and {LOCAL_BYTES_MAX} are allowed")]
    LongLocal(usize),
    #[error("{0:?} is not allowed in a domain")]
    DomainCharacter(char),
    #[error("in a domain, a dot must not come first or last, or follow another dot")]
    DomainDots,
    #[error("a part of a domain must not begin or end with a hyphen")]
    Hyphen,
    #[error("a part of the domain has {0} bytes, and {LABEL_BYTES_MAX} are allowed")]
    LongLabel(usize),
    #[error("the domain has {0} bytes, and {DOMAIN_BYTES_MAX} are allowed")]
    LongDomain(usize),
    #[error("a domain cannot end in a number")]
    NumericEnd,
    #[error("the domain cannot be written in DNS")]
    NotInDns,
    #[error("`{0}` is not the address of a machine: write [192.0.2.1] or [IPv6:2001:db8::1]")]
    Literal(String),
    #[error("it has {0} bytes, and {ADDRESS_BYTES_MAX} are allowed")]
    Long(usize),
}

impl Address {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let end = if text.starts_with('"') { end_of_quoted(text)? } else { end_of_atoms(text)? };
        let (local, domain) = (&text[..end], &text[end + 1..]);
        if local.len() > LOCAL_BYTES_MAX {
            return Err(AddressError::LongLocal(local.len()));
        }
        let address = Self { local: local.to_owned(), domain: Domain::parse(domain)? };
        match address.to_string().len() {
            bytes if bytes > ADDRESS_BYTES_MAX => Err(AddressError::Long(bytes)),
            _ => Ok(address),
        }
    }

    /// Where its mail goes.
    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether a server must know SMTPUTF8 to be asked about it.
    pub(crate) fn needs_utf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

/// The address as it is written in a command.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl Domain {
    fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::NoDomain);
        }
        if text.starts_with('[') {
            let literal = literal(text).ok_or_else(|| AddressError::Literal(text.to_owned()))?;
            return Ok(Self::Literal(literal));
        }
        if text.is_ascii() && !has_encoded_label(text) {
            check_name(text)?;
            return Ok(Self::Name(text.to_ascii_lowercase()));
        }
        let name = idna::domain_to_ascii_strict(text).map_err(|_| AddressError::NotInDns)?;
        check_name(&name)?;
        Ok(Self::Name(name))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

/// The place of the `@` after a local part without quotes, which is atoms with dots between them.
fn end_of_atoms(text: &str) -> Result<usize, AddressError> {
    let end = text.find('@').ok_or(AddressError::NoAt)?;
    let local = &text[..end];
    if local.is_empty() {
        return Err(AddressError::NoLocal);
    }
    if let Some(wrong) = local.chars().find(|&c| !is_atom(c) && c != '.') {
        return Err(AddressError::LocalCharacter(wrong));
    }
    if local.split('.').any(str::is_empty) {
        return Err(AddressError::LocalDots);
    }
    Ok(end)
}

/// The place of the `@` after a local part in quotes.
fn end_of_quoted(text: &str) -> Result<usize, AddressError> {
    let mut chars = text.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => {
                return match chars.next() {
                    Some((_, '@')) => Ok(index + 1),
                    Some((_, other)) => Err(AddressError::AfterQuote(other)),
                    None => Err(AddressError::NoAt),
                };
            }
            '\\' => match chars.next() {
                Some((_, ' '..='~')) => {}
                Some((_, other)) => return Err(AddressError::QuotedCharacter(other)),
                None => return Err(AddressError::OpenQuote),
            },
            ' '..='~' => {}
            c if is_letter_beyond_ascii(c) => {}
            other => return Err(AddressError::QuotedCharacter(other)),
        }
    }
    Err(AddressError::OpenQuote)
}

/// `atext` of RFC 5322, with the letters of RFC 6531.
fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_letter_beyond_ascii(c)
}

fn is_letter_beyond_ascii(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace()
}

/// Whether a label claims to stand for international letters (RFC 5890, 2.3.1).
fn has_encoded_label(name: &str) -> bool {
    name.split('.').any(|label| label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--")))
}

/// Checks a name in ASCII: labels of letters, digits and hyphens, with dots between them.
fn check_name(name: &str) -> Result<(), AddressError> {
    if let Some(wrong) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !".-".contains(*c)) {
        return Err(AddressError::DomainCharacter(wrong));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(AddressError::DomainDots);
        }
        if label.len() > LABEL_BYTES_MAX {
            return Err(AddressError::LongLabel(label.len()));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(AddressError::Hyphen);
        }
    }
    if name.len() > DOMAIN_BYTES_MAX {
        return Err(AddressError::LongDomain(name.len()));
    }
    // That would be the address of a machine without its brackets (RFC 3696, 2).
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(AddressError::NumericEnd);
    }
    Ok(())
}

fn literal(text: &str) -> Option<IpAddr> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    match inside.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
            inside[5..].parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => inside.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_addresses_are_taken() {
        for (text, sent) in [
            ("joe@example.com", "joe@example.com"),
            ("Joe.Smith+tag@Example.COM", "Joe.Smith+tag@example.com"),
            ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
            ("1@2.example", "1@2.example"),
            ("joe@localhost", "joe@localhost"),
            (r#""joe smith"@example.com"#, r#""joe smith"@example.com"#),
            (r#""a@b\"c\\d"@example.com"#, r#""a@b\"c\\d"@example.com"#),
            (r#"""@example.com"#, r#"""@example.com"#),
            ("joe@[192.0.2.1]", "joe@[192.0.2.1]"),
            ("joe@[IPv6:2001:DB8::1]", "joe@[IPv6:2001:db8::1]"),
            ("joe@[ipv6:::1]", "joe@[IPv6:::1]"),
            ("joe@münchen.de", "joe@xn--mnchen-3ya.de"),
            ("joe@BÜCHER.example", "joe@xn--bcher-kva.example"),
            ("joe@XN--MNCHEN-3ya.de", "joe@xn--mnchen-3ya.de"),
            ("joe@faß.de", "joe@xn--fa-hia.de"),
            ("joe@ｍünchen。de", "joe@xn--mnchen-3ya.de"),
            ("joe_smith@example.com", "joe_smith@example.com"),
            ("jörg@example.com", "jörg@example.com"),
            ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
            (r#""jörg x"@example.com"#, r#""jörg x"@example.com"#),
        ] {
            assert_eq!(
                Address::parse(text).map(|address| address.to_string()),
                Ok(sent.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn bad_addresses_are_refused_with_the_reason() {
        for (text, error) in [
            ("", AddressError::Empty),
            ("nobody", AddressError::NoAt),
            ("@example.com", AddressError::NoLocal),
            ("joe@", AddressError::NoDomain),
            ("joe smith@example.com", AddressError::LocalCharacter(' ')),
            ("Joe <joe@example.com>", AddressError::LocalCharacter(' ')),
            ("joe(comment)@example.com", AddressError::LocalCharacter('(')),
            ("a,b@example.com", AddressError::LocalCharacter(',')),
            ("joe\r\nRCPT TO:<x@y>@example.com", AddressError::LocalCharacter('\r')),
            ("joe\u{a0}@example.com", AddressError::LocalCharacter('\u{a0}')),
            ("joe\u{85}@example.com", AddressError::LocalCharacter('\u{85}')),
            (".joe@example.com", AddressError::LocalDots),
            ("joe.@example.com", AddressError::LocalDots),
            ("jo..e@example.com", AddressError::LocalDots),
            (r#""joe@example.com"#, AddressError::OpenQuote),
            (r#""joe\"#, AddressError::OpenQuote),
            (r#""joe""#, AddressError::NoAt),
            (r#""joe"x@example.com"#, AddressError::AfterQuote('x')),
            (r#""joe".x@example.com"#, AddressError::AfterQuote('.')),
            ("\"jo\ne\"@example.com", AddressError::QuotedCharacter('\n')),
            ("\"jo\\\ne\"@example.com", AddressError::QuotedCharacter('\n')),
            ("\"jo\u{0}e\"@example.com", AddressError::QuotedCharacter('\u{0}')),
            ("joe@a@b.example", AddressError::DomainCharacter('@')),
            ("joe@exa_mple.com", AddressError::DomainCharacter('_')),
            ("joe@_dmarc.example.com", AddressError::DomainCharacter('_')),
            ("(comment)joe@example.com", AddressError::LocalCharacter('(')),
            ("joe@example.com(comment)", AddressError::DomainCharacter('(')),
            ("joe@(comment)example.com", AddressError::DomainCharacter('(')),
            ("joe@xn--a.de", AddressError::NotInDns),
            ("joe@xn--.de", AddressError::NotInDns),
            ("joe@example.com ", AddressError::DomainCharacter(' ')),
            ("joe@.example.com", AddressError::DomainDots),
            ("joe@example.com.", AddressError::DomainDots),
            ("joe@example..com", AddressError::DomainDots),
            ("joe@-example.com", AddressError::Hyphen),
            ("joe@example-.com", AddressError::Hyphen),
            ("joe@192.0.2.1", AddressError::NumericEnd),
            ("joe@münchen_x.de", AddressError::NotInDns),
            ("joe@\u{fffd}.de", AddressError::NotInDns),
            ("joe@[192.0.2.1", AddressError::Literal("[192.0.2.1".into())),
            ("joe@[192.0.2.256]", AddressError::Literal("[192.0.2.256]".into())),
            ("joe@[2001:db8::1]", AddressError::Literal("[2001:db8::1]".into())),
            ("joe@[IPv6:192.0.2.1]", AddressError::Literal("[IPv6:192.0.2.1]".into())),
            ("joe@[]", AddressError::Literal("[]".into())),
            ("joe@[é]", AddressError::Literal("[é]".into())),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn lengths_are_those_of_the_standard() {
        let parse = |local: usize, domain: &str| Address::parse(&format!("{}@{domain}", "l".repeat(local)));
        assert!(parse(64, "example.com").is_ok());
        assert_eq!(parse(65, "example.com"), Err(AddressError::LongLocal(65)));
        let label = |bytes: usize| "d".repeat(bytes);
        assert!(parse(1, &format!("{}.com", label(63))).is_ok());
        assert_eq!(parse(1, &format!("{}.com", label(64))), Err(AddressError::LongLabel(64)));
        let domain = |last: usize| format!("{0}.{0}.{0}.{1}", label(63), label(last));
        // 3 × 64 bytes and the last label make 252 and 254.
        assert!(parse(1, &domain(60)).is_ok());
        assert_eq!(parse(2, &domain(60)), Err(AddressError::Long(255)));
        assert_eq!(parse(1, &domain(62)), Err(AddressError::LongDomain(254)));
        assert_eq!(parse(64, &domain(60)), Err(AddressError::Long(317)));
        // Bytes, not letters.
        assert_eq!(
            Address::parse(&format!("{}@example.com", "é".repeat(33))),
            Err(AddressError::LongLocal(66))
        );
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_dangerous_passes(text in r#"[a-z"\\@.\[\]<>é \r\n\x00:0-9]{0,24}"#) {
            if let Ok(address) = Address::parse(&text) {
                let sent = address.to_string();
                prop_assert!(!sent.contains(|c: char| c.is_control()), "{sent:?}");
                prop_assert_eq!(Address::parse(&sent), Ok(address));
            }
        }
    }
}
