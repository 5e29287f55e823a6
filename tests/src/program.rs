//! Where cargo puts what is tested. No other file knows.

use std::path::{Path, PathBuf};

/// Programs of this package that are also the program under test: `cargo run --bin` builds no other program.
const ALSO_UNDER_TEST: [&str; 2] = ["bench", "torture"];

/// The program under test.
pub fn path() -> PathBuf {
    let this = std::env::current_exe().expect("a process knows its program");
    if is_also_under_test(&this) { this } else { profile().join("simplegrid-under-test") }
}

/// The library of one of the plugins that this package depends on. The one in `deps/` is current after every
/// `cargo test`; the copy beside the program is not, because only `cargo build` renews it.
pub fn library(name: &str) -> PathBuf {
    let library = deps().join(format!("lib{}.so", name.replace('-', "_")));
    assert!(library.exists(), "cargo has not built {}", library.display());
    library
}

/// The directory of all libraries.
pub fn deps() -> PathBuf {
    profile().join("deps")
}

/// The directory of everything that cargo builds with one profile: tests are in its `deps/`, programs in the
/// directory itself.
fn profile() -> PathBuf {
    let this = std::env::current_exe().expect("a process knows its program");
    let levels = if is_also_under_test(&this) { 1 } else { 2 };
    this.ancestors().nth(levels).expect("a program is in the profile's directory, or in its deps/").to_owned()
}

fn is_also_under_test(program: &Path) -> bool {
    program.file_name().is_some_and(|name| ALSO_UNDER_TEST.iter().any(|also| name == *also))
}
