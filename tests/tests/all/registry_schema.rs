//! The table of nodes on a server: how it is made or completed, that of Net::SimpleGrid included, and who can
//! use it.

#![expect(clippy::unwrap_used, reason = "these are tests: a value that is missing is a failure")]

use std::time::Duration;

use simplegrid::internals::build::{Build, Digest};
use simplegrid::internals::registry::{
    Announcement, BackendError, Node, NodeKey, NodeState, Registry, RegistryError, RegistryUrl, Reservation,
    Stats,
};
use simplegrid_tests::{DatabaseServer, Engine, TestDatabase, run_perl, wait};

const LEASE: Duration = Duration::from_secs(10);

/// The table as Liquibase makes it from the `db.changelog.xml` of Net::SimpleGrid, and some rows.
const PERL_TABLE: [&str; 2] = [
    "CREATE TABLE nodes (hostname VARCHAR(100) NOT NULL, port INT NOT NULL, start_time INT, state VARCHAR(16),
        reserved_by VARCHAR(100), children INT, CONSTRAINT pk_nodes_host_port PRIMARY KEY (hostname, port))",
    "INSERT INTO nodes VALUES ('a', 1337, 1203355633, 'enabled', '', 5),
        ('b', 1337, 1203355634, 'reserved', 'pid 12 euid 1000 host m', 2), ('c', 1337, NULL, 'disabled', '', 3)",
];

/// The statements of Net::SimpleGrid, in its order: a slave enters its row and enables it, a master looks for
/// enabled nodes, reserves one that still is, and gives it back, and the slave leaves.
const PERL_LIFE: &str = r#"
    my @node = ('perl', 1400);
    my $found = sub { join ',', map { $_ // 'NULL' } map { @$_ } @{ $dbh->selectall_arrayref(
        "select hostname, port, children, start_time, state, reserved_by from nodes " . shift, undef, @_) } };
    my $update = sub { $dbh->do("update nodes set children = ?, start_time = ?, state = ?, reserved_by = ?"
        . " where hostname = ? and port = ?" . shift, undef, @_) };
    print $found->("where hostname = ? and port = ?", @node), "\n";
    print $dbh->do("insert into nodes (hostname, port, reserved_by, children, state) values (?, ?, '', ?, ?)",
        undef, @node, 4, 'disabled'), "\n";
    print $update->("", 4, 1203355700, 'enabled', '', @node), "\n";
    print $found->("where state = ? and hostname = 'perl' order by start_time", 'enabled'), "\n";
    print $update->(" and state = ?", 4, 1203355700, 'reserved', 'pid 9 euid 0 host p', @node, 'enabled'), "\n";
    print 0 + $update->(" and state = ?", 4, 1203355700, 'reserved', 'another', @node, 'enabled'), "\n";
    print $found->("where state = ? and hostname = 'perl' order by start_time", 'reserved'), "\n";
    print 0 + $dbh->do("delete from nodes where hostname = ? and port = ? and state <> ?", undef, @node, 'reserved'), "\n";
    print $update->("", 4, 1203355701, 'enabled', '', @node), "\n";
"#;

const PERL_ANSWERS: &str = "
1
1
perl,1400,4,1203355700,enabled,
1
0
perl,1400,4,1203355700,reserved,pid 9 euid 0 host p
0
1
";

async fn open(database: &TestDatabase<'_>) -> Result<Registry, RegistryError> {
    Registry::open(&url(database)).await
}

fn url(database: &TestDatabase<'_>) -> RegistryUrl {
    database.url().parse().unwrap()
}

fn hostnames(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| node.key.hostname.as_str()).collect()
}

fn slave(hostname: &str, port: u16) -> Announcement {
    Announcement {
        key: NodeKey::new(hostname, port),
        children: 5,
        task: "echo".to_owned(),
        task_version: None,
        columns: Digest::default(),
        build: Build::default(),
        advertise: None,
        pid: 4711,
        version: "0.1.0".to_owned(),
        dead_pid: None,
    }
}

fn backend_error<T>(result: Result<T, RegistryError>) -> BackendError {
    match result {
        Err(RegistryError::Backend(error)) => error,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("no error"),
    }
}

/// Runs a test on each server that is installed, each time with a new database.
fn on_each(test: impl AsyncFn(Engine, &TestDatabase<'_>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for engine in Engine::available() {
        let database = DatabaseServer::shared(engine).unwrap().database();
        runtime.block_on(test(engine, &database));
    }
}

#[test]
fn a_table_of_net_simplegrid_is_migrated_in_place_and_obeys_the_same_rules() {
    on_each(async |_, database| {
        PERL_TABLE.iter().for_each(|sql| drop(database.query(sql)));
        let first = open(database).await.unwrap();
        let registry = open(database).await.unwrap();
        let nodes = registry.list().await.unwrap();
        assert_eq!(nodes, first.list().await.unwrap());
        assert_eq!(hostnames(&nodes), ["a", "b", "c"]);
        assert_eq!(nodes.iter().map(|node| node.children).collect::<Vec<_>>(), [Some(5), Some(2), Some(3)]);
        assert_eq!((nodes[0].start_time, nodes[0].reserved_by.as_deref()), (Some(1_203_355_633), None));
        assert_eq!(nodes[1].reserved_by.as_deref(), Some("pid 12 euid 1000 host m"));
        assert_eq!((nodes[2].state, nodes[2].last_seen, nodes[2].pid), (NodeState::Disabled, None, None));
        // Its slaves do not speak our protocol, and would take a master's messages for records.
        registry.announce(&slave("z", 1337)).await.unwrap();
        registry.enable(&NodeKey::new("z", 1337)).await.unwrap();
        let master = Reservation::new("m", "r");
        assert_eq!(hostnames(&registry.reserve(&master, 9, None, LEASE).await.unwrap()), ["z"]);
        assert_eq!(registry.release(&NodeKey::new("b", 1337)).await.unwrap().state, NodeState::Enabled);
        let beat = registry.beat(&NodeKey::new("c", 1337), Stats::default()).await.unwrap();
        assert_eq!(beat.state, NodeState::Disabled);
    });
}

/// Before and after the table is migrated, in a table of Net::SimpleGrid and in one of ours.
#[test]
fn net_simplegrid_can_go_on_using_the_table() {
    on_each(async |engine, database| {
        PERL_TABLE.iter().for_each(|sql| drop(database.query(sql)));
        let forget = || drop(database.query("DELETE FROM nodes WHERE hostname = 'perl'"));
        for _ in 0..2 {
            let Some(answers) = run_perl(engine, database, PERL_LIFE) else { return };
            assert_eq!(answers, PERL_ANSWERS, "{engine:?}");
            let registry = open(database).await.unwrap();
            let node = registry.find(&NodeKey::new("perl", 1400)).await.unwrap().unwrap();
            assert_eq!((node.state, node.start_time), (NodeState::Enabled, Some(1_203_355_701)));
            forget();
        }
        database.query("DROP TABLE nodes");
        let registry = open(database).await.unwrap();
        assert_eq!(registry.list().await.unwrap(), []);
        let Some(answers) = run_perl(engine, database, PERL_LIFE) else { return };
        assert_eq!(answers, PERL_ANSWERS, "{engine:?}");
        let node = registry.find(&NodeKey::new("perl", 1400)).await.unwrap().unwrap();
        assert_eq!(node.state, NodeState::Enabled);
    });
}

#[test]
fn rows_that_make_no_sense_are_shown_and_can_be_released() {
    on_each(async |_, database| {
        PERL_TABLE.iter().for_each(|sql| drop(database.query(sql)));
        database
            .query("UPDATE nodes SET state = NULL, children = -5, reserved_by = NULL WHERE hostname = 'a'");
        database.query("UPDATE nodes SET state = 'ENABLED' WHERE hostname = 'c'");
        let registry = open(database).await.unwrap();
        let nodes = registry.list().await.unwrap();
        assert_eq!((nodes[0].state, nodes[0].children), (NodeState::Invalid, None));
        assert_eq!(nodes[2].state, NodeState::Invalid);
        assert_eq!(registry.release(&nodes[0].key).await.unwrap().state, NodeState::Enabled);
    });
}

#[test]
fn programs_that_open_a_new_or_an_old_database_at_once_all_succeed() {
    for engine in Engine::available() {
        for round in 0..4 {
            let database = DatabaseServer::shared(engine).unwrap().database();
            if round % 2 == 0 {
                PERL_TABLE.iter().for_each(|sql| drop(database.query(sql)));
            }
            let url = url(&database);
            let openers: Vec<_> = (0..8)
                .map(|_| {
                    let url = url.clone();
                    std::thread::spawn(move || {
                        let runtime =
                            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                        runtime.block_on(async { Registry::open(&url).await?.list().await })
                    })
                })
                .collect();
            for opener in openers {
                assert_eq!(opener.join().unwrap().unwrap().len(), if round % 2 == 0 { 3 } else { 0 });
            }
            let versions = database.query("SELECT version FROM simplegrid_schema");
            assert_eq!(versions, [[Some("1".to_owned())]]);
        }
    }
}

#[test]
fn a_table_of_a_newer_version_is_refused_at_once_and_left_as_it_is() {
    on_each(async |_, database| {
        drop(open(database).await.unwrap());
        database.query("UPDATE simplegrid_schema SET version = 7");
        database.query("ALTER TABLE nodes DROP COLUMN rate");
        let error = backend_error(open(database).await);
        assert!(matches!(error, BackendError::Newer { found: 7, known: 1, .. }), "{error}");
        assert!(error.to_string().contains("update this program") && !error.to_string().contains("hunter2"));
        database.query("SELECT version FROM nodes");
        let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'nodes'
            AND column_name = 'rate' AND table_schema IN ('public', DATABASE())";
        let columns = columns.replace("DATABASE()", &format!("'{}'", database.name));
        assert_eq!(database.query(&columns), [[Some("0".to_owned())]]);
    });
}

#[test]
fn another_programs_table_of_the_same_name_is_refused_and_left_as_it_is() {
    on_each(async |_, database| {
        database.query("CREATE TABLE nodes (id INT, port INT)");
        let error = backend_error(open(database).await);
        assert!(matches!(error, BackendError::ForeignTable { column: "hostname", .. }), "{error}");
        assert!(database.query("SELECT id, port FROM nodes").is_empty());
    });
}

/// A user who can change rows, but no tables.
#[test]
fn a_user_who_may_not_make_tables_can_use_a_complete_one() {
    on_each(async |engine, database| {
        let (name, user) = (&database.name, format!("{}_guest", database.username));
        let make = match engine {
            Engine::Postgres => vec![
                format!("CREATE ROLE \"{user}\" LOGIN PASSWORD 'hunter2-guest'"),
                "REVOKE CREATE ON SCHEMA public FROM PUBLIC".to_owned(),
            ],
            Engine::Mariadb => vec![format!("CREATE USER `{user}`@`%` IDENTIFIED BY 'hunter2-guest'")],
        };
        make.iter().for_each(|sql| drop(database.administer(sql)));
        let grant = match engine {
            Engine::Postgres => format!("GRANT SELECT, INSERT, UPDATE, DELETE ON nodes TO \"{user}\""),
            Engine::Mariadb => {
                format!("GRANT SELECT, INSERT, UPDATE, DELETE ON `{name}`.nodes TO `{user}`@`%`")
            }
        };
        let guest: RegistryUrl = database
            .url()
            .replace(
                &format!("{}:{}", database.username, database.password),
                &format!("{user}:hunter2-guest"),
            )
            .parse()
            .unwrap();

        PERL_TABLE.iter().for_each(|sql| drop(database.query(sql)));
        database.administer(&grant);
        let error = backend_error(Registry::open(&guest).await);
        assert!(matches!(error, BackendError::NotPrepared { .. }), "{engine:?}: {error}");

        drop(open(database).await.unwrap());
        let registry = Registry::open(&guest).await.unwrap();
        registry.announce(&slave("g", 1)).await.unwrap();
        registry.enable(&NodeKey::new("g", 1)).await.unwrap();
        assert_eq!(registry.reserve(&Reservation::new("m", "r"), 9, None, LEASE).await.unwrap().len(), 1);
        assert_eq!(registry.list().await.unwrap().len(), 4);
    });
}

/// Old versions of MySQL made tables in which nothing can be rolled back. The administrator decides what
/// becomes of them.
#[test]
fn an_old_table_without_transactions_is_refused_and_left_as_it_is_until_its_owner_changes_it() {
    on_each(async |engine, database| {
        if engine == Engine::Mariadb {
            database.query(&format!("{} ENGINE = MyISAM", PERL_TABLE[0]));
            let error = backend_error(open(database).await);
            assert!(matches!(error, BackendError::NoTransactions { table: "nodes", .. }), "{error}");
            let mend = "ALTER TABLE nodes ENGINE = InnoDB";
            assert!(error.to_string().contains(mend) && error.to_string().contains("MyISAM"), "{error}");
            let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'nodes'
                AND table_schema = DATABASE()";
            assert_eq!(database.query(columns), [[Some("6".to_owned())]]);
            database.query(mend);
            drop(open(database).await.unwrap());
            let sql = "SELECT engine FROM information_schema.tables WHERE table_name = 'nodes'
                AND table_schema = DATABASE()";
            assert_eq!(database.query(sql), [[Some("InnoDB".to_owned())]]);
        }
    });
}

/// How many rows of the table the server has read, by index or otherwise.
fn rows_read(engine: Engine, database: &TestDatabase<'_>) -> u64 {
    let name = &database.name;
    let sql = match engine {
        Engine::Postgres => "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables
            WHERE relname = 'nodes'"
            .to_owned(),
        Engine::Mariadb => format!(
            "SELECT coalesce(max(rows_read), 0) FROM information_schema.table_statistics
             WHERE table_schema = '{name}' AND table_name = 'nodes'"
        ),
    };
    database.administer(&sql)[0][0].as_ref().unwrap().parse().unwrap()
}

/// So that reserving does not take longer the more nodes there are.
#[test]
fn masters_find_free_nodes_among_ten_thousand_without_reading_all() {
    on_each(async |engine, database| {
        let registry = open(database).await.unwrap();
        let now = registry.listing().await.unwrap().now;
        let values = format!("'n', 'enabled', {now} - n % 1000, {now}, 'echo', 7");
        let series = match engine {
            Engine::Postgres => "generate_series(1, 10000) AS s (n)".to_owned(),
            Engine::Mariadb => {
                database.administer("SET GLOBAL userstat = 1");
                "(SELECT seq AS n FROM seq_1_to_10000) AS s".to_owned()
            }
        };
        database.query(&format!(
            "INSERT INTO nodes (port, hostname, state, start_time, last_seen, task, pid) SELECT n, {values} FROM {series}"
        ));
        database.query(if engine == Engine::Postgres { "ANALYZE nodes" } else { "ANALYZE TABLE nodes" });
        // The figures of a connection are added up when it ends.
        drop(registry);
        let before = {
            let all = || rows_read(engine, database);
            let mut last = all();
            wait::until("the figures stand still", || std::mem::replace(&mut last, all()) == last);
            last
        };
        let registry = open(database).await.unwrap();
        for task in [None, Some("echo")] {
            let nodes = registry.reserve(&Reservation::new("m", "r"), 20, task, LEASE).await.unwrap();
            assert_eq!(nodes.len(), 20);
        }
        drop(registry);
        wait::until("the figures are there", || rows_read(engine, database) > before);
        let read = rows_read(engine, database) - before;
        assert!(read < 1000, "{engine:?}: {read} rows were read to reserve 40");
    });
}
