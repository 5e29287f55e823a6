//! Whether a run is partitioned, and by which key: two flags and a manager argument that must agree.

use super::error::ConfigError;
use super::layers::Settings;
use super::manager_args;
use crate::cli::{Pair, Scheduler};

/// The key if none is named: Net::SimpleGrid's partitioned scheduler hashed the whole record.
const DEFAULT_KEY: &str = "whole-record";

/// Makes one choice of `--scheduler`, `--partition-by` and the manager argument `scheduler`: the key, or
/// `None` for round robin. A key implies the partitioned scheduler, unless round robin was asked for in as
/// strong a place.
///
/// # Errors
/// If they contradict each other, or the key is invalid.
pub(super) fn choose(
    flag: Scheduler,
    partition_by: Option<String>,
    manager_args: &[Pair],
    settings: &Settings,
) -> Result<Option<String>, ConfigError> {
    let of_manager =
        manager_args::value(manager_args, "scheduler").map(manager_args::scheduler).transpose()?;
    let of_manager = of_manager.filter(|_| manager_args::outranks(settings, "manager-arg", "scheduler"));
    let said_by = if of_manager.is_some() { "manager-arg" } else { "scheduler" };
    let (scheduler, implied_key) = of_manager.unwrap_or((flag, None));
    let Some(key) = partition_by else { return Ok(without_key(scheduler, implied_key)) };
    check(&key)?;
    if scheduler == Scheduler::RoundRobin && !manager_args::outranks(settings, "partition-by", said_by) {
        return if settings.source(said_by).rank() == settings.source("partition-by").rank() {
            Err(ConfigError::PartitionedRoundRobin { partition_by: key })
        } else {
            Ok(None)
        };
    }
    Ok(Some(key))
}

/// The key where `--partition-by` names none.
fn without_key(scheduler: Scheduler, implied_key: Option<&str>) -> Option<String> {
    (scheduler == Scheduler::Partitioned).then(|| implied_key.unwrap_or(DEFAULT_KEY).to_owned())
}

/// Fields are counted from zero, as in a task. Whether a library has the partitioner is found out when the
/// library is loaded.
fn check(key: &str) -> Result<(), ConfigError> {
    let right = match key.strip_prefix("field:") {
        Some(number) => number.parse::<u32>().is_ok(),
        None => !key.is_empty() && key != "field",
    };
    if right { Ok(()) } else { Err(ConfigError::WrongPartition { partition_by: key.to_owned() }) }
}
