//! Which file imports which: the arrows run downward through the layers of `docs/architecture.md`, and never
//! in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::host;
use super::source_file::SourceFile;
use super::uses::Use;

/// The top modules of the host, the highest first. A module imports from its own layer and those below it.
const LAYERS: [&[&str]; 6] = [
    &["lib"],
    &["local_run", "simulation"],
    &["master", "node_manager", "slave", "task_command", "worker"],
    &["cli", "config", "exit_code", "log", "runtime", "shutdown", "stderr", "stdout"],
    &["plugin", "record", "registry", "schedule", "scoreboard", "sink", "wire"],
    &[
        "build",
        "database",
        "file_identity",
        "ids",
        "limits",
        "own_time",
        "owned_task",
        "standstill",
        "streams_at_start",
        "time",
        "turns",
    ],
];

/// Arrows that close a circle all the same, each with the reason.
const ARGUED: [(&str, &str, &str); 0] = [];

/// Files that are on no way of a record: the entry point, and what tests may see.
const APART: [&str; 2] = ["host/src/main.rs", "host/src/internals.rs"];

/// How many re-exports are followed from a name to its file.
const REEXPORTS_MAX: usize = 8;

/// A module's place in the crate: `["master", "run"]`.
type Path = Vec<String>;

/// Why one file needs another: the path that it names.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// The crate's modules that have a file, with their imports.
struct Modules(BTreeMap<Path, (SourceFile, Vec<Use>)>);

impl Modules {
    fn of(files: Vec<SourceFile>) -> Self {
        let module = |file: SourceFile| {
            let uses = Use::all(&file).into_iter().filter(|one| !one.is_in_tests).collect();
            (module_path(&file.path), (file, uses))
        };
        Self(files.into_iter().filter(|file| !APART.contains(&&*file.path)).map(module).collect())
    }

    /// The files that each file needs. A re-export needs nothing: its user needs the file behind it.
    fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (module, (file, uses)) in &self.0 {
            let imports = uses.iter().filter(|one| !one.visibility.contains("pub"));
            let imported =
                imports.flat_map(|one| one.items.iter().map(|(item, _)| full_name(&one.module, item)));
            for path in imported.chain(paths_in_code(file)) {
                let target = self.resolve(module, &path, REEXPORTS_MAX).filter(|target| target != module);
                if let Some(target) = target {
                    let target = self.0[&target].0.path.clone();
                    arrows.entry(file.path.clone()).or_default().entry(target).or_insert(path);
                }
            }
        }
        arrows
    }

    /// The module in whose file that is which `path` means in `module`; none if it is another crate's.
    fn resolve(&self, module: &Path, path: &str, reexports_left: usize) -> Option<Path> {
        let mut names: Vec<&str> = path.split("::").collect();
        let mut at = match names[0] {
            "crate" => Path::new(),
            "self" => module.clone(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            first if self.0.contains_key(&child(module, first)) => {
                names.insert(0, "self");
                module.clone()
            }
            _ => return None,
        };
        names.remove(0);
        while names.first() == Some(&"super") {
            at.pop();
            names.remove(0);
        }
        while let Some(below) =
            names.first().map(|name| child(&at, name)).filter(|below| self.0.contains_key(below))
        {
            at = below;
            names.remove(0);
        }
        // What a module re-exports, or imports for itself, is somewhere else.
        let (_, uses) = self.0.get(&at)?;
        let declared = names.first().and_then(|item| {
            uses.iter().find_map(|one| {
                let (there, _) = one.items.iter().find(|(_, here)| here == item)?;
                Some(full_name(&one.module, there))
            })
        });
        match declared {
            Some(path) if reexports_left > 0 => self.resolve(&at, &path, reexports_left - 1),
            _ => Some(at),
        }
    }
}

fn child(module: &Path, name: &str) -> Path {
    let mut child = module.clone();
    child.push(name.to_owned());
    child
}

fn full_name(module: &str, item: &str) -> String {
    if item == "self" { module.to_owned() } else { format!("{module}::{item}") }
}

/// `["master", "run"]` for `host/src/master/run.rs`.
fn module_path(file: &str) -> Path {
    let path = file.split_once("/src/").map_or(file, |(_, path)| path).trim_end_matches(".rs");
    let path = path.trim_end_matches("/mod").split('/').filter(|name| *name != "lib");
    path.map(str::to_owned).collect()
}

/// The paths that stand in the code itself, such as `super::shorten(…)`.
fn paths_in_code(file: &SourceFile) -> Vec<String> {
    let is_of_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let code: String = file.code().flat_map(|(_, line)| [line, "\n"]).collect();
    let is_import = |line: &&str| line.trim_start().starts_with("use ") || line.contains(") use ");
    let rest = code.split('\n').filter(|line| !is_import(line) && !line.contains("pub(in"));
    let words = rest.flat_map(|line| line.split(|letter| !is_of_path(letter)));
    let paths = words.map(|word| word.trim_end_matches(':')).filter(|word| word.contains("::"));
    paths.map(str::to_owned).collect()
}

fn arrows() -> Arrows {
    Modules::of(host()).arrows()
}

/// The arrows inside the plugin API and inside each plugin.
fn arrows_of_plugins() -> Arrows {
    let mut crates: BTreeMap<String, Vec<SourceFile>> = BTreeMap::new();
    for file in ["plugin-api", "plugins"].iter().flat_map(|directory| SourceFile::below(directory)) {
        let Some((name, _)) = file.path.split_once("/src/").filter(|_| !file.is_test()) else { continue };
        crates.entry(name.to_owned()).or_default().push(file);
    }
    crates.into_values().flat_map(|files| Modules::of(files).arrows()).collect()
}

/// The groups of names that can be reached from each other.
fn circles(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut waiting: Vec<&String> = arrows.get(from).into_iter().flat_map(BTreeMap::keys).collect();
        while let Some(next) = waiting.pop() {
            if reached.insert(next.clone()) {
                waiting.extend(arrows.get(next).into_iter().flat_map(BTreeMap::keys));
            }
        }
        reached
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        arrows.keys().map(|from| (from, reached(from))).collect();
    let circle = |from: &String| {
        let back = |to: &&String| reached.get(*to).is_some_and(|reached| reached.contains(from));
        reached[from].iter().filter(back).cloned().collect::<BTreeSet<_>>()
    };
    let circles: BTreeSet<_> = arrows.keys().map(circle).filter(|circle| circle.len() > 1).collect();
    circles.into_iter().collect()
}

/// A circle's arrows, one a line.
fn drawn(circle: &BTreeSet<String>, arrows: &Arrows) -> String {
    let mut lines = vec!["a circle of imports:".to_owned()];
    for from in circle {
        let to = arrows[from].iter().filter(|(to, _)| circle.contains(*to));
        lines.extend(to.map(|(to, path)| format!("    {from} -> {to}: {path}")));
    }
    lines.join("\n")
}

#[track_caller]
fn expect_no_circles(arrows: &Arrows, mend: &str) {
    let circles = circles(arrows);
    let circles: Vec<_> = circles.iter().map(|circle| drawn(circle, arrows)).collect();
    assert!(circles.is_empty(), "{}\n\n{mend}\n", circles.join("\n"));
}

/// The same without the arrows that are known.
fn without<'a>(mut arrows: Arrows, known: impl IntoIterator<Item = (&'a str, &'a str)>) -> Arrows {
    for (from, to) in known {
        if let Some(all) = arrows.get_mut(&format!("host/src/{from}")) {
            all.remove(&format!("host/src/{to}"));
        }
    }
    arrows
}

#[test]
fn files_import_each_other_in_no_circle() {
    let argued = ARGUED.iter().map(|(from, to, _)| (*from, *to));
    expect_no_circles(
        &without(arrows(), argued),
        "Two files that need each other are one file, or three: move what both need to the file that owns it, below \
         both. An arrow that must stay is argued for in ARGUED (tidy/arrows.rs).",
    );
}

#[test]
fn files_of_plugins_import_each_other_in_no_circle() {
    let arrows = arrows_of_plugins();
    assert!(arrows.len() > 20, "no imports are found: this test checks nothing");
    expect_no_circles(&arrows, "Move what both need to the file that owns it, below both.");
}

/// The arrows between the top modules, with the files at both ends as the reason.
fn of_modules(arrows: &Arrows) -> Arrows {
    let top = |file: &str| module_path(file).first().cloned().unwrap_or_else(|| "lib".to_owned());
    let mut between = Arrows::new();
    for (from, all) in arrows {
        for (to, path) in all.iter().filter(|(to, _)| top(from) != top(to)) {
            let why = format!("{from} needs {to}: {path}");
            between.entry(top(from)).or_default().entry(top(to)).or_insert(why);
        }
    }
    between
}

#[test]
fn top_modules_import_each_other_in_no_circle() {
    expect_no_circles(&of_modules(&arrows()), "Move what both need to a module below both.");
}

#[test]
fn imports_run_down_the_layers() {
    let between = of_modules(&arrows());
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let names: BTreeSet<_> = host().iter().filter_map(|file| file.module().map(str::to_owned)).collect();
    let unknown: Vec<_> = names
        .iter()
        .filter(|name| layer(name).is_none() && !["main", "internals"].contains(&&***name))
        .collect();
    assert!(
        unknown.is_empty(),
        "{unknown:?} are in no layer: add them to LAYERS (tidy/arrows.rs) and to the code map in docs/architecture.md"
    );
    let mut upward = Vec::new();
    for (from, all) in &between {
        upward.extend(all.iter().filter(|(to, _)| layer(to) < layer(from)).map(|(_, why)| why.as_str()));
    }
    assert!(
        upward.is_empty(),
        "{}\n\nImports run downward (docs/architecture.md, \"Code map\"): what is below must not know what is above.\n",
        upward.join("\n")
    );
}

#[test]
fn argued_arrows_are_there() {
    let arrows = arrows();
    for (from, to, _) in ARGUED {
        let all = arrows.get(&format!("host/src/{from}"));
        let is_there = all.is_some_and(|all| all.contains_key(&format!("host/src/{to}")));
        assert!(is_there, "{from} does not need {to} any more: take it off ARGUED (tidy/arrows.rs)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows_of(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let file = |(path, text): &(&str, &str)| SourceFile {
            path: format!("host/src/{path}"),
            text: (*text).to_owned(),
        };
        let arrows = Modules::of(files.iter().map(file).collect()).arrows();
        let name = |path: &str| path.trim_start_matches("host/src/").to_owned();
        arrows.iter().flat_map(|(from, all)| all.keys().map(move |to| (name(from), name(to)))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn paths_lead_to_files() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nfn f() {\n    a::one();\n}\n"),
            ("a/mod.rs", "mod c;\npub(crate) use c::{D, E as F};\n"),
            ("a/c.rs", "use std::fs;\nuse super::super::b;\nfn f() {\n    crate::b::two();\n}\n"),
            ("b.rs", "use crate::a::{D, F};\n#[cfg(test)]\nmod tests {\n    use crate::x::Y;\n}\n"),
        ];
        let expected = [("a/c.rs", "b.rs"), ("b.rs", "a/c.rs"), ("lib.rs", "a/mod.rs")];
        assert_eq!(arrows_of(&files), pairs(&expected));
    }

    #[test]
    fn a_circle_is_found() {
        let arrow = |to: &str| BTreeMap::from([(to.to_owned(), String::new())]);
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let arrows =
            Arrows::from_iter(names.iter().cloned().zip([arrow("b"), arrow("c"), arrow("a"), arrow("a")]));
        assert_eq!(circles(&arrows), [BTreeSet::from_iter(names[..3].iter().cloned())]);
        assert!(circles(&without(arrows, [])).len() == 1);
    }
}
