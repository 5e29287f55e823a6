//! What users get for what they typed, set and wrote: through `load`, with made-up surroundings.

mod choices;
mod files;
mod precedence;
mod texts;

use std::ffi::OsString;
use std::fs;

use tempfile::TempDir;

use super::error::ConfigError;
use super::*;

/// A user with a home directory, some variables and perhaps a file.
struct User {
    home: TempDir,
    variables: Vec<(String, String)>,
}

impl User {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let variables = vec![("HOME".to_owned(), home.path().to_str().unwrap().to_owned())];
        Self { home, variables }
    }

    fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the file where the program looks for it.
    fn with_file(self, text: &str) -> Self {
        let directory = self.home.path().join(".config/simplegrid");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("simplegrid.toml"), text).unwrap();
        self
    }

    /// A path in the user's home.
    fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_owned()
    }

    fn load(&self, words: &[&str]) -> Result<Invocation, InvocationError> {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let words = std::iter::once("simplegrid").chain(words.iter().copied()).map(OsString::from);
        load(words, &Environment::of(&variables))
    }

    fn command(&self, words: &[&str]) -> Command {
        self.load(words).unwrap_or_else(|error| panic!("{error}")).command
    }

    fn slave(&self, words: &[&str]) -> SlaveConfig {
        let words: Vec<&str> = ["slave"].into_iter().chain(words.iter().copied()).collect();
        let Command::Slave(config) = self.command(&words) else { panic!("a slave was asked for") };
        config
    }

    fn master(&self, words: &[&str]) -> MasterConfig {
        let words: Vec<&str> = ["master"].into_iter().chain(words.iter().copied()).collect();
        let Command::Master(config) = self.command(&words) else { panic!("a master was asked for") };
        config
    }

    fn run(&self, words: &[&str]) -> LocalRunConfig {
        let words: Vec<&str> = ["run"].into_iter().chain(words.iter().copied()).collect();
        let Command::Run(config) = self.command(&words) else { panic!("a run was asked for") };
        config
    }

    fn node_manager(&self, words: &[&str]) -> NodeManagerConfig {
        let words: Vec<&str> = ["node-manager"].into_iter().chain(words.iter().copied()).collect();
        let Command::NodeManager(config) = self.command(&words) else {
            panic!("a node manager was asked for")
        };
        config
    }

    fn report(&self) -> String {
        let Command::Config { report } = self.command(&["config"]) else { panic!("a report was asked for") };
        report.replace(self.home.path().to_str().unwrap(), "~")
    }

    /// What the user reads when something is wrong, with the home directory as `~`.
    fn error(&self, words: &[&str]) -> String {
        let error = self.load(words).expect_err("this is wrong");
        let text = match error {
            InvocationError::CommandLine(error) => error.render().to_string(),
            InvocationError::Config(error) => format!("{:#}", anyhow::Error::from(error)),
        };
        text.replace(self.home.path().to_str().unwrap(), "~")
    }
}

fn pair(name: &str, value: &str) -> Pair {
    (name.to_owned(), value.to_owned())
}
