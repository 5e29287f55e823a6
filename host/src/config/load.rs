//! From words and surroundings to an `Invocation`: a first look at the words to find out which command and
//! which file are meant, then the layers, then the parse that counts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, FromArgMatches};

use super::environment::Environment;
use super::error::{ConfigError, InvocationError};
use super::file::ConfigFile;
use super::flags;
use super::given::Given;
use super::invocation::{Command, Invocation, LogSettings};
use super::layers::{self, Settings, Shown};
use super::master::MasterConfig;
use super::node_manager::NodeManagerConfig;
use super::report::report;
use super::run::LocalRunConfig;
use super::slave::SlaveConfig;
use super::task::TaskCommand;
use crate::cli::{self, Cli, CliCommand};

/// Reads the command line (the program's name first) together with the environment and the user's file.
///
/// # Errors
/// What is wrong, in words for the user; also if only help or the version was asked for.
pub(crate) fn load(
    words: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Invocation, InvocationError> {
    let words: Vec<OsString> = words.into_iter().collect();
    let defaults = ConfigFile::built_in()?;
    let root = layers::with_defaults(cli::command(), &defaults)?;
    let glimpse = root.clone().ignore_errors(true).try_get_matches_from(&words)?;
    let name = glimpse.subcommand_name().unwrap_or_default();
    let file = if needs_file(name) { user_file(&glimpse, &root, environment)? } else { None };
    let files: Vec<&ConfigFile> = file.iter().chain([&defaults]).collect();
    let (root, mut settings) = with_layers(root, name, &files, environment)?;
    let all = root.clone();
    let parsed = root.try_get_matches_from(&words);
    let matches = parsed.map_err(|error| cli::suggest_shown_names(error, &all))?;
    if let Some((_, matches)) = matches.subcommand() {
        settings.overridden_by(matches);
    }
    let parsed = Cli::from_arg_matches(&matches)?;
    let log = log_settings(&parsed, environment)?;
    let command = match parsed.command {
        CliCommand::Config => Command::Config { report: report(&files, environment)? },
        other => command(other, &Given { settings, environment })?,
    };
    Ok(Invocation { command, log })
}

/// The command with everything below the command line as its defaults, if it has settings.
fn with_layers(
    root: clap::Command,
    name: &str,
    files: &[&ConfigFile],
    environment: &Environment,
) -> Result<(clap::Command, Settings), ConfigError> {
    match flags::command(&root, name) {
        Some(command) => {
            let settings = Settings::gather(command, files, environment)?;
            Ok((settings.as_defaults(root, Shown::Nowhere), settings))
        }
        None => Ok((root, Settings { command: name.to_owned(), settings: Vec::new() })),
    }
}

/// Workers and `simplegrid task` need no settings, so nothing in a file can stop them.
fn needs_file(command: &str) -> bool {
    !matches!(command, "worker" | "task" | "")
}

/// The file that was named, which must exist, or else the usual one, which need not.
fn user_file(
    glimpse: &ArgMatches,
    root: &clap::Command,
    environment: &Environment,
) -> Result<Option<ConfigFile>, ConfigError> {
    let named = glimpse.get_one::<PathBuf>("config_file").cloned();
    let usual = || environment.usual_config_file().filter(|path| path.exists());
    let Some(path) = named.or_else(|| environment.named_config_file()).or_else(usual) else {
        return Ok(None);
    };
    let file = ConfigFile::read(&path)?;
    file.check(root)?;
    Ok(Some(file))
}

fn command(command: CliCommand, given: &Given<'_>) -> Result<Command, ConfigError> {
    Ok(match command {
        CliCommand::Slave(args) => Command::Slave(SlaveConfig::new(args, given)?),
        CliCommand::Master(args) => Command::Master(MasterConfig::new(args, given)?),
        CliCommand::Run(args) => Command::Run(LocalRunConfig::new(args, given)?),
        CliCommand::NodeManager(args) => Command::NodeManager(NodeManagerConfig::new(args, given)?),
        CliCommand::Task(args) => Command::Task(TaskCommand::new(args, given.environment)),
        CliCommand::Worker(_) => Command::Worker,
        CliCommand::Config => Command::Config { report: String::new() },
    })
}

fn log_settings(parsed: &Cli, environment: &Environment) -> Result<LogSettings, ConfigError> {
    let (role, quiet) = match &parsed.command {
        CliCommand::Slave(args) => ("slave", args.quiet),
        CliCommand::Master(args) => ("master", args.run.quiet),
        CliCommand::Run(args) => ("run", args.run.quiet),
        CliCommand::NodeManager(_) => ("node-manager", false),
        CliCommand::Task(_) => ("task", false),
        CliCommand::Config => ("config", false),
        CliCommand::Worker(_) => ("worker", false),
    };
    Ok(LogSettings {
        role,
        quiet,
        verbose: parsed.verbose,
        filter: environment.text("SIMPLEGRID_LOG")?.map(str::to_owned),
        colour: environment.takes_colours(),
        time: role == "slave" && !environment.stderr_is_terminal,
    })
}
