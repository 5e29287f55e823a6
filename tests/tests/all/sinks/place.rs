//! The databases in which tables can be, as far as they are installed here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use simplegrid_tests::{DatabaseServer, Engine, Grid, TestDatabase};

/// A database for a table of a test.
pub(super) enum Place<'s> {
    Sqlite(PathBuf),
    Server(Engine, TestDatabase<'s>),
}

/// One of each kind. Those whose server is not installed are left out, with a message.
pub(super) fn all(grid: &Grid) -> Vec<Place<'static>> {
    let servers = Engine::ALL.into_iter().filter_map(DatabaseServer::shared);
    let servers = servers.map(|server| Place::Server(server.engine(), server.database()));
    std::iter::once(Place::sqlite(grid)).chain(servers).collect()
}

impl Place<'_> {
    /// A SQLite file of the grid.
    pub(super) fn sqlite(grid: &Grid) -> Self {
        Self::Sqlite(grid.path("rows.db"))
    }

    /// A name for messages and files.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Server(engine, _) => engine.scheme(),
        }
    }

    /// The sink for a table, whose name is percent-encoded already.
    pub(super) fn sink(&self, table: &str) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}?table={table}", path.display()),
            Self::Server(_, database) => format!("{}?table={table}", database.url()),
        }
    }

    /// The rows that a statement finds.
    #[track_caller]
    pub(super) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match self {
            Self::Sqlite(path) => sqlite(path, sql),
            Self::Server(_, database) => database.query(sql),
        }
    }

    /// Runs a statement that finds nothing.
    #[track_caller]
    pub(super) fn run(&self, sql: &str) {
        self.query(sql);
    }

    /// The one text that a statement finds.
    #[track_caller]
    pub(super) fn text(&self, sql: &str) -> String {
        self.query(sql)[0][0].clone().expect("it is not NULL")
    }

    /// The values of a column, each with how often it is there.
    #[track_caller]
    pub(super) fn values(&self, table: &str, column: &str) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for row in self.query(&format!("SELECT {column} FROM {table}")) {
            *counted.entry(row[0].clone().unwrap_or_default()).or_default() += 1;
        }
        counted
    }

    /// How many rows a table has; none if it is not there.
    pub(super) fn count(&self, table: &str) -> usize {
        let there = match self {
            Self::Sqlite(path) if !path.exists() => return 0,
            Self::Sqlite(_) => format!("SELECT 1 FROM sqlite_master WHERE name = '{table}'"),
            Self::Server(..) => {
                format!("SELECT 1 FROM information_schema.tables WHERE table_name = '{table}'")
            }
        };
        if self.query(&there).is_empty() {
            return 0;
        }
        self.text(&format!("SELECT count(*) FROM {table}")).parse().expect("it is a number")
    }

    /// Checks that each of these values is there once, and no others are.
    #[track_caller]
    pub(super) fn expect_once(&self, table: &str, column: &str, expected: impl Iterator<Item = String>) {
        let found = self.values(table, column);
        let twice: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{}: rows that are there more than once: {twice:?}", self.name());
        let expected: Vec<_> = expected.collect();
        let missing: Vec<_> = expected.iter().filter(|value| !found.contains_key(*value)).collect();
        assert!(missing.is_empty(), "{}: rows that are missing: {missing:?}", self.name());
        assert_eq!(found.len(), expected.len(), "{}: there are rows that no record has written", self.name());
    }

    /// The number of ledger rows that are about records.
    #[track_caller]
    pub(super) fn ledger_pages(&self) -> usize {
        let sql = "SELECT count(*) FROM simplegrid_ledger WHERE run <> '' AND page >= 0";
        self.text(sql).parse().expect("it is a number")
    }
}

#[track_caller]
fn sqlite(path: &PathBuf, sql: &str) -> Vec<Vec<Option<String>>> {
    let connection = Connection::open(path).expect("it can be opened");
    connection.busy_timeout(simplegrid_tests::wait::PATIENCE).expect("it can be set");
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    };
    let rows =
        statement.query_map([], |row| (0..columns).map(|column| Ok(text(row.get_ref(column)?))).collect());
    rows.and_then(Iterator::collect).unwrap_or_else(|error| panic!("{sql}: {error}"))
}
