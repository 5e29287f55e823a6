//! What the tests need to start whole grids of real processes and to look at them.
//!
//! [`Grid`] is where everything happens: a temporary directory with a registry. All processes that are
//! started in it end with it. [`Call`] is one call of the program; [`Process`] is a running call,
//! [`Finished`] one that has ended.

pub mod bench;
mod c_library;
mod call;
mod certificates;
mod database_server;
mod dice;
mod failed_record;
mod gate;
mod grid;
mod line_client;
mod mariadb_server;
mod namespace;
mod perl;
mod plugin_build;
mod postgres_server;
mod process;
mod processes;
pub mod program;
mod proxy;
mod side_log;
mod slave;
mod throwaway;
pub mod torture;
pub mod wait;

pub use c_library::c_library;
pub use call::{Call, Finished};
pub use certificates::Certificates;
pub use database_server::{DatabaseServer, Engine, Rows, TestDatabase};
pub use dice::Dice;
pub use failed_record::FailedRecord;
pub use grid::Grid;
pub use line_client::{LineClient, send_lines};
pub use namespace::Namespaces;
pub use perl::run_perl;
pub use plugin_build::{PluginBuild, sha256};
pub use process::Process;
pub use processes::{Descriptor, Found, signal_process as kill};
pub use proxy::{Proxy, Way};
pub use side_log::SideLog;
pub use simplegrid_test_servers::Need;
pub use slave::Slave;

/// Lines `0` to `count - 1`, each with `text` before its number.
pub fn numbered(text: &str, count: usize) -> String {
    (0..count).map(|number| format!("{text}{number}\n")).collect()
}

/// The lines of a text, sorted: for results that come in any order.
pub fn sorted(text: &[u8]) -> Vec<String> {
    let mut lines: Vec<_> = String::from_utf8_lossy(text).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The descriptors that this process, which runs the tests, has open.
pub fn own_descriptors() -> Vec<Descriptor> {
    processes::descriptors(i32::try_from(std::process::id()).expect("a process number is an i32"))
}
