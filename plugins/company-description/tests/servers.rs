//! The whole task, against web servers of our own.

use std::io::Write;
use std::time::Duration;

use company_description::CompanyDescription;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::testing::TestGrid;
use simplegrid_test_servers::{Certificate, HttpServer, Reply};

const PAGE: &str =
    r#"<html><head><title>x</title><meta name="description" content="We make things."></head></html>"#;

struct Fetching(TestGrid);

impl Fetching {
    fn with(args: &[(&str, &str)]) -> Self {
        let args = [&[("allow-private", "true")], args].concat();
        Self(TestGrid::start::<CompanyDescription>(&args).expect("the arguments are good"))
    }

    fn new() -> Self {
        Self::with(&[])
    }

    /// The description of a page; the empty text for NULL.
    #[track_caller]
    fn description(&mut self, field: &str) -> String {
        assert_eq!(self.0.handle(field), Status::Ok, "{field}: {}", self.0.last_message());
        let row = self.0.rows().pop().expect("there is a row");
        assert_eq!(row[0].as_deref(), Some(field));
        assert_ne!(row[1].as_deref(), Some(""), "NULL and the empty text are different");
        row[1].clone().unwrap_or_default()
    }

    /// Why a record fails.
    #[track_caller]
    fn failure(&mut self, field: &str, expected: Status) -> String {
        let rows = self.0.rows().len();
        assert_eq!(self.0.handle(field), expected, "{field}: {}", self.0.last_message());
        assert_eq!(self.0.rows().len(), rows);
        self.0.last_message()
    }
}

/// A server with one reply.
fn server(reply: Reply) -> HttpServer {
    HttpServer::start(move |_| reply.clone())
}

/// The description behind one reply.
#[track_caller]
fn description(reply: Reply) -> String {
    Fetching::new().description(&server(reply).url("/"))
}

fn coded(coding: &str, body: Vec<u8>) -> Reply {
    Reply::with("200 OK", &format!("Content-Type: text/html\r\nContent-Encoding: {coding}\r\n"), body)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// A reply whose body has no end: chunks of the same text.
fn endless(headers: &str, first: &str, more: &str) -> Reply {
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n");
    Reply::Endless([head, chunk(first)].concat().into_bytes(), chunk(more).into_bytes())
}

#[test]
fn a_page_is_asked_for_and_read() {
    let server = server(Reply::html(PAGE));
    let mut task = Fetching::with(&[("user-agent", "probe/1.0")]);
    assert_eq!(task.description(&server.url("/about?x=1#part")), "We make things.");
    // A domain works as well.
    assert_eq!(task.description(&format!("{}/shop", server.address())), "We make things.");
    assert_eq!(task.description(&format!("  {} ", server.address())), "We make things.");
    let requests = server.requests();
    assert_eq!(
        requests.iter().map(|request| request.path.as_str()).collect::<Vec<_>>(),
        ["/about?x=1", "/shop", "/"]
    );
    assert_eq!(requests[0].header("user-agent"), Some("probe/1.0"));
    assert_eq!(requests[0].header("accept-encoding"), Some("gzip, deflate"));
    assert_eq!(requests[0].header("host"), Some(server.address().to_string().as_str()));
}

#[test]
fn pages_are_read_however_they_are_written() {
    assert_eq!(description(Reply::html(r"<META CONTENT='a &amp; b' NAME='DESCRIPTION'>")), "a & b");
    let hidden = r#"<!-- <meta name="description" content="a"> --><script>"<meta name='description' content='b'>"</script>"#;
    assert_eq!(description(Reply::html(format!("{hidden}{PAGE}"))), "We make things.");
    let utf16: Vec<u8> = "\u{feff}<meta name='description' content='Käse 用户'>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(description(Reply::page("text/html", utf16)), "Käse 用户");
    let windows = b"<meta name=description content='K\xe4se \x80'>";
    assert_eq!(description(Reply::page("text/html; charset=windows-1252", windows)), "Käse €");
    assert_eq!(description(Reply::page("text/html", windows)), "Käse €");
    // Without a type, and without a length.
    assert_eq!(
        description(Reply::Bytes(format!("HTTP/1.0 200 OK\r\n\r\n{PAGE}").into_bytes())),
        "We make things."
    );
}

#[test]
fn a_page_without_a_description_has_a_row_without_one() {
    assert_eq!(description(Reply::html("<p>nothing")), "");
    assert_eq!(description(Reply::html("")), "");
    assert_eq!(description(Reply::html(r#"<meta name="description" content=" ">"#)), "");
    assert_eq!(description(Reply::page("application/pdf", PAGE)), "");
    assert_eq!(description(Reply::with("204 No Content", "", "")), "");
}

#[test]
fn compressed_pages_are_read() {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(PAGE.as_bytes()).unwrap();
    deflate.write_all(PAGE.as_bytes()).unwrap();
    assert_eq!(description(coded("gzip", gzip(PAGE.as_bytes()))), "We make things.");
    assert_eq!(description(coded("deflate", zlib.finish().unwrap())), "We make things.");
    assert_eq!(description(coded("deflate", deflate.finish().unwrap())), "We make things.");
    let why = Fetching::new().failure(&server(coded("br", vec![1, 2, 3])).url("/"), Status::Reject);
    assert!(why.ends_with("it is compressed in a way that was not asked for: br"), "{why}");
    let why = Fetching::new()
        .failure(&server(coded("gzip", b"this is no gzip at all".to_vec())).url("/"), Status::Reject);
    assert!(why.contains("cannot be decompressed"), "{why}");
}

#[test]
fn an_endless_page_is_not_read_to_its_end() {
    let html = "Content-Type: text/html\r\n";
    let text = "<p>text</p>".repeat(1000);
    // The page describes itself at its beginning, and the rest is not read.
    let long = server(endless(html, PAGE, &text));
    assert_eq!(Fetching::new().description(&long.url("/")), "We make things.");
    // The page never describes itself.
    let silent = server(endless(html, "<p>", &text));
    assert_eq!(Fetching::new().description(&silent.url("/")), "");
    // The page describes itself only far beyond the limit.
    let late = server(endless(html, &"x".repeat(20_000), PAGE));
    assert_eq!(Fetching::with(&[("size-max", "10000")]).description(&late.url("/")), "");
    // It is not a page at all.
    let other = server(endless("Content-Type: video/mp4\r\n", "x", &text));
    assert_eq!(Fetching::new().description(&other.url("/")), "");
    for server in [long, silent, late, other] {
        // What the sockets' buffers hold is written, too.
        assert!(server.written() < 64 << 20, "{} bytes", server.written());
    }
}

#[test]
fn a_page_with_a_length_of_a_gigabyte_is_not_read_to_its_end() {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", 1 << 30);
    let server = server(Reply::Endless(head.into_bytes(), vec![b' '; 1 << 16]));
    assert_eq!(Fetching::new().description(&server.url("/")), "");
    assert!(server.written() < 64 << 20, "{} bytes", server.written());
}

#[test]
fn a_bomb_does_not_go_off() {
    let bomb = gzip(&vec![b' '; 32 << 20]);
    assert!(bomb.len() < 1 << 20);
    let server = server(coded("gzip", bomb));
    assert_eq!(Fetching::new().description(&server.url("/")), "");
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let server = HttpServer::start(|request| match request.path.as_str() {
        "/one" => Reply::redirect("two"),
        "/two" => Reply::with("301 Moved", "Location: /three?x=\u{e9}\r\n", ""),
        "/a" => Reply::redirect("/b"),
        "/b" => Reply::redirect("/a"),
        "/nowhere" => Reply::with("302 Found", "", ""),
        "/file" => Reply::redirect("file:///etc/passwd"),
        "/bad" => Reply::redirect("http://exa mple/"),
        _ => Reply::html(PAGE),
    });
    let mut task = Fetching::with(&[("redirects", "2")]);
    assert_eq!(task.description(&server.url("/one")), "We make things.");
    assert_eq!(server.requests()[2].path, "/three?x=%C3%A9");
    let why = task.failure(&server.url("/a"), Status::Reject);
    assert!(why.contains("more than 2 redirects"), "{why}");
    assert_eq!(server.requests().len(), 6);
    for path in ["/nowhere", "/file", "/bad"] {
        let why = task.failure(&server.url(path), Status::Reject);
        assert!(why.contains("a redirect that leads nowhere"), "{why}");
    }
    let mut none = Fetching::with(&[("redirects", "0")]);
    none.failure(&server.url("/one"), Status::Reject);
    assert_eq!(none.description(&server.url("/")), "We make things.");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_rejected() {
    #[track_caller]
    fn failure(reply: Reply, expected: Status) -> String {
        Fetching::new().failure(&server(reply).url("/x"), expected)
    }
    let why = failure(Reply::with("404 Not Found", "", PAGE), Status::Reject);
    assert!(
        why.starts_with("http://127.0.0.1:") && why.ends_with("/x: the server answers 404 Not Found"),
        "{why}"
    );
    failure(Reply::with("503 Busy", "", PAGE), Status::Retry);
    failure(Reply::with("429 Slowly", "", PAGE), Status::Retry);
    // The server closes the connection without a word, or in the middle.
    failure(Reply::Bytes(Vec::new()), Status::Retry);
    failure(Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()), Status::Retry);
    failure(Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<p>".to_vec()), Status::Retry);
    let half = gzip(PAGE.as_bytes());
    failure(coded("gzip", half[..half.len() / 2].to_vec()), Status::Retry);
    // The server speaks another protocol.
    failure(Reply::Bytes(b"220 mx.test ESMTP\r\n".to_vec()), Status::Reject);
    failure(
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes()),
        Status::Reject,
    );
}

#[test]
fn a_server_that_is_not_there_is_tried_again() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = socket.local_addr().unwrap();
    drop(socket);
    let why = Fetching::new().failure(&format!("http://{gone}/"), Status::Retry);
    assert!(why.contains("refused"), "{why}");
}

#[test]
fn a_server_that_takes_for_ever_is_not_waited_for() {
    let silent = server(Reply::Silence);
    let why = Fetching::with(&[("timeout", "300ms")]).failure(&silent.url("/"), Status::Retry);
    assert!(why.contains("timeout"), "{why}");
    Fetching::with(&[("read-timeout", "200ms")]).failure(&silent.url("/"), Status::Retry);
    // Each byte comes in time, but all of them would take minutes.
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n";
    let pause = Duration::from_millis(50);
    let body = server(Reply::Drip(head.into(), vec![b' '; 5000], pause));
    let mut task = Fetching::with(&[("timeout", "500ms"), ("read-timeout", "10s")]);
    let why = task.failure(&body.url("/"), Status::Retry);
    assert!(why.contains("timeout"), "{why}");
    let head = server(Reply::Drip(Vec::new(), head.repeat(100).into(), pause));
    task.failure(&head.url("/"), Status::Retry);
    // So does a name server.
    let dns = simplegrid_test_servers::DnsServer::start().silent("silent.test");
    let resolver = dns.address().to_string();
    let mut task =
        Fetching::with(&[("timeout", "300ms"), ("connect-timeout", "1h"), ("resolver", &resolver)]);
    task.failure("silent.test", Status::Retry);
    // Redirects count together.
    let round = HttpServer::start(move |_| {
        Reply::Drip(b"HTTP/1.1 302 F\r\nLocation: /\r\n".into(), b"\r\n".into(), pause)
    });
    Fetching::with(&[("timeout", "500ms"), ("redirects", "1000")]).failure(&round.url("/"), Status::Retry);
}

/// A page that stalls after these bytes, in the middle of its body.
fn stalled(content_type: &str, beginning: impl AsRef<[u8]>) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: 90000\r\n\r\n");
    let hour = Duration::from_secs(60 * 60);
    Reply::Drip([head.as_bytes(), beginning.as_ref()].concat(), b"x".into(), hour)
}

/// A page that breaks off after these bytes, in the middle of its body.
fn broken(headers: &str, beginning: impl AsRef<[u8]>) -> Reply {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{headers}Content-Length: 90000\r\n\r\n");
    Reply::Bytes([head.as_bytes(), beginning.as_ref()].concat())
}

#[test]
fn a_description_that_has_come_counts_even_if_the_rest_of_the_page_stalls() {
    for content_type in ["text/html", "text/html; charset=utf-8"] {
        let server = server(stalled(content_type, PAGE));
        for timeout in ["read-timeout", "timeout"] {
            let mut task = Fetching::with(&[(timeout, "500ms")]);
            assert_eq!(task.description(&server.url("/")), "We make things.", "{content_type} {timeout}");
        }
    }
    let windows = b"<meta name=description content='K\xe4se \x80'>";
    let server = server(stalled("text/html", windows));
    assert_eq!(Fetching::with(&[("read-timeout", "500ms")]).description(&server.url("/")), "Käse €");
}

#[test]
fn a_description_that_has_come_counts_even_if_the_rest_of_the_page_breaks_off() {
    assert_eq!(description(broken("", PAGE)), "We make things.");
    assert_eq!(description(broken("", format!("<meta charset=utf-8>{PAGE}"))), "We make things.");
    // The rest can be text that compresses badly.
    let noise: Vec<u8> =
        (0..20_000_u32).map(|n| b'a' + (n.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    let whole = gzip(&[PAGE.as_bytes(), &noise].concat());
    assert_eq!(
        description(broken("Content-Encoding: gzip\r\n", &whole[..whole.len() / 2])),
        "We make things."
    );
    // A page that has said nothing yet may say it the next time.
    Fetching::new().failure(&server(broken("", "<html><head><title>x</title>")).url("/"), Status::Retry);
}

#[test]
fn a_page_whose_encoding_is_known_is_not_waited_for_after_its_description() {
    let begun = std::time::Instant::now();
    let minute = [("read-timeout", "1m"), ("timeout", "1m")];
    for (content_type, beginning) in
        [("text/html; charset=utf-8", String::new()), ("text/html", "<meta charset=utf-8>".to_owned())]
    {
        let server = server(stalled(content_type, beginning + PAGE));
        assert_eq!(Fetching::with(&minute).description(&server.url("/")), "We make things.");
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn private_addresses_must_be_allowed() {
    let server = server(Reply::html(PAGE));
    let port = server.address().port();
    let mut task = Fetching(TestGrid::start::<CompanyDescription>(&[]).unwrap());
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.1.2.3",
        "169.254.169.254",
        "2130706433",
    ] {
        let why = task.failure(&format!("http://{host}:{port}/"), Status::Reject);
        assert!(why.contains("allow-private=true"), "{host}: {why}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(Fetching::new().description(&format!("http://localhost:{port}/")), "We make things.");
}

#[test]
fn what_is_no_page_is_rejected() {
    let mut task = Fetching::new();
    for field in ["", "ftp://example.org/", "two words", "joe@example.org", "http://"] {
        let why = task.failure(field, Status::Reject);
        assert!(why.contains("neither a URL nor a domain") || why.contains("only http and https"), "{why}");
    }
}

#[test]
fn certificates_are_checked() {
    let certificate = Certificate::new();
    let server = HttpServer::tls(&certificate, |_| Reply::html(PAGE));
    let url = format!("https://localhost:{}/", server.address().port());
    let why = Fetching::new().failure(&url, Status::Reject);
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(Fetching::with(&[("ca-file", file)]).description(&url), "We make things.");
    // Another name is another server.
    let other = url.replace("localhost", "127.0.0.2");
    assert!(matches!(Fetching::with(&[("ca-file", file)]).0.handle(&other), Status::Reject | Status::Retry));
    // Plain HTTP is not TLS.
    let plain = HttpServer::start(|_| Reply::html(PAGE));
    let plain = plain.url("/").replace("http:", "https:");
    assert!(matches!(Fetching::new().0.handle(plain), Status::Reject | Status::Retry));
}

#[test]
fn bad_arguments_are_refused() {
    for (name, value, word) in [
        ("timeout", "0", "timeout"),
        ("size-max", "0", "size-max"),
        ("size-max", "much", "size-max"),
        ("user-agent", "a\r\nb", "user-agent"),
        ("ca-file", "/nowhere/ca.pem", "/nowhere/ca.pem"),
        ("ca-file", "/dev/null", "no certificate"),
        ("allow-private", "perhaps", "allow-private"),
        ("dsn", "dbi:SQLite:x", "no task argument `dsn`"),
    ] {
        let said = TestGrid::start::<CompanyDescription>(&[(name, value)]).unwrap_err();
        assert!(said.message.contains(word), "{name}={value}: {}", said.message);
    }
}
