//! What only happens to a SQLite file: Net::SimpleGrid has made it, or it is broken in one of many ways,
//! locked, deleted or full.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rusqlite::Connection;

use super::*;
use crate::build::{Build, Digest};
use crate::registry::dialects::sqlite_error::SqliteError;
use crate::registry::request::Change;
use crate::registry::session::SqlSession;
use crate::registry::{
    Announcement, Clock, Node, NodeKey, NodeState, Registry, RegistryUrl, Reservation, Stats,
};

const LEASE: Duration = Duration::from_secs(10);

/// Short, for tests that wait until it is over.
const SHORT: Duration = Duration::from_millis(50);

/// The table as Liquibase makes it from the `db.changelog.xml` of Net::SimpleGrid.
const PERL_TABLE: &str = "
    CREATE TABLE nodes (hostname VARCHAR(100) NOT NULL, port INT NOT NULL, start_time INT, state VARCHAR(16),
        reserved_by VARCHAR(100), children INT, CONSTRAINT pk_nodes_host_port PRIMARY KEY (hostname, port));
    CREATE TABLE domain_description (domain VARCHAR(75) NOT NULL PRIMARY KEY, description VARCHAR(2048));
    INSERT INTO nodes VALUES ('a', 1337, 1203355633, 'enabled', '', 5);
    INSERT INTO nodes VALUES ('b', 1337, 1203355634, 'reserved', 'pid 12 euid 1000 host m', 2);
    INSERT INTO nodes VALUES ('c', 1337, NULL, 'disabled', '', 3);";

struct TestFile {
    directory: tempfile::TempDir,
}

impl TestFile {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn with_sql(sql: &str) -> Self {
        let file = Self::new();
        Connection::open(file.path()).unwrap().execute_batch(sql).unwrap();
        file
    }

    fn with_bytes(bytes: &[u8]) -> Self {
        let file = Self::new();
        fs::write(file.path(), bytes).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("grid.db")
    }

    /// What SQLite keeps beside it.
    fn beside(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("grid.db{suffix}"))
    }

    /// A registry in a new file, with a short busy timeout.
    async fn new_backend() -> (Self, FileBackend) {
        let file = Self::new();
        let described = SqliteFile { path: file.path(), creates_directory: false, busy_timeout: SHORT };
        (file, FileBackend::open_file(described).await.unwrap())
    }

    async fn open(&self) -> Result<Registry, RegistryError> {
        open_registry(&self.path()).await
    }
}

async fn open_registry(path: &Path) -> Result<Registry, RegistryError> {
    Registry::open_with_clock(&RegistryUrl::sqlite(path), Clock::manual(1_203_355_700)).await
}

fn sqlite_error<T>(result: Result<T, RegistryError>) -> SqliteError {
    match result {
        Err(RegistryError::Backend(BackendError::File(error))) => error,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("no error"),
    }
}

fn backend_error<T>(result: Result<T, RegistryError>) -> BackendError {
    match result {
        Err(RegistryError::Backend(error)) => error,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("no error"),
    }
}

fn slave(hostname: &str) -> Announcement {
    Announcement {
        key: NodeKey::new(hostname, 1337),
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

fn hostnames(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| node.key.hostname.as_str()).collect()
}

#[tokio::test]
async fn a_table_of_net_simplegrid_is_migrated_in_place_and_keeps_its_rows() {
    let file = TestFile::with_sql(PERL_TABLE);
    for _ in 0..2 {
        let registry = file.open().await.unwrap();
        let nodes = registry.list().await.unwrap();
        assert_eq!(hostnames(&nodes), ["a", "b", "c"]);
        assert_eq!(nodes.iter().map(|node| node.children).collect::<Vec<_>>(), [Some(5), Some(2), Some(3)]);
        assert_eq!(nodes[0].state, NodeState::Enabled);
        assert_eq!((nodes[0].start_time, nodes[0].reserved_by.as_deref()), (Some(1_203_355_633), None));
        assert_eq!(nodes[1].reserved_by.as_deref(), Some("pid 12 euid 1000 host m"));
        assert_eq!((nodes[2].state, nodes[2].last_seen, nodes[2].pid), (NodeState::Disabled, None, None));
    }
}

#[tokio::test]
async fn masters_leave_rows_of_net_simplegrid_alone() {
    let file = TestFile::with_sql(PERL_TABLE);
    let registry = file.open().await.unwrap();
    let master = Reservation::new("m", "r");
    // Its slaves do not speak our protocol, and would take a master's messages for records.
    assert!(registry.reserve(&master, 9, None, LEASE).await.unwrap().is_empty());
    // Everything else can be done to its rows.
    assert_eq!(registry.release(&NodeKey::new("b", 1337)).await.unwrap().state, NodeState::Enabled);
    registry.announce(&slave("c")).await.unwrap();
    assert_eq!(registry.enable(&NodeKey::new("c", 1337)).await.unwrap().pid, Some(4711));
    assert_eq!(hostnames(&registry.reserve(&master, 9, None, LEASE).await.unwrap()), ["c"]);
}

/// The statements of `Manager.pm` of Net::SimpleGrid, in their effect: it names only its own columns.
#[tokio::test]
async fn net_simplegrid_can_go_on_writing_to_a_migrated_table() {
    let file = TestFile::with_sql(PERL_TABLE);
    let registry = file.open().await.unwrap();
    registry.announce(&slave("z")).await.unwrap();
    Connection::open(file.path())
        .unwrap()
        .execute_batch(
            "INSERT INTO nodes (hostname, port, reserved_by, children, state) VALUES ('d', 1, '', 4, 'disabled');
             UPDATE nodes SET children = 5, start_time = 7, state = 'enabled', reserved_by = ''
                 WHERE hostname = 'z' AND port = 1337;
             UPDATE nodes SET state = 'reserved', reserved_by = 'pid 9 euid 0 host p'
                 WHERE hostname = 'z' AND port = 1337 AND state = 'enabled';
             DELETE FROM nodes WHERE hostname = 'c' AND port = 1337 AND state <> 'reserved'",
        )
        .unwrap();
    let nodes = registry.list().await.unwrap();
    assert_eq!(hostnames(&nodes), ["a", "b", "d", "z"]);
    assert_eq!(nodes[3].reserved_by.as_deref(), Some("pid 9 euid 0 host p"));
    let stats = Stats::default();
    assert_eq!(registry.beat(&nodes[3].key, stats).await.unwrap().state, NodeState::Reserved);
}

/// It enables and reserves a node without looking at our columns.
#[tokio::test]
async fn a_reservation_of_net_simplegrid_is_not_ended_by_an_old_lease() {
    let file = TestFile::with_sql(PERL_TABLE);
    let registry = file.open().await.unwrap();
    registry.announce(&slave("z")).await.unwrap();
    let perl = Connection::open(file.path()).unwrap();
    perl.execute_batch("UPDATE nodes SET state = 'enabled', lease_until = 1 WHERE hostname = 'z'").unwrap();
    let node = registry.beat(&slave("z").key, Stats::default()).await.unwrap();
    assert_eq!((node.state, node.lease_until), (NodeState::Enabled, None));
    perl.execute_batch("UPDATE nodes SET state = 'reserved', reserved_by = 'p' WHERE hostname = 'z'")
        .unwrap();
    assert!(!registry.free_if_expired(&slave("z").key).await.unwrap());
    assert!(registry.reserve(&Reservation::new("m", "r"), 9, None, LEASE).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_row_with_a_state_that_no_program_writes_is_shown_and_can_be_released() {
    let file = TestFile::with_sql(PERL_TABLE);
    let registry = file.open().await.unwrap();
    let odd = "UPDATE nodes SET state = NULL, children = 'five', reserved_by = NULL WHERE hostname = 'a'";
    Connection::open(file.path()).unwrap().execute_batch(odd).unwrap();
    let node = registry.list().await.unwrap().remove(0);
    assert_eq!((node.state, node.children), (NodeState::Invalid, None));
    assert_eq!(registry.release(&node.key).await.unwrap().state, NodeState::Enabled);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let file = TestFile::new();
    drop(file.open().await.unwrap());
    Connection::open(file.path()).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = backend_error(file.open().await);
    assert_eq!(
        error.to_string(),
        format!(
            "the registry {} was made by a newer SimpleGrid (its schema has version 7, this program knows 1); \
             update this program, or name another registry",
            file.path().display()
        )
    );
}

#[tokio::test]
async fn another_programs_table_of_the_same_name_is_refused_and_left_as_it_is() {
    let file = TestFile::with_sql("CREATE TABLE nodes (id INTEGER, port INTEGER)");
    let error = backend_error(file.open().await);
    assert!(matches!(error, BackendError::ForeignTable { column: "hostname", .. }), "{error}");
    let connection = Connection::open(file.path()).unwrap();
    let columns: i64 = connection
        .query_row("SELECT count(*) FROM pragma_table_info('nodes')", [], |row| row.get(0))
        .unwrap();
    assert_eq!(columns, 2);
}

#[tokio::test]
async fn programs_that_open_a_new_file_at_once_all_succeed() {
    for _ in 0..10 {
        let file = TestFile::new();
        let url = RegistryUrl::sqlite(file.path());
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async { Registry::open(&url).await?.list().await })
                })
            })
            .collect();
        for opener in openers {
            assert_eq!(opener.join().unwrap().unwrap(), []);
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused_and_left_as_it_is() {
    let text = "hostname,port\n".repeat(100);
    let file = TestFile::with_bytes(text.as_bytes());
    let error = sqlite_error(file.open().await);
    assert!(matches!(error, SqliteError::NotADatabase { .. }), "{error}");
    assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_file_is_named_as_such() {
    let file = TestFile::with_sql(PERL_TABLE);
    drop(file.open().await.unwrap());
    let mut bytes = fs::read(file.path()).unwrap();
    bytes[4096..].fill(0xaa);
    fs::write(file.path(), bytes).unwrap();
    let registry = file.open().await.unwrap();
    let error = sqlite_error(registry.list().await);
    assert!(matches!(error, SqliteError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_directory_is_named_and_not_made() {
    let file = TestFile::new();
    let directory = file.directory.path().join("no/such");
    let error = sqlite_error(open_registry(&directory.join("grid.db")).await);
    assert_eq!(
        error.to_string(),
        format!(
            "there is no directory {0} for the registry {0}/grid.db; create it with `mkdir -p`, or name another file",
            directory.display()
        )
    );
    assert!(!directory.exists());
}

#[tokio::test]
async fn the_directory_of_the_default_registry_is_made_for_the_user_alone() {
    let state = tempfile::tempdir().unwrap();
    let url = RegistryUrl::default_for(Some(state.path().as_os_str()), None).unwrap();
    assert_eq!(Registry::open(&url).await.unwrap().list().await.unwrap(), []);
    let directory = fs::metadata(state.path().join("simplegrid")).unwrap();
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_directory_in_the_way_is_named() {
    let state = tempfile::tempdir().unwrap();
    let error = sqlite_error(open_registry(state.path()).await);
    assert!(matches!(error, SqliteError::IsADirectory { .. }), "{error}");
    fs::write(state.path().join("simplegrid"), "").unwrap();
    let url = RegistryUrl::default_for(Some(state.path().as_os_str()), None).unwrap();
    let error = sqlite_error(Registry::open(&url).await);
    assert!(matches!(error, SqliteError::CannotCreateDirectory { .. }), "{error}");
}

/// Root can write every file, so for root this one opens.
#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused() {
    let file = TestFile::new();
    drop(file.open().await.unwrap());
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o400)).unwrap();
    let result = file.open().await;
    if nix::unistd::geteuid().is_root() {
        assert!(result.is_ok());
    } else {
        assert!(matches!(sqlite_error(result), SqliteError::ReadOnly { .. }));
    }
}

/// Says something over the connection that the next request will use.
fn say(backend: &mut FileBackend, sql: &str) {
    at_once(backend.session.as_mut().expect("it is open").say(sql)).unwrap();
}

async fn announce(backend: &mut FileBackend, announcement: Announcement) -> Result<Answer, RegistryError> {
    let (key, change) = (announcement.key.clone(), Change::Announce(Box::new(announcement)));
    backend.perform(Request::Change { key, change }, &Clock::manual(1_203_355_700)).await
}

async fn list(backend: &mut FileBackend) -> Result<Vec<Node>, RegistryError> {
    Ok(backend.perform(Request::List, &Clock::manual(1_203_355_700)).await?.nodes())
}

#[tokio::test]
async fn a_write_that_is_not_allowed_is_named_as_such() {
    let (_file, mut backend) = TestFile::new_backend().await;
    say(&mut backend, "PRAGMA query_only = true");
    let error = sqlite_error(announce(&mut backend, slave("a")).await);
    assert!(matches!(error, SqliteError::ReadOnly { .. }), "{error}");
    // The next operation starts with a new connection.
    announce(&mut backend, slave("a")).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_named_as_such_and_nothing_is_written() {
    let (_file, mut backend) = TestFile::new_backend().await;
    say(&mut backend, "PRAGMA max_page_count = 1");
    let large = Announcement { task: "x".repeat(1_000_000), ..slave("a") };
    let error = sqlite_error(announce(&mut backend, large).await);
    assert!(matches!(error, SqliteError::DiskFull { .. }), "{error}");
    assert_eq!(list(&mut backend).await.unwrap(), []);
}

#[tokio::test]
async fn a_file_that_stays_locked_is_named_as_such_and_works_again_afterwards() {
    let (file, mut backend) = TestFile::new_backend().await;
    let other = Connection::open(file.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    say(&mut backend, "CREATE TEMPORARY TABLE kept (a int)");
    let error = sqlite_error(announce(&mut backend, slave("a")).await);
    assert_eq!(
        error.to_string(),
        format!(
            "the registry {0} has been locked by another program for 0.05 s; `fuser {0}` shows which",
            file.path().display()
        )
    );
    assert_eq!(list(&mut backend).await.unwrap(), [], "a reader does not wait");
    other.execute_batch("ROLLBACK").unwrap();
    announce(&mut backend, slave("a")).await.unwrap();
    // It is still the same connection.
    say(&mut backend, "DROP TABLE kept");
}

#[tokio::test]
async fn a_registry_that_was_deleted_is_made_again_and_the_slave_learns_that_its_row_is_gone() {
    let file = TestFile::new();
    let registry = file.open().await.unwrap();
    registry.announce(&slave("a")).await.unwrap();
    fs::remove_file(file.path()).unwrap();
    let beat = registry.beat(&slave("a").key, Stats::default()).await;
    assert!(matches!(beat, Err(RegistryError::NoSuchNode { .. })));
    registry.announce(&slave("a")).await.unwrap();
    let seen_by_others = file.open().await.unwrap().list().await.unwrap();
    assert_eq!(hostnames(&seen_by_others), ["a"]);
}

#[tokio::test]
async fn a_registry_whose_directory_is_gone_works_again_when_it_is_back() {
    let file = TestFile::new();
    let directory = file.directory.path().join("mount");
    fs::create_dir(&directory).unwrap();
    let registry = open_registry(&directory.join("grid.db")).await.unwrap();
    registry.announce(&slave("a")).await.unwrap();
    let elsewhere = file.directory.path().join("elsewhere");
    fs::rename(&directory, &elsewhere).unwrap();
    let error = registry.list().await.unwrap_err();
    assert!(error.to_string().contains("there is no directory"), "{error}");
    fs::rename(&elsewhere, &directory).unwrap();
    assert_eq!(hostnames(&registry.list().await.unwrap()), ["a"]);
}

/// How a file is replaced: in words, whether the one that has it open looks before another opens it, and in
/// deeds.
type Replacement = (&'static str, &'static [bool], fn(&TestFile));

/// Everything that can happen to the file behind the back of a program that has it open, and that of another
/// that opens it then.
#[tokio::test]
async fn a_file_that_is_replaced_is_opened_again_by_those_who_have_it_and_by_others() {
    // Connections of one process share their locks on a file. What two programs do at once with a file that
    // was put in the place of another is therefore tested with processes.
    let ways: [Replacement; 4] = [
        ("only the database is removed", &[true, false], |file| fs::remove_file(file.path()).unwrap()),
        ("only the journal is removed", &[true, false], |file| fs::remove_file(file.beside("-wal")).unwrap()),
        ("it is emptied", &[true, false], |file| fs::write(file.path(), "").unwrap()),
        ("another is put in its place", &[true], |file| {
            let other = file.directory.path().join("other.db");
            Connection::open(&other).unwrap().execute_batch(PERL_TABLE).unwrap();
            fs::rename(other, file.path()).unwrap();
        }),
    ];
    for (way, orders, replace) in ways {
        for &early_is_first in orders {
            let file = TestFile::new();
            let early = file.open().await.unwrap();
            early.announce(&slave("early")).await.unwrap();
            replace(&file);
            let enter = async |registry: &Registry, name: &str| {
                let entered = registry.announce(&slave(name)).await;
                entered.unwrap_or_else(|error| panic!("{way}, {name}, {early_is_first}: {error}"));
            };
            if early_is_first {
                enter(&early, "x").await;
            }
            // The other may have to wait until those who have the file open look at it, and they for the
            // other.
            let start = async {
                let late =
                    file.open().await.unwrap_or_else(|error| panic!("{way}, {early_is_first}: {error}"));
                enter(&late, "z").await;
                late
            };
            let (late, ()) = tokio::join!(start, enter(&early, "y"));
            if !hostnames(&late.list().await.unwrap()).contains(&"z") {
                // It was in the old file when that was found to be gone.
                enter(&late, "z").await;
            }
            let seen = early.list().await.unwrap();
            assert_eq!(seen, late.list().await.unwrap(), "{way}, {early_is_first}");
            assert!(hostnames(&seen).contains(&"z"), "{way}, {early_is_first}: {seen:?}");
        }
    }
}

/// A column that came after the file was made, and a table that someone has deleted.
#[tokio::test]
async fn what_is_missing_in_a_file_of_this_version_is_made_again() {
    let file = TestFile::new();
    drop(file.open().await.unwrap());
    let meddle = |sql: &str| Connection::open(file.path()).unwrap().execute_batch(sql).unwrap();
    for sql in ["ALTER TABLE nodes DROP COLUMN version", "DROP INDEX nodes_state", "DROP TABLE nodes"] {
        meddle(sql);
        let registry = file.open().await.unwrap();
        registry.announce(&slave("a")).await.unwrap();
        assert_eq!(registry.list().await.unwrap()[0].version.as_deref(), Some("0.1.0"), "{sql}");
        meddle("UPDATE nodes SET pid = NULL; REINDEX nodes_state");
    }
}
