//! The surroundings of the process: variables, paths, the machine's name. They are read once and passed on as
//! a value, so that tests can make up their own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::{env, thread};

use super::error::ConfigError;

/// Workers that `run` starts if the number of cores is unknown.
const CORES_IF_UNKNOWN: usize = 1;

/// The most workers that `run` starts by itself: the largest `--max-workers`.
const CORES_MAX: usize = 4096;

/// The surroundings of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// The variables.
    pub variables: BTreeMap<String, OsString>,
    /// The program's own file.
    pub program: Option<PathBuf>,
    /// The machine's own name.
    pub host_name: String,
    /// How many workers the machine can keep busy at once.
    pub cores: usize,
    /// Whether stderr is a terminal.
    pub stderr_is_terminal: bool,
}

impl Environment {
    /// The surroundings of this process, as they are now.
    pub(crate) fn of_this_process() -> Self {
        let cores = thread::available_parallelism().map_or(CORES_IF_UNKNOWN, usize::from);
        Self {
            variables: env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
            program: env::current_exe().ok(),
            host_name: nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned(),
            cores: cores.min(CORES_MAX),
            stderr_is_terminal: io::stderr().is_terminal(),
        }
    }

    /// The text of a variable; an empty variable counts as not set.
    ///
    /// # Errors
    /// If it is not valid UTF-8.
    pub(super) fn text(&self, variable: &str) -> Result<Option<&str>, ConfigError> {
        match self.variables.get(variable).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => {
                value.to_str().map(Some).ok_or_else(|| ConfigError::NotUtf8 { variable: variable.to_owned() })
            }
        }
    }

    /// The file that is read if `--config` is not given: `SIMPLEGRID_CONFIG`.
    pub(super) fn named_config_file(&self) -> Option<PathBuf> {
        self.path("SIMPLEGRID_CONFIG")
    }

    /// Where the user's file is looked for: `simplegrid/simplegrid.toml` in `$XDG_CONFIG_HOME` or
    /// `~/.config`.
    pub(super) fn usual_config_file(&self) -> Option<PathBuf> {
        Some(self.home("XDG_CONFIG_HOME", ".config")?.join("simplegrid/simplegrid.toml"))
    }

    /// The registry of this user on this machine: `simplegrid/grid.db` in `$XDG_STATE_HOME` or
    /// `~/.local/state`.
    pub(super) fn usual_registry(&self) -> Option<String> {
        let file = self.home("XDG_STATE_HOME", ".local/state")?.join("simplegrid/grid.db");
        Some(format!("sqlite:{}", file.to_str()?))
    }

    /// Where libraries are looked up by name: in `SIMPLEGRID_TASK_PATH`, then beside the program.
    pub(super) fn task_path(&self) -> Vec<PathBuf> {
        let named = self.variables.get("SIMPLEGRID_TASK_PATH").into_iter().flat_map(env::split_paths);
        let beside = self.program.as_deref().and_then(|program| program.parent());
        let beside = beside.into_iter().flat_map(|directory| [directory.to_owned(), directory.join("deps")]);
        named.filter(|path| !path.as_os_str().is_empty()).chain(beside).collect()
    }

    /// Whether colours are welcome on stderr (<https://no-color.org>).
    pub(super) fn takes_colours(&self) -> bool {
        self.stderr_is_terminal && self.path("NO_COLOR").is_none()
    }

    /// A directory of the XDG base directory specification, which wants relative paths ignored.
    fn home(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        self.path(variable)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(self.path("HOME")?.join(below_home)))
    }

    fn path(&self, variable: &str) -> Option<PathBuf> {
        self.variables.get(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
    }
}

#[cfg(test)]
impl Environment {
    /// Surroundings with these variables, on the machine `here` with four cores.
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        Self {
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect(),
            program: Some("/opt/grid/simplegrid".into()),
            host_name: "here".into(),
            cores: 4,
            stderr_is_terminal: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_in_the_users_state() {
        let registry = |variables: &[_]| Environment::of(variables).usual_registry();
        assert_eq!(
            registry(&[("HOME", "/home/u")]).as_deref(),
            Some("sqlite:/home/u/.local/state/simplegrid/grid.db")
        );
        assert_eq!(
            registry(&[("HOME", "/home/u"), ("XDG_STATE_HOME", "/s")]).as_deref(),
            Some("sqlite:/s/simplegrid/grid.db")
        );
        assert_eq!(registry(&[("XDG_STATE_HOME", "relative")]), None);
    }

    #[test]
    fn libraries_are_looked_for_by_path_and_beside_the_program() {
        let path = Environment::of(&[("SIMPLEGRID_TASK_PATH", "/a::/b")]).task_path();
        assert_eq!(path, ["/a", "/b", "/opt/grid", "/opt/grid/deps"].map(PathBuf::from));
        assert_eq!(Environment::of(&[]).task_path(), ["/opt/grid", "/opt/grid/deps"].map(PathBuf::from));
    }
}
