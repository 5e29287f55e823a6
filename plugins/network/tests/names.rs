//! Name lookups, against a name server of our own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use simplegrid_network::{LookupError, NameServer, Names};
use simplegrid_test_servers::DnsServer;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("it is an address")
}

fn names(server: &DnsServer) -> Names {
    Names::new(Some(NameServer(server.address())), Duration::from_secs(20)).expect("it can be asked")
}

fn hosts(found: Result<Vec<simplegrid_network::MailExchanger>, LookupError>) -> Vec<(u16, String)> {
    let found = found.expect("there are some");
    found.into_iter().map(|exchanger| (exchanger.preference, exchanger.host)).collect()
}

#[test]
fn mail_exchangers_come_in_the_order_of_their_preference() {
    let server = DnsServer::start()
        .mx("example.test", 20, "b.example.test")
        .mx("example.test", 10, "A.Example.Test")
        .mx("example.test", 10, "a.example.test")
        .mx("nomail.test", 0, ".");
    let names = names(&server);
    let expected = [(10, "a.example.test".to_owned()), (20, "b.example.test".to_owned())];
    assert_eq!(hosts(names.mail_exchangers("Example.test")), expected);
    assert_eq!(hosts(names.mail_exchangers("nomail.test")), [(0, String::new())]);
}

#[test]
fn no_such_record_and_no_answer_are_different() {
    let server = DnsServer::start()
        .address_of("a.test", ip("192.0.2.1"))
        .failing("failing.test")
        .silent("silent.test");
    let names = Names::new(Some(NameServer(server.address())), Duration::from_millis(300)).unwrap();
    assert_eq!(
        names.mail_exchangers("a.test").unwrap_err(),
        LookupError::NoRecords("a.test".into(), "mail exchanger")
    );
    assert_eq!(names.mail_exchangers("no.test").unwrap_err(), LookupError::NoSuchName("no.test".into()));
    assert_eq!(names.addresses("no.test").unwrap_err(), LookupError::NoSuchName("no.test".into()));
    for name in ["failing.test", "silent.test"] {
        for error in [names.mail_exchangers(name).unwrap_err(), names.addresses(name).unwrap_err()] {
            assert!(error.is_temporary(), "{error}");
        }
    }
    assert!(!names.mail_exchangers("no.test").unwrap_err().is_temporary());
}

#[test]
fn a_name_server_that_is_not_there_is_a_temporary_failure() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let gone = socket.local_addr().unwrap();
    drop(socket);
    let names = Names::new(Some(NameServer(gone)), Duration::from_millis(300)).unwrap();
    assert!(names.mail_exchangers("a.test").unwrap_err().is_temporary());
}

#[test]
fn addresses_are_of_both_families_and_the_fourth_comes_first() {
    let server = DnsServer::start()
        .address_of("both.test", ip("2001:db8::1"))
        .address_of("both.test", ip("192.0.2.1"))
        .address_of("six.test", ip("2001:db8::6"));
    let names = names(&server);
    assert_eq!(names.addresses("both.test").unwrap(), [ip("192.0.2.1"), ip("2001:db8::1")]);
    assert_eq!(names.addresses("six.test").unwrap(), [ip("2001:db8::6")]);
}

#[test]
fn aliases_are_followed_to_their_end() {
    let server = DnsServer::start()
        .alias("one.test", "two.test")
        .alias("two.test", "three.test")
        .mx("three.test", 5, "mx.test")
        .address_of("three.test", ip("192.0.2.3"))
        .alias("lost.test", "gone.test")
        .alias("ring.test", "gnir.test")
        .alias("gnir.test", "ring.test");
    let names = names(&server);
    assert_eq!(hosts(names.mail_exchangers("one.test")), [(5, "mx.test".to_owned())]);
    assert_eq!(names.addresses("one.test").unwrap(), [ip("192.0.2.3")]);
    assert!(!names.addresses("lost.test").unwrap_err().is_temporary());
    // A loop has no end, but the lookup must end.
    names.addresses("ring.test").unwrap_err();
}

#[test]
fn a_long_answer_is_fetched_over_tcp() {
    let server = (1..=200).fold(DnsServer::start().too_long_for_udp("big.test"), |server, number| {
        server.mx("big.test", number, &format!("mx{number}.big.test"))
    });
    assert_eq!(hosts(names(&server).mail_exchangers("big.test")).len(), 200);
    assert!(server.tcp_connections() > 0);
}

#[test]
fn answers_are_remembered() {
    let server = DnsServer::start().mx("a.test", 1, "mx.a.test");
    let names = names(&server);
    for _ in 0..3 {
        names.mail_exchangers("a.test").unwrap();
    }
    assert_eq!(server.questions().len(), 1);
}

#[test]
fn names_are_complete_and_must_be_names() {
    let server = DnsServer::start().mx("a", 1, "mx.a");
    let names = names(&server);
    assert_eq!(hosts(names.mail_exchangers("a")), [(1, "mx.a".to_owned())]);
    let long = format!("{}.test", "a".repeat(64));
    assert!(matches!(names.mail_exchangers(&long).unwrap_err(), LookupError::NotAName(..)));
    assert!(matches!(names.addresses("a..b").unwrap_err(), LookupError::NotAName(..)));
}

#[test]
fn a_name_server_is_an_address_with_or_without_a_port() {
    let parse = |text: &str| text.parse::<NameServer>().map(|server| server.0);
    let address = |text: &str| Ok(text.parse::<SocketAddr>().unwrap());
    assert_eq!(parse("192.0.2.1"), address("192.0.2.1:53"));
    assert_eq!(parse(" 192.0.2.1:5353 "), address("192.0.2.1:5353"));
    assert_eq!(parse("2001:db8::1"), address("[2001:db8::1]:53"));
    assert_eq!(parse("[2001:db8::1]:54"), address("[2001:db8::1]:54"));
    for bad in ["", "dns.example", "192.0.2.1:0", "192.0.2.1:99999"] {
        assert!(parse(bad).unwrap_err().contains("is not a name server"), "{bad}");
    }
}
