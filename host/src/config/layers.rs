//! The layers that a setting's value may come from, and which of them wins. The lower layers become clap's
//! defaults before it parses, so that a value is read and checked in one way wherever it stands.

use std::fmt;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::file::ConfigFile;
use super::{ConfigError, Environment};

/// The commands that have settings.
const COMMANDS: [&str; 4] = ["slave", "master", "run", "node-manager"];

/// Flags that belong to one call, and are no settings.
const NOT_SETTINGS: [&str; 5] = ["config", "help", "version", "verbose", "json"];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// `default-config.toml`, or the machine.
    Default,
    /// The user's file.
    File {
        /// The file.
        path: PathBuf,
        /// The section, unless the key stands before all sections.
        section: Option<String>,
    },
    /// A variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A flag.
    CommandLine,
}

impl Source {
    /// How strong the source is; the strongest wins.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment { .. } => 2,
            Self::CommandLine => 3,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, section: Some(section) } => write!(f, "{} [{section}]", path.display()),
            Self::File { path, section: None } => write!(f, "{}", path.display()),
            Self::Environment { variable } => f.write_str(variable),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// One flag of one command, with the value that it has unless the command line says otherwise.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The flag without its dashes, which is also the key in a file.
    pub key: String,
    /// One value, several for a list, none if it is not set.
    pub values: Vec<String>,
    /// Where they come from.
    pub source: Source,
    id: String,
}

impl Setting {
    fn as_default(&self, arg: Arg, shown: Shown) -> Arg {
        // A switch takes no value and shows none.
        let hidden = shown == Shown::Nowhere && !matches!(arg.get_action(), ArgAction::SetTrue);
        let values = self.values.iter().map(String::from);
        arg.required(false).default_values(values).hide_default_value(hidden)
    }
}

/// Whether clap may print a value as a flag's default. What the user set may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// In the help.
    InHelp,
    /// Not at all.
    Nowhere,
}

/// All settings of one command.
#[derive(Debug)]
pub(super) struct Settings {
    /// The command's name.
    pub command: String,
    /// In the order of the help.
    pub settings: Vec<Setting>,
}

impl Settings {
    /// Looks into every layer below the command line: the environment, the files with the strongest first,
    /// and the machine itself.
    ///
    /// # Errors
    /// If a layer holds something that its flag would not accept.
    pub(super) fn gather(
        command: &Command,
        files: &[&ConfigFile],
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let name = command.get_name();
        let settings = settings(command).map(|arg| {
            let (values, source) = below_the_command_line(name, arg, files, environment)?;
            Ok(Setting { key: long(arg).to_owned(), values, source, id: arg.get_id().to_string() })
        });
        Ok(Self { command: name.to_owned(), settings: settings.collect::<Result<_, _>>()? })
    }

    /// Makes these values the defaults of the command below `root` that they belong to.
    pub(super) fn as_defaults(&self, root: Command, shown: Shown) -> Command {
        let set = self.settings.iter().filter(|setting| !setting.values.is_empty());
        root.mut_subcommand(&self.command, |command| {
            set.fold(command, |command, setting| {
                command.mut_arg(&setting.id, |arg| setting.as_default(arg, shown))
            })
        })
    }

    /// Takes note of what the command line said.
    pub(super) fn overridden_by(&mut self, matches: &ArgMatches) {
        for setting in &mut self.settings {
            if matches.value_source(&setting.id) == Some(ValueSource::CommandLine) {
                setting.source = Source::CommandLine;
            }
        }
    }

    /// Where a setting's value comes from.
    pub(super) fn source(&self, key: &str) -> &Source {
        self.settings
            .iter()
            .find(|setting| setting.key == key)
            .map_or(&Source::Default, |setting| &setting.source)
    }
}

/// The command with the built-in defaults, so that its help shows them.
///
/// # Errors
/// If the defaults are wrong, which a test rules out.
pub(super) fn with_defaults(root: Command, defaults: &ConfigFile) -> Result<Command, ConfigError> {
    let nowhere = Environment::default();
    let gathered: Result<Vec<Settings>, _> =
        commands(&root).map(|command| Settings::gather(command, &[defaults], &nowhere)).collect();
    Ok(gathered?.iter().fold(root, |root, settings| settings.as_defaults(root, Shown::InHelp)))
}

/// The commands that have settings.
pub(super) fn commands(root: &Command) -> impl Iterator<Item = &Command> {
    COMMANDS.iter().filter_map(|name| root.find_subcommand(name))
}

/// The command of this name, if it has settings.
pub(super) fn command<'a>(root: &'a Command, name: &str) -> Option<&'a Command> {
    COMMANDS.contains(&name).then(|| root.find_subcommand(name)).flatten()
}

/// The flags of a command that are settings.
pub(super) fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| !NOT_SETTINGS.contains(&long)))
}

/// Lets clap judge values as if they had been given for this flag on the command line.
///
/// # Errors
/// clap's message.
pub(super) fn check(arg: &Arg, values: &[String]) -> Result<(), String> {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return Ok(());
    }
    let words = values.iter().map(|value| format!("--{}={value}", long(arg)));
    let only = Command::new("check")
        .no_binary_name(true)
        .disable_help_flag(true)
        .arg(arg.clone().required(false))
        .try_get_matches_from(words);
    only.map(drop).map_err(|error| message_of(&error))
}

/// The message alone: no `error:` before it, no hint at `--help` after it.
fn message_of(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.split("\n\nFor more").next().unwrap_or_default();
    let lines: Vec<&str> = text.trim_start_matches("error: ").lines().map(str::trim).collect();
    lines.join(" ").trim_end().to_owned()
}

fn below_the_command_line(
    command: &str,
    arg: &Arg,
    files: &[&ConfigFile],
    environment: &Environment,
) -> Result<(Vec<String>, Source), ConfigError> {
    if let Some(found) = in_environment(arg, environment)? {
        return Ok(found);
    }
    for file in files {
        if let Some(found) = file.values(command, arg)? {
            return Ok(found);
        }
    }
    Ok((of_the_machine(command, long(arg), environment), Source::Default))
}

/// The variable of a flag: `--max-workers` has `SIMPLEGRID_MAX_WORKERS`. A list has one value a line, because
/// any other separator may be part of a value.
fn in_environment(
    arg: &Arg,
    environment: &Environment,
) -> Result<Option<(Vec<String>, Source)>, ConfigError> {
    let variable = format!("SIMPLEGRID_{}", long(arg).replace('-', "_").to_uppercase());
    let Some(text) = environment.text(&variable)? else { return Ok(None) };
    let values = match arg.get_action() {
        ArgAction::SetTrue => switch(text).map(|on| vec![on.to_string()]),
        ArgAction::Append => Ok(text.lines().filter(|line| !line.is_empty()).map(String::from).collect()),
        _ => Ok(vec![text.to_owned()]),
    };
    let values = values.and_then(|values| check(arg, &values).map(|()| values));
    let place = || format!("the environment variable {variable}");
    let values = values.map_err(|reason| ConfigError::WrongValue { place: place(), reason })?;
    Ok(Some((values, Source::Environment { variable })))
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

/// Defaults that no file can know.
fn of_the_machine(command: &str, key: &str, environment: &Environment) -> Vec<String> {
    let value = match (command, key) {
        (_, "registry") => environment.usual_registry(),
        ("run", "max-workers") => Some(environment.cores.to_string()).filter(|_| environment.cores > 0),
        _ => None,
    };
    value.into_iter().collect()
}

fn long(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}
