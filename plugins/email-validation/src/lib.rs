//! Finds out whether an e-mail address exists, as far as that is possible without writing to it.
//!
//! It asks three questions, each only if the answer to the one before was good: is it an address
//! (`address.rs`), does its domain take mail (`mail_hosts.rs`), and does the host that takes it know the user
//! (`postman.rs`, `session.rs`, `verdict.rs`)? The answers give a score, as in Net::SimpleGrid's
//! EmailValidationTask.
//!
//! A record always has a row, with two exceptions, in which it is tried again: it is unknown whether its
//! domain takes mail, or the mail hosts have no time for us now.

mod address;
mod arguments;
mod connection;
mod mail_hosts;
mod memory;
mod postman;
mod reply;
mod session;
mod verdict;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use simplegrid_mail_domain::{
    ByEmailDomain, ByEmailDomainOfNetSimpleGrid, ByEmailDomainTwoLabels, ByRegistrableDomain,
};
use simplegrid_network::Names;
use simplegrid_plugin_api::{Error, Output, Record, Result, Task};

use crate::address::Address;
pub use crate::arguments::Args;
use crate::mail_hosts::{Preference, Route};
use crate::memory::Memory;
use crate::postman::Postman;
use crate::verdict::Verdict;

/// The address is valid, and its domain takes mail.
const VALID: u8 = 2;

/// The user exists.
const EXISTS: u8 = 4;

/// How many domains' conversations are counted, if there is a limit. A worker must not grow with its input.
const DOMAINS_COUNTED_MAX: usize = 100_000;

/// The task `email-validation`.
#[derive(Debug)]
pub struct EmailValidation {
    names: Names,
    preference: Preference,
    postman: Postman,
    patience: Duration,
    limit: Option<u64>,
    asked: Memory<u64>,
    message_characters_max: usize,
}

/// One output row; its fields are the columns.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The address as it was read.
    pub address: String,
    /// 6: the user exists. 2: that is unknown. 1: there is no such user. 0: no mail can be sent there.
    pub score: u8,
    /// Why the score is not 6.
    pub message: Option<String>,
}

impl Task for EmailValidation {
    type Args = Args;
    type Row = Row;

    fn prepare(args: &Args) -> Result {
        args.limit()?;
        args.manners()?;
        Ok(())
    }

    fn new(args: Args) -> Result<Self> {
        Ok(Self {
            names: Names::new(args.resolver, args.dns_timeout.get()).map_err(Error::fatal)?,
            preference: Preference::default(),
            postman: Postman::new(args.manners()?, args.smtp_port),
            patience: args.patience(),
            limit: args.limit()?,
            asked: Memory::of(DOMAINS_COUNTED_MAX),
            message_characters_max: args.message_max,
        })
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Row>) -> Result {
        let address = record.text(0)?;
        let (score, message) = self.judge(address.trim(), &|| output.stopping())?;
        let message = message.map(|message| message.chars().take(self.message_characters_max).collect());
        output.emit(&Row { address: address.to_owned(), score, message })
    }

    fn flush(&mut self, _output: &mut Output<Row>, last: bool) -> Result {
        // No connection stays open between two runs.
        if last {
            self.postman.quit();
        }
        Ok(())
    }
}

impl EmailValidation {
    /// The score of an address, and why it is not better.
    fn judge(&mut self, text: &str, is_stopping: &dyn Fn() -> bool) -> Result<(u8, Option<String>)> {
        let address = match Address::parse(text) {
            Ok(address) => address,
            Err(error) => return Ok((0, Some(format!("no address: {error}")))),
        };
        let hosts = match self.preference.route(&self.names, address.domain()).map_err(Error::retry)? {
            Route::Hosts(hosts) => hosts,
            Route::Nowhere(why) => return Ok((0, Some(why))),
        };
        if !self.may_ask(&address) {
            return Ok((VALID, Some("not asked: dlimit is reached for its domain".to_owned())));
        }
        let until = Instant::now() + self.patience;
        match self.postman.ask(&self.names, &hosts, &address, until, is_stopping) {
            Some(Verdict::Exists) => Ok((VALID + EXISTS, None)),
            Some(Verdict::NoSuchUser(reply)) => Ok((VALID - 1, Some(reply))),
            Some(Verdict::NotTold(why)) => Ok((VALID, Some(why))),
            Some(Verdict::NotNow(why)) => {
                self.unask(&address);
                Err(Error::retry(why))
            }
            None => Err(Error::retry("the worker was told to stop before the mail server had answered")),
        }
    }

    /// Counts the conversation, if there is a limit.
    fn may_ask(&mut self, address: &Address) -> bool {
        let Some(limit) = self.limit else { return true };
        let domain = address.domain().to_string();
        let asked = self.asked.get(&domain).copied().unwrap_or(0);
        if asked < limit {
            self.asked.insert(&domain, asked + 1);
        }
        asked < limit
    }

    /// Takes back a conversation that did not come about.
    fn unask(&mut self, address: &Address) {
        if let Some(asked) = self.asked.get(&address.domain().to_string()) {
            *asked = asked.saturating_sub(1);
        }
    }
}

simplegrid_plugin_api::export! {
    tasks: { "email-validation" => EmailValidation },
    partitioners: {
        "by-email-domain" => ByEmailDomain,
        "by-email-domain-two-labels" => ByEmailDomainTwoLabels,
        "by-email-domain-net-simplegrid" => ByEmailDomainOfNetSimpleGrid,
        "by-registrable-domain" => ByRegistrableDomain,
    },
}
