//! Machines whose clocks are wrong, and whose registry is on a server that has a clock of its own.

use std::path::{Path, PathBuf};

use simplegrid_tests::{Call, DatabaseServer, Engine, Grid, Slave, c_library, numbered};

const HOUR: i64 = 3600;

/// A library that, loaded before all others, puts the clock forward, or back.
fn clock_off_by(grid: &Grid, seconds: i64) -> Option<PathBuf> {
    let source = format!(
        "#define _GNU_SOURCE
         #include <sys/syscall.h>
         #include <time.h>
         #include <unistd.h>
         int clock_gettime(clockid_t clock, struct timespec *now) {{
             int result = syscall(SYS_clock_gettime, clock, now);
             if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += {seconds};
             return result;
         }}"
    );
    c_library(grid, &format!("libclock{seconds}.so"), &source)
}

fn with_clock<'g>(call: Call<'g>, clock: &Path) -> Call<'g> {
    call.env("LD_PRELOAD", clock)
}

/// Runs a test on each server that is installed, with a clock that is an hour slow, and with one that is
/// fast. The test can ask the database for a number; NOW stands for its time.
fn on_each(test: impl Fn(&Grid, &Path, &dyn Fn(&str) -> i64)) {
    for engine in Engine::available() {
        let now = match engine {
            Engine::Postgres => "floor(extract(epoch FROM clock_timestamp()))::bigint",
            Engine::Mariadb => "UNIX_TIMESTAMP()",
        };
        for seconds in [-HOUR, HOUR] {
            let database = DatabaseServer::shared(engine).expect("it is installed").database();
            let grid = Grid::with_registry(database.url());
            let Some(clock) = clock_off_by(&grid, seconds) else { return };
            let number = |sql: &str| {
                let sql = sql.replace("NOW", now);
                database.query(&sql)[0][0].as_ref().and_then(|text| text.parse().ok()).expect("a number")
            };
            test(&grid, &clock, &number);
        }
    }
}

/// How long ago each node was seen, as people read it.
fn seen(call: Call<'_>) -> Vec<String> {
    let text = call.arg("list").finish().expect(0).text();
    let before = |line: &str| Some(line.split_once(" s ago")?.0.rsplit(' ').next()?.to_owned());
    text.lines().filter_map(before).collect()
}

#[test]
fn a_slave_whose_clock_is_an_hour_off_is_used_like_any_other() {
    on_each(|grid, clock, _| {
        let wrong = Slave::start(with_clock(grid.slave_call("echo"), clock));
        let right = grid.slave("echo");
        let master = grid.master().input(numbered("record ", 10_000)).finish().expect(0);
        assert!(master.summary().contains("2 nodes used"), "{}", master.stderr);
        // Every program sees the same.
        for call in [grid.node_manager(), with_clock(grid.node_manager(), clock)] {
            let seen = seen(call);
            let seconds: Vec<u64> =
                seen.iter().map(|seconds| seconds.parse().expect("it is a number")).collect();
            assert!(seconds.len() == 2 && seconds.iter().all(|seconds| *seconds < 60), "{seconds:?}");
        }
        let [wrong, right] = [wrong, right].map(|slave| grid.column(slave.port(), "start_time").as_i64());
        let apart = wrong.zip(right).map(|(wrong, right)| (wrong - right).abs());
        assert!(apart.is_some_and(|apart| apart < HOUR / 2), "{wrong:?} {right:?}");
    });
}

#[test]
fn the_row_of_a_live_slave_whose_clock_is_an_hour_off_is_not_taken_over() {
    on_each(|grid, clock, _| {
        let slave = Slave::start(with_clock(grid.slave_call("echo"), clock));
        // On another address the port is free, but the row's name is not.
        let again = grid.slave_call("echo").args("--listen 127.0.0.2 --advertise 127.0.0.1 -p");
        let refused = again.arg(slave.port().to_string()).finish().expect(4);
        assert!(refused.errors()[0].contains("is in use"), "{}", refused.stderr);
    });
}

#[test]
fn a_master_whose_clock_is_an_hour_off_holds_its_nodes_as_long_as_it_lives_and_no_longer() {
    on_each(|grid, clock, ask| {
        let _slave = grid.noting_slave();
        let mut master = with_clock(grid.master(), clock).start();
        master.write(format!("{}\n", grid.gate("gate")));
        grid.wait_at_gate("gate", 1);
        let other = grid.master().args("--wait-nodes 1s").input("a\n").finish().expect(3);
        assert!(other.errors()[0].contains("no node could be reserved"), "{}", other.stderr);
        let left = ask("SELECT lease_until - NOW FROM nodes");
        assert!((1..=16).contains(&left), "{left} s are left of a lease of 15 s");
        grid.open_gate("gate");
        master.finish().expect(0);
    });
}
