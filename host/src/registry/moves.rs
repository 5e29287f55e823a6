//! Who may make which move: the verbs of the registry as data, and the times that go with them. It owns no
//! table; the SQL is built from what stands here, so that it cannot disagree with `NodeState::may_become`.

use std::time::Duration;

use super::node::NodeState;

/// How long a node rests after a master gave it up. As long as the silence that ends a connection, so that by
/// then the slave too has noticed that its master went, and can serve the next one.
pub const GIVEN_UP_REST: Duration = crate::limits::SILENCE_MAX;

/// A change of one node's state that someone asks for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Make it available; a reserved node is not taken from its master in this way.
    Enable,
    /// Take it out, whoever holds it.
    Disable,
    /// Take it from its master, or forgive it.
    Release,
    /// Give it up until someone says otherwise.
    Invalidate,
    /// Let it drain.
    BeginCleanup,
    /// Say that its process has ended as it should.
    Retire,
    /// Make it available after its master went.
    Free,
    /// Give it up until it is well again.
    GiveUp,
    /// Make it available after it was given up and got well.
    Recover,
}

impl Move {
    /// The states from which this move may start.
    pub(super) fn from(self) -> &'static [NodeState] {
        use NodeState::{Cleanup, Disabled, Enabled, Invalid, Reserved};
        match self {
            Self::Enable => &[Disabled, Invalid],
            Self::Disable => &[Enabled, Reserved, Invalid, Cleanup],
            Self::Release => &[Reserved, Invalid],
            Self::Invalidate | Self::BeginCleanup => &[Enabled, Reserved],
            // A slave that an administrator has disabled still has to take its process out of the row.
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

    /// What whoever asked for this move can do instead, if a node is in `state` and the move may not be made.
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
