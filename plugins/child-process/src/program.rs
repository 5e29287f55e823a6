//! The file behind a command's name.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use simplegrid_plugin_api::{Error, Result};

/// Where commands are looked for if there is no PATH, as the C library does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The file of a command: a name with a slash is one, from `cwd` on; another is looked for in `path`.
///
/// # Errors
/// Fatal if there is no such program.
pub fn find(name: &str, path: Option<&OsStr>, cwd: Option<&Path>) -> Result<PathBuf> {
    if name.contains('/') {
        let file = cwd.map_or_else(|| PathBuf::from(name), |cwd| cwd.join(name));
        return if is_command(&file) {
            Ok(file)
        } else {
            Err(Error::fatal(format_args!("{} is not a program that can be run", file.display())))
        };
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let found = std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| is_command(file));
    found.ok_or_else(|| {
        Error::fatal(format_args!(
            "there is no command `{name}` in PATH ({}); for a line of shell code, add `--task-arg shell=true`",
            path.display()
        ))
    })
}

fn is_command(file: &Path) -> bool {
    file.is_file() && access(file, AccessFlags::X_OK).is_ok()
}
