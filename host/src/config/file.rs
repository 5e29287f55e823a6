//! A configuration file: TOML with keys for all commands, and a section for each. Which keys exist follows
//! from the flags that clap knows.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction};
use toml::{Table, Value};

use super::error::ConfigError;
use super::flags;
use super::source::Source;

/// The value of every setting, unless the user sets another.
pub(super) const DEFAULTS: &str = include_str!("../../default-config.toml");

/// A file of settings, or the text of the built-in defaults.
#[derive(Debug)]
pub(super) struct ConfigFile {
    path: PathBuf,
    table: Table,
    built_in: bool,
}

/// A key's place in a file.
struct Entry<'a> {
    section: Option<&'a str>,
    key: &'a str,
    value: &'a Value,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read or is not TOML.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Takes a file's text.
    ///
    /// # Errors
    /// If it is not TOML.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::NotToml {
            path: path.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        Ok(Self { path: path.to_owned(), table, built_in: false })
    }

    /// The defaults, which the user can read in `default-config.toml`.
    ///
    /// # Errors
    /// If they are not TOML; a test makes sure that they are.
    pub(super) fn built_in() -> Result<Self, ConfigError> {
        let file = Self::parse("default-config.toml".as_ref(), DEFAULTS)?;
        Ok(Self { built_in: true, ..file })
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of one flag of one command: its section wins over the keys before all sections.
    ///
    /// # Errors
    /// If the value is of the wrong kind.
    pub(super) fn values(
        &self,
        command: &str,
        arg: &Arg,
    ) -> Result<Option<(Vec<String>, Source)>, ConfigError> {
        let key = arg.get_long().unwrap_or_default();
        let in_section =
            find(&self.table, command).and_then(Value::as_table).and_then(|table| find(table, key));
        let Some((section, value)) = in_section
            .map(|value| (Some(command), value))
            .or_else(|| find(&self.table, key).map(|value| (None, value)))
        else {
            return Ok(None);
        };
        let values = self.read_values(arg, &Entry { section, key, value })?;
        Ok(Some((values, self.source(section))))
    }

    /// Whether these are the defaults.
    pub(super) fn is_built_in(&self) -> bool {
        self.built_in
    }

    fn source(&self, section: Option<&str>) -> Source {
        if self.built_in {
            Source::Default
        } else {
            Source::File { path: self.path.clone(), section: section.map(str::to_owned) }
        }
    }

    /// Checks that every key is one that a command has, and that its flag would accept the value.
    ///
    /// # Errors
    /// The first mistake.
    pub(super) fn check(&self, root: &clap::Command) -> Result<(), ConfigError> {
        for (name, value) in &self.table {
            match (flags::command(root, &dashes(name)), value) {
                (Some(command), Value::Table(section)) => {
                    for (key, value) in section {
                        self.check_entry(&[command], &Entry { section: Some(name), key, value })?;
                    }
                }
                _ => {
                    let all: Vec<_> = flags::commands(root).collect();
                    self.check_entry(&all, &Entry { section: None, key: name, value })?;
                }
            }
        }
        Ok(())
    }

    fn check_entry(&self, commands: &[&clap::Command], entry: &Entry<'_>) -> Result<(), ConfigError> {
        let known = || commands.iter().flat_map(|command| flags::settings(command));
        let long = dashes(entry.key);
        let mut same = known().filter(|arg| arg.get_long() == Some(&long)).peekable();
        if same.peek().is_none() {
            let sections = commands.iter().map(|command| command.get_name());
            let sections = sections.filter(|_| entry.value.is_table() && entry.section.is_none());
            let keys = known().filter_map(Arg::get_long).chain(sections).collect();
            return Err(self.unknown_key(entry, keys));
        }
        for arg in same {
            let values = self.read_values(arg, entry)?;
            flags::check(arg, &values).map_err(|reason| self.wrong_value(entry, reason))?;
        }
        Ok(())
    }

    fn read_values(&self, arg: &Arg, entry: &Entry<'_>) -> Result<Vec<String>, ConfigError> {
        let read = match arg.get_action() {
            ArgAction::SetTrue => {
                entry.value.as_bool().map(|flag| vec![flag.to_string()]).ok_or("true or false")
            }
            ArgAction::Append => {
                list(entry.value).ok_or("a list of \"NAME=VALUE\", or a table of NAME = VALUE")
            }
            _ => scalar(entry.value).map(|text| vec![text]).ok_or("a text or a number"),
        };
        read.map_err(|expected| ConfigError::WrongKind {
            path: self.path.clone(),
            section: entry.section.map(str::to_owned),
            key: entry.key.to_owned(),
            expected,
        })
    }

    fn wrong_value(&self, entry: &Entry<'_>, reason: String) -> ConfigError {
        let section = entry.section.map_or_else(String::new, |section| format!(" in [{section}]"));
        ConfigError::WrongValue {
            place: format!("`{}`{section} of {}", entry.key, self.path.display()),
            reason,
        }
    }

    fn unknown_key(&self, entry: &Entry<'_>, known: Vec<&str>) -> ConfigError {
        ConfigError::UnknownKey {
            path: self.path.clone(),
            section: entry.section.map(str::to_owned),
            key: entry.key.to_owned(),
            known: suggestion(&dashes(entry.key), known),
        }
    }
}

fn dashes(key: &str) -> String {
    key.replace('_', "-")
}

/// A key's value. Underscores count as dashes, as they do on the command line.
fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    table.iter().find(|(name, _)| dashes(name) == key).map(|(_, value)| value)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(scalar).collect(),
        Value::Table(table) => table
            .iter()
            .map(|(name, value)| {
                let value = value.as_bool().map(|flag| flag.to_string()).or_else(|| scalar(value))?;
                Some(format!("{name}={value}"))
            })
            .collect(),
        _ => None,
    }
}

/// A sentence with the known keys that look like `key`, or with all of them if none of them does.
fn suggestion(key: &str, mut known: Vec<&str>) -> String {
    known.sort_unstable();
    known.dedup();
    let near: Vec<&str> = known.iter().copied().filter(|other| look_alike(key, other)).collect();
    if near.is_empty() {
        format!("known keys are {}", known.join(", "))
    } else {
        format!("did you mean {}?", near.join(" or "))
    }
}

/// Whether two keys differ only slightly: by a third of their letters at most, or by a missing end.
fn look_alike(left: &str, right: &str) -> bool {
    let starts = left.len().min(right.len()) >= 4 && (left.starts_with(right) || right.starts_with(left));
    starts || strsim::levenshtein(left, right) <= left.len().max(right.len()) / 3
}
