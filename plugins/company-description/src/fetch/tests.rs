//! Addresses that must not be fetched from, with the loopback in the role of the internet: 127.0.0.1 is
//! public here, and its neighbour 127.0.0.2 is private.

use simplegrid_network::{NameServer, Timeout};
use simplegrid_test_servers::{DnsServer, HttpServer, Reply, neighbours};

use super::*;

const PAGE: &str = r#"<meta name="description" content="found">"#;

fn args(dns: &DnsServer) -> Args {
    Args {
        timeout: Timeout::from_secs(30),
        connect_timeout: Timeout::from_secs(10),
        read_timeout: Timeout::from_secs(10),
        size_max: 1 << 20,
        redirects: 5,
        user_agent: "test".into(),
        allow_private: false,
        resolver: Some(NameServer(dns.address())),
        ca_file: None,
    }
}

/// Two web servers with one port, a name server that knows them, and a fetcher that may go to the first only.
struct World {
    public: HttpServer,
    private: HttpServer,
    fetcher: Fetcher,
    dns: DnsServer,
}

impl World {
    /// The public server redirects to what `to` makes of the port.
    fn new(to: fn(u16) -> String) -> Self {
        let mut sockets = neighbours(2);
        let port = sockets[0].local_addr().unwrap().port();
        let public = HttpServer::on(sockets.remove(0), move |request| match request.path.as_str() {
            "/redirect" => Reply::redirect(&to(port)),
            _ => Reply::html(PAGE),
        });
        let private = HttpServer::on(sockets.remove(0), |_| Reply::html(PAGE));
        let ip = |text: &str| text.parse().unwrap();
        let dns = DnsServer::start()
            .address_of("public.test", ip("127.0.0.1"))
            .address_of("private.test", ip("127.0.0.2"))
            .address_of("mapped.test", ip("::ffff:127.0.0.2"))
            .address_of("both.test", ip("127.0.0.2"))
            .address_of("both.test", ip("127.0.0.1"))
            .alias("alias.test", "private.test");
        let fetcher =
            Fetcher::guarded(&args(&dns), |address| address == std::net::Ipv4Addr::LOCALHOST).unwrap();
        Self { public, private, fetcher, dns }
    }

    fn fetch(&self, host: &str, path: &str) -> std::result::Result<Option<String>, FetchError> {
        let url = format!("http://{host}:{}{path}", self.public.address().port());
        self.fetcher.description(&target::targets(&url).unwrap())
    }

    #[track_caller]
    fn expect_private(&self, result: std::result::Result<Option<String>, FetchError>) {
        match result {
            Err(FetchError::Permanent(why)) => assert!(why.contains("no public address"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(self.private.connections(), 0);
    }
}

#[test]
fn private_addresses_are_not_fetched_from_however_they_are_written() {
    let world = World::new(|_| String::new());
    assert_eq!(world.fetch("127.0.0.1", "/"), Ok(Some("found".into())));
    assert_eq!(world.fetch("public.test", "/"), Ok(Some("found".into())));
    for host in [
        "127.0.0.2",
        "private.test",
        "PRIVATE.test",
        "mapped.test",
        "alias.test",
        "[::ffff:127.0.0.2]",
        "2130706434",
        "0x7f000002",
        "0177.0.0.2",
    ] {
        world.expect_private(world.fetch(host, "/"));
    }
}

#[test]
fn a_name_with_both_is_fetched_from_the_public_one() {
    let world = World::new(|_| String::new());
    assert_eq!(world.fetch("both.test", "/"), Ok(Some("found".into())));
    assert_eq!((world.public.connections(), world.private.connections()), (1, 0));
    // The connection goes to what was checked: there was one lookup of each family, and no other.
    assert_eq!(world.dns.questions().len(), 2);
}

#[test]
fn redirects_to_private_addresses_are_not_followed() {
    for to in [
        (|port| format!("http://127.0.0.2:{port}/")) as fn(u16) -> String,
        |port| format!("http://private.test:{port}/"),
        |port| format!("//private.test:{port}/"),
        |port| format!("http://[::ffff:7f00:2]:{port}/"),
        |port| format!("http://2130706434:{port}/"),
    ] {
        let world = World::new(to);
        world.expect_private(world.fetch("public.test", "/redirect"));
        assert_eq!(world.public.connections(), 1);
    }
    let world = World::new(|port| format!("http://public.test:{port}/"));
    assert_eq!(world.fetch("public.test", "/redirect"), Ok(Some("found".into())));
}

#[test]
fn a_name_that_cannot_be_looked_up_now_is_tried_again_later() {
    let dns = DnsServer::start().failing("failing.test").silent("silent.test");
    let mut args = args(&dns);
    args.connect_timeout = "200ms".parse().unwrap();
    let fetcher = Fetcher::new(&args).unwrap();
    let fetch = |host: &str| fetcher.description(&target::targets(host).unwrap()).unwrap_err();
    for host in ["failing.test", "silent.test"] {
        assert!(matches!(fetch(host), FetchError::Temporary(_)), "{:?}", fetch(host));
    }
    match fetch("gone.test") {
        FetchError::Permanent(why) => assert!(why.contains("there is no name `gone.test`"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn statuses_are_for_now_or_for_ever() {
    for (status, expected) in [
        (400, false),
        (403, false),
        (404, false),
        (408, true),
        (410, false),
        (425, true),
        (429, true),
        (500, true),
        (501, false),
        (502, true),
        (503, true),
        (504, true),
        (505, false),
        (599, true),
    ] {
        assert_eq!(is_temporary(StatusCode::from_u16(status).unwrap()), expected, "{status}");
    }
}

#[test]
fn types_are_html_or_not() {
    for html in [
        None,
        Some("text/html"),
        Some("Text/HTML; charset=x"),
        Some("application/xhtml+xml"),
        Some("text/xml"),
        Some(""),
    ] {
        assert!(is_html(html), "{html:?}");
    }
    for other in ["application/pdf", "image/png", "text/plain", "application/json", "text/htmlx", "octets"] {
        assert!(!is_html(Some(other)), "{other}");
    }
}

#[test]
fn the_second_page_is_fetched_only_if_nothing_serves_the_first() {
    let world = World::new(|_| String::new());
    // The port is that of a neighbour, at an address where nothing listens.
    let port = world.public.address().port();
    let everywhere = Fetcher::guarded(&args(&world.dns), |_| true).unwrap();
    let closed = target::parse(&format!("http://127.0.0.9:{port}/")).unwrap();
    let open = target::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    let away = target::parse(&format!("http://gone.test:{port}/")).unwrap();
    let fetch = |pages: [&Url; 2]| everywhere.description(&pages.map(Url::clone));
    assert_eq!(fetch([&closed, &open]), Ok(Some("found".into())));
    assert_eq!(fetch([&open, &closed]), Ok(Some("found".into())));
    match fetch([&closed, &closed]) {
        Err(FetchError::Temporary(why)) => assert_eq!(why.matches("127.0.0.9").count(), 2, "{why}"),
        other => panic!("{other:?}"),
    }
    // The first page may come back, whatever is wrong with the second.
    assert!(matches!(fetch([&closed, &away]), Err(FetchError::Temporary(_))));
    // If the name does not exist, another scheme does not help.
    assert!(matches!(fetch([&away, &open]), Err(FetchError::Permanent(_))));
}
