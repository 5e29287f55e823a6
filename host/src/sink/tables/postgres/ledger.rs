//! The ledger in PostgreSQL. Pages are locked lowest first, so slaves never wait for each other in a circle.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use crate::database::postgres::PostgresConnection;
use crate::ids::RunId;
use crate::sink::pages::{KEEP_MARKS_DAYS, OVER, Pages};
use crate::sink::url::TableName;

/// A value in a statement.
type Parameter<'a> = &'a (dyn ToSql + Sync);

/// The statements about the ledger, prepared on one connection.
#[derive(Debug)]
pub(super) struct PostgresLedger {
    insert: Statement,
    share_mark: Statement,
    lock: Statement,
    update: Statement,
    lock_mark: Statement,
    fill_mark: Statement,
    forget: Statement,
    forget_old: Statement,
}

impl PostgresLedger {
    /// Prepares the statements for the ledger of that name.
    pub(super) async fn prepare(client: &Client, ledger: &TableName) -> Result<Self, Error> {
        let ledger = ledger.quoted('"');
        let prepare = |sql: String| async move { client.prepare(&sql).await };
        Ok(Self {
            insert: prepare(format!(
                "INSERT INTO {ledger} (run, page, bits) \
                 SELECT $1::text, page, ''::bytea FROM unnest($2::bigint[]) AS wanted (page) ORDER BY page \
                 ON CONFLICT DO NOTHING"
            ))
            .await?,
            share_mark: prepare(format!("SELECT bits FROM {ledger} WHERE run = $1 AND page = {OVER} FOR SHARE"))
                .await?,
            lock: prepare(format!(
                "SELECT page, bits FROM {ledger} WHERE run = $1 AND page = ANY ($2) ORDER BY page FOR UPDATE"
            ))
            .await?,
            update: prepare(format!(
                "UPDATE {ledger} AS page SET bits = new.bits, changed = now() \
                 FROM unnest($2::bigint[], $3::bytea[]) AS new (page, bits) \
                 WHERE page.run = $1 AND page.page = new.page"
            ))
            .await?,
            lock_mark: prepare(format!("SELECT 1 FROM {ledger} WHERE run = $1 AND page = {OVER} FOR UPDATE"))
                .await?,
            fill_mark: prepare(format!(
                "UPDATE {ledger} SET bits = '\\x01', changed = now() WHERE run = $1 AND page = {OVER}"
            ))
            .await?,
            forget: prepare(format!("DELETE FROM {ledger} WHERE run = $1 AND page <> {OVER}")).await?,
            forget_old: prepare(format!(
                "DELETE FROM {ledger} WHERE page = {OVER} AND bits <> '' AND changed < now() - interval '{KEEP_MARKS_DAYS} days'"
            ))
            .await?,
        })
    }

    /// Makes the pages that are missing, locks all of them, and reads them. The lock on the run's mark is
    /// shared: the slave that fills it waits for all that are committing, and all later ones see it filled.
    pub(super) async fn lock(&self, client: &Client, run: RunId, pages: &mut Pages) -> Result<(), Error> {
        let run = run.to_string();
        let numbers = pages.numbers();
        let all: Vec<i64> = std::iter::once(OVER).chain(numbers.iter().copied()).collect();
        // They are sent together, and carried out one after the other.
        let (of_insert, of_mark, of_lock): ([Parameter<'_>; 2], [Parameter<'_>; 1], [Parameter<'_>; 2]) =
            ([&run, &all], [&run], [&run, &numbers]);
        let (_, mark, locked) = tokio::try_join!(
            biased;
            client.execute(&self.insert, &of_insert),
            client.query_one(&self.share_mark, &of_mark),
            client.query(&self.lock, &of_lock),
        )?;
        pages.load(OVER, mark.try_get(0)?);
        for row in &locked {
            pages.load(row.try_get(0)?, row.try_get(1)?);
        }
        Ok(())
    }

    /// Writes the changed pages.
    pub(super) async fn update(
        &self,
        client: &Client,
        run: RunId,
        changed: &[(i64, Vec<u8>)],
    ) -> Result<(), Error> {
        if changed.is_empty() {
            return Ok(());
        }
        let numbers: Vec<i64> = changed.iter().map(|(number, _)| *number).collect();
        let bits: Vec<&[u8]> = changed.iter().map(|(_, bits)| bits.as_slice()).collect();
        client.execute(&self.update, &[&run.to_string(), &numbers, &bits]).await.map(drop)
    }

    /// Puts a mark in the place of all pages of a run.
    pub(super) async fn close(&self, connection: &mut PostgresConnection, run: RunId) -> Result<(), Error> {
        let run = run.to_string();
        let transaction = connection.transaction().await?;
        transaction.execute(&self.insert, &[&run, &vec![OVER]]).await?;
        transaction.query(&self.lock_mark, &[&run]).await?;
        transaction.execute(&self.fill_mark, &[&run]).await?;
        transaction.execute(&self.forget, &[&run]).await?;
        transaction.execute(&self.forget_old, &[]).await?;
        transaction.commit().await
    }
}
