//! Where a harvest is delivered: a directory on the slave's machine, or one that `scp` can reach. Pure.

use std::path::PathBuf;
use std::str::FromStr;

/// Where files are delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A directory that each slave can see.
    Directory(PathBuf),
    /// `[USER@]HOST:DIRECTORY`, for `scp`.
    Remote(String),
}

/// The names of the command that asks for a harvest: ours, and that of Net::SimpleGrid.
pub(crate) const HARVEST: [&str; 2] = ["harvest", "scpto"];

/// Why a text is not a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DestinationError {
    /// It is empty.
    #[error("it does not name a destination; write harvest=/DIRECTORY or harvest=USER@HOST:DIRECTORY")]
    Empty,
    /// `scp` would read it as a flag.
    #[error("`{0}` begins with a dash")]
    Flag(String),
    /// It is relative, and each slave has another working directory.
    #[error("`{0}` is relative, but each slave has its own working directory; write an absolute path")]
    Relative(String),
    /// It has characters that a shell on the other machine would interpret.
    #[error("`{0}` has characters other than letters, digits and . _ - / ~ + @ % = ,")]
    Characters(String),
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        if text.is_empty() {
            return Err(DestinationError::Empty);
        }
        if text.starts_with('-') {
            return Err(DestinationError::Flag(text.to_owned()));
        }
        if text.starts_with('/') {
            return Ok(Self::Directory(text.into()));
        }
        let Some((host, directory)) = text.split_once(':').filter(|(host, _)| !host.contains('/')) else {
            return Err(DestinationError::Relative(text.to_owned()));
        };
        let plain =
            |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
        let (user, name) = host.split_once('@').unwrap_or(("", host));
        if name.starts_with('-') || directory.starts_with('-') {
            return Err(DestinationError::Flag(text.to_owned()));
        }
        let good =
            !name.is_empty() && plain(user, "._-") && plain(name, "._-") && plain(directory, "._-/~+@%=,");
        if good {
            Ok(Self::Remote(text.to_owned()))
        } else {
            Err(DestinationError::Characters(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_hosts_are_told_apart() {
        assert_eq!("/srv/a:b".parse(), Ok(Destination::Directory("/srv/a:b".into())));
        for text in ["joe@node7.example:rows/2026", "node7:", "joe@node7:~/rows"] {
            assert_eq!(text.parse(), Ok(Destination::Remote(text.to_owned())));
        }
    }

    #[test]
    fn what_a_shell_or_scp_would_take_for_something_else_is_refused() {
        use DestinationError::{Characters, Empty, Flag, Relative};
        let refused = |text: &str| text.parse::<Destination>().unwrap_err();
        assert_eq!(refused(""), Empty);
        for text in ["-oProxyCommand=x:y", "joe@-h:dir", "h:-r"] {
            assert_eq!(refused(text), Flag(text.to_owned()));
        }
        for text in ["rows", "./h:dir"] {
            assert_eq!(refused(text), Relative(text.to_owned()));
        }
        for text in ["h:$(reboot)", "h:a b", "h:a;b", "j`x`@h:d", "h:a'b", ":dir", "h:a\nb", "h;x:d"] {
            assert_eq!(refused(text), Characters(text.to_owned()), "{text}");
        }
    }
}
