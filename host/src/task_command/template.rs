//! `simplegrid task new`: a folder with a task that builds, and passes its own tests, as it is.
//!
//! The files are those in `host/templates`, where everything is called `my-task`, and nothing else is
//! replaced.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::{NewTask, TaskLanguage};

/// The header that plugins in C are written against.
const HEADER: &str = include_str!("../../../plugin-api/include/simplegrid.h");

/// What a template depends on. It is replaced if the user names another one.
const PLUGIN_API: &str = "simplegrid-plugin-api = \"1\"";

/// The longest name: a library's file name must fit, and `ps` must show it.
const NAME_BYTES_MAX: usize = 64;

/// Why there is no new task.
#[derive(Debug, thiserror::Error)]
pub(super) enum TemplateError {
    /// The name cannot be that of a package, a library and a folder.
    #[error(
        "`{0}` cannot be a task's name: use lower-case letters, digits and single hyphens, beginning with a letter, \
         and at most {NAME_BYTES_MAX} of them"
    )]
    Name(String),
    /// The name is a word of the language.
    #[error("`{0}` is a word of the language itself; choose another name")]
    Keyword(String),
    /// There is something of that name.
    #[error("{} exists already; choose another name, or remove it", .0.display())]
    Exists(PathBuf),
    /// Only Rust tasks depend on the crate.
    #[error("--plugin-api is for tasks in Rust only")]
    PluginApi,
    /// A path that leads to no crate.
    #[error("--plugin-api: there is no crate simplegrid-plugin-api in {}", .0.display())]
    NoCrate(PathBuf),
    /// The system refused.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A file of a template.
struct File {
    path: &'static str,
    text: &'static str,
    is_program: bool,
}

const fn file(path: &'static str, text: &'static str) -> File {
    File { path, text, is_program: false }
}

const fn program(path: &'static str, text: &'static str) -> File {
    File { path, text, is_program: true }
}

const RUST: &[File] = &[
    file("Cargo.toml", include_str!("../../templates/rust/Cargo.toml")),
    file("README.md", include_str!("../../templates/rust/README.md")),
    file(".gitignore", include_str!("../../templates/rust/gitignore")),
    file("src/lib.rs", include_str!("../../templates/rust/src/lib.rs")),
    file("tests/run.rs", include_str!("../../templates/rust/tests/run.rs")),
];

const C: &[File] = &[
    file("Makefile", include_str!("../../templates/c/Makefile")),
    file("README.md", include_str!("../../templates/c/README.md")),
    file(".gitignore", include_str!("../../templates/c/gitignore")),
    file("my_task.c", include_str!("../../templates/c/my_task.c")),
    file("simplegrid.h", HEADER),
    file("test.sh", include_str!("../../templates/c/test.sh")),
];

const EXEC: &[File] = &[
    program("my-task", include_str!("../../templates/exec/my-task")),
    file("README.md", include_str!("../../templates/exec/README.md")),
    program("test.sh", include_str!("../../templates/exec/test.sh")),
];

/// Words that a library in Rust or C cannot be called.
const KEYWORDS: &[&str] = &[
    "abstract",
    "as",
    "async",
    "auto",
    "await",
    "become",
    "box",
    "break",
    "case",
    "char",
    "const",
    "continue",
    "core",
    "crate",
    "default",
    "do",
    "double",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "float",
    "fn",
    "for",
    "gen",
    "goto",
    "if",
    "impl",
    "in",
    "inline",
    "int",
    "let",
    "long",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "register",
    "restrict",
    "return",
    "self",
    "short",
    "signed",
    "sizeof",
    "static",
    "std",
    "struct",
    "super",
    "switch",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typedef",
    "typeof",
    "union",
    "unsafe",
    "unsigned",
    "unsized",
    "use",
    "virtual",
    "void",
    "volatile",
    "where",
    "while",
    "yield",
];

/// Writes the task into a new folder of `parent`, and returns what to do next.
///
/// # Errors
/// If the name cannot be used, or is taken. Nothing that exists is changed.
pub(super) fn write(task: &NewTask, parent: &Path) -> Result<String, TemplateError> {
    Template { task }.write(parent)
}

/// The files of one new task.
struct Template<'a> {
    task: &'a NewTask,
}

impl Template<'_> {
    fn write(&self, parent: &Path) -> Result<String, TemplateError> {
        check_name(&self.task.name)?;
        let dependency = self.dependency(parent)?;
        let folder = parent.join(&self.task.name);
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| TemplateError::Io { path, source }
        };
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(TemplateError::Exists(folder));
            }
            Err(error) => return Err(failed(&folder)(error)),
        }
        for file in self.files() {
            let path = folder.join(self.renamed(file.path));
            if let Some(within) = path.parent() {
                fs::create_dir_all(within).map_err(failed(within))?;
            }
            let text = self.renamed(file.text).replace(PLUGIN_API, &dependency);
            write_new(&path, &text, file.is_program).map_err(failed(&path))?;
        }
        Ok(self.next_steps())
    }

    fn files(&self) -> &'static [File] {
        match self.task.language {
            TaskLanguage::Rust => RUST,
            TaskLanguage::C => C,
            TaskLanguage::Exec => EXEC,
        }
    }

    /// The line of `Cargo.toml`.
    fn dependency(&self, parent: &Path) -> Result<String, TemplateError> {
        let Some(plugin_api) = &self.task.plugin_api else { return Ok(PLUGIN_API.to_owned()) };
        if self.task.language != TaskLanguage::Rust {
            return Err(TemplateError::PluginApi);
        }
        if plugin_api.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(format!("simplegrid-plugin-api = {plugin_api:?}"));
        }
        // A user who names the repository means the crate in it.
        let named = parent.join(plugin_api);
        let is_crate = |folder: &PathBuf| {
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
            manifest.contains("name = \"simplegrid-plugin-api\"")
        };
        let found = [named.clone(), named.join("plugin-api")].into_iter().find(is_crate);
        let path =
            found.and_then(|folder| folder.canonicalize().ok()).ok_or(TemplateError::NoCrate(named))?;
        Ok(format!("simplegrid-plugin-api = {{ path = {:?} }}", path.display().to_string()))
    }

    fn renamed(&self, text: &str) -> String {
        text.replace("my-task", &self.task.name)
            .replace("my_task", &self.task.name.replace('-', "_"))
            .replace("MyTask", &camel_case(&self.task.name))
    }

    fn next_steps(&self) -> String {
        let name = &self.task.name;
        let library = name.replace('-', "_");
        let (test, run) = match self.task.language {
            TaskLanguage::Rust => ("cargo test", format!("-t ./target/release/lib{library}.so")),
            TaskLanguage::C => ("make test", format!("-t ./lib{library}.so")),
            TaskLanguage::Exec => ("./test.sh", format!("-t exec --task-arg command=./{name}")),
        };
        let build = match self.task.language {
            TaskLanguage::Rust => "  cargo build --release\n",
            TaskLanguage::C | TaskLanguage::Exec => "",
        };
        format!(
            "the task `{name}` is in the folder {name}; next:\n  cd {name}\n  {test}\n{build}  seq 8 12 | simplegrid run \
             {run}\n"
        )
    }
}

fn check_name(name: &str) -> Result<(), TemplateError> {
    let fits = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && name.split('-').all(|word| !word.is_empty());
    if !fits {
        return Err(TemplateError::Name(name.to_owned()));
    }
    if KEYWORDS.contains(&name) {
        return Err(TemplateError::Keyword(name.to_owned()));
    }
    Ok(())
}

/// `my-task` as the name of a type.
fn camel_case(name: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(capital).collect()
}

fn write_new(path: &Path, text: &str, is_program: bool) -> io::Result<()> {
    let mode = if is_program { 0o777 } else { 0o666 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_task(name: &str, language: TaskLanguage) -> NewTask {
        NewTask { name: name.to_owned(), language, plugin_api: None }
    }

    #[test]
    fn names_that_packages_and_libraries_can_have_are_taken() {
        for name in ["a", "resize-images", "a1-2b"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "x".repeat(65);
        for name in ["", "-a", "a-", "a--b", "A", "a_b", "1a", "a b", "../a", "ä", "match", long.as_str()] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn nothing_keeps_the_name_of_the_template() {
        let parent = tempfile::tempdir().unwrap();
        for (language, name) in
            [(TaskLanguage::Rust, "one-two"), (TaskLanguage::C, "three"), (TaskLanguage::Exec, "four")]
        {
            let task = new_task(name, language);
            let template = Template { task: &task };
            let next = template.write(parent.path()).unwrap();
            assert!(next.contains(&format!("cd {name}\n")), "{next}");
            for file in template.files() {
                let path = parent.path().join(name).join(template.renamed(file.path));
                let text = fs::read_to_string(&path).unwrap();
                assert!(
                    ["my-task", "my_task", "MyTask"].iter().all(|old| !text.contains(old)),
                    "{}",
                    path.display()
                );
            }
        }
        assert!(
            fs::read_to_string(parent.path().join("one-two/src/lib.rs"))
                .unwrap()
                .contains("pub struct OneTwo")
        );
    }

    #[test]
    fn what_exists_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("taken"), "mine").unwrap();
        let error = write(&new_task("taken", TaskLanguage::C), parent.path()).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
        assert_eq!(fs::read_to_string(parent.path().join("taken")).unwrap(), "mine");
    }

    #[test]
    fn the_plugin_api_is_a_version_or_a_path() {
        let parent = tempfile::tempdir().unwrap();
        let with = |plugin_api: &str, language| {
            let task = NewTask { plugin_api: Some(plugin_api.to_owned()), ..new_task("task", language) };
            Template { task: &task }.dependency(parent.path())
        };
        let in_rust = |plugin_api: &str| with(plugin_api, TaskLanguage::Rust);
        assert_eq!(in_rust("1.2").unwrap(), "simplegrid-plugin-api = \"1.2\"");
        assert!(in_rust("nowhere").is_err());
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for path in [repository.to_owned(), repository.join("plugin-api")] {
            let dependency = in_rust(path.to_str().unwrap()).unwrap();
            assert!(dependency.ends_with("plugin-api\" }"), "{dependency}");
        }
        assert!(with("1", TaskLanguage::C).is_err());
    }
}
