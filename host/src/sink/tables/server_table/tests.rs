//! The skeleton over a server that exists only here: it does what the cells of a row say.

use std::ops::Range;

use bytes::Bytes;

use super::*;
use crate::plugin::{Column, Kind};
use crate::sink::group::{EntryTask, GroupEntry};
use crate::sink::rows::Cell;

/// A connection to that server.
#[derive(Debug, Default)]
struct Scripted {
    /// What was inserted, and whether it was committed.
    inserted: Vec<u8>,
    is_committed: bool,
    is_closed: bool,
}

/// How its statements fail.
#[derive(Debug)]
enum ScriptedError {
    Passing,
    Lasting,
}

/// Cells, each with a bar behind it.
struct Bars;

impl RowForm for Bars {
    fn push_row(&self, cells: &[Cell<'_>], _: &[Column], out: &mut Vec<u8>) -> Result<(), String> {
        for cell in cells {
            out.extend_from_slice(cell.as_deref().unwrap_or_default());
            out.push(b'|');
        }
        Ok(())
    }
}

impl TableDialect for Scripted {
    type Error = ScriptedError;
    type Form = Bars;

    const NAME: &'static str = "Scripted";
    const ENTRIES_AT_ONCE: usize = 3;

    async fn open(at: &TableAddress) -> Result<(Self, OpenedTable), TableFailure<ScriptedError>> {
        match at.table.table.as_str() {
            "unfit" => Err(TableFailure::Unfit("it has no column `a`".to_owned())),
            _ => Ok((Self::default(), OpenedTable { ledger: "f00".to_owned(), narrow: Vec::new() })),
        }
    }

    async fn connect(_: &TableAddress) -> Result<Self, TableFailure<ScriptedError>> {
        Ok(Self::default())
    }

    fn is_closed(&self) -> bool {
        self.is_closed
    }

    async fn begin(&mut self, _: RunId, _: &mut Pages) -> Result<(), TableFailure<ScriptedError>> {
        Ok(())
    }

    fn form(&self) -> Bars {
        Bars
    }

    async fn try_insert(
        &mut self,
        encoded: &Encoded,
        entries: Range<usize>,
    ) -> Result<Option<String>, ScriptedError> {
        let rows = encoded.bytes_of(entries);
        let has = |word: &str| rows.split(|byte| *byte == b'|').any(|cell| cell == word.as_bytes());
        match () {
            () if has("bad") => return Ok(Some("it is bad".to_owned())),
            () if has("busy") => return Err(ScriptedError::Passing),
            () if has("dropped") => return Err(ScriptedError::Lasting),
            () if has("silent") => std::future::pending().await,
            () => self.inserted.extend_from_slice(&rows),
        }
        Ok(None)
    }

    async fn finish(&mut self, _: RunId, _: &[(i64, Vec<u8>)]) -> Result<(), ScriptedError> {
        self.is_committed = true;
        Ok(())
    }

    async fn close_run(&mut self, _: RunId) -> Result<(), ScriptedError> {
        Err(ScriptedError::Passing)
    }

    fn in_words(server: &Server, error: &ScriptedError) -> DatabaseError {
        DatabaseError::new(server, Trouble::Other { words: format!("{error:?}") })
    }

    fn may_pass(_: &Server, error: &ScriptedError) -> bool {
        matches!(error, ScriptedError::Passing)
    }
}

async fn open(table: &str) -> Result<ServerTable<Scripted>, OpenError> {
    let server = Server::from_url("postgres://h/d").expect("it is a server").unwrap();
    let columns = vec![Column { name: "a".into(), kind: Kind::Text, nullable: true }];
    let table = TableName { schema: None, table: table.to_owned() };
    ServerTable::open(&server, &table, Shape { columns, raw: true }, LongTexts::Shorten).await
}

/// A record for each row.
fn group(rows: &[&str]) -> Arc<Group> {
    let mut group = Group::new(RunId([7; 16]));
    for (seq, row) in rows.iter().enumerate() {
        let rows = [Bytes::new(), Bytes::copy_from_slice(format!("{row}\n").as_bytes())];
        group.push(GroupEntry { seq: seq as u64, task: EntryTask::Commit, rows });
    }
    Arc::new(group)
}

#[tokio::test]
async fn refused_rows_are_found_and_all_others_are_committed_in_order() {
    let mut table = open("t").await.unwrap();
    assert_eq!(table.name(), "the table t (Scripted, ledger f00)");
    let fates = table.commit(&group(&["a", "b", "bad", "c", "bad", "d", "e"])).await.unwrap();
    let refused: Vec<_> = (0..fates.len()).filter(|index| fates[*index] != Fate::Committed).collect();
    assert_eq!(refused, [2, 4]);
    assert_eq!(fates[2], Fate::Refused("it is bad".to_owned()));
    let connection = table.connection.expect("nothing has failed");
    assert_eq!((connection.inserted.as_slice(), connection.is_committed), (&b"a|b|c|d|e|"[..], true));
}

#[tokio::test]
async fn a_failure_drops_the_connection_and_says_whether_to_try_again() {
    let mut table = open("t").await.unwrap();
    let error = table.commit(&group(&["a", "busy"])).await.unwrap_err();
    assert!(matches!(error, StoreError::Lost(_)) && table.connection.is_none(), "{error}");
    table.commit(&group(&["a"])).await.unwrap();
    assert!(table.connection.is_some());
    let error = table.commit(&group(&["dropped"])).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken(_)) && table.connection.is_none(), "{error}");
    let error = table.close_run(RunId([7; 16])).await.unwrap_err();
    assert!(matches!(error, StoreError::Lost(_)) && table.connection.is_none(), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_known_to_be_closed_is_replaced() {
    let mut table = open("t").await.unwrap();
    table.connection = Some(Scripted { is_closed: true, ..Scripted::default() });
    table.commit(&group(&["a"])).await.unwrap();
    assert!(!table.connection.expect("nothing has failed").is_closed);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up_after_two_minutes() {
    let mut table = open("t").await.unwrap();
    let error = table.commit(&group(&["silent"])).await.unwrap_err();
    assert!(matches!(error, StoreError::Lost(_)) && table.connection.is_none(), "{error}");
    assert!(error.to_string().ends_with("has not answered for 120 s"), "{error}");
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_refused_with_the_server_s_name() {
    let error = open("unfit").await.unwrap_err();
    assert!(matches!(error, OpenError::Unfit(_)), "{error}");
    assert_eq!(error.to_string(), "postgres://h/d: it has no column `a`");
}
