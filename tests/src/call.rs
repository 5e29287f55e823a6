//! One call of the program: it is put together step by step, and then run to its end or started.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::grid::Grid;
use crate::process::Process;
use crate::processes::MARK;
use crate::program;

/// A call that is being put together.
#[derive(Debug)]
#[must_use]
pub struct Call<'g> {
    grid: &'g Grid,
    name: String,
    command: Command,
    input: Option<Vec<u8>>,
    lines_max: Option<usize>,
    is_paged: bool,
}

/// A call that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; a signal's number, negative, if one ended it.
    pub status: i32,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl<'g> Call<'g> {
    pub(crate) fn new(grid: &'g Grid, name: &str) -> Self {
        // The user who runs the tests may have HUP ignored (`nohup`); programs inherit that, and this one
        // respects it.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(program::path());
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("SIMPLEGRID_") {
                command.env_remove(variable);
            }
        }
        let home = grid.path("home");
        command
            .env(MARK, grid.mark())
            .env("SIMPLEGRID_REGISTRY", grid.registry())
            .env("SIMPLEGRID_TASK_PATH", program::deps())
            // The weakest setting: a flag of the test wins.
            .env("SIMPLEGRID_MAX_WORKERS", "2")
            .env("XDG_CONFIG_HOME", &home)
            .env("XDG_STATE_HOME", &home)
            .env("HOME", &home)
            .current_dir(grid.path("."))
            // In its own group, so that a signal to the group of a test does not reach the tests.
            .process_group(0);
        Self { grid, name: name.to_owned(), command, input: None, lines_max: None, is_paged: false }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments that are separated by spaces.
    pub fn args(mut self, args: &str) -> Self {
        self.command.args(args.split_whitespace());
        self
    }

    /// Adds a flag with a path as its value.
    pub fn path(self, flag: &str, path: impl AsRef<Path>) -> Self {
        self.arg(flag).arg(path.as_ref())
    }

    /// Adds an argument of the task.
    pub fn task_arg(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut text = std::ffi::OsString::from(format!("{name}="));
        text.push(value);
        self.arg("--task-arg").arg(text)
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, variable: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(variable, value);
        self
    }

    /// Puts the process into an existing group, or into one of its own for 0.
    pub fn group(mut self, group: i32) -> Self {
        self.command.process_group(group);
        self
    }

    /// Lets no file that it writes grow beyond so many blocks (of 512 or 1024 bytes, depending on the shell),
    /// as if a disk were full.
    pub fn files_up_to_blocks(self, blocks: u32) -> Self {
        let script = "trap '' XFSZ; ulimit -f \"$1\" && shift && exec \"$@\"";
        let blocks = blocks.to_string();
        let words = self.words();
        self.behind(Command::new("sh").args(["-c", script, "sh", &blocks]).args(words))
    }

    /// Has a shell redirect its streams, as in `>&-` or `2>log`.
    pub fn redirected(self, redirections: &str) -> Self {
        let script = format!("exec \"$@\" {redirections}");
        let words = self.words();
        self.behind(Command::new("sh").args(["-c", &script, "sh"]).args(words))
    }

    /// Starts it as `nohup` does: with HUP ignored.
    pub fn without_hangups(self) -> Self {
        // Behind `env` and its argument come the program and its words.
        let words = self.words().split_off(2);
        self.behind(Command::new("env").arg("--ignore-signal=HUP").args(words))
    }

    /// Has a shell run it in a mount namespace of its own: in the script, `$1` is the directory and the rest
    /// is the command line.
    pub fn with_mounts_of_its_own(self, script: &str, directory: &Path) -> Self {
        let words = self.words();
        let mut line = Command::new("unshare");
        line.args(["--mount", "sh", "-c", script, "sh"]).arg(directory).args(words);
        self.behind(&line)
    }

    /// Runs it in a network namespace.
    pub fn in_namespace(self, name: &str) -> Self {
        let words = self.words();
        self.behind(Command::new("ip").args(["netns", "exec", name]).args(words))
    }

    /// Lets another program run it, which gets the command line as its last arguments.
    pub fn behind_command(self, mut command: Command) -> Self {
        let words = self.words();
        command.args(words);
        self.behind(&command)
    }

    /// The whole command line, the program first.
    fn words(&self) -> Vec<OsString> {
        let program = std::iter::once(self.command.get_program());
        program.chain(self.command.get_args()).map(OsStr::to_owned).collect()
    }

    /// The same call in the same environment, but started by another command line.
    fn behind(mut self, line: &Command) -> Self {
        let mut command = Command::new(line.get_program());
        command.args(line.get_args()).process_group(0);
        for (variable, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
        command.current_dir(self.grid.path("."));
        self.command = command;
        self
    }

    /// What it reads from stdin. Without this, stdin is empty, or stays open if the call is started.
    pub fn input(mut self, input: impl AsRef<[u8]>) -> Self {
        self.input = Some(input.as_ref().to_vec());
        self
    }

    /// Closes its stdout after so many lines, as `head` does.
    pub fn head(mut self, lines: usize) -> Self {
        self.lines_max = Some(lines);
        self
    }

    /// Leaves its stdout unread until [`Process::read_stdout`], as a pager does.
    pub fn paged(mut self) -> Self {
        self.is_paged = true;
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Process {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.command.spawn().expect("the program under test can be started");
        let mut process = Process::new(child, self.lines_max, self.grid.log_of(&self.name));
        if !self.is_paged {
            process.read_stdout();
        }
        if let Some(input) = self.input {
            process.write_all_and_close(input);
        }
        process
    }

    /// The bare command, for callers that handle its streams themselves. Nothing ends it for them.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.start().finish()
    }
}

impl Finished {
    /// Its stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Checks the exit status, and shows stderr if it is another one.
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "exit status; stderr:\n{}", self.stderr);
        self
    }

    /// The lines on stderr that begin with `simplegrid: error:`.
    pub fn errors(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("simplegrid: error:")).collect()
    }

    /// The last line on stderr: the summary.
    pub fn summary(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }

    /// A number in the summary, by the word after it: 12 for `read` in `12 records read`.
    #[track_caller]
    pub fn count(&self, word: &str) -> u64 {
        let words: Vec<_> =
            self.summary().split([' ', ',', ';']).filter(|part| !part.starts_with("record")).collect();
        let at = words.iter().position(|part| *part == word);
        let number = at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok());
        number.unwrap_or_else(|| {
            panic!("the summary does not say how many are {word}; stderr:\n{}", self.stderr)
        })
    }

    /// Checks the counts in the summary.
    #[track_caller]
    pub fn expect_counts(self, read: u64, done: u64, failed: u64) -> Self {
        let counts = ["read", "done", "failed"].map(|word| self.count(word));
        assert_eq!(counts, [read, done, failed], "records read, done, failed; stderr:\n{}", self.stderr);
        self
    }
}
