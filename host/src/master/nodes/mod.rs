//! The slaves of a run, found in the registry and connected to; and what a link to one of them is, whatever
//! it runs over. Knows nothing of records.

mod fitness;
mod link;
mod node_keeper;
mod slave_link;
mod without_nodes;

pub(super) use fitness::BuildRules;
pub(crate) use link::{Joined, LinkEvent, frames_max};
pub(super) use node_keeper::NodeKeeper;
