//! The domain of an e-mail address as a partition key, for every plugin that reads addresses.
//!
//! It has four partitioners, and nothing else. They are here, and not in one of the plugins, because a
//! library can contain only one `export!`, so a plugin cannot be built on another one. No record fails here:
//! whether an address is valid is for the task to say.

mod net_simplegrid;

use std::borrow::Cow;

use simplegrid_plugin_api::{Partitioner, Record, Result};

/// Addresses of one domain meet, however the domain is written: in capitals, with a dot at its end, or in
/// international letters instead of those that DNS uses.
#[derive(Debug, Clone, Copy)]
pub struct ByEmailDomain;

/// Addresses meet if their domains have the last two labels in common, as in Net::SimpleGrid
/// (`Scheduler/PartitionedStrategy/ByEmailDomain.pm`): those of `a.example.org` and `b.example.org`, but also
/// all of `co.uk`.
#[derive(Debug, Clone, Copy)]
pub struct ByEmailDomainTwoLabels;

/// Addresses meet if their domains belong to one owner, by the rules of the public suffix list: those of
/// `a.example.co.uk` and `b.example.co.uk`, but not of `other.co.uk`.
#[derive(Debug, Clone, Copy)]
pub struct ByRegistrableDomain;

/// Addresses meet if Net::SimpleGrid's `ByEmailDomain` gives them the same number. That is 0 for all
/// addresses whose domain has none of a dozen endings, so these all meet in one worker.
#[derive(Debug, Clone, Copy)]
pub struct ByEmailDomainOfNetSimpleGrid;

impl Partitioner for ByEmailDomainOfNetSimpleGrid {
    fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> Result {
        key.extend_from_slice(net_simplegrid::hash(record.line()).to_string().as_bytes());
        Ok(())
    }
}

impl Partitioner for ByEmailDomain {
    fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> Result {
        key.extend_from_slice(&domain_of(record));
        Ok(())
    }
}

impl Partitioner for ByEmailDomainTwoLabels {
    fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> Result {
        key.extend_from_slice(last_two_labels(&domain_of(record)));
        Ok(())
    }
}

impl Partitioner for ByRegistrableDomain {
    fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> Result {
        key.extend_from_slice(registrable(&domain_of(record)));
        Ok(())
    }
}

/// What follows the last `@` of the first field, in the form that DNS uses. (An earlier `@` may be quoted,
/// and then belongs to the name.) If the field has no `@`, the whole field counts as a domain: the task will
/// report what is wrong with it, wherever it runs.
fn domain_of<'r>(record: &Record<'r>) -> Cow<'r, [u8]> {
    let address = record.bytes(0).unwrap_or_default();
    let start = memchr::memrchr(b'@', address).map_or(0, |at| at + 1);
    normal(address[start..].trim_ascii())
}

/// A domain in lower-case ASCII letters, without a dot at its end. Bytes that are not UTF-8 stay as they are.
fn normal(domain: &[u8]) -> Cow<'_, [u8]> {
    if !domain.is_ascii() {
        // International full stops become dots here, too.
        let Some(text) = std::str::from_utf8(domain).ok() else { return Cow::Borrowed(domain) };
        let text = idna::domain_to_ascii(text).unwrap_or_else(|_| text.to_lowercase());
        return Cow::Owned(text.trim_end_matches('.').as_bytes().to_vec());
    }
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    if domain.iter().any(u8::is_ascii_uppercase) {
        return Cow::Owned(domain.to_ascii_lowercase());
    }
    Cow::Borrowed(domain)
}

fn last_two_labels(domain: &[u8]) -> &[u8] {
    let dot = |within: &[u8]| memchr::memrchr(b'.', within);
    match dot(domain).and_then(|last| dot(&domain[..last])) {
        Some(before) if !is_literal(domain) => &domain[before + 1..],
        _ => domain,
    }
}

/// A domain that is a public suffix itself is its own owner.
fn registrable(domain: &[u8]) -> &[u8] {
    match psl::domain(domain) {
        Some(found) if !is_literal(domain) => found.as_bytes(),
        _ => domain,
    }
}

/// Whether it is the address of a machine, as in `joe@[192.0.2.1]`, whose dots do not separate labels.
fn is_literal(domain: &[u8]) -> bool {
    domain.starts_with(b"[")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simplegrid_plugin_api::testing::key_of;

    use super::*;

    /// The keys of all three, in the order in which they are declared.
    fn keys(line: &str) -> [String; 3] {
        let key = |key: std::result::Result<Vec<u8>, _>| String::from_utf8(key.unwrap()).unwrap();
        [
            key(key_of(&ByEmailDomain, line)),
            key(key_of(&ByEmailDomainTwoLabels, line)),
            key(key_of(&ByRegistrableDomain, line)),
        ]
    }

    #[test]
    fn keys_are_made_of_domains() {
        for (line, full, two, registrable) in [
            ("joe@example.com", "example.com", "example.com", "example.com"),
            ("joe@Mail.EXAMPLE.com.,x", "mail.example.com", "example.com", "example.com"),
            ("joe@a.example.co.uk", "a.example.co.uk", "co.uk", "example.co.uk"),
            ("joe@co.uk", "co.uk", "co.uk", "co.uk"),
            ("joe@www.city.kawasaki.jp", "www.city.kawasaki.jp", "kawasaki.jp", "city.kawasaki.jp"),
            ("joe@a.joe.github.io", "a.joe.github.io", "github.io", "joe.github.io"),
            ("joe@a.b.nosuchtld", "a.b.nosuchtld", "b.nosuchtld", "b.nosuchtld"),
            ("joe@localhost", "localhost", "localhost", "localhost"),
            (r#""""a@b.org""@example.org""#, "example.org", "example.org", "example.org"),
            ("joe@[192.0.2.1]", "[192.0.2.1]", "[192.0.2.1]", "[192.0.2.1]"),
            ("joe@[IPv6:2001:db8::1]", "[ipv6:2001:db8::1]", "[ipv6:2001:db8::1]", "[ipv6:2001:db8::1]"),
            ("nobody", "nobody", "nobody", "nobody"),
            ("joe@", "", "", ""),
            ("", "", "", ""),
            ("joe@.", "", "", ""),
            ("joe@a..b", "a..b", ".b", ".b"),
        ] {
            assert_eq!(keys(line), [full, two, registrable], "{line}");
        }
    }

    #[test]
    fn net_simplegrids_number_is_a_key() {
        for (line, key) in [("joe@a.example.com,x", "1113"), ("joe@example.de", "0"), ("nobody", "0")] {
            assert_eq!(key_of(&ByEmailDomainOfNetSimpleGrid, line).unwrap(), key.as_bytes(), "{line}");
        }
    }

    #[test]
    fn a_domain_in_its_own_letters_is_the_one_in_dns() {
        for line in ["joe@MÜNCHEN.de", "joe@xn--mnchen-3ya.de", "joe@xn--mnchen-3YA.de.", "joe@münchen。de"]
        {
            assert_eq!(keys(line), ["xn--mnchen-3ya.de"; 3], "{line}");
        }
        // The list of public suffixes is known in both forms.
        assert_eq!(keys("joe@a.b.公司.cn")[2], "b.xn--55qx5d.cn");
    }

    #[test]
    fn what_is_no_text_is_a_key_as_it_is() {
        assert_eq!(key_of(&ByEmailDomain, b"joe@\xff.ORG").unwrap(), b"\xff.ORG");
        assert_eq!(key_of(&ByRegistrableDomain, b"joe@\xff.ORG").unwrap().last(), Some(&b'G'));
    }

    proptest! {
        #[test]
        fn no_record_fails(line: Vec<u8>) {
            prop_assert!(key_of(&ByEmailDomain, &line).is_ok());
            prop_assert!(key_of(&ByEmailDomainTwoLabels, &line).is_ok());
            prop_assert!(key_of(&ByRegistrableDomain, &line).is_ok());
            prop_assert!(key_of(&ByEmailDomainOfNetSimpleGrid, &line).is_ok());
        }

        #[test]
        fn coarser_keys_are_ends_of_finer_ones(domain in "[a-z.]{0,20}") {
            let [full, two, registrable] = keys(&format!("joe@{domain}"));
            prop_assert!(full.ends_with(&two) && full.ends_with(&registrable), "{full} {two} {registrable}");
        }
    }
}
