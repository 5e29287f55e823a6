//! Where the value of a setting comes from, and which source wins.

use std::fmt;
use std::path::PathBuf;

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
