//! The settings of the node manager.

use std::time::Duration;

use super::error::ConfigError;
use super::given::Given;
use super::manager_args;
use super::registry::RegistryChoice;
use super::source::Source;
use crate::cli::{self, NodeManagerArgs};

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

/// What to do with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeVerb {
    /// Let masters reserve it.
    Enable,
    /// Keep masters from reserving it.
    Disable,
    /// Take it from a master that is gone.
    Release,
    /// End it.
    Shutdown,
    /// Remove the rows of slaves that have not been seen for some time; the host name and port have no
    /// meaning.
    Prune {
        /// How long.
        silent_for: Duration,
    },
    /// Show all nodes; the host name and port have no meaning.
    List {
        /// As JSON.
        json: bool,
    },
}

impl NodeManagerConfig {
    pub(super) fn new(args: NodeManagerArgs, given: &Given<'_>) -> Result<Self, ConfigError> {
        let verb = NodeVerb::from(args.verb);
        let named =
            ["hostname", "port"].into_iter().find(|flag| *given.settings.source(flag) == Source::CommandLine);
        if let (NodeVerb::List { .. } | NodeVerb::Prune { .. }, Some(flag)) = (verb, named) {
            return Err(ConfigError::ListOfOne { flag });
        }
        Ok(Self {
            registry: RegistryChoice::new(&args.registry, &given.settings)?,
            hostname: manager_args::qualified(&args.hostname.unwrap_or_default(), &args.registry.manager_arg),
            port: args.port,
            verb,
        })
    }
}

impl From<cli::NodeVerb> for NodeVerb {
    fn from(verb: cli::NodeVerb) -> Self {
        match verb {
            cli::NodeVerb::Enable => Self::Enable,
            cli::NodeVerb::Disable => Self::Disable,
            cli::NodeVerb::Release => Self::Release,
            cli::NodeVerb::Shutdown => Self::Shutdown,
            cli::NodeVerb::Prune { silent_for } => Self::Prune { silent_for },
            cli::NodeVerb::List { json } => Self::List { json },
        }
    }
}
