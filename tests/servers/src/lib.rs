//! Small scripted servers on the loopback, for the tests of plugins that talk to the network: DNS, SMTP and
//! HTTP. And, because every test of the workspace can reach this crate, what tests [need](Need) of a machine.
//!
//! Each server listens on a port that the system chooses, runs in its own threads, notes what it was asked,
//! and is gone when it is dropped. The servers know nothing about the project or about their clients: a
//! server says what its script says, right or wrong.

mod certificate;
mod dns;
mod http;
mod listener;
mod need;
mod smtp;

pub use certificate::Certificate;
pub use dns::DnsServer;
pub use http::{HttpServer, Reply, Request};
pub use listener::Listener;
pub use need::Need;
pub use smtp::{Action, SmtpServer, Step, neighbours, polite};
