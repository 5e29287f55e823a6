//! The settings of a master.

use std::time::Duration;

use super::error::ConfigError;
use super::given::Given;
use super::manager_args;
use super::registry::RegistryChoice;
use super::run::RunSettings;
use crate::cli::{MasterArgs, Pair};
use crate::sink::{Destination, HARVEST};

/// The settings of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MasterConfig {
    /// The settings that every run has.
    pub run: RunSettings,
    /// How many slaves to reserve at most, at least one; `None` for all.
    pub max_reserve: Option<usize>,
    /// Whether the slaves end with the run.
    pub shutdown_slaves: bool,
    /// Commands for each slave before its first record, in the order given.
    pub init_commands: Vec<Pair>,
    /// Where the files of the slaves' sinks are delivered at the end: the command `harvest`, which
    /// Net::SimpleGrid called `scpto`.
    pub harvest: Option<String>,
    /// Where the registry is.
    pub registry: RegistryChoice,
    /// The name of this machine, with the manager argument `domain`.
    pub hostname: String,
    /// How long to wait for the first slave.
    pub wait_nodes: Duration,
    /// How often to look for more slaves.
    pub reallocate_every: Duration,
}

impl MasterConfig {
    pub(super) fn new(args: MasterArgs, given: &Given<'_>) -> Result<Self, ConfigError> {
        let (harvests, init_commands): (Vec<_>, Vec<_>) =
            args.init_slave_cmd.into_iter().partition(|(name, _)| HARVEST.contains(&name.as_str()));
        let harvest = harvests.into_iter().next_back().map(|(_, destination)| destination);
        if let Some(destination) = &harvest {
            destination.parse::<Destination>().map_err(ConfigError::Harvest)?;
        }
        Ok(Self {
            run: RunSettings::new(args.run, &args.registry.manager_arg, given)?,
            max_reserve: max_reserve(args.max_reserve)?,
            shutdown_slaves: args.shutdown_slaves,
            init_commands,
            harvest,
            hostname: manager_args::qualified(&given.environment.host_name, &args.registry.manager_arg),
            registry: RegistryChoice::new(&args.registry, &given.settings)?,
            wait_nodes: args.wait_nodes,
            reallocate_every: args.reallocate_every,
        })
    }
}

/// A negative number reserves all slaves, as in Net::SimpleGrid's `reserveNodes`. There, 0 meant the default;
/// here it is a mistake.
fn max_reserve(number: i64) -> Result<Option<usize>, ConfigError> {
    match number {
        0 => Err(ConfigError::ReservesNothing),
        number => Ok(usize::try_from(number).ok()),
    }
}
