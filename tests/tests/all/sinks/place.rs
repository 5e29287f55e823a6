//! Where rows of a test can be: the databases that are installed here, and files.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use simplegrid_tests::{DatabaseServer, Engine, Grid, TestDatabase, wait};

/// The last entry in a ledger of files whose run is over, without its checksum and its payload of one byte.
const OVER: &[u8] = b"SGLE\x01\0\0\0";

/// Bytes of that entry.
const OVER_BYTES: usize = 13;

/// A place for the rows of a test.
pub(crate) enum Place<'s> {
    Sqlite(PathBuf),
    Server(Engine, TestDatabase<'s>),
    /// A directory of files in this directory stands for a table.
    Files(PathBuf),
}

/// A database of each kind, and files: what keeps a ledger.
pub(crate) fn with_files(grid: &Grid) -> Vec<Place<'static>> {
    let mut places = all(grid);
    places.push(Place::Files(grid.path("")));
    places
}

/// A database of each kind. Those whose server is not installed are left out, with a message.
pub(crate) fn all(grid: &Grid) -> Vec<Place<'static>> {
    let servers = Engine::ALL.into_iter().filter_map(DatabaseServer::shared);
    let servers = servers.map(|server| Place::Server(server.engine(), server.database()));
    std::iter::once(Place::sqlite(grid)).chain(servers).collect()
}

impl Place<'_> {
    /// A SQLite file of the grid.
    pub(crate) fn sqlite(grid: &Grid) -> Self {
        Self::Sqlite(grid.path("rows.db"))
    }

    /// A name for messages and files.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Server(engine, _) => engine.scheme(),
            Self::Files(_) => "csv",
        }
    }

    /// The sink for a table, whose name is percent-encoded already.
    pub(crate) fn sink(&self, table: &str) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}?table={table}", path.display()),
            Self::Server(_, database) => format!("{}?table={table}", database.url()),
            Self::Files(parent) => format!("csv:{}", parent.join(table).display()),
        }
    }

    /// The rows that a statement finds.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match self {
            Self::Sqlite(path) => sqlite(path, sql),
            Self::Server(_, database) => database.query(sql),
            Self::Files(_) => panic!("files have no SQL: {sql}"),
        }
    }

    /// Runs a statement that finds nothing.
    #[track_caller]
    pub(crate) fn run(&self, sql: &str) {
        self.query(sql);
    }

    /// The one text that a statement finds.
    #[track_caller]
    pub(crate) fn text(&self, sql: &str) -> String {
        self.query(sql)[0][0].clone().expect("it is not NULL")
    }

    /// The values of a column, each with how often it is there.
    #[track_caller]
    pub(crate) fn values(&self, table: &str, column: &str) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        let values: Vec<_> = match self {
            Self::Files(parent) => rows_of_files(&parent.join(table), column),
            _ => {
                let rows = self.query(&format!("SELECT {column} FROM {table}"));
                rows.into_iter().map(|row| row[0].clone().unwrap_or_default()).collect()
            }
        };
        for value in values {
            *counted.entry(value).or_default() += 1;
        }
        counted
    }

    /// The sum of a column over all rows.
    #[track_caller]
    pub(crate) fn sum(&self, table: &str, column: &str) -> u64 {
        let each = self.values(table, column).into_iter();
        each.map(|(value, times)| value.parse::<u64>().expect("it is a number") * times as u64).sum()
    }

    /// How many rows a table has; none if it is not there.
    pub(crate) fn count(&self, table: &str) -> usize {
        let there = match self {
            Self::Files(parent) => return rows_of_files(&parent.join(table), "").len(),
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
    pub(crate) fn expect_once(&self, table: &str, column: &str, expected: impl Iterator<Item = String>) {
        self.wait_for_complete_files(table);
        self.expect_once_so_far(table, column, expected);
    }

    /// The same while slaves still write.
    #[track_caller]
    pub(crate) fn expect_once_so_far(
        &self,
        table: &str,
        column: &str,
        expected: impl Iterator<Item = String>,
    ) {
        let found = self.values(table, column);
        let twice: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{}: rows that are there more than once: {twice:?}", self.name());
        let expected: Vec<_> = expected.collect();
        let missing: Vec<_> = expected.iter().filter(|value| !found.contains_key(*value)).collect();
        assert!(missing.is_empty(), "{}: rows that are missing: {missing:?}", self.name());
        assert_eq!(found.len(), expected.len(), "{}: there are rows that no record has written", self.name());
    }

    /// Waits until no file of this table is being written, or waits for a slave that completes it.
    #[track_caller]
    pub(crate) fn wait_for_complete_files(&self, table: &str) {
        let Self::Files(parent) = self else { return };
        let names = || fs::read_dir(parent.join(table)).into_iter().flatten().flatten();
        wait::until("all files are complete", || {
            !names().any(|entry| entry.file_name().to_str().is_some_and(|name| name.ends_with(".part")))
        });
    }

    /// The number of ledger rows that are about records; of files, how many ledgers are of runs that are not
    /// over.
    #[track_caller]
    pub(crate) fn ledger_pages(&self) -> usize {
        if let Self::Files(parent) = self {
            let ledgers = fs::read_dir(parent.join("found/.simplegrid_ledger")).expect("it is there");
            let is_open = |path: PathBuf| {
                let bytes = fs::read(&path).expect("it can be read");
                let last = bytes.len().saturating_sub(OVER_BYTES);
                path.file_name().is_some_and(|name| name != "name") && !bytes[last..].starts_with(OVER)
            };
            return ledgers.filter(|entry| is_open(entry.as_ref().expect("it is there").path())).count();
        }
        let sql = "SELECT count(*) FROM simplegrid_ledger WHERE run <> '' AND page >= 0";
        self.text(sql).parse().expect("it is a number")
    }
}

/// A column of the rows in the files of a directory, complete or not; whole rows if no column has that name.
/// The tests that read them have no line breaks in their cells.
fn rows_of_files(directory: &std::path::Path, column: &str) -> Vec<String> {
    let mut values = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.path().is_file() {
            continue;
        }
        // A part may be given its final name just now; a reader comes again.
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        let index = header.split(',').position(|name| name == column);
        let value = |line: &str| match index.filter(|_| header.contains(',')) {
            Some(index) => line.split(',').nth(index).unwrap_or_default().to_owned(),
            None => line.to_owned(),
        };
        values.extend(lines.map(value));
    }
    values
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
