//! Which flags are settings, and which values they accept: everything that files and layers know of clap's
//! commands.

use clap::{Arg, ArgAction, Command};

/// The commands that have settings.
const COMMANDS: [&str; 4] = ["slave", "master", "run", "node-manager"];

/// Flags that concern one call only, and are not settings.
const NOT_SETTINGS: [&str; 5] = ["config", "help", "version", "verbose", "json"];

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

/// Has clap check values as if they had been given for this flag on the command line.
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

/// The flag without its dashes.
pub(super) fn long(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}
