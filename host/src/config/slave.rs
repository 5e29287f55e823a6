//! The settings of a slave.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::given::Given;
use super::registry::RegistryChoice;
use super::{manager_args, sink};
use crate::build::Digest;
use crate::cli::{Pair, SlaveArgs};
use crate::sink::SinkUrl;
use crate::wire::WorkerLimits;

/// The settings of a slave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlaveConfig {
    /// The library with the task, a path or a name, and the task in it: `FILE|NAME[:TASK]`.
    pub task: String,
    /// The file that the task must come from; `None` for any.
    pub expect_task: Option<Digest>,
    /// Arguments of the task, each name once.
    pub task_args: Vec<Pair>,
    /// The arguments of Net::SimpleGrid's manager, each name once; the task gets those that it knows.
    pub manager_args: Vec<Pair>,
    /// The port to listen on; 0 for any free one.
    pub port: u16,
    /// The address to listen on.
    pub listen: IpAddr,
    /// Whether clients of Net::SimpleGrid are served as well.
    pub line_protocol: bool,
    /// The name of this machine, with the manager argument `domain`. See [`SlaveConfig::host_for_masters`].
    pub hostname: String,
    /// Where masters are told to connect, if the user has set it. See [`SlaveConfig::host_for_masters`].
    pub advertise: Option<String>,
    /// Worker processes, from 1 to 4096.
    pub max_workers: u16,
    /// How much of the machine a worker may use.
    pub limits: WorkerLimits,
    /// How long each step of a worker's start may take.
    pub start_timeout: Duration,
    /// Where the registry is.
    pub registry: RegistryChoice,
    /// Where rows go, if not to masters.
    pub sink: Option<SinkUrl>,
    /// How long a record may take, unless the master sets another limit.
    pub record_timeout: Option<Duration>,
    /// How long a drain may take.
    pub drain_timeout: Duration,
    /// How often the rate of records is logged.
    pub sample_rate: Duration,
    /// Where libraries are looked for by name.
    pub task_path: Vec<PathBuf>,
}

impl SlaveConfig {
    pub(super) fn new(args: SlaveArgs, given: &Given<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            registry: RegistryChoice::new(&args.registry, &given.settings)?,
            hostname: manager_args::qualified(&given.environment.host_name, &args.registry.manager_arg),
            task: manager_args::task(args.task.task),
            expect_task: args.build.expect_task,
            task_args: manager_args::without_repeats(args.task.task_arg),
            manager_args: manager_args::without_repeats(args.registry.manager_arg),
            port: args.port,
            listen: args.listen,
            line_protocol: args.line_protocol,
            advertise: args.advertise,
            max_workers: args.max_workers,
            start_timeout: args.limits.start_timeout,
            limits: args.limits.into(),
            sink: sink::choose(args.sink)?,
            record_timeout: args.record_timeout.filter(|limit| !limit.is_zero()),
            drain_timeout: args.drain_timeout,
            sample_rate: args.sample_rate_secs,
            task_path: given.environment.task_path(),
        })
    }

    /// Where the slave listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.listen, self.port)
    }

    /// The host that masters connect to, and the name of the slave's row. This is what the user has set; or
    /// else, if the slave can only be reached from this machine, the address that it listens on; or else
    /// the machine's name.
    pub(crate) fn host_for_masters(&self) -> String {
        match &self.advertise {
            Some(host) => host.clone(),
            None if self.listen.is_loopback() => self.listen.to_string(),
            None => self.hostname.clone(),
        }
    }
}
