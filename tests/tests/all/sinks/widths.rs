//! Tables whose columns are narrower than what a task writes: texts are shortened and counted, or their
//! records fail, as the sink's address says. A key is never shortened.

use std::net::{IpAddr, Ipv4Addr};

use simplegrid_test_servers::{Action, DnsServer, SmtpServer, polite};
use simplegrid_tests::Grid;

use super::place::{self, Place};

/// What Net::SimpleGrid makes for its task `EmailValidationTask`.
const PERLS_TABLE: &str =
    "CREATE TABLE email_validation (address varchar(100), score int, message varchar(100))";

/// The databases in which a declared length means something.
fn places(grid: &Grid) -> Vec<Place<'static>> {
    place::all(grid).into_iter().filter(|place| place.name() != "sqlite").collect()
}

#[test]
fn a_verdict_whose_message_is_too_long_for_the_perl_table_is_kept_with_a_shorter_message() {
    let grid = Grid::new();
    let dns = DnsServer::start().mx("d.test", 10, "mx.d.test");
    let dns = dns.address_of("mx.d.test", IpAddr::V4(Ipv4Addr::LOCALHOST));
    let smtp = SmtpServer::start(|step| match step.line {
        Some(line) if line.contains("RCPT") => {
            Action::Say(format!("550 5.1.1 no such user {}\r\n", "\u{e4}".repeat(300)))
        }
        _ => polite(step),
    });
    for place in places(&grid) {
        place.run(PERLS_TABLE);
        let run = grid
            .run("email-validation")
            .task_arg("resolver", dns.address().to_string())
            .task_arg("smtp-port", smtp.address().port().to_string())
            .arg("--sink")
            .arg(place.sink("email_validation"))
            .input("joe@d.test\njane@d.test\nnobody\n");
        let run = run.finish().expect(0).expect_counts(3, 3, 0);
        for said in [
            "the column `message` of the table email_validation holds 100 characters: longer texts are shortened",
            "a text was shortened to 100 characters for the column `message`",
            "texts that were shortened for the column `message`: 2",
        ] {
            assert_eq!(run.stderr.matches(said).count(), 1, "{}: {said}: {}", place.name(), run.stderr);
        }
        let found = place.query("SELECT score, message FROM email_validation WHERE address LIKE 'j%'");
        assert_eq!(found.len(), 2, "{}", place.name());
        for row in found {
            let message = row[1].clone().expect("there is a message");
            assert_eq!(row[0].as_deref(), Some("1"));
            assert!(
                message.starts_with("550 5.1.1 no such user") && message.chars().count() == 100,
                "{message}"
            );
        }
    }
}

#[test]
fn a_sink_can_refuse_what_does_not_fit_and_a_key_is_never_shortened() {
    let grid = Grid::new();
    let long = format!("{}@d.test\nx@d.test\n", "a".repeat(80));
    for place in places(&grid) {
        let name = place.name();
        place.run("CREATE TABLE narrow (address varchar(60), domain varchar(3))");
        place.run("CREATE TABLE keyed (address varchar(60) PRIMARY KEY, domain varchar(3))");
        let run = |sink: String, failed: u64| {
            let call = grid.run("email-domain").arg("--sink").arg(sink).args("--failed failed").input(&long);
            call.finish().expect(i32::from(failed > 0)).expect_counts(2, 2 - failed, failed)
        };
        run(place.sink("narrow&overlong=refuse"), 2);
        assert_eq!(place.count("narrow"), 0, "{name}");
        run(place.sink("narrow"), 0);
        assert_eq!(place.text("SELECT max(length(address)) FROM narrow"), "60", "{name}");
        // Two addresses must not become the same one.
        run(place.sink("keyed"), 1);
        let failed = grid.failed("failed");
        assert_eq!((failed.len(), failed[0].seq, failed[0].reason.as_str()), (1, 0, "rejected"), "{name}");
        assert_eq!(place.text("SELECT domain FROM keyed"), "d.t", "{name}");
    }
}

#[test]
fn a_text_column_that_counts_bytes_is_filled_up_to_its_last_whole_character() {
    let grid = Grid::new();
    for place in place::all(&grid).iter().filter(|place| place.name() == "mysql") {
        place.run("CREATE TABLE narrow (line TINYTEXT CHARACTER SET utf8mb4)");
        let line = format!("x{}\n", "\u{e4}".repeat(300));
        let run = grid.run("echo").arg("--sink").arg(place.sink("narrow")).input(line).finish().expect(0);
        assert!(run.stderr.contains("holds 255 bytes"), "{}", run.stderr);
        assert_eq!(place.text("SELECT octet_length(line) FROM narrow"), "255");
    }
}
