//! The domain of an e-mail address.
//!
//! Start from it if you write a task with arguments, fields and columns. Records are CSV, and their first
//! field is an address. The partitioners come from `plugins/mail-domain`, which contains nothing else: start
//! from that if you write a partitioner.

use serde::{Deserialize, Serialize};
use simplegrid_mail_domain::{
    ByEmailDomain, ByEmailDomainOfNetSimpleGrid, ByEmailDomainTwoLabels, ByRegistrableDomain,
};
use simplegrid_plugin_api::{Error, Output, Record, Result, Task};

/// The task `email-domain`.
#[derive(Debug)]
pub struct EmailDomain {
    lower: bool,
}

/// The `--task-arg`s.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// `lower=true` writes domains in lower case.
    #[serde(default)]
    pub lower: bool,
}

/// One output row; its fields are the columns.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The address as it was read.
    pub address: String,
    /// What follows its last `@`.
    pub domain: String,
}

impl Task for EmailDomain {
    type Args = Args;
    type Row = Row;

    fn new(args: Args) -> Result<Self> {
        Ok(Self { lower: args.lower })
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Row>) -> Result {
        let address = record.text(0)?;
        let domain = domain_of(address)?;
        let domain = if self.lower { domain.to_lowercase() } else { domain.to_owned() };
        output.emit(&Row { address: address.to_owned(), domain })
    }
}

/// What follows the last `@`, because an earlier one may be quoted, and then belongs to the name.
fn domain_of(address: &str) -> Result<&str> {
    match address.rsplit_once('@') {
        Some((_, domain)) => Ok(domain),
        None => Err(Error::reject("no @ in the address")),
    }
}

simplegrid_plugin_api::export! {
    tasks: { "email-domain" => EmailDomain },
    partitioners: {
        "by-email-domain" => ByEmailDomain,
        "by-email-domain-two-labels" => ByEmailDomainTwoLabels,
        "by-email-domain-net-simplegrid" => ByEmailDomainOfNetSimpleGrid,
        "by-registrable-domain" => ByRegistrableDomain,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use simplegrid_plugin_api::Status;
    use simplegrid_plugin_api::testing::TestGrid;

    fn row(address: &str, domain: &str) -> Vec<Option<String>> {
        vec![Some(address.into()), Some(domain.into())]
    }

    #[test]
    fn the_domain_follows_the_last_at_sign() {
        let mut grid = TestGrid::start::<EmailDomain>(&[]).unwrap();
        assert_eq!(grid.handle("joe@Example.COM,ignored"), Status::Ok);
        assert_eq!(grid.handle(r#""""j@e""@example.org""#), Status::Ok);
        assert_eq!(
            grid.rows(),
            [row("joe@Example.COM", "Example.COM"), row(r#""j@e"@example.org"#, "example.org")]
        );
    }

    #[test]
    fn an_argument_makes_it_lower_case() {
        let mut grid = TestGrid::start::<EmailDomain>(&[("lower", "true")]).unwrap();
        assert_eq!(grid.handle("joe@Example.COM"), Status::Ok);
        assert_eq!(grid.rows(), [row("joe@Example.COM", "example.com")]);
    }

    #[test]
    fn bad_arguments_are_named() {
        let said = TestGrid::start::<EmailDomain>(&[("lower", "maybe")]).unwrap_err();
        assert_eq!(said.message, "the task argument `lower`: `maybe` is neither true nor false");
        let said = TestGrid::start::<EmailDomain>(&[("upper", "true")]).unwrap_err();
        assert_eq!(said.message, "no task argument `upper`: the task takes lower");
    }

    #[test]
    fn what_is_no_address_is_rejected() {
        let mut grid = TestGrid::start::<EmailDomain>(&[]).unwrap();
        assert_eq!(grid.handle("nobody"), Status::Reject);
        assert_eq!(grid.last_message(), "no @ in the address");
        assert_eq!(grid.handle(b"joe@\xff.org"), Status::Reject);
        assert!(grid.last_message().starts_with("field 0: invalid utf-8"), "{}", grid.last_message());
        assert!(grid.rows().is_empty());
    }
}
