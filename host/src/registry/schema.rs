//! The columns of the table of nodes, as every database has them. It does not know how a table comes to have
//! them.

/// The table of the Perl original (`db.changelog.xml`). Widths and types are its own.
pub(super) const CREATE_NODES: &str = "
    CREATE TABLE IF NOT EXISTS nodes (
        hostname    varchar(100) NOT NULL,
        port        int          NOT NULL,
        start_time  int,
        state       varchar(16),
        reserved_by varchar(100),
        children    int,
        PRIMARY KEY (hostname, port)
    )";

/// The columns without which a table is not the Perl original's.
pub(super) const OLD_COLUMNS: [&str; 6] =
    ["hostname", "port", "start_time", "state", "reserved_by", "children"];

/// The columns that the Perl original does not know. They may be empty, since it leaves them so.
pub(super) const ADDED_COLUMNS: [(&str, &str); 10] = [
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
];

/// The version of the schema that this program makes and knows.
pub(super) const VERSION: usize = 1;

/// All columns, in the order in which rows are read.
pub(super) const COLUMNS: &str = "hostname, port, start_time, state, reserved_by, children, task, task_version, \
     advertise, lease_until, last_seen, done, failed, rate, pid, version";

/// A column of the Perl original that is not among those of a table of that name, if there is one.
pub(super) fn missing_old_column(present: &[String]) -> Option<&'static str> {
    OLD_COLUMNS.into_iter().find(|column| !has(present, column))
}

/// The added columns that are not there.
pub(super) fn missing_added_columns(present: &[String]) -> Vec<(&'static str, &'static str)> {
    ADDED_COLUMNS.into_iter().filter(|(column, _)| !has(present, column)).collect()
}

fn has(present: &[String], name: &str) -> bool {
    present.iter().any(|column| column.eq_ignore_ascii_case(name))
}
