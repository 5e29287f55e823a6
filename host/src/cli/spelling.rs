//! Underscores for dashes: `--max_workers` works as `--max-workers` does, as in
//! Net::SimpleGrid's programs. The spellings are derived from the flags themselves, so none can be forgotten.

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
    fn the_help_does_not_show_them() {
        let help = cli::command().find_subcommand_mut("slave").unwrap().render_long_help().to_string();
        assert!(help.contains("--max-workers") && !help.contains("--max_workers"));
    }
}
