//! Where cargo puts what is tested. The only place that knows.

use std::path::PathBuf;

/// The program under test.
pub fn path() -> PathBuf {
    deps().parent().expect("deps/ is in the profile's directory").join("simplegrid-under-test")
}

/// The library of one of the plugins that this package depends on. The one in `deps/` is current after every
/// `cargo test`; the copy beside the program is not, because only `cargo build` renews that.
pub fn library(name: &str) -> PathBuf {
    let library = deps().join(format!("lib{}.so", name.replace('-', "_")));
    assert!(library.exists(), "cargo has not built {}", library.display());
    library
}

/// The directory of this test, which is that of all libraries.
pub fn deps() -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its program");
    test.parent().expect("a program is in a directory").to_owned()
}
