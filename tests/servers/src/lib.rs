//! Small scripted servers on the loopback, for the tests of plugins that talk to the network: DNS, SMTP and
//! HTTP.
//!
//! Each listens on a port that the system chooses, runs in threads of its own, writes down what it was asked,
//! and is gone when it is dropped. They know nothing of the project, and nothing of what they are asked by: a
//! server says what its script says, right or wrong.

mod certificate;
mod dns;
mod http;
mod listener;
mod smtp;

pub use certificate::Certificate;
pub use dns::DnsServer;
pub use http::{HttpServer, Reply, Request};
pub use listener::Listener;
pub use smtp::{Action, SmtpServer, Step, neighbours, polite};
