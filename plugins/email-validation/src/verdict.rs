//! What a reply to RCPT says about a user: that it exists, that it does not, or nothing. Pure.

use crate::reply::Reply;

/// How words begin that a refusal has when it means the sender, in lower case.
const ABOUT_THE_SENDER: [&str; 16] = [
    "relay",
    "block",
    "blacklist",
    "blackhole",
    "denylist",
    "listed",
    "banned",
    "policy",
    "policies",
    "spam",
    "denied",
    "rbl",
    "dnsbl",
    "reputation",
    "spf",
    "greylist",
];

/// Phrases with such words that mean the user all the same. The first is how Postfix says that it does not
/// know a user for whom it would relay.
const ABOUT_THE_USER: [&str; 3] = ["relay recipient table", "not listed", "not currently listed"];

/// What is known about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server takes mail for the user.
    Exists,
    /// The server says that there is no such user.
    NoSuchUser(String),
    /// Whether the user exists is unknown, for this reason.
    NotTold(String),
    /// No host that could know had time for us, for this reason. Later one may.
    NotNow(String),
}

impl Verdict {
    /// The verdict that follows from a reply to RCPT.
    ///
    /// If there is an enhanced code, it counts, because the plain code cannot tell an unknown user from an
    /// unwelcome sender: 550 stands for both. Without one, the text is searched for words about the sender.
    pub(crate) fn of_recipient(reply: &Reply) -> Self {
        // 252 is for servers that take the mail but cannot say whether the user exists (RFC 5321, 3.5.3).
        if reply.is_good() && reply.code() != 252 {
            return Self::Exists;
        }
        if reply.is_permanent() && says_no_such_user(reply) {
            return Self::NoSuchUser(reply.to_string());
        }
        Self::NotTold(reply.to_string())
    }
}

fn says_no_such_user(reply: &Reply) -> bool {
    match reply.enhanced() {
        // RFC 3463, 3.2: about the recipient's address. 4 means that it is ambiguous, 5 that it is valid, 7
        // and 8 are about the sender's address, and 9 is about another server. 10 means a domain
        // without mail (RFC 7505).
        // 0 says no more than the plain code.
        Some(code) if (code.subject, code.detail) == (1, 0) => !is_about_the_sender(reply),
        Some(code) if code.subject == 1 => matches!(code.detail, 1..=3 | 6 | 10),
        // RFC 3463, 3.3: disabled. A full mailbox (2) exists.
        Some(code) if code.subject == 2 => code.detail == 1,
        // Policy (7), and the rest: systems, networks, protocols.
        Some(_) => false,
        // Not found, not here, not a possible name. The other codes are about this server, this mail or this
        // command.
        None => matches!(reply.code(), 550 | 551 | 553 | 556) && !is_about_the_sender(reply),
    }
}

/// Whether the text of a refusal speaks of the sender, its network or a rule, and not of the user.
///
/// Words with an `@` do not count, because servers repeat the address that they were asked about.
fn is_about_the_sender(reply: &Reply) -> bool {
    let text = reply.to_string().to_lowercase();
    let words = text.split_whitespace().filter(|word| !word.contains('@'));
    let text = words.collect::<Vec<_>>().join(" ");
    let text = ABOUT_THE_USER.iter().fold(text, |text, phrase| text.replace(phrase, " "));
    text.split(|c: char| !c.is_alphanumeric())
        .any(|word| ABOUT_THE_SENDER.iter().any(|beginning| word.starts_with(beginning)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::ReplyParser;

    fn verdict(text: &str) -> Verdict {
        Verdict::of_recipient(&ReplyParser::default().push(text.as_bytes()).unwrap().unwrap())
    }

    #[test]
    fn a_user_that_mail_is_taken_for_exists() {
        for text in ["250 ok", "250 2.1.5 ok", "251 will forward", "250 5.1.1 what?"] {
            assert_eq!(verdict(text), Verdict::Exists, "{text}");
        }
    }

    #[test]
    fn a_user_that_the_server_does_not_know_does_not_exist() {
        for text in [
            "550 no such user",
            "551 user not local",
            "553 no",
            "556 no mail here",
            "550 5.1.1 unknown",
            "554 5.1.1 unknown",
            "550 5.1.0 rejected",
            "550 5.1.2 no such host",
            "550 5.1.3 bad",
            "550 5.1.6 moved",
            "550 5.2.1 disabled",
            "556 5.1.10 null mx",
            // Not an enhanced code of this reply.
            "550 4.7.1 user unknown",
        ] {
            assert_eq!(verdict(text), Verdict::NoSuchUser(text.into()), "{text}");
        }
    }

    #[test]
    fn a_refusal_of_the_sender_is_no_word_about_the_user() {
        for text in [
            "550 relaying denied",
            "550 Relay access denied",
            "551 we do not relay",
            "553 sorry, that domain isn't in my list of allowed rcpthosts; no relaying",
            "550 blocked",
            "550 Your IP 192.0.2.1 is BLOCKED, see https://example.org/",
            "550 192.0.2.1 is listed at zen.spamhaus.org",
            "553 your address is blacklisted",
            "550 rejected by local policy",
            "550 looks like spam",
            "550 Access denied",
            "550 5.1.0 sender is blocked",
            "550 5.7.0 no such user",
            "550 5.7.1 <joe@example.com>: unknown",
            "554 5.7.606 Access denied, banned sending IP",
        ] {
            assert_eq!(verdict(text), Verdict::NotTold(text.into()), "{text}");
        }
    }

    #[test]
    fn words_that_only_look_like_a_refusal_of_the_sender_do_not_hide_an_unknown_user() {
        for text in [
            "550 <spam@blocked.example>: no such user",
            "550 spam@policy.example unknown",
            "550 User unknown in relay recipient table",
            "550 user is not listed in the directory",
            "550 5.1.1 unknown; access denied",
            "550 no mailbox in antispam.example",
        ] {
            assert_eq!(verdict(text), Verdict::NoSuchUser(text.into()), "{text}");
        }
    }

    #[test]
    fn everything_else_tells_nothing() {
        for text in [
            "252 cannot verify",
            "354 go on",
            "421 4.3.2 closing",
            "450 4.2.0 greylisted",
            "451 4.7.1 try again later",
            "452 4.2.2 full",
            "450 no such user, perhaps",
            "500 what?",
            "503 bad sequence",
            "530 5.7.0 must issue STARTTLS first",
            "550 5.7.1 blocked",
            "550 5.7.26 unauthenticated",
            "550 5.1.7 bad sender",
            "550 5.1.8 bad sender's domain",
            "550 5.4.1 access denied",
            "552 5.2.2 full",
            "552 full",
            "554 no",
            "554 5.7.1 relay access denied",
        ] {
            assert_eq!(verdict(text), Verdict::NotTold(text.into()), "{text}");
        }
    }
}
