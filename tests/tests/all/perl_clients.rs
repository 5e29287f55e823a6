//! Programs that share the table of nodes with slaves that accept lines, and say to the database and to
//! slaves what Net::SimpleGrid's master and node manager say: the statements and bytes are facts, the
//! programs are our own. Skipped where there is no database server, or no Perl that can talk to it.

use std::thread;

use simplegrid_tests::{
    DatabaseServer, Engine, Grid, LineClient, Slave, TestDatabase, numbered, run_perl, sorted, wait,
};

/// What a client knows: how to find, reserve and release nodes, and how to talk to them.
const CLIENT: &str = r#"
    use IO::Socket::INET;
    $| = 1;
    my $id = "pid $$ euid $> host perl";
    my %socket;
    sub nodes {
        my ($state) = @_;
        return @{$dbh->selectall_arrayref("select hostname, port, children, start_time, state, reserved_by from nodes "
            . "where state = ? order by start_time", undef, $state)};
    }
    sub set_row {
        my ($node, $state, $holder, $guard) = @_;
        my @guard = defined $guard ? ($guard) : ();
        return $dbh->do("update nodes set children = ?, start_time = ?, state = ?, reserved_by = ? "
            . "where hostname = ? and port = ?" . (@guard ? " and state = ?" : ""), undef,
            $node->[2], ($state eq 'enabled' ? time : $node->[3]), $state, $holder, $node->[0], $node->[1], @guard);
    }
    sub connect_to {
        my ($node, $scheduler, @commands) = @_;
        my $socket = IO::Socket::INET->new(PeerAddr => $node->[0], PeerPort => $node->[1], Proto => 'tcp') or die "$!";
        $socket->autoflush(1);
        print $socket ":scheduler=Net::SimpleGrid::ProcessScheduler::$scheduler\n", map { ":$_\n" } @commands;
        return $socket{"$node->[0]:$node->[1]"} = $socket;
    }
    sub reserve_all {
        my ($scheduler, @commands) = @_;
        for my $node (nodes('enabled')) {
            connect_to($node, $scheduler, @commands);
            set_row($node, 'reserved', $id, 'enabled');
        }
        return grep { $_->[5] eq $id } nodes('reserved');
    }
    sub say_to {
        my ($node, $line) = @_;
        print { $socket{"$node->[0]:$node->[1]"} } $line;
    }
    sub release_all {
        my (@last) = @_;
        for my $node (grep { $_->[5] eq $id } nodes('reserved')) {
            say_to($node, ":$_\n") for @last;
            close delete $socket{"$node->[0]:$node->[1]"};
            set_row($node, 'enabled', '');
        }
    }
    sub wait_for_file {
        my ($file) = @_;
        for (1 .. 4000) { return if -e $file; select undef, undef, undef, 0.01; }
        die "waited in vain for $file";
    }
"#;

/// Runs a test on each installed server, if Perl can talk to it.
fn on_each(test: impl Fn(&TestDatabase<'_>, &Grid, &(dyn Fn(&str) -> String + Sync))) {
    for engine in Engine::available() {
        let database = DatabaseServer::shared(engine).expect("it is installed").database();
        if run_perl(engine, &database, "").is_none() {
            continue;
        }
        let grid = Grid::with_registry(database.url());
        let client = |script: &str| {
            run_perl(engine, &database, &(CLIENT.to_owned() + script)).expect("Perl was there a moment ago")
        };
        test(&database, &grid, &client);
    }
}

#[track_caller]
fn slave(grid: &Grid) -> Slave {
    Slave::start(grid.slave_call("echo").arg("--line-protocol"))
}

/// The columns that a Perl client looks at, by port.
fn states(database: &TestDatabase<'_>) -> Vec<(String, String)> {
    let rows = database.query("SELECT state, reserved_by FROM nodes ORDER BY port");
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
}

#[test]
fn a_client_spreads_lines_over_slaves_and_gives_them_back() {
    on_each(|database, grid, client| {
        let slaves = [slave(grid), slave(grid)];
        let reserved = client(
            "my @nodes = reserve_all('RoundRobinStrategy', 'scpto=user@host:dir');
             print join(',', map { $_->[2] } @nodes), \"\\n\";
             say_to($nodes[$_ % @nodes], \"line $_\\n\") for 0 .. 999;
             release_all();",
        );
        assert_eq!(reserved, "2,2\n", "both are reserved, with two children each");
        slaves.iter().for_each(|slave| slave.wait_for_lines(500));
        let rows: Vec<u8> = slaves.iter().flat_map(|slave| slave.stdout()).collect();
        assert_eq!(sorted(&rows), sorted(numbered("line ", 1000).as_bytes()));
        assert!(states(database).iter().all(|(state, holder)| state == "enabled" && holder.is_empty()));
        // A master of this program gets the same slaves.
        grid.master().input(numbered("record ", 100)).finish().expect(0).expect_counts(100, 100, 0);
    });
}

#[test]
fn a_client_partitions_by_hashes_over_slaves_and_their_workers() {
    on_each(|_, grid, client| {
        let call = || {
            let call = grid.slave_call("hostile").task_arg("side-log", grid.path("log"));
            Slave::start(call.arg("--line-protocol"))
        };
        let _slaves = [call(), call()];
        client(
            "my @nodes = reserve_all('PartitionedStrategy');
             for my $number (0 .. 1999) {
                 my $hash = 600 + $number % 40;
                 say_to($nodes[$hash % @nodes], sprintf('%-10s%s', $hash, \"key $hash,$number\\n\"));
             }
             release_all();",
        );
        wait::until("all lines are run", || grid.side_log("log").len() == 2000);
        let log = grid.side_log("log");
        let by_worker = log.by_worker();
        assert_eq!(by_worker.len(), 4, "Net::SimpleGrid would leave two of four idle");
        let mut homes = std::collections::BTreeMap::new();
        for (worker, lines) in by_worker {
            for line in lines {
                let key = line.split(',').next().expect("there is a comma").to_owned();
                assert!(key.starts_with("key 6"), "the hash is taken off: {line}");
                assert_eq!(*homes.entry(key).or_insert(worker), worker, "equal keys meet");
            }
        }
    });
}

#[test]
fn a_reservation_without_a_lease_is_left_alone() {
    on_each(|database, grid, client| {
        let slave = slave(grid);
        let (gate, gate_text) = ("gate", grid.path("gate").display().to_string());
        thread::scope(|scope| {
            let reserving = scope.spawn(|| {
                client(&format!(
                    "my ($node) = reserve_all('RoundRobinStrategy');
                     wait_for_file('{gate_text}');
                     say_to($node, \"a line\\n\");
                     release_all();"
                ))
            });
            grid.wait_for_state(slave.port(), "reserved");
            let seen = || database.query("SELECT last_seen FROM nodes")[0][0].clone();
            for _ in 0..2 {
                let before = seen();
                wait::until("the slave is heard of again", || seen() != before);
            }
            let refused = grid.master().args("--wait-nodes 1s").input("a\n").finish().expect(3);
            assert!(refused.stderr.contains("no node could be reserved"), "{}", refused.stderr);
            let (state, holder) = states(database).remove(0);
            assert!(state == "reserved" && holder.starts_with("pid ") && holder.ends_with(" host perl"));
            grid.open_gate(gate);
            reserving.join().expect("the client ends as it should");
        });
        slave.wait_for_lines(1);
        grid.wait_for_state(slave.port(), "enabled");
    });
}

#[test]
fn a_client_that_is_killed_leaves_a_row_that_can_be_released() {
    on_each(|_, grid, client| {
        let slave = slave(grid);
        client("reserve_all('RoundRobinStrategy'); exec 'true';");
        assert_eq!(grid.state(slave.port()), "reserved");
        slave.wait_for_stderr("its client is gone");
        grid.manage(slave.port(), "release").finish().expect(0);
        assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
    });
}

#[test]
fn a_client_that_ends_slaves_leaves_their_rows_disabled() {
    on_each(|_, grid, client| {
        let slave = slave(grid);
        let port = slave.port();
        client(
            "my ($node) = reserve_all('RoundRobinStrategy');
             say_to($node, \"line $_\\n\") for 0 .. 99;
             release_all('done=1');",
        );
        let ended = slave.into_process().wait().expect(0);
        assert_eq!(sorted(&ended.stdout), sorted(numbered("line ", 100).as_bytes()));
        // Although the client enabled the row after telling the slave to end.
        assert_eq!(grid.state(port), "disabled");
    });
}

#[test]
fn rows_are_changed_and_slaves_are_ended_as_by_the_node_manager() {
    on_each(|database, grid, client| {
        let slave = slave(grid);
        let port = slave.port();
        client("my ($node) = nodes('enabled'); set_row($node, 'disabled', '');");
        assert_eq!(states(database), [("disabled".to_owned(), String::new())]);
        let refused = grid.master().args("--wait-nodes 1s").input("a\n").finish().expect(3);
        assert!(refused.stderr.contains("no node could be reserved"), "{}", refused.stderr);
        client("my ($node) = nodes('disabled'); set_row($node, 'enabled', '');");
        assert_eq!(grid.master().input("a\n").finish().expect(0).text(), "a\n");
        client("my ($node) = nodes('enabled'); close connect_to($node, 'RoundRobinStrategy', 'done=1');");
        slave.into_process().wait().expect(0);
        assert_eq!(grid.state(port), "disabled");
    });
}

#[test]
fn a_slave_that_starts_is_seen_as_net_simplegrid_sees_its_own() {
    on_each(|database, grid, _| {
        let slave = Slave::start(grid.slave_call("echo").args("--line-protocol -m 3"));
        let row = database
            .query("SELECT hostname, port, state, reserved_by, children, start_time FROM nodes")
            .remove(0);
        let row: Vec<String> =
            row.into_iter().map(|column| column.expect("no column of Net::SimpleGrid's is empty")).collect();
        assert_eq!(
            row[..5],
            ["127.0.0.1".to_owned(), slave.port().to_string(), "enabled".into(), String::new(), "3".into()]
        );
        assert!(row[5].parse::<u64>().is_ok_and(|start_time| start_time > 1_700_000_000));
        LineClient::connect(slave.port()).finish();
    });
}
