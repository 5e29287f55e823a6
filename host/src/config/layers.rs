//! The layers in which a setting can have a value, and which of them wins. The lower layers become clap's
//! defaults before it parses, so that a value is read and checked in the same way wherever it comes from.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::environment::Environment;
use super::error::ConfigError;
use super::file::ConfigFile;
use super::flags::{self, long};
use super::source::Source;

/// One flag of one command, with the value that it has unless the command line sets another.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The flag without its dashes, which is also the key in a file.
    pub key: String,
    /// One value, several for a list, none if it is not set.
    pub values: Vec<String>,
    /// Where the values come from.
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

/// Whether clap may print a value as the default of a flag. A value that the user has set may be a secret.
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
    /// Looks into every layer below the command line: the environment, the files (the strongest first), and
    /// the machine itself.
    ///
    /// # Errors
    /// If a layer has a value that its flag would not accept.
    pub(super) fn gather(
        command: &Command,
        files: &[&ConfigFile],
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let name = command.get_name();
        let settings = flags::settings(command).map(|arg| {
            let (values, source) = below_the_command_line(name, arg, files, environment)?;
            Ok(Setting { key: long(arg).to_owned(), values, source, id: arg.get_id().to_string() })
        });
        Ok(Self { command: name.to_owned(), settings: settings.collect::<Result<_, _>>()? })
    }

    /// Makes these values the defaults of their command below `root`.
    pub(super) fn as_defaults(&self, root: Command, shown: Shown) -> Command {
        let set = self.settings.iter().filter(|setting| !setting.values.is_empty());
        root.mut_subcommand(&self.command, |command| {
            set.fold(command, |command, setting| {
                command.mut_arg(&setting.id, |arg| setting.as_default(arg, shown))
            })
        })
    }

    /// Notes which settings the command line has set.
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
/// If the defaults are wrong; a test makes sure that they are right.
pub(super) fn with_defaults(root: Command, defaults: &ConfigFile) -> Result<Command, ConfigError> {
    let nowhere = Environment::default();
    let gathered: Result<Vec<Settings>, _> =
        flags::commands(&root).map(|command| Settings::gather(command, &[defaults], &nowhere)).collect();
    Ok(gathered?.iter().fold(root, |root, settings| settings.as_defaults(root, Shown::InHelp)))
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

/// The variable of a flag: `--max-workers` has `SIMPLEGRID_MAX_WORKERS`. A list has one value per line,
/// because any other separator may be part of a value.
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
    let values = values.and_then(|values| flags::check(arg, &values).map(|()| values));
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

/// Defaults that depend on the machine, so that no file can contain them.
fn of_the_machine(command: &str, key: &str, environment: &Environment) -> Vec<String> {
    let value = match (command, key) {
        (_, "registry") => environment.usual_registry(),
        ("run", "max-workers") => Some(environment.cores.to_string()).filter(|_| environment.cores > 0),
        _ => None,
    };
    value.into_iter().collect()
}
