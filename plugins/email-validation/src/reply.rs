//! What a mail server says: makes one reply out of its lines (RFC 5321, 4.2), and reads the codes in it.
//! Pure.

use std::fmt;

/// The most bytes of one line. The standard says 512 (RFC 5321, 4.5.3.1.5), but some servers write long URLs
/// without counting.
pub(crate) const LINE_BYTES_MAX: usize = 4096;

/// The most lines of one reply. EHLO has some twenty; a server that sends more than this will never stop.
const LINES_MAX: usize = 128;

/// A whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    code: u16,
    lines: Vec<String>,
}

/// The lines of a reply that is not complete yet.
#[derive(Debug, Default)]
pub(crate) struct ReplyParser {
    code: Option<u16>,
    lines: Vec<String>,
}

/// Why some lines are not a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplyError {
    #[error("it does not speak SMTP: {0:?}")]
    NotSmtp(String),
    #[error("it says {0} and {1} in one reply")]
    TwoCodes(u16, u16),
    #[error("its reply has more than {LINES_MAX} lines")]
    TooManyLines,
    #[error("its reply has a line of more than {LINE_BYTES_MAX} bytes")]
    LongLine,
}

/// Three numbers that say more than the plain code (RFC 3463).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnhancedCode {
    /// 2, 4 or 5, as the first digit of the code.
    pub(crate) class: u16,
    /// What it is about: 1 addresses, 2 mailboxes, 7 policy.
    pub(crate) subject: u16,
    /// What exactly.
    pub(crate) detail: u16,
}

impl ReplyParser {
    /// Takes the next line, without its line end. Returns the reply if this was its last line.
    pub(crate) fn push(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(ReplyError::LongLine);
        }
        let (code, rest) = split(line).ok_or_else(|| ReplyError::NotSmtp(excerpt(line)))?;
        match self.code {
            Some(before) if before != code => return Err(ReplyError::TwoCodes(before, code)),
            _ => self.code = Some(code),
        }
        self.lines.push(printable(rest.get(1..).unwrap_or_default()));
        if rest.first() != Some(&b'-') {
            self.code = None;
            return Ok(Some(Reply { code, lines: std::mem::take(&mut self.lines) }));
        }
        if self.lines.len() >= LINES_MAX {
            return Err(ReplyError::TooManyLines);
        }
        Ok(None)
    }
}

impl Reply {
    /// The reply's code: 200 to 599.
    pub(crate) fn code(&self) -> u16 {
        self.code
    }

    /// Whether the reply means yes.
    pub(crate) fn is_good(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether the reply means no, today and tomorrow.
    pub(crate) fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Whether the server closes the connection with it (RFC 5321, 3.8).
    pub(crate) fn is_goodbye(&self) -> bool {
        self.code == 421
    }

    /// Whether one of the lines begins with this word. In a reply to EHLO, the lines say what a server
    /// supports.
    pub(crate) fn offers(&self, word: &str) -> bool {
        let first =
            |line: &String| line.split(' ').next().is_some_and(|known| known.eq_ignore_ascii_case(word));
        self.lines.iter().skip(1).any(first)
    }

    /// The enhanced code, if there is one and it fits the plain code.
    pub(crate) fn enhanced(&self) -> Option<EnhancedCode> {
        self.lines.iter().find_map(|line| enhanced(line)).filter(|code| code.class == self.code / 100)
    }
}

/// The reply in one line: the code, the enhanced code once, and the texts.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        let mut shown = None;
        for line in &self.lines {
            let code = enhanced(line);
            let text = match code {
                Some(_) if code == shown => line.split_once(' ').map_or("", |(_, text)| text),
                _ => line,
            };
            shown = code.or(shown);
            for word in text.split_whitespace() {
                write!(f, " {word}")?;
            }
        }
        Ok(())
    }
}

/// The code and what follows it: nothing, or else a space or hyphen and a text.
fn split(line: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let is_code = matches!(digits, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']);
    if !is_code || !matches!(rest.first(), None | Some(b' ' | b'-')) {
        return None;
    }
    Some((digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0')), rest))
}

fn enhanced(line: &str) -> Option<EnhancedCode> {
    let mut numbers = line.split(' ').next()?.split('.').map(|number| match number.len() {
        1..=3 if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok(),
        _ => None,
    });
    let mut next = || numbers.next().flatten();
    let code = EnhancedCode { class: next()?, subject: next()?, detail: next()? };
    match numbers.next() {
        None if matches!(code.class, 2 | 4 | 5) => Some(code),
        _ => None,
    }
}

/// The bytes as text that can be shown anywhere.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim_end().to_owned()
}

/// The beginning of a line that is not a reply, for an error message.
fn excerpt(bytes: &[u8]) -> String {
    printable(&bytes[..bytes.len().min(60)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Option<Reply>, ReplyError> {
        let mut parser = ReplyParser::default();
        let mut reply = None;
        for line in text.lines() {
            assert!(reply.is_none(), "a line after the end: {text:?}");
            reply = parser.push(line.as_bytes())?;
        }
        Ok(reply)
    }

    #[track_caller]
    fn reply(text: &str) -> Reply {
        parse(text).unwrap().expect("the reply is complete")
    }

    #[test]
    fn replies_are_read() {
        for (text, code, shown) in [
            ("250 ok", 250, "250 ok"),
            ("250", 250, "250"),
            ("250 ", 250, "250"),
            ("550 5.1.1 no such user", 550, "550 5.1.1 no such user"),
            ("550-5.1.1 no such\n550 5.1.1 user here", 550, "550 5.1.1 no such user here"),
            ("550-no such\n550-\n550 user", 550, "550 no such user"),
            ("550-5.1.1\n550 5.1.1", 550, "550 5.1.1"),
            ("450-4.2.0 later\n450 4.7.1 much later", 450, "450 4.2.0 later 4.7.1 much later"),
            ("550 a\tb\u{1b}[31m", 550, "550 a b [31m"),
        ] {
            let reply = reply(text);
            assert_eq!((reply.code(), reply.to_string().as_str()), (code, shown), "{text}");
        }
    }

    #[test]
    fn a_reply_goes_on_until_its_last_line() {
        assert_eq!(parse("250-one\n250-two"), Ok(None));
        let mut parser = ReplyParser::default();
        assert!(parser.push(b"250-one").unwrap().is_none());
        assert!(parser.push(b"250 two").unwrap().is_some());
        // And the next one begins anew.
        assert_eq!(parser.push(b"550 three").unwrap().unwrap().to_string(), "550 three");
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for text in [
            "",
            "ok",
            "25",
            "2500 ok",
            "150 wait",
            "650 x",
            "25x ok",
            "250:ok",
            "HTTP/1.1 400 Bad",
            " 250 ok",
        ] {
            let mut parser = ReplyParser::default();
            assert!(matches!(parser.push(text.as_bytes()), Err(ReplyError::NotSmtp(_))), "{text:?}");
        }
        assert_eq!(parse("550-no\n250 yes"), Err(ReplyError::TwoCodes(550, 250)));
    }

    #[test]
    fn endless_replies_end() {
        let mut parser = ReplyParser::default();
        let end = (0..=LINES_MAX).find_map(|_| parser.push(b"250-more").err());
        assert_eq!(end, Some(ReplyError::TooManyLines));
        let long = [b"250 ".as_slice(), &vec![b'x'; LINE_BYTES_MAX]].concat();
        assert_eq!(ReplyParser::default().push(&long), Err(ReplyError::LongLine));
    }

    #[test]
    fn enhanced_codes_are_found_where_they_belong() {
        let code = |text: &str| reply(text).enhanced().map(|code| (code.class, code.subject, code.detail));
        assert_eq!(code("550 5.1.1 x"), Some((5, 1, 1)));
        assert_eq!(code("550 5.1.10"), Some((5, 1, 10)));
        assert_eq!(code("550-what\n550 5.7.1 x"), Some((5, 7, 1)));
        for none in [
            "550 no 5.1.1",
            "550 4.1.1 x",
            "550 5.1 x",
            "550 5.1.1.1 x",
            "550 5.1.1234 x",
            "550 5.1.x",
            "550 +5.1.1",
        ] {
            assert_eq!(code(none), None, "{none}");
        }
    }

    #[test]
    fn a_server_says_what_it_knows() {
        let reply = reply("250-smtputf8.example\n250-SIZE 1000\n250 SmtpUtf8");
        assert!(reply.offers("SMTPUTF8") && reply.offers("size"));
        assert!(!reply.offers("8BITMIME") && !reply.offers("smtputf8.example"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_reply_or_an_error(lines: Vec<Vec<u8>>) {
            let mut parser = ReplyParser::default();
            for line in lines {
                if let Ok(Some(reply)) = parser.push(&line) {
                    prop_assert!((200..600).contains(&reply.code()));
                    prop_assert!(!reply.to_string().contains(char::is_control));
                    let _ = reply.enhanced();
                }
            }
        }

        #[test]
        fn almost_replies_too(lines in prop::collection::vec("[2-5][0-9]{2}[- ]?[0-9. -]{0,12}", 0..8)) {
            let mut parser = ReplyParser::default();
            for line in lines {
                if let Ok(Some(reply)) = parser.push(line.as_bytes()) {
                    prop_assert!(reply.to_string().starts_with(&reply.code().to_string()));
                    let _ = reply.enhanced();
                }
            }
        }
    }
}
