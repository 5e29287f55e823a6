//! From a record's first field to the pages to ask for. Pure.

use url::Url;

/// Why a text leads to no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("neither a URL nor a domain: it is empty")]
    Empty,
    #[error("`{0}` is neither a URL nor a domain: {1}")]
    Invalid(String, url::ParseError),
    #[error("`{0}` is neither a URL nor a domain: it has an @, as an e-mail address does")]
    MailAddress(String),
    #[error("{0}: only http and https can be fetched")]
    Scheme(String),
}

/// The pages to ask for, in this order: a second page is only for the case that nothing serves the first.
///
/// As in Net::SimpleGrid (`Task/CompanyDescriptionTask.pm`), a domain is fetched over http. If nothing
/// listens there, https is tried, unless the text names a port.
pub(crate) fn targets(text: &str) -> Result<Vec<Url>, TargetError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TargetError::Empty);
    }
    if has_scheme(text) {
        return Ok(vec![parse(text)?]);
    }
    if authority(text).contains('@') {
        return Err(TargetError::MailAddress(text.to_owned()));
    }
    let first = parse(&format!("http://{text}"))?;
    let mut second = first.clone();
    let is_changed = first.port().is_none() && !names_port(text) && second.set_scheme("https").is_ok();
    Ok(if is_changed { vec![first, second] } else { vec![first] })
}

/// Reads an absolute URL.
pub(crate) fn parse(text: &str) -> Result<Url, TargetError> {
    check(Url::parse(text).map_err(|error| TargetError::Invalid(text.to_owned(), error))?)
}

/// Reads a URL that a page redirects to.
pub(crate) fn follow(from: &Url, to: &str) -> Result<Url, TargetError> {
    check(from.join(to.trim()).map_err(|error| TargetError::Invalid(to.to_owned(), error))?)
}

fn check(url: Url) -> Result<Url, TargetError> {
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(TargetError::Scheme(url.to_string())),
    }
}

/// Whether the text begins with a scheme, as `ftp://` does. `example.org:80` does not.
fn has_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// Whether the text names a port. The usual port counts, too, although a URL does not keep it.
fn names_port(text: &str) -> bool {
    authority(text)
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// What comes before the path in a text without a scheme.
fn authority(text: &str) -> &str {
    text.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        targets(text).unwrap().into_iter().map(String::from).collect()
    }

    #[test]
    fn urls_are_taken_as_they_are() {
        assert_eq!(of("http://example.org"), ["http://example.org/"]);
        assert_eq!(of(" HTTPS://Example.ORG/a?b#c "), ["https://example.org/a?b#c"]);
        assert_eq!(of("http://bücher.example/ä b"), ["http://xn--bcher-kva.example/%C3%A4%20b"]);
    }

    #[test]
    fn domains_are_asked_for_over_http_and_then_https() {
        assert_eq!(of("example.org"), ["http://example.org/", "https://example.org/"]);
        assert_eq!(
            of("example.org/shop?u=http://x"),
            ["http://example.org/shop?u=http://x", "https://example.org/shop?u=http://x"]
        );
        assert_eq!(of("münchen.de"), ["http://xn--mnchen-3ya.de/", "https://xn--mnchen-3ya.de/"]);
        assert_eq!(of("example.org:8080"), ["http://example.org:8080/"]);
        assert_eq!(of("example.org:80/x"), ["http://example.org:80/x".replace(":80", "")]);
        assert_eq!(of("[2001:db8::1]"), ["http://[2001:db8::1]/", "https://[2001:db8::1]/"]);
        // However an address is written, it is seen to be one.
        assert_eq!(of("2130706433")[0], "http://127.0.0.1/");
        assert_eq!(of("0x7f.1")[0], "http://127.0.0.1/");
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        assert_eq!(targets("  "), Err(TargetError::Empty));
        assert!(matches!(targets("joe@example.org"), Err(TargetError::MailAddress(_))));
        assert!(matches!(targets("mailto:joe@example.org"), Err(TargetError::MailAddress(_))));
        assert!(targets("example.org/@joe").is_ok());
        assert!(matches!(targets("ftp://example.org/"), Err(TargetError::Scheme(_))));
        assert!(matches!(targets("file:///etc/passwd"), Err(TargetError::Scheme(_))));
        for text in ["http://", "two words", "example.org:99999", "[::1", "http://exa mple.org/"] {
            assert!(matches!(targets(text), Err(TargetError::Invalid(..))), "{text}: {:?}", targets(text));
        }
    }

    #[test]
    fn redirects_are_relative_to_where_they_stand() {
        let from = parse("https://example.org/a/b").unwrap();
        let to = |text: &str| follow(&from, text).map(String::from);
        assert_eq!(to("c"), Ok("https://example.org/a/c".into()));
        assert_eq!(to("/c"), Ok("https://example.org/c".into()));
        assert_eq!(to("//other.org/"), Ok("https://other.org/".into()));
        assert_eq!(to("http://x.org/ä"), Ok("http://x.org/%C3%A4".into()));
        assert!(to("javascript:alert(1)").is_err() && to("file:///etc/passwd").is_err());
    }
}
