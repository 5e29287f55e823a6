//! A real file, and what is in it after groups of each kind.

use bytes::Bytes;
use rusqlite::Connection;

use super::*;
use crate::plugin::{Column, Kind};
use crate::sink::group::{EntryTask, GroupEntry};

const RUN: RunId = RunId([7; 16]);

fn shape(columns: &[(&str, Kind)], raw: bool) -> Shape {
    let column =
        |(name, kind): &(&str, Kind)| Column { name: (*name).to_owned(), kind: *kind, nullable: true };
    Shape { columns: columns.iter().map(column).collect(), raw }
}

fn two() -> Shape {
    shape(&[("n", Kind::Int), ("t", Kind::Text)], false)
}

fn table(name: &str) -> TableName {
    TableName { schema: None, table: name.to_owned() }
}

fn group(entries: &[(u64, &str)]) -> Arc<Group> {
    let mut group = Group::new(RUN);
    for (seq, rows) in entries {
        let rows = [Bytes::new(), Bytes::copy_from_slice(rows.as_bytes())];
        group.push(GroupEntry { seq: *seq, task: EntryTask::Commit, rows });
    }
    Arc::new(group)
}

struct File {
    directory: tempfile::TempDir,
}

impl File {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("rows.db")
    }

    fn open(&self, shape: Shape) -> Result<SqliteTable, OpenError> {
        SqliteTable::open(&self.path(), &table("ro\"ws"), shape)
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    fn rows(&self) -> Vec<String> {
        let connection = Connection::open(self.path()).unwrap();
        let mut statement = connection
            .prepare("SELECT quote(n) || '|' || quote(t) FROM \"ro\"\"ws\" ORDER BY rowid")
            .unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn ledger(&self) -> i64 {
        let connection = Connection::open(self.path()).unwrap();
        connection
            .query_row("SELECT count(*) FROM simplegrid_ledger WHERE run <> ''", [], |row| row.get(0))
            .unwrap()
    }
}

#[test]
fn rows_of_a_record_are_there_once_whichever_slave_commits_them() {
    let file = File::new();
    let mut one = file.open(two()).unwrap();
    let mut other = file.open(two()).unwrap();
    assert_eq!(one.name(), other.name());
    assert_eq!(
        one.commit(&group(&[(0, "1,a\n2,\n"), (1, ""), (5000, "3,\"\"\n")])).unwrap(),
        vec![Fate::Committed; 3]
    );
    let again = other.commit(&group(&[(1, "9,x\n"), (2, "4,b\n"), (0, "1,a\n2,\n")])).unwrap();
    assert_eq!(again, [Fate::AlreadyThere, Fate::Committed, Fate::AlreadyThere]);
    assert_eq!(file.rows(), ["1|'a'", "2|NULL", "3|''", "4|'b'"]);
}

#[test]
fn a_run_that_is_over_takes_nothing_and_leaves_one_mark() {
    let file = File::new();
    let mut table = file.open(two()).unwrap();
    table.commit(&group(&[(0, "1,a\n"), (9999, "2,b\n")])).unwrap();
    assert_eq!(file.ledger(), 2);
    table.close_run(RUN).unwrap();
    table.close_run(RUN).unwrap();
    assert_eq!(file.ledger(), 1);
    assert_eq!(table.commit(&group(&[(3, "3,c\n")])).unwrap(), [Fate::AlreadyThere]);
    assert_eq!(file.rows().len(), 2);
    file.sql("UPDATE simplegrid_ledger SET changed = unixepoch() - 31 * 86400 WHERE run <> ''");
    table.close_run(RunId([8; 16])).unwrap();
    assert_eq!(file.ledger(), 1, "the mark of the first run is old enough to go");
}

#[test]
fn what_does_not_fit_is_refused_and_its_neighbours_are_not() {
    let file = File::new();
    let mut table = file.open(two()).unwrap();
    let fates = table
        .commit(&group(&[
            (0, "1,a\n"),
            (1, "2,b\n99999999999999999999,c\n"),
            (2, "3\n"),
            (3, "4,\"quo\"\"te\"\n"),
        ]))
        .unwrap();
    let says = |fate: &Fate| match fate {
        Fate::Refused(message) => message.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((&fates[0], &fates[3]), (&Fate::Committed, &Fate::Committed));
    assert_eq!(says(&fates[1]), "column `n`: 99999999999999999999 does not fit into 64 bits");
    assert_eq!(says(&fates[2]), "one of its rows has the wrong number of cells: 1 instead of 2");
    assert_eq!(file.rows(), ["1|'a'", "4|'quo\"te'"]);
    let later = table.commit(&group(&[(1, "2,b\n")])).unwrap();
    assert_eq!(later, [Fate::Committed], "what was refused is not noted as committed");
}

#[test]
fn the_table_s_own_rules_are_obeyed() {
    let file = File::new();
    file.sql(
        "CREATE TABLE \"ro\"\"ws\" (id INTEGER PRIMARY KEY, N INT UNIQUE, t TEXT CHECK (t <> 'x'), more ANY)",
    );
    let mut table = file.open(two()).unwrap();
    let fates = table.commit(&group(&[(0, "1,a\n"), (1, "1,b\n"), (2, "2,x\n"), (3, "3,c\n")])).unwrap();
    assert!(matches!(&fates[1], Fate::Refused(message) if message.contains("UNIQUE")), "{fates:?}");
    assert!(matches!(&fates[2], Fate::Refused(message) if message.contains("CHECK")), "{fates:?}");
    assert_eq!(file.rows(), ["1|'a'", "3|'c'"]);
}

#[test]
fn a_table_that_ends_transactions_cannot_be_used() {
    let file = File::new();
    file.sql(
        "CREATE TABLE \"ro\"\"ws\" (n INT, t TEXT); \
         CREATE TRIGGER no BEFORE INSERT ON \"ro\"\"ws\" WHEN new.t = 'x' BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    );
    let mut table = file.open(two()).unwrap();
    let error = table.commit(&group(&[(0, "1,a\n"), (1, "2,x\n"), (2, "3,c\n")])).unwrap_err();
    assert!(error.to_string().contains("ends whole transactions"), "{error}");
    assert!(file.rows().is_empty());
}

#[test]
fn a_table_of_another_shape_is_refused_at_the_start() {
    let file = File::new();
    file.sql("CREATE TABLE \"ro\"\"ws\" (n INT, t INT)");
    let error = file.open(two()).unwrap_err();
    assert!(matches!(error, OpenError::Unfit(_)));
    assert!(error.to_string().contains("the column `t` of the table ro\"ws is INT"), "{error}");
}

#[test]
fn every_kind_of_value_is_kept() {
    let file = File::new();
    let kinds = shape(
        &[("n", Kind::Bool), ("t", Kind::Bytes), ("f", Kind::Float), ("i", Kind::Int), ("x", Kind::Text)],
        false,
    );
    let mut table = file.open(kinds).unwrap();
    let mut all = Group::new(RUN);
    let rows = Bytes::from_static(b"true,\"\0\xff\",0.5,-7,\"nul\0 \xf0\x9f\x98\x80\"\n");
    all.push(GroupEntry { seq: 0, task: EntryTask::Commit, rows: [Bytes::new(), rows] });
    let bad = Bytes::from_static(b"true,,0.5,1,\xff\n");
    all.push(GroupEntry { seq: 1, task: EntryTask::Commit, rows: [Bytes::new(), bad] });
    let nan = Bytes::from_static(b"true,,NaN,1,x\n");
    all.push(GroupEntry { seq: 2, task: EntryTask::Commit, rows: [Bytes::new(), nan] });
    let fates = table.commit(&Arc::new(all)).unwrap();
    assert_eq!(fates[0], Fate::Committed);
    assert_eq!(fates[1], Fate::Refused("column `x`: its text is not valid UTF-8".into()));
    assert_eq!(fates[2], Fate::Refused("column `f`: NaN is not a number that SQLite can store".into()));
    let connection = Connection::open(file.path()).unwrap();
    let row: (i64, Vec<u8>, f64, i64, String) = connection
        .query_row("SELECT n, t, f, i, x FROM \"ro\"\"ws\"", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .unwrap();
    assert_eq!(row, (1, vec![0, 0xff], 0.5, -7, "nul\0 \u{1f600}".to_owned()));
}

#[test]
fn a_file_that_cannot_be_written_says_so() {
    let error = SqliteTable::open(Path::new("/proc/rows.db"), &table("t"), two()).unwrap_err();
    assert!(error.to_string().contains("cannot use /proc/rows.db (table t)"), "{error}");
    let file = File::new();
    let mut table = file.open(two()).unwrap();
    let blocker = Connection::open(file.path()).unwrap();
    table.connection.busy_timeout(Duration::ZERO).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(table.commit(&group(&[(0, "1,a\n")])), Err(StoreError::Lost(_))));
    blocker.execute_batch("ROLLBACK").unwrap();
    assert!(table.commit(&group(&[(0, "1,a\n")])).is_ok());
}
