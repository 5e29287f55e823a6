//! The task's arguments: their names, defaults and checks.

use std::time::Duration;

use serde::Deserialize;
use simplegrid_network::{NameServer, Timeout};
use simplegrid_plugin_api::{Error, Result};

use crate::address::Address;
use crate::session::Manners;

/// The `--task-arg`s. Those that Net::SimpleGrid had keep their names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Args {
    /// How many addresses of one domain a worker asks mail servers about; -1 for all.
    #[serde(default = "no_limit")]
    pub dlimit: i64,
    /// The name by which the worker introduces itself.
    #[serde(default = "localhost")]
    pub smtpehlo: String,
    /// The sender that the mail would come from; `<>` for none. The default is this user at `smtpehlo`.
    #[serde(default)]
    pub smtpfrom: Option<String>,
    /// The name server to ask, instead of the system's.
    #[serde(default)]
    pub resolver: Option<NameServer>,
    /// The port of mail servers.
    #[serde(default = "port")]
    pub smtp_port: u16,
    /// How long a connection may take.
    #[serde(default = "ten_seconds")]
    pub connect_timeout: Timeout,
    /// How long each reply may take.
    #[serde(default = "thirty_seconds")]
    pub command_timeout: Timeout,
    /// How long each question to the name server may take.
    #[serde(default = "ten_seconds")]
    pub dns_timeout: Timeout,
    /// How long all mail servers of an address may take together.
    #[serde(default = "two_minutes")]
    pub timeout: Timeout,
    /// The most characters of a message.
    #[serde(default = "message_characters")]
    pub message_max: usize,
}

impl Args {
    /// How many addresses of a domain are asked about; `None` for all.
    pub(crate) fn limit(&self) -> Result<Option<u64>> {
        match self.dlimit {
            -1 => Ok(None),
            limit => u64::try_from(limit).map(Some).map_err(|_| {
                Error::fatal(format_args!(
                    "the task argument `dlimit`: {limit} is neither a number of \
                     addresses nor -1, which means all"
                ))
            }),
        }
    }

    /// What we say to servers.
    pub(crate) fn manners(&self) -> Result<Manners> {
        let ehlo = self.smtpehlo.trim();
        if ehlo.is_empty() || !ehlo.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::fatal(format_args!(
                "the task argument `smtpehlo`: `{ehlo}` is not a host name: write one such as mail.example.org"
            )));
        }
        Ok(Manners {
            ehlo: ehlo.to_owned(),
            from: self.sender(ehlo)?,
            connect: self.connect_timeout.get(),
            command: self.command_timeout.get(),
        })
    }

    /// How long all mail servers of an address may take together.
    pub(crate) fn patience(&self) -> Duration {
        self.timeout.get()
    }

    fn sender(&self, ehlo: &str) -> Result<String> {
        let sender = match self.smtpfrom.as_deref().map(str::trim) {
            None => format!("{}@{ehlo}", user()),
            Some("<>") => return Ok(String::new()),
            Some(sender) => {
                sender.strip_prefix('<').and_then(|s| s.strip_suffix('>')).unwrap_or(sender).to_owned()
            }
        };
        match Address::parse(&sender) {
            Ok(address) if !address.needs_utf8() => Ok(address.to_string()),
            Ok(_) => Err(Error::fatal(format_args!(
                "the task argument `smtpfrom`: `{sender}` must be ASCII before its @, because \
                 not every server can read more"
            ))),
            Err(error) => Err(Error::fatal(format_args!(
                "the task argument `smtpfrom`: `{sender}` is not an address: {error}; write one, or <> for none"
            ))),
        }
    }
}

/// The name of the user that the worker runs as; or, if that cannot be part of an address, the name that
/// exists everywhere.
fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let name = user.map(|user| user.name);
    let is_good = |name: &String| name.is_ascii() && Address::parse(&format!("{name}@localhost")).is_ok();
    name.filter(is_good).unwrap_or_else(|| "postmaster".to_owned())
}

fn no_limit() -> i64 {
    -1
}

fn localhost() -> String {
    "localhost".to_owned()
}

fn port() -> u16 {
    25
}

fn ten_seconds() -> Timeout {
    Timeout::from_secs(10)
}

fn thirty_seconds() -> Timeout {
    Timeout::from_secs(30)
}

fn two_minutes() -> Timeout {
    Timeout::from_secs(120)
}

fn message_characters() -> usize {
    500
}
