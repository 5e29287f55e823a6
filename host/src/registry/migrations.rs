//! How a database gets the tables of the registry, whichever database it is. It does not know what the
//! columns mean.
//!
//! What is missing is found by looking. So a table of Net::SimpleGrid is completed, a table that was dropped
//! is made again, and a user who may not change tables can use complete ones. The version that is noted
//! beside them serves only to keep a program away from the tables of a newer one.

use super::backend_error::BackendError;
use super::schema::{TABLES, Table, VERSION};
use super::session::{FoundTable, SqlSession};

/// Brings the schema up to date.
pub(super) async fn migrate(session: &mut impl SqlSession) -> Result<(), BackendError> {
    if missing(session).await?.is_empty() {
        return Ok(());
    }
    // If this fails, the lock ends with the session, which is not used any more.
    session.begin_migration().await?;
    complete(session).await?;
    session.end_migration().await
}

/// A statement that is still to be executed, and whether the registry needs it.
struct MigrationStep {
    sql: String,
    is_needed: bool,
}

/// Makes everything that is missing. It is looked for again, now that no other program can make it at the
/// same time.
async fn complete(session: &mut impl SqlSession) -> Result<(), BackendError> {
    for MigrationStep { sql, is_needed } in missing(session).await? {
        let Err(error) = session.say(&sql).await else { continue };
        match error.forbidden() {
            Some(words) if is_needed => {
                return Err(BackendError::NotPrepared { place: session.place(), words: words.to_owned() });
            }
            Some(words) => {
                tracing::debug!("the registry goes without `{sql}`: {words}");
                // PostgreSQL has given up the transaction, and what was done in it before. Begin another one.
                session.end_migration().await?;
                session.begin_migration().await?;
            }
            None => return Err(error),
        }
    }
    Ok(())
}

/// The statements that are still to be executed, in this order. What the registry can do without comes last,
/// since a user may lack the right.
async fn missing(session: &mut impl SqlSession) -> Result<Vec<MigrationStep>, BackendError> {
    let version = session.noted_version().await?;
    if let Some(found) = version.filter(|found| *found > VERSION) {
        return Err(BackendError::Newer { place: session.place(), found, known: VERSION });
    }
    let mut steps = Vec::new();
    for table in TABLES {
        let found = session.look_at(table.name, table.index).await?;
        steps.extend(missing_of(table, &found, session)?);
    }
    if version.is_none() {
        steps.push(MigrationStep { sql: session.note_version(VERSION), is_needed: false });
    }
    steps.sort_by_key(|step| !step.is_needed);
    Ok(steps)
}

/// What is missing of one table.
fn missing_of(
    table: &Table,
    found: &FoundTable,
    session: &impl SqlSession,
) -> Result<Vec<MigrationStep>, BackendError> {
    let mut needed = Vec::new();
    if found.columns.is_empty() {
        needed.push(table.create(session.dialect()));
    } else if let Some(column) = table.missing_first_column(&found.columns) {
        return Err(BackendError::ForeignTable { place: session.place(), table: table.name, column });
    }
    if let Some(engine) = &found.without_transactions {
        let (place, engine) = (session.place(), engine.clone());
        return Err(BackendError::NoTransactions { place, table: table.name, engine });
    }
    needed.extend(table.add_columns(&found.columns, session.dialect()));
    let mut steps: Vec<_> = needed.into_iter().map(|sql| MigrationStep { sql, is_needed: true }).collect();
    if !found.has_index {
        steps.push(MigrationStep { sql: table.create_index(session.dialect()), is_needed: false });
    }
    Ok(steps)
}
