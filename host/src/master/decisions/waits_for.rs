//! What a run waits for, in words. Pure.

use std::fmt;

use super::failure::Place;
use crate::ids::Seq;

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// The rows that wait must be written first.
    Output,
    /// The failed records that wait must be written first.
    FailedFile,
    /// The summary must be written.
    Summary,
    /// There is no node.
    Node,
    /// There are nodes, but none has a worker that is ready.
    Worker,
    /// Records that are at a slot, or on their way there.
    Records {
        /// The first of them.
        first: Seq,
        /// How many come with it.
        others: usize,
        /// Where they are.
        place: Option<Place>,
        /// How many other slots have records.
        busy: usize,
    },
    /// A task that holds records.
    Held {
        /// The first of them.
        first: Seq,
        /// Where its task is.
        place: Option<Place>,
    },
    /// The last flush of a task.
    Flush(Option<Place>),
    /// The pause before a record's next attempt.
    NextAttempt,
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |place: &Option<Place>| match place {
            Some(Place { node, slot }) => format!("slot {slot} of {node}"),
            None => "a slot".to_owned(),
        };
        match self {
            Self::Output => f.write_str("the reader of the output takes no more rows"),
            Self::FailedFile => f.write_str("the reader of the failed records takes no more"),
            Self::Summary => f.write_str("the reader of the summary does not take it"),
            Self::Node => f.write_str("the run has no node"),
            Self::Worker => f.write_str("no worker is ready"),
            Self::Records { first, others, place, busy } => {
                let number = first.0 + 1;
                match others {
                    0 => write!(f, "record {number} is at {}", at(place))?,
                    1 => write!(f, "record {number} and another one are at {}", at(place))?,
                    _ => write!(f, "record {number} and {others} others are at {}", at(place))?,
                }
                match busy {
                    0 => Ok(()),
                    1 => f.write_str("; another slot is busy, too"),
                    _ => write!(f, "; {busy} other slots are busy, too"),
                }
            }
            Self::Held { first, place } => {
                write!(f, "the task of {} holds record {} and does not finish it", at(place), first.0 + 1)
            }
            Self::Flush(place) => write!(f, "the task of {} is in its last flush", at(place)),
            Self::NextAttempt => f.write_str("records that failed wait for their next attempt"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SlotIndex;

    #[test]
    fn what_is_waited_for_is_named() {
        let place = Some(Place { node: "n0:1".to_owned(), slot: SlotIndex(3) });
        let records = |others, busy| WaitsFor::Records { first: Seq(6), others, place: place.clone(), busy };
        let said = [
            (records(0, 0), "record 7 is at slot 3 of n0:1"),
            (records(1, 1), "record 7 and another one are at slot 3 of n0:1; another slot is busy, too"),
            (records(9, 2), "record 7 and 9 others are at slot 3 of n0:1; 2 other slots are busy, too"),
            (WaitsFor::Flush(place.clone()), "the task of slot 3 of n0:1 is in its last flush"),
        ];
        said.into_iter().for_each(|(waits_for, text)| assert_eq!(waits_for.to_string(), text));
    }
}
