//! Which hosts take a domain's mail, and in which order to ask them (RFC 5321, 5.1).

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use simplegrid_network::{LookupError, MailExchanger, Names};

use crate::address::Domain;

/// How many hosts of one domain are asked. No domain has more on purpose, and each host that stays silent
/// takes time.
const HOSTS_MAX: usize = 10;

/// One host that takes a domain's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailHost {
    /// The host's name. If it is known only by its address, this is the address as a mail address has it.
    pub(crate) name: String,
    /// The host's addresses, if they are known already.
    pub(crate) addresses: Option<Vec<IpAddr>>,
}

/// Where a domain's mail goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To these hosts, in this order.
    Hosts(Vec<MailHost>),
    /// Nowhere, for this reason.
    Nowhere(String),
}

/// Which of several equally preferred hosts comes first. Each worker has an order of its own, so that a
/// domain's hosts share the work, and keeps that order, so that its connections are used again.
#[derive(Debug, Default)]
pub(crate) struct Preference(RandomState);

impl Preference {
    /// Looks up a domain's hosts.
    ///
    /// # Errors
    /// The name server gave no answer, so the route is unknown for now.
    pub(crate) fn route(&self, names: &Names, domain: &Domain) -> Result<Route, LookupError> {
        let name = match domain {
            Domain::Name(name) => name,
            Domain::Literal(address) => return Ok(itself(&domain.to_string(), vec![*address])),
        };
        match names.mail_exchangers(name) {
            Ok(exchangers) => Ok(self.of_exchangers(name, exchangers)),
            // Without mail exchangers, the domain itself is the host.
            Err(LookupError::NoRecords(..)) => match names.addresses(name) {
                Ok(addresses) => Ok(itself(name, addresses)),
                Err(error) if error.is_temporary() => Err(error),
                Err(_) => Ok(Route::Nowhere(format!("`{name}` has neither a mail exchanger nor an address"))),
            },
            Err(error) if error.is_temporary() => Err(error),
            Err(error) => Ok(Route::Nowhere(error.to_string())),
        }
    }

    fn of_exchangers(&self, domain: &str, mut exchangers: Vec<MailExchanger>) -> Route {
        // RFC 7505: a domain that takes no mail says so with the root alone. Beside other hosts, the root is
        // a mistake.
        exchangers.retain(|exchanger| !exchanger.host.is_empty());
        if exchangers.is_empty() {
            return Route::Nowhere(format!("`{domain}` says that it takes no mail (null MX)"));
        }
        exchangers.sort_by_cached_key(|exchanger| (exchanger.preference, self.0.hash_one(&exchanger.host)));
        let host = |exchanger: MailExchanger| MailHost { name: exchanger.host, addresses: None };
        Route::Hosts(exchangers.into_iter().take(HOSTS_MAX).map(host).collect())
    }
}

fn itself(name: &str, addresses: Vec<IpAddr>) -> Route {
    Route::Hosts(vec![MailHost { name: name.to_owned(), addresses: Some(addresses) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(preference: &Preference, hosts: &[(u16, &str)]) -> Vec<String> {
        let exchangers = hosts
            .iter()
            .map(|(preference, host)| MailExchanger { preference: *preference, host: (*host).to_owned() });
        match preference.of_exchangers("example.org", exchangers.collect()) {
            Route::Hosts(hosts) => hosts.into_iter().map(|host| host.name).collect(),
            Route::Nowhere(why) => vec![why],
        }
    }

    #[test]
    fn the_preferred_host_comes_first() {
        assert_eq!(order(&Preference::default(), &[(20, "b"), (5, "c"), (10, "a")]), ["c", "a", "b"]);
    }

    #[test]
    fn equals_have_an_order_that_lasts_and_that_differs_between_workers() {
        let hosts = [(1, "a"), (1, "b"), (1, "c"), (0, "first"), (2, "last")];
        let mut firsts = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let worker = Preference::default();
            let found = order(&worker, &hosts);
            assert_eq!(found, order(&worker, &hosts));
            assert_eq!((found[0].as_str(), found[4].as_str()), ("first", "last"));
            firsts.insert(found[1].clone());
        }
        // That one of three is never first in two hundred workers happens once in 10^35 times.
        assert_eq!(firsts.len(), 3);
    }

    #[test]
    fn the_root_takes_no_mail() {
        let preference = Preference::default();
        assert_eq!(order(&preference, &[(0, "")]), ["`example.org` says that it takes no mail (null MX)"]);
        assert_eq!(order(&preference, &[(0, ""), (9, "mx")]), ["mx"]);
    }

    #[test]
    fn not_every_host_of_a_hundred_is_asked() {
        let names: Vec<_> = (0..100).map(|number| format!("mx{number}")).collect();
        let hosts: Vec<_> = (0..).zip(&names).map(|(number, name)| (number, name.as_str())).collect();
        assert_eq!(order(&Preference::default(), &hosts), names[..HOSTS_MAX]);
    }
}
