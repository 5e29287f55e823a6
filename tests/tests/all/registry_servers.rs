//! Whole grids with their registry on a database server, to which something happens meanwhile.

use std::thread;

use nix::sys::signal::Signal;
use simplegrid_tests::{DatabaseServer, Engine, Grid, Process, Slave, TestDatabase, numbered, wait};

/// No password must ever be seen: those of all the tests' databases contain this.
const SECRET: &str = "hunter2";

/// Runs a test on all servers that are installed, at the same time: most of the time is spent waiting.
fn on_every_server(test: impl Fn(Engine) + Sync) {
    thread::scope(|scope| {
        let running: Vec<_> = Engine::available()
            .map(|engine| {
                scope.spawn({
                    let test = &test;
                    move || test(engine)
                })
            })
            .collect();
        for engine in running {
            engine.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

fn grid_on(database: &TestDatabase<'_>) -> Grid {
    Grid::with_registry(database.url())
}

#[test]
fn a_grid_runs_on_a_server_from_one_end_to_the_other() {
    on_every_server(|engine| {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let grid = grid_on(&server.database());
        let (first, second) = (grid.slave("echo"), grid.slave("echo"));
        let master = grid.master().arg("-k").input(numbered("record ", 20_000)).finish().expect(0);
        assert!(master.text() == numbered("record ", 20_000), "the output differs from the input");
        assert!(master.summary().contains(", 0 lost"), "{}", master.summary());
        grid.manage(first.port(), "disable").finish().expect(0);
        assert_eq!(grid.state(first.port()), "disabled");
        grid.manage(first.port(), "enable").finish().expect(0);
        for slave in [first, second] {
            grid.manage(slave.port(), "shutdown").finish().expect(0);
            assert_eq!(grid.state(slave.port()), "disabled");
            slave.into_process().wait().expect(0);
        }
        let pruned = grid.node_manager().args("prune --silent-for 0s").finish().expect(0);
        assert!(!pruned.stderr.contains(SECRET), "{}", pruned.stderr);
    });
}

/// Disturbs the server in the middle of a run, and expects that the run does not notice and that the slave's
/// row comes back.
fn disturb(engine: Engine, disturb: impl FnOnce(&mut DatabaseServer, &dyn Fn())) {
    let Some(mut server) = DatabaseServer::start(engine) else { return };
    let (url, name) = {
        let database = server.database();
        (database.url(), database.name)
    };
    let grid = Grid::with_registry(url);
    let slave = grid.noting_slave();
    let mut master = grid.master().arg("-k").start();
    master.write(format!("{}\n", grid.gate("gate")));
    grid.wait_at_gate("gate", 1);
    let goes_on = || {
        slave.wait_for_stderr("the registry fails");
        grid.open_gate("gate");
    };
    disturb(&mut server, &goes_on);
    grid.open_gate("gate");
    master.write(numbered("record ", 1000));
    master.wait_for_lines(1001);
    slave.wait_for_stderr("the registry is back");
    // As long as the master is there, the row shows signs of life again.
    let seen = || server.administer(Some(&name), "SELECT max(last_seen), max(state) FROM nodes");
    let before = seen();
    wait::until("the slave is heard of again", || seen()[0][0] > before[0][0]);
    let log = master.stderr();
    master.finish().expect(0).expect_counts(1001, 1001, 0);
    grid.wait_for_state(slave.port(), "enabled");
    assert!(!log.contains(SECRET) && !slave.stderr().contains(SECRET), "{log}{}", slave.stderr());
    assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
}

#[test]
fn a_move_that_was_confirmed_survives_a_server_that_is_killed() {
    on_every_server(|engine| {
        let Some(mut server) = DatabaseServer::start(engine) else { return };
        let grid = Grid::with_registry(server.database().url());
        let slave = grid.slave("echo");
        grid.manage(slave.port(), "disable").finish().expect(0);
        server.kill();
        server.start_again();
        assert_eq!(grid.state(slave.port()), "disabled", "{engine:?}");
    });
}

#[test]
fn a_server_that_is_restarted_in_mid_run_is_not_noticed_by_the_run() {
    on_every_server(|engine| {
        disturb(engine, |server, goes_on| {
            server.stop();
            goes_on();
            server.start_again();
        });
    });
}

#[test]
fn a_server_that_is_killed_in_mid_run_is_not_noticed_by_the_run() {
    on_every_server(|engine| {
        disturb(engine, |server, goes_on| {
            server.kill();
            goes_on();
            server.start_again();
        });
    });
}

#[test]
fn a_server_that_stands_still_in_mid_run_is_not_noticed_by_the_run() {
    on_every_server(|engine| {
        disturb(engine, |server, goes_on| {
            server.freeze();
            goes_on();
            server.thaw();
        });
    });
}

#[test]
fn a_table_that_is_dropped_in_mid_run_is_made_again_and_the_slaves_row_with_it() {
    on_every_server(|engine| {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let grid = grid_on(&database);
        let slave = grid.noting_slave();
        let mut master = grid.master().start();
        master.write(format!("{}\n", grid.gate("gate")));
        grid.wait_at_gate("gate", 1);
        database.query("DROP TABLE nodes");
        slave.wait_for_stderr("it is entered again");
        grid.wait_for_state(slave.port(), "disabled");
        grid.open_gate("gate");
        master.finish().expect(0).expect_counts(1, 1, 0);
        grid.wait_for_state(slave.port(), "enabled");
        assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
    });
}

#[test]
fn a_table_that_is_dropped_while_a_master_waits_for_nodes_is_made_again() {
    on_every_server(|engine| {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let grid = grid_on(&database);
        let master = grid.master().args("--wait-nodes 40s").input("a\n").start();
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_name = 'nodes'";
        wait::until("the table is there", || !database.query(tables).is_empty());
        database.query("DROP TABLE nodes");
        wait::until("the table is there again", || !database.query(tables).is_empty());
        let _slave = grid.slave("echo");
        assert_eq!(master.finish().expect(0).text(), "a\n");
    });
}

/// Starts each command, with a registry that it cannot use.
fn start_every_command(grid: &Grid) -> [Process; 3] {
    let calls = [grid.master().input("a\n"), grid.slave_call("echo"), grid.node_manager().arg("list")];
    calls.map(|call| call.start())
}

#[test]
fn a_server_that_cannot_be_used_is_tried_five_times_and_ends_every_command_with_4() {
    let mut running = Vec::new();
    for engine in Engine::available() {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let wrong = database.url().replace(":hunter2-", ":hunter2-wrong-");
        let gone = database.url().replace(&format!(":{}/", server.port()), ":1/");
        let absent = database.url().replace(&format!("/{}", database.name), "/absent");
        for (url, word) in [(wrong, "password"), (gone, "cannot be reached"), (absent, "does not exist")] {
            let grid = Grid::with_registry(url);
            // They wait, so all at once.
            running.push((start_every_command(&grid), word, grid));
        }
    }
    for (processes, word, _grid) in running {
        for process in processes {
            let finished = process.finish().expect(4);
            let errors = finished.errors();
            assert_eq!(errors.len(), 1, "{}", finished.stderr);
            assert_eq!(errors[0].matches(word).count(), 1, "{}", finished.stderr);
            assert!(errors[0].contains("after 5 tries"), "{}", finished.stderr);
            assert!(!finished.stderr.contains(SECRET), "{}", finished.stderr);
        }
    }
}

#[test]
fn a_server_that_comes_while_it_is_waited_for_is_used() {
    on_every_server(|engine| {
        let mut server = DatabaseServer::start(engine).expect("it is installed");
        let grid = Grid::with_registry(server.database().url());
        server.stop();
        let slave = grid.slave_call("echo").start();
        let master = grid.master().args("--wait-nodes 40s").input("a\n").start();
        for process in [&slave, &master] {
            process.wait_for_stderr("the registry does not answer");
        }
        server.start_again();
        assert_eq!(master.finish().expect(0).text(), "a\n");
    });
}

/// By an administrator, or by a server for which a connection has been idle for too long.
#[test]
fn a_connection_that_the_server_has_closed_is_made_again_without_a_word() {
    on_every_server(|engine| {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let grid = grid_on(&database);
        let slave = grid.slave("echo");
        for _ in 0..3 {
            let sessions = match engine {
                Engine::Postgres => {
                    format!("pid FROM pg_stat_activity WHERE usename = '{}'", database.username)
                }
                Engine::Mariadb => {
                    format!("id FROM information_schema.processlist WHERE user = '{}'", database.username)
                }
            };
            let closed: Vec<String> = server
                .administer(None, &format!("SELECT {sessions}"))
                .into_iter()
                .map(|row| row[0].clone().expect("it has a number"))
                .collect();
            assert!(!closed.is_empty(), "the slave has no connection");
            for session in &closed {
                let _ = match engine {
                    Engine::Postgres => {
                        server.try_administer(None, &format!("SELECT pg_terminate_backend({session})"))
                    }
                    // One that has just ended by itself will do as well.
                    Engine::Mariadb => server.try_administer(None, &format!("KILL {session}")),
                };
            }
            let seen = || grid.column(slave.port(), "last_seen");
            let before = seen();
            wait::until("the slave is heard of again", || seen() != before);
        }
        assert_eq!(grid.state(slave.port()), "enabled");
        assert!(!slave.stderr().contains("the registry fails"), "{}", slave.stderr());
    });
}

/// What can be seen of a grid's processes from outside.
fn shown_by_processes(grid: &Grid) -> String {
    let mut shown = String::new();
    for process in grid.processes() {
        shown += &format!("{}\n", process.command);
        if process.is_worker() {
            shown += &process.environment().join("\n");
        }
    }
    shown
}

/// As with Net::SimpleGrid, the server, its user and the password can be named in different places.
#[test]
fn a_password_can_come_from_many_places_and_is_never_shown() {
    on_every_server(|engine| {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let grid = Grid::with_registry(database.bare_url());
        let file = grid.write("password", format!("{}\n", database.password)).display().to_string();
        let user = format!("username={}", database.username);
        let secret = format!("{user}\npassword={}", database.password);
        let dsn = format!("dsn={}", database.dsn());
        let slaves = [
            grid.slave_call("echo").env("SIMPLEGRID_MANAGER_ARG", &secret),
            grid.slave_call("echo").arg("--manager-arg").arg(&user).arg("--password-file").arg(&file),
            grid.slave_call("echo").env("SIMPLEGRID_MANAGER_ARG", format!("{user}\npassword-file={file}")),
            grid.slave_call("echo").env("SIMPLEGRID_MANAGER_ARG", format!("{dsn}\n{secret}")),
            grid.slave_call("echo").env("SIMPLEGRID_REGISTRY", database.url()),
        ];
        let slaves = slaves.map(|call| Slave::start(call.env("SIMPLEGRID_LOG", "trace")));
        let mut shown = shown_by_processes(&grid);
        assert!(shown.matches("simplegrid worker").count() >= 10, "{shown}");
        let master = grid.master().args("-vv -m -1").arg("--manager-arg").arg(&user);
        let master = master.env("SIMPLEGRID_PASSWORD_FILE", &file).input("a\n").finish().expect(0);
        assert_eq!(master.text(), "a\n");
        let config =
            grid.simplegrid().arg("config").env("SIMPLEGRID_MANAGER_ARG", format!("{dsn}\n{secret}"));
        let config = config.env("SIMPLEGRID_REGISTRY", database.url()).finish().expect(0);
        assert!(config.text().contains("***") && config.text().contains(&database.name), "{}", config.text());
        shown += &config.text();
        shown += &master.stderr;
        slaves.iter().for_each(|slave| shown += &slave.stderr());
        assert!(!shown.contains(SECRET), "{shown}");
    });
}

#[test]
fn a_password_file_that_cannot_be_used_is_named() {
    let grid = Grid::with_registry("postgres://u@127.0.0.1:1/d");
    let call = grid.node_manager().arg("list").arg("--password-file").arg("/nowhere/at-all");
    let finished = call.finish().expect(2);
    assert!(finished.errors()[0].contains("/nowhere/at-all"), "{}", finished.stderr);
}

#[test]
fn a_signal_ends_the_wait_for_a_server_that_is_not_there() {
    let grid = Grid::with_registry("mysql://u@127.0.0.1:1/d");
    for (call, name) in [(grid.master(), "master"), (grid.slave_call("echo"), "slave")] {
        let process = call.start();
        process.wait_for_stderr("the registry does not answer");
        process.signal(Signal::SIGTERM);
        assert_eq!(process.wait().status, 143, "{name}");
    }
}

/// A server that accepts only connections with TLS, and whose certificate is verified.
#[test]
fn a_grid_uses_tls_where_the_url_asks_for_it() {
    on_every_server(|engine| {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let file = Grid::new();
        let ca = file.write("ca.crt", &server.certificates().authority).display().to_string();
        let settings = match engine {
            Engine::Postgres => format!("sslmode=verify-full&sslrootcert={ca}"),
            Engine::Mariadb => {
                server.administer(None, &format!("ALTER USER `{}`@`%` REQUIRE SSL", database.username));
                format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}")
            }
        };
        let url = database.url().replace("127.0.0.1", "localhost");
        let grid = Grid::with_registry(format!("{url}?{settings}"));
        let slave = grid.slave("echo");
        assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
        assert_eq!(grid.state(slave.port()), "enabled");
    });
}
