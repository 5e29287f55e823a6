//! `simplegrid config`: every setting in force, and where it comes from.

use std::fmt::Write;

use super::environment::Environment;
use super::error::ConfigError;
use super::file::ConfigFile;
use super::flags;
use super::layers::{Setting, Settings};
use super::secrets::without_secrets;
use crate::cli;

/// Longer values do not push the last column further to the right.
const VALUE_WIDTH_MAX: usize = 48;

/// All settings of all commands as a table, secrets masked.
///
/// # Errors
/// If a layer has a value that its flag would not accept.
pub(super) fn report(files: &[&ConfigFile], environment: &Environment) -> Result<String, ConfigError> {
    let mut text = String::new();
    for command in flags::commands(&cli::command()) {
        let settings = Settings::gather(command, files, environment)?;
        let _ = writeln!(text, "[{}]", settings.command);
        let rows: Vec<[String; 3]> = settings.settings.iter().flat_map(rows).collect();
        text.push_str(&table(&rows));
        text.push('\n');
    }
    text.push_str(&file_read(files, environment));
    Ok(text)
}

/// One row, or one for each value of a list.
fn rows(setting: &Setting) -> Vec<[String; 3]> {
    let source = setting.source.to_string();
    if setting.values.is_empty() {
        return vec![[setting.key.clone(), "-".into(), "not set".into()]];
    }
    let row = |value: &String| [setting.key.clone(), without_secrets(value), source.clone()];
    setting.values.iter().map(row).collect()
}

fn table(rows: &[[String; 3]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (keys, values) = (width(0), width(1).min(VALUE_WIDTH_MAX));
    rows.iter().map(|[key, value, source]| format!("{key:keys$}  {value:values$}  {source}\n")).collect()
}

/// Which file was read, or which would be.
fn file_read(files: &[&ConfigFile], environment: &Environment) -> String {
    match (files.iter().find(|file| !file.is_built_in()), environment.usual_config_file()) {
        (Some(file), _) => format!("The file {} was read.\n", file.path().display()),
        (None, Some(usual)) => format!("No file was read: {} does not exist.\n", usual.display()),
        (None, None) => "No file was read.\n".into(),
    }
}
