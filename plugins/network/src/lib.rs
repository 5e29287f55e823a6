//! What plugins that talk to the network share: names and their addresses, and timeouts as arguments.
//!
//! A worker is one blocking process. The runtime that the name lookup needs is hidden here, so that plugins
//! do not see it. This crate knows neither mail nor the web.

mod names;
mod timeout;

pub use names::{LookupError, MailExchanger, NameServer, Names};
pub use timeout::Timeout;
