//! The settings of the node manager.

use super::error::ConfigError;
use super::given::Given;
use super::manager_args;
use super::registry::RegistryChoice;
use super::source::Source;
use crate::cli::{NodeManagerArgs, NodeVerb};

/// The settings of the node manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeManagerConfig {
    /// Where the registry is.
    pub registry: RegistryChoice,
    /// The name of the node's row, with the manager argument `domain`.
    pub hostname: String,
    /// The port of the node's row.
    pub port: u16,
    /// What to do.
    pub verb: NodeVerb,
}

impl NodeManagerConfig {
    pub(super) fn new(args: NodeManagerArgs, given: &Given<'_>) -> Result<Self, ConfigError> {
        let named =
            ["hostname", "port"].into_iter().find(|flag| *given.settings.source(flag) == Source::CommandLine);
        if let (NodeVerb::List { .. } | NodeVerb::Prune { .. } | NodeVerb::Reload { all: true }, Some(flag)) =
            (args.verb, named)
        {
            return Err(ConfigError::ListOfOne { flag });
        }
        Ok(Self {
            registry: RegistryChoice::new(&args.registry, &given.settings)?,
            hostname: manager_args::qualified(&args.hostname.unwrap_or_default(), &args.registry.manager_arg),
            port: args.port,
            verb: args.verb,
        })
    }
}
