//! The moves: the verbs of the registry as data, and the rest that goes with one of them. It owns no table.
//! What a row becomes is decided from these verbs, and a test compares them with `NodeState::may_become`.

use std::time::Duration;

use super::node::NodeState;

/// How long a node rests after a master gave it up: as long as the silence that ends a connection, so that by
/// then its slave too has noticed that the master is gone, and can serve the next one.
pub const GIVEN_UP_REST: Duration = crate::limits::SILENCE_MAX;

/// A change of one node's state that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Make it available. This does not take a reserved node from its master.
    Enable,
    /// Take it out, even if a master holds it.
    Disable,
    /// Take it from its master, or forgive it.
    Release,
    /// Give it up until someone says otherwise.
    Invalidate,
    /// Let it drain.
    BeginCleanup,
    /// Note that its process has ended as it should.
    Retire,
    /// Make it available after its master is gone.
    Free,
    /// Give it up until its slave is heard from again.
    GiveUp,
    /// Make it available after it was given up and its slave was heard from.
    Recover,
}

impl Move {
    /// The states in which this move can start.
    pub(super) fn from(self) -> &'static [NodeState] {
        use NodeState::{Cleanup, Disabled, Enabled, Invalid, Reserved};
        match self {
            Self::Enable => &[Disabled, Invalid],
            Self::Disable => &[Enabled, Reserved, Invalid, Cleanup],
            Self::Release => &[Reserved, Invalid],
            Self::Invalidate | Self::BeginCleanup => &[Enabled, Reserved],
            // A slave that an administrator has disabled must still take its process out of the row.
            Self::Retire => &[Disabled, Enabled, Reserved, Invalid, Cleanup],
            Self::Free | Self::GiveUp => &[Reserved],
            Self::Recover => &[Invalid],
        }
    }

    /// The state to which this move leads.
    pub(super) fn to(self) -> NodeState {
        match self {
            Self::Enable | Self::Release | Self::Free | Self::Recover => NodeState::Enabled,
            Self::Disable | Self::Retire => NodeState::Disabled,
            Self::Invalidate | Self::GiveUp => NodeState::Invalid,
            Self::BeginCleanup => NodeState::Cleanup,
        }
    }

    /// How long the node rests after this move, before a beat can bring it back.
    pub(super) fn rest(self) -> Option<Duration> {
        (self == Self::GiveUp).then_some(GIVEN_UP_REST)
    }

    /// What the user can do instead, if a node is in `state` and this move is not allowed.
    pub(super) fn advice(self, state: NodeState) -> &'static str {
        match (self, state) {
            (Self::Enable, NodeState::Reserved) => "; `release` takes it from its master",
            (Self::Release, NodeState::Disabled) => "; `enable` makes it available",
            (_, NodeState::Cleanup) => "; it is draining: wait until it has shut down, or `disable` it",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Move; 9] = [
        Move::Enable,
        Move::Disable,
        Move::Release,
        Move::Invalidate,
        Move::BeginCleanup,
        Move::Retire,
        Move::Free,
        Move::GiveUp,
        Move::Recover,
    ];

    #[test]
    fn every_verb_makes_only_legal_moves() {
        for verb in ALL {
            for &from in verb.from() {
                let stays = from == verb.to();
                assert!(stays || from.may_become(verb.to()), "{verb:?} from {from}");
            }
        }
    }

    #[test]
    fn every_legal_move_but_reserving_has_a_verb() {
        for from in NodeState::ALL {
            for to in NodeState::ALL {
                let has_verb = ALL.iter().any(|verb| verb.from().contains(&from) && verb.to() == to);
                let expected = from.may_become(to) && to != NodeState::Reserved;
                assert_eq!(has_verb && from != to, expected, "{from} → {to}");
            }
        }
    }
}
