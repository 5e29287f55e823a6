//! Sinks that cannot be used: one clear error line at the start, and never a password in it.

use simplegrid_tests::{Call, DatabaseServer, Engine, Grid};

use super::place;

/// Runs one record and returns the error line. The program must end with this status.
#[track_caller]
fn refused(call: Call<'_>, status: i32) -> String {
    let ended = call.input("a@b\n").finish().expect(status);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    let errors = ended.errors();
    assert_eq!(errors.len(), 1, "{}", ended.stderr);
    errors[0].to_owned()
}

#[test]
fn a_text_that_is_not_a_sink_is_refused() {
    let grid = Grid::new();
    for (sink, says) in [
        ("rows", "it is not a sink; write csv:DIRECTORY"),
        ("sqlite:rows.db", "it names no table"),
        ("postgres://me:hunter2@127.0.0.1/d", "it names no table"),
        ("mysql://me:hunter2@127.0.0.1/d?table=t&colour=red", "no setting `colour`"),
        ("csv:/proc/rows", "cannot write files into /proc/rows"),
        ("sqlite:/proc/rows.db?table=t", "cannot use /proc/rows.db"),
    ] {
        let error = refused(grid.run("echo").arg("--sink").arg(sink), 2);
        assert!(error.contains(says), "{sink}: {error}");
    }
}

#[test]
fn a_table_of_another_shape_is_refused_with_the_column_s_name() {
    let grid = Grid::new();
    for place in place::all(&grid) {
        place.run("CREATE TABLE lacking (address VARCHAR(20))");
        place.run("CREATE TABLE other (address INTEGER, domain VARCHAR(20))");
        place.run("CREATE TABLE wanting (address VARCHAR(20), domain VARCHAR(20), age INTEGER NOT NULL)");
        for (table, says) in [
            ("lacking", "has no column `domain`"),
            ("other", "the column `address` of the table other is "),
            ("wanting", "needs a value for its column `age`"),
        ] {
            let error = refused(grid.run("email-domain").arg("--sink").arg(place.sink(table)), 2);
            assert!(error.contains(says), "{}: {error}", place.name());
        }
    }
}

#[test]
fn a_view_is_refused() {
    let grid = Grid::new();
    for place in place::all(&grid) {
        place.run("CREATE TABLE behind (line VARCHAR(20))");
        place.run("CREATE VIEW seen AS SELECT line FROM behind");
        let error = refused(grid.run("echo").arg("--sink").arg(place.sink("seen")), 2);
        assert!(error.contains("seen is a view, and not a table; name the table that"), "{error}");
        if place.name() == "postgres" {
            place.run("CREATE MATERIALIZED VIEW kept AS SELECT line FROM behind");
            place.run("CREATE UNLOGGED TABLE light (line text)");
            place.run("CREATE TABLE parted (line text) PARTITION BY HASH (line)");
            place.run("CREATE TABLE only_part PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0)");
            let error = refused(grid.run("echo").arg("--sink").arg(place.sink("kept")), 2);
            assert!(error.contains("kept is a materialized view"), "{error}");
            let error = refused(grid.run("echo").arg("--sink").arg(place.sink("light")), 2);
            assert!(error.contains("the table light is unlogged"), "{error}");
            grid.run("echo").arg("--sink").arg(place.sink("parted")).input("a\n").finish().expect(0);
            assert_eq!(place.count("parted"), 1);
        }
    }
}

#[test]
fn a_column_that_the_database_computes_is_refused_if_the_task_writes_it() {
    let grid = Grid::new();
    for place in place::all(&grid) {
        let text = if place.name() == "postgres" { "text" } else { "VARCHAR(20)" };
        place.run(&format!(
            "CREATE TABLE computed (address {text}, domain {text} GENERATED ALWAYS AS (substr(address, 3)) STORED)"
        ));
        let error = refused(grid.run("email-domain").arg("--sink").arg(place.sink("computed")), 2);
        assert!(error.contains("the database computes the column `domain` of the table computed"), "{error}");
        // A task that does not write it may use the table.
        place.run("CREATE TABLE fine (line VARCHAR(20), more INTEGER GENERATED ALWAYS AS (1 + 1) STORED)");
        grid.run("echo").arg("--sink").arg(place.sink("fine")).input("a\n").finish().expect(0);
        assert_eq!(place.text("SELECT more FROM fine"), "2");
    }
}

#[test]
fn a_table_without_transactions_is_refused() {
    let grid = Grid::new();
    for place in place::all(&grid).iter().filter(|place| place.name() == "mysql") {
        place.run("CREATE TABLE old (line TEXT) ENGINE = MyISAM");
        let error = refused(grid.run("echo").arg("--sink").arg(place.sink("old")), 2);
        assert!(error.contains("does not support transactions"), "{error}");
    }
}

#[test]
fn a_wrong_password_is_tried_five_times_and_never_shown() {
    let grid = Grid::new();
    for engine in Engine::available() {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let sink = format!("{}?table=t", database.url().replace(&database.password, "hunter2-wrong"));
        let ended = grid.run("echo").arg("--sink").arg(sink).input("a\n").finish().expect(4);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        assert!(
            ended.errors()[0].contains("does not accept this user with this password"),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stderr.matches("trying again").count(), 4, "{}", ended.stderr);
    }
}

#[test]
fn the_password_can_be_in_a_file_and_workers_never_see_it() {
    let grid = Grid::new();
    for engine in Engine::available() {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let password = grid.write("password", format!("{}\n", database.password));
        let bare = database.bare_url().replace("//", &format!("//{}@", database.username));
        let slave = grid.slave_call("echo").path("--sink-password-file", &password);
        let slave = simplegrid_tests::Slave::start(slave.env("SIMPLEGRID_SINK", format!("{bare}?table=t")));
        for worker in grid.workers() {
            let seen = format!("{} {}", worker.command, worker.environment().join(" "));
            assert!(!seen.contains("SINK") && !seen.contains("127.0.0.1:"), "{seen}");
            let sockets = worker.descriptors().into_iter().filter(|open| open.target.starts_with("socket:"));
            let sockets: std::collections::BTreeSet<_> = sockets.map(|open| open.inode).collect();
            assert_eq!(sockets.len(), 1, "a worker has its own socket, but not the sink's connection");
        }
        grid.master().input("a\n").finish().expect(0);
        assert_eq!(database.query("SELECT count(*) FROM t")[0][0].as_deref(), Some("1"));
        slave.signal(nix::sys::signal::Signal::SIGTERM);
        let ended = slave.into_process().wait();
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        let call =
            grid.simplegrid().arg("config").env("SIMPLEGRID_SINK", format!("{}?table=t", database.url()));
        let shown = call.finish().expect(0).text();
        assert!(shown.contains("sink") && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn slaves_whose_rows_go_elsewhere_are_not_used() {
    let grid = Grid::new();
    let with_sink = |file: &str| {
        let sink = format!("sqlite:{}?table=t", grid.path(file).display());
        simplegrid_tests::Slave::start(grid.slave_call("echo").arg("--sink").arg(sink))
    };
    let _slaves = [with_sink("one.db"), with_sink("two.db"), with_sink("one.db")];
    let _without = grid.slave("echo");
    let master = grid.master().input(simplegrid_tests::numbered("", 2000)).finish().expect(0);
    let master = master.expect_counts(2000, 2000, 0);
    assert!(master.stderr.contains("not used"), "{}", master.stderr);
    let count = |file: &str| {
        let connection = rusqlite::Connection::open(grid.path(file)).expect("it can be opened");
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    let lines = master.text().lines().count() as i64;
    let mut places = [count("one.db"), count("two.db"), lines];
    places.sort_unstable();
    assert_eq!(places, [0, 0, 2000], "all rows are in one place");
}
