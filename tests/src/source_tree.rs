//! The program's source files, for the test that keeps the house tidy.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Its path from the root of the workspace.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// All Rust files below a directory of the workspace.
    pub fn below(directory: &str) -> Vec<Self> {
        let root = root();
        let mut files = Vec::new();
        let mut directories = vec![root.join(directory)];
        while let Some(directory) = directories.pop() {
            let entries = fs::read_dir(&directory).expect("the source tree is there");
            for path in entries.flatten().map(|entry| entry.path()) {
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    files.push(Self::read(&root, &path));
                }
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files
    }

    fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("source is text");
        let path = path.strip_prefix(root).expect("it is in the workspace").display().to_string();
        Self { path, text }
    }

    /// The lines of code before the file's tests, without comments and the texts in them, with their numbers.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines = self.text[..tests].lines().enumerate();
        let code = |line: &'_ str| line.find("//").unwrap_or(line.len());
        lines.map(move |(number, line)| (number + 1, &line[..code(line)]))
    }

    /// Lines before the file's tests.
    pub fn lines(&self) -> usize {
        self.code().count()
    }

    /// The top module that it belongs to: `master` for `host/src/master/run.rs`.
    pub fn module(&self) -> Option<&str> {
        let path = self.path.strip_prefix("host/src/")?;
        Some(path.split_once('/').map_or(path.strip_suffix(".rs")?, |(module, _)| module))
    }

    /// Whether it is a file of tests inside the program.
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("tests.rs")
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}
