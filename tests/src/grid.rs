//! Where a test happens: a temporary directory with a registry. All processes that are started in it end with
//! it, including workers and what they have left behind. Their logs are shown if the test fails.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, thread};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::call::Call;
use crate::failed_record::FailedRecord;
use crate::process::{Collected, lock};
use crate::processes::Found;
use crate::side_log::SideLog;
use crate::slave::Slave;

/// Bytes of each log that are shown.
const SHOWN_BYTES_MAX: usize = 8 * 1024;

/// A directory, a registry, and processes.
#[derive(Debug)]
pub struct Grid {
    directory: tempfile::TempDir,
    registry: Option<String>,
    logs: Mutex<Vec<(String, Collected)>>,
}

impl Default for Grid {
    fn default() -> Self {
        Self::new()
    }
}

impl Grid {
    /// A new one, with an empty registry.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        fs::create_dir(directory.path().join("home")).expect("it can be written");
        Self { directory, registry: None, logs: Mutex::default() }
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("it can be written");
        path
    }

    /// Reads a file; a file that does not exist is empty.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    /// A new one whose registry is elsewhere.
    pub fn with_registry(url: impl Into<String>) -> Self {
        let mut grid = Self::new();
        grid.registry = Some(url.into());
        grid
    }

    /// Its registry's URL.
    pub fn registry(&self) -> String {
        self.registry.clone().unwrap_or_else(|| format!("sqlite:{}", self.path("grid.db").display()))
    }

    /// `simplegrid`, with any arguments that follow.
    pub fn simplegrid(&self) -> Call<'_> {
        Call::new(self, "simplegrid")
    }

    /// `simplegrid run` of a task, with two workers if the test does not ask for another number.
    pub fn run(&self, task: &str) -> Call<'_> {
        Call::new(self, "run").args("run -t").arg(task)
    }

    /// `simplegrid master`.
    pub fn master(&self) -> Call<'_> {
        Call::new(self, "master").arg("master")
    }

    /// `simplegrid node-manager`.
    pub fn node_manager(&self) -> Call<'_> {
        Call::new(self, "node-manager").arg("node-manager")
    }

    /// `simplegrid slave` on any free port, with two workers if the test does not ask for another number; to
    /// be started with [`Slave::start`].
    pub fn slave_call(&self, task: &str) -> Call<'_> {
        Call::new(self, "slave").args("slave -t").arg(task).env("SIMPLEGRID_PORT", "0")
    }

    /// A slave that is ready.
    #[track_caller]
    pub fn slave(&self, task: &str) -> Slave {
        Slave::start(self.slave_call(task))
    }

    /// A slave of the task `hostile`, whose executions are noted in the file `log`.
    #[track_caller]
    pub fn noting_slave(&self) -> Slave {
        Slave::start(self.slave_call("hostile").task_arg("side-log", self.path("log")))
    }

    /// A record that waits until [`Grid::open_gate`].
    pub fn gate(&self, name: &str) -> String {
        format!("until {}", self.path(name).display())
    }

    /// Lets the record of a gate continue.
    pub fn open_gate(&self, name: &str) {
        self.write(name, "");
    }

    /// Waits until a worker has the record of a gate for the n-th time, and returns the worker.
    #[track_caller]
    pub fn wait_at_gate(&self, name: &str, nth: usize) -> i32 {
        let record = self.gate(name);
        crate::wait::until_some(&format!("{record} begins for the {nth}th time"), || {
            let log = self.side_log("log");
            (log.count(&record) >= nth).then(|| log.last_worker(&record)).flatten()
        })
    }

    /// All rows of the registry.
    #[track_caller]
    pub fn nodes(&self) -> Vec<Value> {
        let listed = self.node_manager().args("list --json").finish().expect(0);
        serde_json::from_slice(&listed.stdout).expect("the list is JSON")
    }

    /// The state of the row with that port, or `absent`.
    #[track_caller]
    pub fn state(&self, port: u16) -> String {
        self.column(port, "state").as_str().unwrap_or("absent").to_owned()
    }

    /// A column of the row with that port.
    #[track_caller]
    pub fn column(&self, port: u16, name: &str) -> Value {
        self.nodes()
            .into_iter()
            .find(|node| node["port"] == port)
            .map_or(Value::Null, |mut node| node[name].take())
    }

    /// `simplegrid node-manager` for the row with that port, whatever host its name has.
    #[track_caller]
    pub fn manage(&self, port: u16, verb: &str) -> Call<'_> {
        let host = self.column(port, "hostname").as_str().expect("there is such a row").to_owned();
        self.node_manager().arg("-h").arg(host).arg("-p").arg(port.to_string()).arg(verb)
    }

    /// Waits until a row has a state.
    #[track_caller]
    pub fn wait_for_state(&self, port: u16, state: &str) {
        crate::wait::until(&format!("{port} is {state}"), || self.state(port) == state);
    }

    /// All living processes that were started here, directly or not.
    pub fn processes(&self) -> Vec<Found> {
        Found::marked(self.mark())
    }

    /// All living workers.
    pub fn workers(&self) -> Vec<Found> {
        self.processes().into_iter().filter(Found::is_worker).collect()
    }

    /// The workers that a process has.
    pub(crate) fn workers_of(&self, parent: i32) -> Vec<Found> {
        self.workers().into_iter().filter(|worker| worker.parent == parent).collect()
    }

    /// How many children of a process have ended and were not reaped.
    pub fn zombies_of(&self, parent: i32) -> usize {
        crate::processes::zombies_of(parent)
    }

    /// What the records of `--failed FILE` say.
    pub fn failed(&self, name: &str) -> Vec<FailedRecord> {
        FailedRecord::all(&self.read(name))
    }

    /// What the task `hostile` has executed.
    pub fn side_log(&self, name: &str) -> SideLog {
        SideLog::parse(&self.read(name))
    }

    /// Keeps its directory when it ends, with the logs of all its processes, and returns its path.
    pub fn keep(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        let logs = self.logs.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (number, (name, log)) in logs.iter().enumerate() {
            // A log that cannot be written is missing there; the failure itself is reported all the same.
            let _ = fs::write(self.directory.path().join(format!("{number:02}-{name}.log")), lock(log));
        }
        self.directory.path().to_owned()
    }

    /// What marks its processes.
    pub(crate) fn mark(&self) -> &str {
        self.directory.path().file_name().and_then(|name| name.to_str()).expect("its name is plain")
    }

    /// Where the stderr of a process is collected.
    pub(crate) fn log_of(&self, name: &str) -> Collected {
        let log = Collected::default();
        self.logs
            .lock()
            .expect("no test panics while it starts a process")
            .push((name.to_owned(), log.clone()));
        log
    }

    fn show_logs(&self) {
        let Ok(logs) = self.logs.lock() else { return };
        for (name, log) in logs.iter() {
            let log = lock(log);
            let shown =
                String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN_BYTES_MAX)..]).into_owned();
            if !shown.is_empty() {
                eprintln!("--- {name} ---\n{shown}");
            }
        }
    }
}

impl AsRef<Path> for Grid {
    fn as_ref(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Grid {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_logs();
        }
        // A process that was killed while it started another one can have left that one behind.
        for _ in 0..3 {
            self.processes().iter().for_each(|process| process.signal(Signal::SIGKILL));
        }
    }
}
