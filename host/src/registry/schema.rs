//! The tables and their columns, as every database has them. It does not know how a table comes to have them.

use super::session::Dialect;

/// A table of the registry.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name.
    pub name: &'static str,
    /// Makes it, with its first columns.
    create: &'static str,
    /// The columns without which a table of this name is another program's.
    first_columns: &'static [&'static str],
    /// The columns that came later, with their types. They can be empty, so that programs that do not know
    /// them can go on writing to the table.
    added_columns: &'static [(&'static str, &'static str)],
    /// The name of its index.
    pub index: &'static str,
    /// The columns of its index.
    indexed: fn(&Dialect) -> String,
}

/// Every table.
pub(super) const TABLES: [&Table; 1] = [&NODES];

/// The version of the schema that this program makes and knows. A new column or table that older programs can
/// do without does not need a new version: what is missing is found by looking.
pub(super) const VERSION: i64 = 1;

/// The nodes. The first columns are the table of Net::SimpleGrid (`db.changelog.xml`), with its widths and
/// types.
pub(super) const NODES: Table = Table {
    name: "nodes",
    create: "
        CREATE TABLE IF NOT EXISTS nodes (
            hostname    varchar(100) NOT NULL,
            port        int          NOT NULL,
            start_time  int,
            state       varchar(16),
            reserved_by varchar(100),
            children    int,
            PRIMARY KEY (hostname, port)
        )",
    first_columns: &["hostname", "port", "start_time", "state", "reserved_by", "children"],
    added_columns: &[
        ("task", "text"),
        ("task_version", "text"),
        ("advertise", "text"),
        ("lease_until", "bigint"),
        ("last_seen", "bigint"),
        ("done", "bigint"),
        ("failed", "bigint"),
        ("rate", "double precision"),
        ("pid", "bigint"),
        ("version", "text"),
        ("columns_sha256", "text"),
        ("manifest_sha256", "text"),
        ("file_sha256", "text"),
    ],
    index: "nodes_state",
    // Masters look for the nodes that have been in one state longest, among perhaps thousands.
    indexed: |dialect| format!("state, start_time{}, hostname, port", dialect.empty_first),
};

impl Table {
    /// All columns, in the order in which rows are read.
    pub(super) fn columns(&self) -> String {
        let added = self.added_columns.iter().map(|(name, _)| *name);
        self.first_columns.iter().copied().chain(added).collect::<Vec<_>>().join(", ")
    }

    /// Makes the table, with its first columns.
    pub(super) fn create(&self, dialect: &Dialect) -> String {
        format!("{}{}", self.create, dialect.table_options)
    }

    /// Makes its index.
    pub(super) fn create_index(&self, dialect: &Dialect) -> String {
        format!("CREATE INDEX {} ON {} ({})", self.index, self.name, (self.indexed)(dialect))
    }

    /// Adds the later columns that are missing.
    pub(super) fn add_columns(&self, present: &[String], dialect: &Dialect) -> Vec<String> {
        let missing = self.added_columns.iter().filter(|(column, _)| !has(present, column));
        let added: Vec<_> = missing.map(|(name, sql_type)| format!("ADD COLUMN {name} {sql_type}")).collect();
        let statements = added.chunks(dialect.columns_at_once);
        statements.map(|added| format!("ALTER TABLE {} {}", self.name, added.join(", "))).collect()
    }

    /// The first of its first columns that a table of this name lacks, if any.
    pub(super) fn missing_first_column(&self, present: &[String]) -> Option<&'static str> {
        self.first_columns.iter().copied().find(|column| !has(present, column))
    }
}

fn has(present: &[String], name: &str) -> bool {
    present.iter().any(|column| column.eq_ignore_ascii_case(name))
}
