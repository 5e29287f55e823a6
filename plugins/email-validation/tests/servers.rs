//! The whole task, against name and mail servers of our own.

use std::net::IpAddr;

use email_validation::EmailValidation;
use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::testing::TestGrid;
use simplegrid_test_servers::{Action, DnsServer, Need, SmtpServer, Step, neighbours, polite};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("it is an address")
}

/// A mail server with a script, the name server that leads to it as `mx.example.test` for the domain
/// `example.test`, and a task that asks them.
struct World {
    dns: DnsServer,
    smtp: SmtpServer,
}

impl World {
    fn with(script: impl Fn(Step<'_>) -> Action + Send + Sync + 'static) -> Self {
        let dns = DnsServer::start()
            .mx("example.test", 10, "mx.example.test")
            .address_of("mx.example.test", ip("127.0.0.1"));
        Self { dns, smtp: SmtpServer::start(script) }
    }

    fn polite() -> Self {
        Self::with(polite)
    }

    /// A server that answers lines beginning with `word` differently; the empty word stands for the greeting.
    fn that_says(word: &'static str, action: Action) -> Self {
        Self::with(move |step| if is(step, word) { action.clone() } else { polite(step) })
    }

    fn dns(mut self, change: impl FnOnce(DnsServer) -> DnsServer) -> Self {
        self.dns = change(self.dns);
        self
    }

    fn task(&self, args: &[(&str, &str)]) -> Validation {
        let (resolver, port) = (self.dns.address().to_string(), self.smtp.address().port().to_string());
        Validation::start(&[&[("resolver", resolver.as_str()), ("smtp-port", &port)], args].concat())
    }

    /// The score and the message of one address.
    #[track_caller]
    fn score(&self, address: &str) -> (u8, String) {
        self.task(&[]).score(address)
    }
}

struct Validation(TestGrid);

impl Validation {
    fn start(args: &[(&str, &str)]) -> Self {
        Self(TestGrid::start::<EmailValidation>(args).expect("the arguments are good"))
    }

    #[track_caller]
    fn score(&mut self, address: &str) -> (u8, String) {
        assert_eq!(self.0.handle(address), Status::Ok, "{}", self.0.last_message());
        let row = self.0.rows().pop().expect("there is a row");
        assert_eq!(row[0].as_deref(), Some(address));
        let score = row[1].as_deref().and_then(|score| score.parse().ok());
        (score.expect("a score is a number"), row[2].clone().unwrap_or_default())
    }

    /// Why an address must wait.
    #[track_caller]
    fn wait(&mut self, address: &str) -> String {
        assert_eq!(self.0.handle(address), Status::Retry, "{}", self.0.last_message());
        self.0.last_message()
    }
}

fn is(step: Step<'_>, word: &str) -> bool {
    match step.line {
        None => word.is_empty(),
        Some(line) => !word.is_empty() && line.starts_with(word),
    }
}

fn say(text: &str) -> Action {
    Action::Say(text.to_owned())
}

#[test]
fn a_user_exists_or_does_not() {
    let world = World::polite();
    let mut task = world.task(&[]);
    assert_eq!(task.score("joe@example.test"), (6, String::new()));
    assert_eq!(task.score("nobody@example.test"), (1, "550 5.1.1 no such user".into()));
    assert_eq!(task.0.finish(), Status::Ok);
    let lines: Vec<_> = world.smtp.lines().into_iter().map(|(_, line)| line).collect();
    let from = &lines[1];
    assert!(from.starts_with("MAIL FROM:<") && from.ends_with("@localhost>"), "{from}");
    assert_eq!(
        lines,
        [
            "EHLO localhost",
            from,
            "RCPT TO:<joe@example.test>",
            "RSET",
            from,
            "RCPT TO:<nobody@example.test>",
            "RSET",
            "QUIT"
        ]
    );
}

#[test]
fn what_is_said_about_us_can_be_chosen() {
    let world = World::polite();
    world
        .task(&[("smtpehlo", "probe.example.org"), ("smtpfrom", "check@example.org")])
        .score("joe@example.test");
    world.task(&[("smtpfrom", "<>")]).score("joe@example.test");
    assert_eq!(world.smtp.lines_with("EHLO"), ["EHLO probe.example.org", "EHLO localhost"]);
    assert_eq!(world.smtp.lines_with("MAIL"), ["MAIL FROM:<check@example.org>", "MAIL FROM:<>"]);
}

#[test]
fn bad_arguments_are_refused() {
    for (name, value, word) in [
        ("dlimit", "-2", "-1"),
        ("smtpehlo", "two words", "smtpehlo"),
        ("smtpehlo", "a\r\nb", "smtpehlo"),
        ("smtpfrom", "nobody", "no @"),
        ("smtpfrom", "a@b\r\nDATA", "smtpfrom"),
        ("smtpfrom", "jörg@example.org", "ASCII"),
        ("resolver", "dns.example", "name server"),
        ("connect-timeout", "soon", "duration"),
        ("smtp-port", "99999", "smtp-port"),
        ("dsn", "dbi:SQLite:x", "no task argument `dsn`"),
    ] {
        let said = TestGrid::start::<EmailValidation>(&[(name, value)]).unwrap_err();
        assert!(said.message.contains(word), "{name}={value}: {}", said.message);
    }
}

#[test]
fn what_is_no_address_has_a_score_of_nothing() {
    let world = World::polite();
    let mut task = world.task(&[]);
    for (record, reason) in [
        ("nobody", "no address: it has no @"),
        ("", "no address: it is empty"),
        (
            "joe@example..test",
            "no address: in a domain, a dot must not come first or last, or follow another dot",
        ),
    ] {
        assert_eq!(task.score(record), (0, reason.into()), "{record}");
    }
    assert_eq!(task.0.handle(b"joe@\xff"), Status::Reject);
    assert!(world.dns.questions().is_empty() && world.smtp.connections() == 0);
}

#[test]
fn blanks_around_an_address_are_no_part_of_it() {
    assert_eq!(World::polite().score("  joe@example.test ").0, 6);
}

#[test]
fn quoted_and_foreign_addresses_are_asked_about_as_they_are() {
    let world = World::with(|step| match step.line {
        Some(line) if line.starts_with("EHLO") => say("250-mx\r\n250 SMTPUTF8\r\n"),
        _ => polite(step),
    })
    .dns(|dns| dns.mx("xn--mnchen-3ya.test", 1, "mx.example.test"));
    let mut task = world.task(&[("smtpfrom", "<>")]);
    assert_eq!(task.0.handle(r#""""joe @ smith""@example.test""#), Status::Ok);
    assert_eq!(task.score("joe@MÜNCHEN.test").0, 6);
    assert_eq!(task.score("jörg@example.test").0, 6);
    assert_eq!(
        world.smtp.lines_with("RCPT"),
        [
            r#"RCPT TO:<"joe @ smith"@example.test>"#,
            "RCPT TO:<joe@xn--mnchen-3ya.test>",
            "RCPT TO:<jörg@example.test>"
        ]
    );
    assert_eq!(world.smtp.lines_with("MAIL")[2], "MAIL FROM:<> SMTPUTF8");
    // A server that cannot read the address is not asked.
    let (score, why) = World::polite().score("jörg@example.test");
    assert!(score == 2 && why.contains("SMTPUTF8"), "{score} {why}");
}

#[test]
fn a_domain_without_mail_has_a_score_of_nothing() {
    let world = World::polite().dns(|dns| dns.mx("null.test", 0, ".").alias("lost.test", "gone.test"));
    let mut task = world.task(&[]);
    let takes_none = "`null.test` says that it takes no mail (null MX)".to_owned();
    assert_eq!(task.score("joe@null.test"), (0, takes_none));
    assert_eq!(task.score("joe@gone.test"), (0, "there is no name `gone.test`".into()));
    assert_eq!(task.score("joe@lost.test").0, 0);
    assert_eq!(world.smtp.connections(), 0);
}

#[test]
fn a_domain_without_exchangers_is_its_own_host() {
    let world = World::polite().dns(|dns| dns.address_of("host.test", ip("127.0.0.1")));
    assert_eq!(world.score("joe@host.test").0, 6);
    assert_eq!(world.score("nobody@host.test").0, 1);
    assert_eq!(world.score("joe@[127.0.0.1]").0, 6);
}

#[test]
fn a_host_may_have_addresses_of_ipv6_only() {
    let Some(socket) = Need::Ipv6.check(std::net::TcpListener::bind("[::1]:0")) else { return };
    let world = World { dns: DnsServer::start(), smtp: SmtpServer::on(socket, polite) }.dns(|dns| {
        dns.mx("six.test", 1, "mx.six.test")
            .address_of("mx.six.test", ip("::1"))
            .address_of("own.test", ip("::1"))
    });
    assert_eq!(world.score("joe@six.test").0, 6);
    assert_eq!(world.score("joe@own.test").0, 6);
    assert_eq!(world.score("joe@[IPv6:::1]").0, 6);
}

#[test]
fn an_exchanger_that_is_not_there_tells_nothing() {
    let world = World::polite().dns(|dns| dns.mx("nowhere.test", 5, "gone.test"));
    let (score, why) = world.score("joe@nowhere.test");
    assert_eq!(
        (score, why.as_str()),
        (2, "mail host gone.test has no address: there is no name `gone.test`")
    );
    // But another host may.
    let world = world.dns(|dns| dns.mx("nowhere.test", 6, "mx.example.test"));
    assert_eq!(world.score("joe@nowhere.test").0, 6);
}

#[test]
fn aliases_lead_to_mail_hosts() {
    let world = World::polite().dns(|dns| {
        dns.alias("alias.test", "second.test")
            .alias("second.test", "example.test")
            .mx("other.test", 1, "mx-alias.test")
            .alias("mx-alias.test", "mx.example.test")
    });
    assert_eq!(world.score("joe@alias.test").0, 6);
    assert_eq!(world.score("nobody@other.test").0, 1);
}

#[test]
fn a_name_server_that_fails_makes_the_record_wait() {
    let world = World::polite().dns(|dns| dns.failing("failing.test").silent("silent.test"));
    let mut task = world.task(&[("dns-timeout", "200ms")]);
    for address in ["joe@failing.test", "joe@silent.test"] {
        assert_eq!(task.0.handle(address), Status::Retry, "{address}");
        assert!(task.0.last_message().contains("could not be looked up"), "{}", task.0.last_message());
    }
    assert!(task.0.rows().is_empty());
}

#[test]
fn replies_of_several_lines_are_one() {
    let reply =
        "550-5.1.1 The account that you tried to reach\r\n550-5.1.1 does not exist.\r\n550 5.1.1 Bye.\r\n";
    let world = World::that_says("RCPT", say(reply));
    let mut task = world.task(&[]);
    let expected = (1, "550 5.1.1 The account that you tried to reach does not exist. Bye.".to_owned());
    assert_eq!(task.score("joe@example.test"), expected);
    // Nothing of it is left over for the next address.
    assert_eq!(task.score("ann@example.test"), expected);
    assert_eq!(world.smtp.connections(), 1);
    assert_eq!(world.task(&[("message-max", "9")]).score("joe@example.test").1, "550 5.1.1");
}

#[test]
fn refusals_that_are_not_about_the_user_tell_nothing() {
    for (word, reply) in [
        ("RCPT", "451 4.7.1 greylisted, try again in five minutes"),
        ("RCPT", "450 4.2.1 busy"),
        ("RCPT", "550 5.7.1 your network is on a list"),
        ("RCPT", "550 relaying denied"),
        ("RCPT", "553 your network is blocked"),
        ("RCPT", "552 5.2.2 mailbox full"),
        ("MAIL", "550 5.7.1 bad sender"),
        ("MAIL", "451 4.3.0 later"),
        ("MAIL", "530 5.7.0 must issue a STARTTLS command first"),
        ("", "554 5.7.1 no service for you"),
        ("", "450 4.3.2 too busy"),
        ("EHLO", "450 4.3.2 too busy"),
    ] {
        let world = World::that_says(word, say(&format!("{reply}\r\n")));
        let (score, why) = world.score("joe@example.test");
        assert!(score == 2 && why.ends_with(reply), "{word}: {reply}: {score} {why}");
    }
}

#[test]
fn a_server_without_ehlo_is_greeted_the_old_way() {
    let world = World::that_says("EHLO", say("502 5.5.1 what?\r\n"));
    assert_eq!(world.score("joe@example.test").0, 6);
    assert_eq!(world.smtp.lines_with("HELO"), ["HELO localhost"]);
}

#[test]
fn one_connection_serves_many_addresses_and_domains() {
    let world = World::polite().dns(|dns| dns.mx("other.test", 1, "mx.example.test"));
    let mut task = world.task(&[]);
    for number in 0..20 {
        assert_eq!(task.score(&format!("joe{number}@example.test")).0, 6);
        assert_eq!(task.score(&format!("no{number}@other.test")).0, 1);
    }
    drop(task);
    assert_eq!((world.smtp.connections(), world.smtp.lines_with("QUIT").len()), (1, 1));
    // DNS was asked once for each name.
    assert_eq!(world.dns.questions().len(), 4);
}

#[test]
fn connections_are_not_kept_without_end() {
    let world = World::polite().dns(|dns| {
        (0..8).fold(dns, |dns, number| {
            dns.mx(&format!("d{number}.test"), 1, &format!("mx{number}.test"))
                .address_of(&format!("mx{number}.test"), ip("127.0.0.1"))
        })
    });
    let mut task = world.task(&[]);
    for number in 0..8 {
        assert_eq!(task.score(&format!("joe@d{number}.test")).0, 6);
    }
    assert_eq!((world.smtp.connections(), world.smtp.lines_with("QUIT").len()), (8, 4));
    // The last four are still open.
    for number in 4..8 {
        assert_eq!(task.score(&format!("ann@d{number}.test")).0, 6);
    }
    assert_eq!(world.smtp.connections(), 8);
}

#[test]
fn a_limit_of_conversations_holds_for_each_domain() {
    let world = World::polite().dns(|dns| dns.mx("other.test", 1, "mx.example.test"));
    let mut task = world.task(&[("dlimit", "2")]);
    let mut scores = Vec::new();
    for address in [
        "a@example.test",
        "no@example.test",
        "b@example.test",
        "no2@Example.test",
        "c@other.test",
        "bad address",
    ] {
        scores.push(task.score(address).0);
    }
    assert_eq!(scores, [6, 1, 2, 2, 6, 0]);
    assert_eq!(task.score("d@example.test").1, "not asked: dlimit is reached for its domain");
    assert_eq!(world.smtp.lines_with("RCPT").len(), 3);
    // No conversations at all, and all of them.
    assert_eq!(world.task(&[("dlimit", "0")]).score("no@example.test").0, 2);
    assert_eq!(world.task(&[("dlimit", "-1")]).score("no@example.test").0, 1);
}

#[test]
fn goodbye_in_the_middle_means_a_new_connection() {
    // The server allows two recipients per connection.
    let recipients = std::sync::Mutex::new(std::collections::BTreeMap::<usize, usize>::new());
    let world = World::with(move |step| {
        if is(step, "RCPT") {
            let mut recipients = recipients.lock().unwrap();
            let count = recipients.entry(step.connection).or_default();
            *count += 1;
            if *count > 2 {
                return Action::SayAndClose("421-4.7.0 too many\r\n421 4.7.0 recipients\r\n".into());
            }
        }
        polite(step)
    });
    let mut task = world.task(&[]);
    for number in 0..6 {
        assert_eq!(task.score(&format!("joe{number}@example.test")).0, 6);
    }
    assert_eq!(world.smtp.connections(), 3);
}

#[test]
fn a_host_that_says_goodbye_or_cuts_the_connection_is_left_alone_and_the_record_tried_again() {
    for (word, reply, said) in [
        ("", "421 4.3.2 not now\r\n", "has said goodbye: 421 4.3.2 not now"),
        ("EHLO", "421 4.3.2 not now\r\n", "has said goodbye: 421 4.3.2 not now"),
        ("MAIL", "421 4.3.2 not now\r\n", "has said goodbye: 421 4.3.2 not now"),
        ("RCPT", "421 4.3.2 not now\r\n", "has said goodbye: 421 4.3.2 not now"),
        ("", "", "has closed the connection"),
        ("EHLO", "", "has closed the connection"),
        ("MAIL", "", "has closed the connection"),
        ("RCPT", "", "has closed the connection"),
    ] {
        let world = World::that_says(word, Action::SayAndClose(reply.into()));
        let mut task = world.task(&[]);
        // The host may be called again after a second, on a busy machine perhaps in the middle of this loop.
        for _ in 0..20 {
            let why = task.wait("joe@example.test");
            assert!(why.ends_with(said), "{word}: {why}");
        }
        assert!(world.smtp.connections() <= 6, "{word}: {}", world.smtp.connections());
        assert!(task.0.rows().is_empty());
    }
}

#[test]
fn a_host_that_sent_us_away_is_asked_again_later() {
    let world = World::with(|step| match step.connection {
        0 | 1 => Action::SayAndClose("421 4.3.2 not now\r\n".into()),
        _ => polite(step),
    });
    let mut task = world.task(&[("dlimit", "1")]);
    let mut tries = 0;
    // Each wait is a call of the host's at most, so the loop ends with the second rest.
    while task.0.handle("joe@example.test") != Status::Ok {
        tries += 1;
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        assert!(tries < 10_000, "it is never asked again");
    }
    // What did not come about does not count for the limit either.
    assert_eq!(task.0.rows().pop().expect("there is a row")[1].as_deref(), Some("6"));
    assert_eq!(world.smtp.connections(), 3);
}

#[test]
fn another_host_answers_for_one_that_sends_us_away() {
    let mut sockets = neighbours(2);
    let first = SmtpServer::on(sockets.remove(0), |_| Action::SayAndClose("421 no\r\n".into()));
    let second = SmtpServer::on(sockets.remove(0), polite);
    let dns = DnsServer::start()
        .mx("example.test", 10, "a.test")
        .mx("example.test", 20, "b.test")
        .address_of("a.test", ip("127.0.0.1"))
        .address_of("b.test", ip("127.0.0.2"));
    let world = World { dns, smtp: second };
    let mut task = world.task(&[]);
    for _ in 0..5 {
        assert_eq!(task.score("joe@example.test").0, 6);
    }
    assert!(first.connections() <= 3);
}

#[test]
fn an_unasked_goodbye_is_not_an_answer() {
    // The server says goodbye after the answer to RSET, as if it were being shut down.
    let world = World::with(|step| match is(step, "RSET") && step.connection == 0 {
        true => Action::SayAndClose("250 ok\r\n421 4.3.2 shutting down\r\n".into()),
        false => polite(step),
    });
    let mut task = world.task(&[]);
    assert_eq!(task.score("joe@example.test").0, 6);
    assert_eq!(task.score("nobody@example.test").0, 1);
    assert_eq!(world.smtp.connections(), 2);
}

#[test]
fn an_answer_counts_even_if_the_server_closes_after_it() {
    let world = World::that_says("RSET", Action::SayAndClose(String::new()));
    let mut task = world.task(&[]);
    assert_eq!(task.score("joe@example.test").0, 6);
    assert_eq!(task.score("no@example.test").0, 1);
}

#[test]
fn a_silent_server_is_waited_for_no_longer_than_allowed() {
    for word in ["", "EHLO", "MAIL", "RCPT"] {
        let world = World::that_says(word, Action::Silence);
        let (score, why) = world.task(&[("command-timeout", "100ms")]).score("joe@example.test");
        assert!(score == 2 && why.contains("does not answer"), "{word}: {score} {why}");
        assert_eq!(world.smtp.connections(), 1, "{word}");
    }
    // All together, too.
    let world = World::that_says("RCPT", Action::Silence);
    let (score, why) = world.task(&[("timeout", "300ms")]).score("joe@example.test");
    assert!(score == 2 && why.contains("does not answer"), "{score} {why}");
}

#[test]
fn a_host_that_lets_us_wait_is_left_alone_for_a_while() {
    let world = World::that_says("", Action::Silence);
    let mut task = world.task(&[("command-timeout", "100ms")]);
    for _ in 0..5 {
        let (score, why) = task.score("joe@example.test");
        assert!(score == 2 && why.contains("does not answer"), "{score} {why}");
    }
    assert_eq!(world.smtp.connections(), 1);
}

#[test]
fn a_host_that_is_silent_when_it_is_asked_is_left_alone_for_a_while() {
    for word in ["EHLO", "MAIL", "RCPT"] {
        let world = World::that_says(word, Action::Silence);
        let mut task = world.task(&[("command-timeout", "100ms")]);
        for _ in 0..5 {
            let (score, why) = task.score("joe@example.test");
            assert!(score == 2 && why.contains("does not answer"), "{word}: {score} {why}");
        }
        assert_eq!(world.smtp.connections(), 1, "{word}");
    }
}

#[test]
fn what_is_no_smtp_tells_nothing() {
    for (word, action) in [
        ("", say("HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("", say("\r\n")),
        ("", say("\u{0}\u{1}\u{2}\r\n")),
        ("EHLO", say("250-mx\r\n550 no\r\n")),
        ("MAIL", say("2500 ok\r\n")),
        ("RCPT", say("yes\r\n")),
        ("RCPT", Action::SayForEver("250-more\r\n".into())),
        ("RCPT", Action::SayForEver("x".into())),
    ] {
        let world = World::that_says(word, action.clone());
        let (score, why) = world.score("joe@example.test");
        assert!(score == 2 && why.starts_with("mail host"), "{word} {action:?}: {score} {why}");
    }
}

#[test]
fn an_unasked_answer_is_not_taken_for_the_next_one() {
    // Two replies to MAIL: if the second were taken for the one to RCPT, a user would seem to exist.
    let world = World::that_says("MAIL", say("250 ok\r\n250 ok\r\n"));
    let (score, why) = world.score("nobody@example.test");
    assert!(score == 2 && why.contains("before it is asked"), "{score} {why}");
    // Two replies to RCPT: it is unknown which one is meant.
    let world = World::that_says("RCPT", say("250 ok\r\n550 5.1.1 no\r\n"));
    let (score, why) = world.score("joe@example.test");
    assert!(score == 2 && why.contains("before it is asked"), "{score} {why}");
    // Two replies to RSET: the answer before them counts, and the next address gets a new connection.
    let world = World::that_says("RSET", say("250 ok\r\n250 ok\r\n"));
    let mut task = world.task(&[]);
    assert_eq!((task.score("joe@example.test").0, task.score("nobody@example.test").0), (6, 1));
    assert_eq!(world.smtp.connections(), 2);
}

#[test]
fn the_next_host_is_asked_if_one_cannot_say() {
    // Nothing listens at the first address, and the server at the second refuses.
    let mut sockets = neighbours(2);
    let second = SmtpServer::on(sockets.remove(0), |_| Action::SayAndClose("554 no\r\n".into()));
    let third = SmtpServer::on(sockets.remove(0), polite);
    let dns = DnsServer::start()
        .mx("example.test", 30, "c.test")
        .mx("example.test", 10, "a.test")
        .mx("example.test", 20, "b.test")
        .address_of("a.test", ip("127.0.0.9"))
        .address_of("b.test", ip("127.0.0.1"))
        .address_of("c.test", ip("127.0.0.2"));
    let world = World { dns, smtp: third };
    let mut task = world.task(&[]);
    assert_eq!(task.score("joe@example.test").0, 6);
    assert_eq!(task.score("nobody@example.test").0, 1);
    assert_eq!((second.connections(), world.smtp.connections()), (2, 1));
}

#[test]
fn the_preferred_host_is_asked_alone() {
    let mut sockets = neighbours(2);
    let first = SmtpServer::on(sockets.remove(0), |step| match is(step, "RCPT") {
        true => say("450 4.7.1 greylisted\r\n"),
        false => polite(step),
    });
    let second = SmtpServer::on(sockets.remove(0), polite);
    let dns = DnsServer::start()
        .mx("example.test", 20, "b.test")
        .mx("example.test", 10, "a.test")
        .address_of("a.test", ip("127.0.0.1"))
        .address_of("b.test", ip("127.0.0.2"));
    let world = World { dns, smtp: first };
    // The other host may take everything and know nothing.
    assert_eq!(world.score("joe@example.test").0, 2);
    assert_eq!(second.connections(), 0);
}

#[test]
fn another_address_of_a_host_is_tried_if_one_does_not_answer() {
    let world = World::polite().dns(|dns| {
        dns.mx("two.test", 1, "mx.two.test")
            .address_of("mx.two.test", ip("127.0.0.9"))
            .address_of("mx.two.test", ip("127.0.0.1"))
    });
    assert_eq!(world.score("joe@two.test").0, 6);
}
