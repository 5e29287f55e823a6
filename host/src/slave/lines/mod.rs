//! Clients of Net::SimpleGrid, which send lines.

mod line_client;
mod line_door;
mod line_session;

pub(super) use line_client::LineClient;
pub(super) use line_door::LineDoor;
pub(crate) use line_door::{LineRun, LineRunEnd, LineRunner};
pub(super) use line_session::serve;
