//! Clients of Net::SimpleGrid, which send lines: `line_client` cuts what comes from one, and `line_session`
//! has it run by what `line_service` offers.

mod line_client;
mod line_service;
mod line_session;

pub(super) use line_client::LineClient;
pub(super) use line_service::LineService;
pub(crate) use line_service::{LineRun, LineRunEnd, LineRunner};
pub(super) use line_session::serve;
