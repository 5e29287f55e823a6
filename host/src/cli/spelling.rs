//! Underscores for dashes: `--max_workers` works as `--max-workers` does, as in
//! Net::SimpleGrid's programs. The spellings are derived from the flags themselves, so none can be forgotten.

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

/// Gives every long flag with a dash, in this command and all below it, a hidden alias with underscores.
pub(super) fn accept_underscores(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command.mut_args(with_underscores), |command, name| {
        command.mut_subcommand(name, accept_underscores)
    })
}

fn with_underscores(arg: Arg) -> Arg {
    let names = arg.get_long().into_iter().chain(arg.get_all_aliases().unwrap_or_default());
    let aliases: Vec<String> =
        names.filter(|name| name.contains('-')).map(|name| name.replace('-', "_")).collect();
    arg.aliases(aliases)
}

/// An error about this command line in which no hidden spelling is suggested: where clap finds one that is
/// similar to what was typed, the flag's own name stands.
pub(crate) fn suggest_shown_names(mut error: clap::Error, command: &Command) -> clap::Error {
    let suggested = error.get(ContextKind::SuggestedArg).cloned();
    if let Some(ContextValue::String(flag)) = suggested {
        let shown = flag.strip_prefix("--").and_then(|name| shown_name(command, name));
        let shown = shown.map_or(flag, |name| format!("--{name}"));
        error.insert(ContextKind::SuggestedArg, ContextValue::String(shown));
    }
    error
}

/// The name under which the help shows the flag that can be spelled so, here or in a command below.
fn shown_name(command: &Command, spelling: &str) -> Option<String> {
    let is_meant = |arg: &&Arg| arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&spelling));
    let here = command.get_arguments().find(is_meant).and_then(Arg::get_long).map(str::to_owned);
    here.or_else(|| command.get_subcommands().find_map(|below| shown_name(below, spelling)))
}

#[cfg(test)]
mod tests {
    use crate::cli;

    #[test]
    fn every_flag_with_a_dash_has_a_spelling_with_underscores() {
        let command = cli::command();
        let master = command.find_subcommand("master").unwrap();
        for long in master.get_arguments().filter_map(|arg| arg.get_long()).filter(|long| long.contains('-'))
        {
            let arg = master.get_arguments().find(|arg| arg.get_long() == Some(long)).unwrap();
            assert!(arg.get_all_aliases().unwrap().contains(&long.replace('-', "_").as_str()), "{long}");
        }
    }

    #[test]
    fn no_error_suggests_a_hidden_spelling() {
        for (words, flag) in [
            (&["run", "--keeporder"][..], "--keep-order"),
            (&["master", "--keep_ordr"], "--keep-order"),
            (&["master", "--maxreserve"], "--max-reserve"),
            (&["node-manager", "--managerargs"], "--manager-arg"),
            (&["slave", "--max-worker"], "--max-workers"),
        ] {
            let words = ["simplegrid"].iter().chain(words);
            let error = cli::command().try_get_matches_from(words).unwrap_err();
            let error = super::suggest_shown_names(error, &cli::command()).to_string();
            assert!(error.contains(&format!("'{flag}'")), "{error}");
            let suggestions = error.lines().filter(|line| line.contains("similar"));
            assert!(
                suggestions.clone().count() == 1 && suggestions.clone().all(|line| !line.contains('_')),
                "{error}"
            );
        }
    }

    #[test]
    fn the_help_does_not_show_them() {
        let help = cli::command().find_subcommand_mut("slave").unwrap().render_long_help().to_string();
        assert!(help.contains("--max-workers") && !help.contains("--max_workers"));
    }
}
