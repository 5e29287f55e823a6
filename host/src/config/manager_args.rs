//! Net::SimpleGrid's `--manager_arg`: names that mean something to the program (dsn, domain, scheduler), and
//! others that are only passed on.

use super::error::ConfigError;
use super::layers::Settings;
use crate::cli::{Pair, Scheduler};

/// The prefixes of Perl's schedulers: the master's, and their counterparts in the slave.
const PERL_SCHEDULERS: [&str; 2] = ["Net::SimpleGrid::Scheduler::", "Net::SimpleGrid::ProcessScheduler::"];

/// The package of Perl's task classes.
const PERL_TASKS: &str = "Net::SimpleGrid::Task::";

/// The last value that was given for a name: Perl made a hash of them.
pub(crate) fn value<'a>(args: &'a [Pair], name: &str) -> Option<&'a str> {
    args.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// Each name once with its last value, in the order of their first appearance.
pub(super) fn without_repeats(args: Vec<Pair>) -> Vec<Pair> {
    let mut unique: Vec<Pair> = Vec::new();
    for (name, value) in args {
        match unique.iter_mut().find(|(other, _)| *other == name) {
            Some(pair) => pair.1 = value,
            None => unique.push((name, value)),
        }
    }
    unique
}

/// Whether the first key was set in a stronger place than the second.
pub(super) fn outranks(settings: &Settings, first: &str, second: &str) -> bool {
    settings.source(first).rank() > settings.source(second).rank()
}

/// A scheduler by one of our names or by its Perl class, with the partitioner that the class brings along.
///
/// # Errors
/// If there is no such scheduler.
pub(super) fn scheduler(name: &str) -> Result<(Scheduler, Option<&'static str>), ConfigError> {
    let class = PERL_SCHEDULERS.iter().find_map(|prefix| name.strip_prefix(prefix));
    match class.unwrap_or(name) {
        "round-robin" | "RoundRobinStrategy" => Ok((Scheduler::RoundRobin, None)),
        "partitioned" | "PartitionedStrategy" => Ok((Scheduler::Partitioned, None)),
        "PartitionedStrategy::ByEmailDomain" => {
            Ok((Scheduler::Partitioned, Some("email-domain:by-email-domain")))
        }
        _ => Err(ConfigError::UnknownScheduler { name: name.to_owned() }),
    }
}

/// A task by the name that the user gave: the original's task classes stand for the libraries that do their
/// work.
pub(super) fn task(name: String) -> String {
    match name.strip_prefix(PERL_TASKS) {
        Some("EmailValidationTask") => "email-validation".to_owned(),
        Some("CompanyDescriptionTask") => "company-description".to_owned(),
        _ => name,
    }
}

/// A host name with the argument `domain` behind it, unless it has it already or is an address.
pub(super) fn qualified(hostname: &str, args: &[Pair]) -> String {
    match value(args, "domain").map(|domain| domain.trim_start_matches('.')) {
        Some(domain)
            if !domain.is_empty()
                && !hostname.ends_with(&format!(".{domain}"))
                && hostname.parse::<std::net::IpAddr>().is_err() =>
        {
            format!("{hostname}.{domain}")
        }
        _ => hostname.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<Pair> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_last_value_of_a_name_counts() {
        let args = pairs(&[("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(value(&args, "a"), Some("3"));
        assert_eq!(without_repeats(args), pairs(&[("a", "3"), ("b", "2")]));
    }

    #[test]
    fn the_classes_of_the_originals_tasks_are_known() {
        assert_eq!(task("Net::SimpleGrid::Task::EmailValidationTask".into()), "email-validation");
        assert_eq!(task("Net::SimpleGrid::Task::CompanyDescriptionTask".into()), "company-description");
        assert_eq!(task("word-count:words".into()), "word-count:words");
    }

    #[test]
    fn a_domain_is_put_behind_names_once_and_never_behind_addresses() {
        let args = pairs(&[("domain", "local")]);
        assert_eq!(qualified("node7", &args), "node7.local");
        assert_eq!(qualified("node7.local", &args), "node7.local");
        assert_eq!(qualified("10.0.0.1", &args), "10.0.0.1");
        assert_eq!(qualified("node7", &[]), "node7");
    }
}
