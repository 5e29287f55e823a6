//! Finds what a page says about itself: the first `<meta name="description">` that is not empty. Pure.
//!
//! Only what a browser treats as a tag counts: not what is in comments, scripts, styles, the text of a title,
//! `noscript`, or a `template`. Where on the page the tag stands does not matter, as in Net::SimpleGrid.

use std::io::{self, Read};

use html5gum::emitters::default::StartTag;
use html5gum::{DefaultEmitter, IoReader, Token, Tokenizer};

/// Reads a page in UTF-8 as far as its description, which is returned in one line.
pub(crate) fn description(page: impl Read) -> io::Result<Option<String>> {
    find(page, |tag| {
        let name = attribute(tag, "name")?;
        let is_it = name.trim().eq_ignore_ascii_case("description");
        let content = attribute(tag, "content").filter(|_| is_it)?;
        let line = content.split_whitespace().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then_some(line)
    })
}

/// The encoding that a page declares in its beginning. The page must be in some superset of ASCII.
pub(crate) fn declared_charset(beginning: &[u8]) -> Option<String> {
    let declared = find(beginning, |tag| {
        if let Some(charset) = attribute(tag, "charset") {
            return Some(charset);
        }
        let is_type = attribute(tag, "http-equiv")?.trim().eq_ignore_ascii_case("content-type");
        charset_of(&attribute(tag, "content").filter(|_| is_type)?)
    });
    declared.ok().flatten()
}

/// The `charset` of a content type such as `text/html; charset="utf-8"`.
pub(crate) fn charset_of(content_type: &str) -> Option<String> {
    let parameters = content_type.split(';').skip(1);
    let mut values = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    values.next().filter(|charset| !charset.is_empty())
}

/// A page that ends where reading fails, so that the tags before that place are still found.
struct Readable<R> {
    page: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for Readable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.error.is_some() {
            return Ok(0);
        }
        self.page.read(buffer).or_else(|error| {
            self.error = Some(error);
            Ok(0)
        })
    }
}

/// What `look` finds in the first meta tag in which it finds something. An error of the page counts only if
/// nothing was found before it.
fn find<T>(page: impl Read, look: impl Fn(&StartTag<()>) -> Option<T>) -> io::Result<Option<T>> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut templates = 0_usize;
    let mut page = Readable { page, error: None };
    for token in Tokenizer::new_with_emitter(IoReader::new(&mut page), emitter) {
        match token? {
            Token::StartTag(tag) => match tag.name.as_slice() {
                b"template" => templates += 1,
                b"meta" if templates == 0 => {
                    if let Some(found) = look(&tag) {
                        return Ok(Some(found));
                    }
                }
                _ => {}
            },
            Token::EndTag(tag) if tag.name.as_slice() == b"template" => {
                templates = templates.saturating_sub(1)
            }
            _ => {}
        }
    }
    page.error.map_or(Ok(None), Err)
}

/// The value of an attribute. Its entities are decoded already.
fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    let value = tag.attributes.get(name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(page: &str) -> Option<String> {
        description(page.as_bytes()).unwrap()
    }

    #[test]
    fn descriptions_are_found_however_they_are_written() {
        for (page, expected) in [
            (r#"<meta name="description" content="We make things.">"#, "We make things."),
            (r#"<meta content="We make things." name="description"/>"#, "We make things."),
            (r#"<META NAME="Description" CONTENT="We make things.">"#, "We make things."),
            (r#"<meta name='description' content='We "make" things.'>"#, r#"We "make" things."#),
            ("<meta name=description content=things>", "things"),
            ("<meta name = \"description\"\n\tcontent\n=\n\"things\" >", "things"),
            (r#"<meta name=" description " content="things">"#, "things"),
            (r#"<meta name="description" property="og:description" content="things">"#, "things"),
            (r#"<meta name="description" content="a" content="b">"#, "a"),
            ("<meta name=\"description\" content=\"one\r\n  two\tthree\u{a0}four \">", "one two three four"),
            (
                r#"<meta name="description" content="Fish &amp; chips &#8211; &eacute;&quot;&#x41;&lt;b&gt;&nbsp;x">"#,
                "Fish & chips – é\"A<b> x",
            ),
            (
                r#"<meta name="description" content="AT&T &copy &unknown; &#0; x">"#,
                "AT&T © &unknown; \u{fffd} x",
            ),
            (r#"<meta name="descripti&#111;n" content="things">"#, "things"),
            (r#"<meta name="description" content="a > b">"#, "a > b"),
            (r#"<meta name="description" content="用户 é">"#, "用户 é"),
            (
                r#"<meta name="description"><meta name="description" content=" "><meta name="description" content="second">"#,
                "second",
            ),
            (
                r#"<meta name="description" content="first"><meta name="description" content="second">"#,
                "first",
            ),
            (r#"</head><body><p><meta name="description" content="in the body">"#, "in the body"),
            (r#"<template></template><meta name="description" content="after">"#, "after"),
            (r#"<script>"<!-- "</script><meta name="description" content="after">"#, "after"),
            (r#"<noscript>x</noscript><style>a{}</style><meta name="description" content="after">"#, "after"),
            (r#"<!-- a --><!----><!-->--><meta name="description" content="after">"#, "after"),
            (r#"<meta name="description" content="no end"#, ""),
        ] {
            assert_eq!(of(page).unwrap_or_default(), expected, "{page}");
        }
    }

    #[test]
    fn what_is_no_description_is_none() {
        for page in [
            "",
            "plain text",
            r#"<meta name="descriptions" content="x">"#,
            r#"<meta name="keywords" content="description">"#,
            r#"<meta property="og:description" content="x">"#,
            r#"<meta http-equiv="description" content="x">"#,
            r#"<metadata name="description" content="x">"#,
            r#"<meta name="description">"#,
            r#"<!-- <meta name="description" content="x"> -->"#,
            r#"<!-- <meta name="description" content="x">"#,
            r#"<script>document.write('<meta name="description" content="x">')</script>"#,
            // A script in a comment in a script: its end is not the end (HTML, 13.2.5.26 and after).
            r#"<script>"<!-- <script>"</script><meta name="description" content="x">"#,
            r#"<SCRIPT type="text/template"><meta name="description" content="x"></SCRIPT>"#,
            r#"<style><meta name="description" content="x"></style>"#,
            r#"<title><meta name="description" content="x"></title>"#,
            r#"<textarea><meta name="description" content="x"></textarea>"#,
            r#"<noscript><meta name="description" content="x"></noscript>"#,
            r#"<iframe><meta name="description" content="x"></iframe>"#,
            r#"<template><meta name="description" content="x"></template>"#,
            r#"<template><template></template><meta name="description" content="x"></template>"#,
            r#"<p title='<meta name="description" content="x">'>"#,
            r#"<![CDATA[ <meta name="description" content="x" ]]>"#,
            r#"&lt;meta name="description" content="x"&gt;"#,
        ] {
            assert_eq!(of(page), None, "{page}");
        }
    }

    #[test]
    fn encodings_are_found_where_pages_declare_them() {
        for (page, expected) in [
            (r#"<meta charset="UTF-8">"#, Some("UTF-8")),
            (r#"<META CHARSET=latin1>"#, Some("latin1")),
            (r#"<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">"#, Some("koi8-r")),
            (r#"<meta content="text/html;CHARSET='koi8-r'" http-equiv=content-type>"#, Some("koi8-r")),
            (r#"<meta http-equiv="refresh" content="1; charset=x">"#, None),
            (r#"<!-- <meta charset="utf-8"> -->"#, None),
            (r#"<script>'<meta charset="utf-8">'</script>"#, None),
            ("<p>", None),
        ] {
            assert_eq!(declared_charset(page.as_bytes()).as_deref(), expected, "{page}");
        }
        assert_eq!(charset_of("text/html"), None);
        assert_eq!(charset_of("text/html; charset="), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_page(page: Vec<u8>) {
            let _ = description(page.as_slice());
            let _ = declared_charset(&page);
        }

        #[test]
        fn and_so_is_anything_like_one(parts in prop::collection::vec(prop::sample::select(vec![
            "<meta ", "name=", "description", "content=", "\"", "'", ">", "<!--", "-->", "<script", "</script", "<template>", "</template>", "&amp", "&#x", ";", " ", "x",
        ]), 0..40)) {
            if let Ok(Some(found)) = description(parts.concat().as_bytes()) {
                prop_assert!(!found.contains(['\n', '\r']) && found == found.trim());
            }
        }
    }
}
