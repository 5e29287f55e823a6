//! `company-description` in whole grids, with a web server of the test's own.

use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use simplegrid_test_servers::{HttpServer, Reply};
use simplegrid_tests::{Grid, kill, wait};

fn page(text: &str) -> Reply {
    Reply::html(format!("<title>x</title><meta name=\"description\" content=\"{text}\">"))
}

#[test]
fn pages_are_described() {
    let grid = Grid::new();
    let server = HttpServer::start(|request| match request.path.as_str() {
        "/" => page("Home,\nsweet &quot;home&quot;"),
        "/to" => Reply::redirect("/"),
        "/none" => Reply::html("<p>"),
        "/busy" => Reply::with("503 Busy", "", ""),
        _ => Reply::with("404 Not Found", "", ""),
    });
    let at = server.address();
    let input = format!("http://{at}/\n{at}\n{at}/to\n{at}/none\n{at}/gone\n{at}/busy\nftp://{at}/\n");
    let run = grid.run("company-description").task_arg("allow-private", "true");
    let run = run.args("-k --header -m 3").path("--failed", grid.path("failed"));
    let run = run.input(input).finish().expect(1).expect_counts(7, 4, 3);
    let home = r#""Home, sweet ""home""""#;
    assert_eq!(
        run.text(),
        format!("domain,description\nhttp://{at}/,{home}\n{at},{home}\n{at}/to,{home}\n{at}/none,\n")
    );
    let mut failed = grid.failed("failed");
    failed.sort_by_key(|record| record.seq);
    let failed: Vec<_> =
        failed.iter().map(|record| (record.seq, record.reason.as_str(), record.attempts)).collect();
    assert_eq!((failed[0], failed[2]), ((4, "rejected", 1), (6, "rejected", 1)));
    assert_eq!((failed[1].0, failed[1].2), (5, 3));
}

#[test]
fn private_addresses_are_left_alone_unless_allowed() {
    let grid = Grid::new();
    let server = HttpServer::start(|_| page("secret"));
    let run = grid.run("company-description").path("--failed", grid.path("failed"));
    let run = run.input(format!("{}\n", server.url("/"))).finish().expect(1).expect_counts(1, 0, 1);
    assert_eq!((run.text().as_str(), server.connections()), ("", 0));
    assert!(grid.failed("failed")[0].message.contains("allow-private=true"));
}

#[test]
fn a_worker_that_is_killed_while_it_fetches_costs_nothing() {
    let grid = Grid::new();
    // Only the worker that is killed waits for this.
    let seen = AtomicUsize::new(0);
    let server = HttpServer::start(move |request| match request.path.as_str() {
        "/7" if seen.fetch_add(1, Ordering::SeqCst) == 0 => Reply::Silence,
        path => page(path),
    });
    let url = |number: usize| server.url(&format!("/{number}"));
    let input: String = (0..20).map(|number| format!("{}\n", url(number))).collect();
    let run = grid
        .run("company-description")
        .task_arg("allow-private", "true")
        .args("-k -m 1")
        .input(input)
        .start();
    wait::until("the page is asked for", || server.requests().iter().any(|request| request.path == "/7"));
    let workers = grid.workers();
    assert_eq!(workers.len(), 1);
    kill(workers[0].pid, Signal::SIGKILL);
    let run = run.finish().expect(0).expect_counts(20, 20, 0);
    assert_eq!(run.text(), (0..20).map(|number| format!("{},/{number}\n", url(number))).collect::<String>());
    assert_eq!(server.requests().len(), 21);
}
