//! What goes into a statement and what comes out of a row, the same for every server. It knows no table.

use crate::registry::node::{Node, NodeKey, NodeState};

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

/// A row, in the order of its statement's columns.
pub(super) type Row = Vec<Value>;

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

/// No database has a wider integer, so larger counts stay at the largest.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Value {
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    fn real(&self) -> Option<f64> {
        match self {
            Self::Real(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn owned(&self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// Numbers that make no sense are read as absent: other programs write to the table too, and one odd
    /// figure should not hide all nodes.
    fn number<T: TryFrom<i64>>(&self) -> Option<T> {
        self.integer().and_then(|number| T::try_from(number).ok())
    }
}

/// The key in the first two columns of a row. A port that is none is no row of ours.
pub(super) fn key(row: &[Value]) -> Option<NodeKey> {
    let [hostname, port, ..] = row else { return None };
    Some(NodeKey { hostname: hostname.owned()?, port: port.number()? })
}

/// The node in a row of all columns.
pub(super) fn node(row: &[Value]) -> Option<Node> {
    let key = key(row)?;
    let [
        _,
        _,
        start_time,
        state,
        reserved_by,
        children,
        task,
        task_version,
        advertise,
        lease_until,
        last_seen,
        done,
        failed,
        rate,
        pid,
        version,
    ] = row
    else {
        return None;
    };
    Some(Node {
        key,
        start_time: start_time.integer(),
        state: NodeState::from_column(state.text()),
        reserved_by: reserved_by.owned().filter(|reservation| !reservation.is_empty()),
        children: children.number(),
        task: task.owned(),
        task_version: task_version.owned(),
        advertise: advertise.owned(),
        lease_until: lease_until.integer(),
        last_seen: last_seen.integer(),
        done: done.number(),
        failed: failed.number(),
        rate: rate.real(),
        pid: pid.number(),
        version: version.owned(),
    })
}
