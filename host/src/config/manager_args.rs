//! Net::SimpleGrid's `--manager_arg`: names with a meaning for the program (dsn, domain, scheduler), and
//! others that are only passed on.

use super::error::ConfigError;
use super::layers::Settings;
use crate::cli::{Pair, Scheduler};

/// The prefixes of Net::SimpleGrid's schedulers: the master's, and their counterparts in the slave.
const SCHEDULER_CLASSES: [&str; 2] = ["Net::SimpleGrid::Scheduler::", "Net::SimpleGrid::ProcessScheduler::"];

/// The package of Net::SimpleGrid's task classes.
const TASK_CLASSES: &str = "Net::SimpleGrid::Task::";

/// The last value that was given for a name: Net::SimpleGrid kept them in a hash.
pub(super) fn value<'a>(args: &'a [Pair], name: &str) -> Option<&'a str> {
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

/// Whether the first key was set by a stronger source than the second.
pub(super) fn outranks(settings: &Settings, first: &str, second: &str) -> bool {
    settings.source(first).rank() > settings.source(second).rank()
}

/// A scheduler by one of our names or by its class in Net::SimpleGrid, with the partitioner of that class.
///
/// # Errors
/// If there is no such scheduler.
pub(super) fn scheduler(name: &str) -> Result<(Scheduler, Option<&'static str>), ConfigError> {
    let class = SCHEDULER_CLASSES.iter().find_map(|prefix| name.strip_prefix(prefix));
    match class.unwrap_or(name) {
        "round-robin" | "RoundRobinStrategy" => Ok((Scheduler::RoundRobin, None)),
        "partitioned" | "PartitionedStrategy" => Ok((Scheduler::Partitioned, None)),
        "PartitionedStrategy::ByEmailDomain" => {
            Ok((Scheduler::Partitioned, Some("email-domain:by-email-domain")))
        }
        _ => Err(ConfigError::UnknownScheduler { name: name.to_owned() }),
    }
}

/// A task by the name that the user gave. Net::SimpleGrid's task classes stand for the libraries that do the
/// same work.
pub(super) fn task(name: String) -> String {
    match name.strip_prefix(TASK_CLASSES) {
        Some("EmailValidationTask") => "email-validation".to_owned(),
        Some("CompanyDescriptionTask") => "company-description".to_owned(),
        _ => name,
    }
}

/// A host name followed by the argument `domain`, unless it ends in that domain already or is an address.
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
    fn the_task_classes_of_net_simplegrid_are_known() {
        assert_eq!(task("Net::SimpleGrid::Task::EmailValidationTask".into()), "email-validation");
        assert_eq!(task("Net::SimpleGrid::Task::CompanyDescriptionTask".into()), "company-description");
        assert_eq!(task("word-count:words".into()), "word-count:words");
    }

    #[test]
    fn a_domain_is_added_to_names_once_and_never_to_addresses() {
        let args = pairs(&[("domain", "local")]);
        assert_eq!(qualified("node7", &args), "node7.local");
        assert_eq!(qualified("node7.local", &args), "node7.local");
        assert_eq!(qualified("10.0.0.1", &args), "10.0.0.1");
        assert_eq!(qualified("node7", &[]), "node7");
    }
}
