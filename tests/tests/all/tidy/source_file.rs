//! The workspace's Rust files, as the rules of the house look at them.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// Its path from the root of the workspace.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// All files below a directory of the workspace whose names end so, by their paths from the root.
pub(super) fn paths_below(directory: &str, ending: &str) -> Vec<String> {
    let root = root();
    let mut files = Vec::new();
    let mut directories = vec![root.join(directory)];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).expect("the source tree is there");
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                // What cargo builds is not ours.
                directories.extend((!path.ends_with("target")).then_some(path));
            } else if path.to_string_lossy().ends_with(ending) {
                files.push(path.strip_prefix(&root).expect("it is in the workspace").display().to_string());
            }
        }
    }
    files.sort();
    files
}

/// The root of the workspace.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

impl SourceFile {
    /// All Rust files below a directory of the workspace.
    pub(super) fn below(directory: &str) -> Vec<Self> {
        let read = |path: String| {
            let text = fs::read_to_string(root().join(&path)).expect("source is text");
            Self { path, text }
        };
        paths_below(directory, ".rs").into_iter().map(read).collect()
    }

    /// The lines of code before the file's tests, without comments and the texts in them, with their numbers.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = |line: &'_ str| line.find("//").unwrap_or(line.len());
        self.before_tests().map(move |(number, line)| (number, &line[..code(line)]))
    }

    /// The lines before the file's tests, with their numbers.
    pub(super) fn before_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..tests].lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Lines before the file's tests.
    pub(super) fn lines(&self) -> usize {
        self.before_tests().count()
    }

    /// The top module that it belongs to: `master` for `host/src/master/run.rs`.
    pub(super) fn module(&self) -> Option<&str> {
        let path = self.path.strip_prefix("host/src/")?;
        Some(path.split_once('/').map_or(path.strip_suffix(".rs")?, |(module, _)| module))
    }

    /// Whether it is a file of tests inside the program.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("tests.rs")
    }
}
