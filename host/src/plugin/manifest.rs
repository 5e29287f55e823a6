//! What a plugin says about itself, and the rules for it.
//!
//! We are strict about what we rely on, and ignore members that we do not know: a later version may add some.

use serde::{Deserialize, Serialize};

use crate::build::Digest;

/// A plugin's contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The package that it was built from.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The version of the plugin API that it was built against.
    pub api: String,
    /// Its tasks.
    #[serde(default)]
    pub tasks: Vec<TaskManifest>,
    /// The names of its partitioners.
    #[serde(default)]
    pub partitioners: Vec<String>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskManifest {
    /// Its name, as in `--task FILE:NAME`.
    pub name: String,
    /// The `--task-arg`s that it takes.
    #[serde(default)]
    pub args: Vec<Argument>,
    /// The columns of its output.
    pub columns: Vec<Column>,
    /// How it writes them.
    pub output: OutputKind,
}

/// One argument of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What its text looks like.
    pub kind: Kind,
    /// Whether it may be left out.
    pub optional: bool,
}

/// One column of a task's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its text looks like.
    pub kind: Kind,
    /// Whether its cells may be NULL.
    pub nullable: bool,
}

/// What the text of an argument or a cell looks like. It is a hint: every value crosses as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// Bytes, which need not be text.
    Bytes,
    /// Any text. A kind that this version does not know counts as text.
    #[serde(other)]
    Text,
}

/// How a task writes its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// Rows of cells.
    Rows,
    /// Raw lines.
    Lines,
}

impl Kind {
    /// The word for it, as in the manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bytes => "bytes",
            Self::Text => "text",
        }
    }
}

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.tasks.is_empty() && self.partitioners.is_empty() {
            return Err("it has neither tasks nor partitioners".into());
        }
        check_names("task", self.tasks.iter().map(|task| task.name.as_str()))?;
        check_names("partitioner", self.partitioners.iter().map(String::as_str))?;
        self.tasks.iter().try_for_each(TaskManifest::check)
    }

    /// The digest of what the library contains: tasks with their arguments, columns and kinds of output, and
    /// partitioners. Of these, only columns have an order that means anything. The package, its version and
    /// the API's say nothing about the contents.
    pub fn digest(&self) -> Digest {
        let mut tasks = self.tasks.clone();
        tasks.sort_by(|a, b| a.name.cmp(&b.name));
        tasks.iter_mut().for_each(|task| task.args.sort_by(|a, b| a.name.cmp(&b.name)));
        let mut partitioners = self.partitioners.clone();
        partitioners.sort();
        let canonical = serde_json::to_vec(&(tasks, partitioners)).expect("these types are all valid JSON");
        Digest::of(&canonical)
    }

    /// The task of that name; an empty name means the only one.
    pub fn task(&self, name: &str) -> Option<&TaskManifest> {
        match self.tasks.as_slice() {
            [only] if name.is_empty() => Some(only),
            tasks => tasks.iter().find(|task| task.name == name),
        }
    }
}

impl TaskManifest {
    fn check(&self) -> Result<(), String> {
        let within = |error: String| format!("task `{}`: {error}", self.name);
        check_names("argument", self.args.iter().map(|arg| arg.name.as_str())).map_err(within)?;
        check_names("column", self.columns.iter().map(|column| column.name.as_str())).map_err(within)?;
        if self.output == OutputKind::Lines && self.columns.len() != 1 {
            return Err(within(format!(
                "a task that writes raw lines has one column, not {}",
                self.columns.len()
            )));
        }
        Ok(())
    }
}

/// Users refer to things by their names: none may be empty, and each must mean one thing.
fn check_names<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if name.is_empty() {
            return Err(format!("a {what} has no name"));
        }
        if !seen.insert(name) {
            return Err(format!("two {what}s are called `{name}`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        "package": "p", "version": "1.2.3", "api": "0.1.0", "since": "tomorrow",
        "tasks": [{
            "name": "t", "output": "rows", "colour": 7,
            "args": [{"name": "a", "kind": "duration", "optional": true}],
            "columns": [{"name": "c", "kind": "int", "nullable": false}]
        }]
    }"#;

    #[test]
    fn what_a_later_version_adds_is_ignored() {
        let manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(manifest.tasks[0].args[0].kind, Kind::Text);
        assert_eq!(manifest.tasks[0].columns[0].kind, Kind::Int);
        assert!(manifest.partitioners.is_empty());
    }

    #[test]
    fn the_digest_is_that_of_the_contents_in_whatever_order_they_stand() {
        let parsed = |json: &str| Manifest::parse(json.as_bytes()).unwrap().digest();
        let good = parsed(GOOD);
        for (from, to) in [
            (r#""1.2.3""#, r#""2""#),
            (r#""package": "p""#, r#""package": "q""#),
            (r#""0.1.0""#, r#""1""#),
            (r#", "colour": 7"#, ""),
        ] {
            assert!(GOOD.contains(from));
            assert_eq!(parsed(&GOOD.replace(from, to)), good, "{to}");
        }
        for (from, to) in [
            (r#""name": "t""#, r#""name": "u""#),
            (r#""optional": true"#, r#""optional": false"#),
            (r#""nullable": false"#, r#""nullable": true"#),
            (r#""int""#, r#""float""#),
            (r#""rows""#, r#""lines""#),
            (r#""tasks""#, r#""partitioners": ["k"], "tasks""#),
        ] {
            assert!(GOOD.contains(from));
            assert_ne!(parsed(&GOOD.replace(from, to)), good, "{to}");
        }
        let mut manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        manifest.tasks.push(TaskManifest { name: "s".into(), ..manifest.tasks[0].clone() });
        let digest = manifest.digest();
        manifest.tasks.reverse();
        assert_eq!(manifest.digest(), digest);
    }

    #[test]
    fn an_empty_name_means_the_only_task() {
        let mut manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(manifest.task("").unwrap().name, "t");
        assert_eq!(manifest.task("t").unwrap().name, "t");
        assert!(manifest.task("u").is_none());
        manifest.tasks.push(TaskManifest { name: "u".into(), ..manifest.tasks[0].clone() });
        assert!(manifest.task("").is_none());
    }

    #[test]
    fn what_we_rely_on_must_be_there() {
        let refused = |from: &str, to: &str| {
            assert!(GOOD.contains(from));
            Manifest::parse(GOOD.replace(from, to).as_bytes()).unwrap_err()
        };
        assert!(refused(r#""package": "p","#, "").contains("missing field `package`"));
        assert!(refused(r#""rows""#, r#""columns""#).contains("unknown variant"));
        assert_eq!(refused(r#""name": "t""#, r#""name": """#), "a task has no name");
        assert_eq!(refused(r#""rows""#, r#""lines", "columns": []"#).lines().count(), 1);
        assert!(Manifest::parse(b"").is_err());
        assert!(Manifest::parse(b"\xff").is_err());
    }

    #[test]
    fn names_mean_one_thing() {
        let mut manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        manifest.tasks.push(manifest.tasks[0].clone());
        assert_eq!(manifest.check().unwrap_err(), "two tasks are called `t`");
        let mut manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        let column = manifest.tasks[0].columns[0].clone();
        manifest.tasks[0].columns.push(column);
        assert_eq!(manifest.check().unwrap_err(), "task `t`: two columns are called `c`");
    }

    #[test]
    fn a_plugin_without_contents_is_refused() {
        let empty = br#"{"package": "p", "version": "1", "api": "1"}"#;
        assert_eq!(Manifest::parse(empty).unwrap_err(), "it has neither tasks nor partitioners");
        let only_keys = br#"{"package": "p", "version": "1", "api": "1", "partitioners": ["k"]}"#;
        assert!(Manifest::parse(only_keys).is_ok());
    }
}
