//! A server process and its directory. Both end with the process that runs the tests, however that ends: a
//! shell stands between the two, and when its orders end, it kills the server and removes the directory. It
//! does not know which server it is.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::{fs, io};

use nix::sys::signal::Signal;
use nix::unistd::User;

use crate::processes::{self, Found};
use crate::wait;

/// Obeys `start` and `reap`, answers with the server's process number and `reaped`, and ends at the end of
/// its input. It is in its own group, so that a signal from the terminal does not reach it.
const WATCHDOG: &str = r#"
directory=$1; ending=$2; shift 2
server=
while read -r order; do
    case $order in
    start) "$@" >>"$directory/log" 2>&1 </dev/null & server=$!; echo "$server" ;;
    reap) wait "$server" 2>/dev/null; server=; echo reaped ;;
    esac
done
if [ -n "$server" ]; then
    kill -CONT "$server"; kill "-$ending" "$server"; wait "$server"
fi 2>/dev/null
cd / && rm -rf "$directory"
"#;

/// The user that runs a server if the tests run as root: servers refuse to run as root.
const UNPRIVILEGED: &str = "nobody";

/// A directory, and a server in it that is running or not.
#[derive(Debug)]
pub(crate) struct Throwaway {
    directory: PathBuf,
    user: Option<User>,
    watchdog: Option<Watchdog>,
    pid: Option<i32>,
}

#[derive(Debug)]
struct Watchdog {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Throwaway {
    /// A directory without a server. `ending` is the signal after which the server leaves nothing behind, and
    /// `command` starts it in the foreground.
    pub(crate) fn new(ending: &str, command: impl FnOnce(&Path) -> Vec<OsString>) -> io::Result<Self> {
        let directory = tempfile::tempdir()?.keep();
        let user = if nix::unistd::geteuid().is_root() { User::from_name(UNPRIVILEGED)? } else { None };
        let mut new = Self { directory, user, watchdog: None, pid: None };
        new.hand_over(&new.directory)?;
        let mut shell = new.command("sh");
        shell
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&new.directory)
            .arg(ending)
            .args(command(&new.directory));
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut process = shell.spawn()?;
        let orders = process.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(process.stdout.take().expect("it is a pipe"));
        new.watchdog = Some(Watchdog { process, orders, answers });
        Ok(new)
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a file that only the server's user can read.
    pub(crate) fn write(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.directory.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        self.hand_over(&path)?;
        Ok(path)
    }

    /// Runs a program to its end, as the server's user.
    ///
    /// # Panics
    /// If it fails.
    pub(crate) fn run(&self, program: &Path, arguments: &[OsString]) {
        let ran = self.command(program).args(arguments).output().expect("the program is there");
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = program.display();
        assert!(ran.status.success(), "{name} failed: {} {}", words(&ran.stdout), words(&ran.stderr));
    }

    /// Starts the server.
    pub(crate) fn start(&mut self) {
        assert!(self.pid.is_none(), "it runs");
        self.pid = Some(self.order("start").parse().expect("the answer is a number"));
    }

    /// Whether the server is running.
    pub(crate) fn is_running(&self) -> bool {
        self.pid
            .is_some_and(|pid| processes::status(pid, "State").is_some_and(|state| !state.starts_with('Z')))
    }

    /// Sends the server a signal, and waits until it has ended.
    pub(crate) fn end(&mut self, signal: Signal) {
        let Some(pid) = self.pid else { return };
        processes::signal_process(pid, signal);
        wait::until("the server ends", || !self.is_running());
        let children = Found::children_of(pid);
        self.order("reap");
        self.pid = None;
        let lives = |child: &Found| processes::status(child.pid, "State").is_some();
        wait::until("its children end", || !children.iter().any(lives));
    }

    /// Sends a signal to the server and its children.
    pub(crate) fn signal_all(&self, signal: Signal) {
        let Some(pid) = self.pid else { return };
        processes::signal_process(pid, signal);
        Found::children_of(pid).iter().for_each(|child| child.signal(signal));
    }

    /// The server's log.
    pub(crate) fn log(&self) -> String {
        fs::read(self.directory.join("log"))
            .map_or_else(|_| String::new(), |log| String::from_utf8_lossy(&log).into())
    }

    fn order(&mut self, order: &str) -> String {
        let watchdog = self.watchdog.as_mut().expect("it is there until it is dropped");
        let mut answer = String::new();
        let answered =
            writeln!(watchdog.orders, "{order}").and_then(|()| watchdog.answers.read_line(&mut answer));
        answered.expect("the watchdog lives");
        answer.trim().to_owned()
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).env("HOME", &self.directory).env("LC_ALL", "C");
        for variable in std::env::vars_os().map(|(name, _)| name) {
            if variable.to_string_lossy().starts_with("PG") || variable.to_string_lossy().starts_with("MYSQL")
            {
                command.env_remove(variable);
            }
        }
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    fn hand_over(&self, path: &Path) -> io::Result<()> {
        self.user
            .as_ref()
            .map_or(Ok(()), |user| chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())))
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // A stopped server would not end.
        self.signal_all(Signal::SIGCONT);
        if let Some(Watchdog { mut process, orders, .. }) = self.watchdog.take() {
            drop(orders);
            // It ends when it has cleaned up.
            let _ = process.wait();
        }
    }
}

/// A program on the path, or in one of the directories where distributions hide it.
pub(crate) fn find_program(name: &str, elsewhere: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(elsewhere.iter().cloned());
    directories.map(|directory| directory.join(name)).find(|program| program.is_file())
}
