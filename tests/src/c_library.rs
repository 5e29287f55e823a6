//! Shared libraries that tests build from C.

use std::path::PathBuf;
use std::process::Command;

use crate::{Grid, Need};

/// Where the header for plugins in C is.
const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-api/include");

/// Builds a library from C, in the grid's directory. If there is no compiler, the test is skipped.
///
/// # Panics
/// If the compiler does not like it.
#[track_caller]
pub fn c_library(grid: &Grid, name: &str, source: &str) -> Option<PathBuf> {
    let (source, library) = (grid.write(&format!("{name}.c"), source), grid.path(name));
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-I", INCLUDE, "-o"]).arg(&library).arg(source).output();
    let compiled = Need::CCompiler.check(compiled.map_err(|error| format!("`cc` cannot be run: {error}")))?;
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Some(library)
}
