//! Builds of a plugin in C that differ in what they say of themselves, or only in their bytes. They are built
//! with the C compiler that building the program needs anyway.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::grid::Grid;

/// One build of a task, `stamp` by name, whose rows are the record and then, in every other column, the name
/// of the build.
#[derive(Debug, Clone)]
pub struct PluginBuild<'a> {
    name: &'a str,
    task: &'a str,
    columns: &'a [&'a str],
    version: &'a str,
    linked_with: Option<&'a str>,
}

impl<'a> PluginBuild<'a> {
    /// A build with this name and the columns `record` and `build`.
    pub fn new(name: &'a str) -> Self {
        Self { name, task: "stamp", columns: &["record", "build"], version: "1", linked_with: None }
    }

    /// With another name of its task.
    pub fn task(self, task: &'a str) -> Self {
        Self { task, ..self }
    }

    /// With other columns.
    pub fn columns(self, columns: &'a [&'a str]) -> Self {
        Self { columns, ..self }
    }

    /// With another version of its package.
    pub fn version(self, version: &'a str) -> Self {
        Self { version, ..self }
    }

    /// With another argument for the linker.
    pub fn linked_with(self, argument: &'a str) -> Self {
        Self { linked_with: Some(argument), ..self }
    }

    /// Builds it into the grid's directory, and returns its path. A library that is there already is replaced
    /// as an installer does it: by renaming the new file over it.
    pub fn install(&self, grid: &Grid, file: &str) -> PathBuf {
        let (made, path) = (grid.path(&format!("{file}.new")), grid.path(file));
        self.compile(&made);
        std::fs::rename(&made, &path).expect("it can be renamed");
        path
    }

    fn compile(&self, library: &Path) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let output = Command::new("cc")
            .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I"])
            .arg(here.join("../plugin-api/include"))
            .arg(format!("-DBUILD={}", text(self.name)))
            .arg(format!("-DCOLUMNS={}", self.columns.len()))
            .arg(format!("-DMANIFEST={}", text(&self.manifest())))
            .args(self.linked_with)
            .arg("-o")
            .arg(library)
            .arg(here.join("src/two_builds.c"))
            .output()
            .expect("a C compiler, which building SQLite needs too");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn manifest(&self) -> String {
        let column = |name: &&str| serde_json::json!({"name": name, "kind": "text", "nullable": false});
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        let task = serde_json::json!({"name": self.task, "output": "rows", "args": [], "columns": columns});
        serde_json::json!({"package": "stamp", "version": self.version, "api": "c", "tasks": [task]})
            .to_string()
    }
}

/// The SHA-256 of a file, as another program computes it.
pub fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum is installed");
    let text = String::from_utf8(output.stdout).expect("it writes text");
    text.split_whitespace().next().expect("it has written a digest").to_owned()
}
