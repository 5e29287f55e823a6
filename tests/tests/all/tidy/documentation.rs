//! The documentation: its links lead somewhere, and the files and tests that it names exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::finding::{Finding, expect_none};
use super::source_file::{SourceFile, paths_below, root};
use super::workspace;

/// A page in Markdown.
struct Page {
    /// Its path from the root of the workspace.
    path: String,
    /// Its lines outside blocks of code, with their numbers.
    lines: Vec<(usize, String)>,
}

impl Page {
    fn new(path: &str, text: &str) -> Self {
        let mut is_code = false;
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            if !is_code && !is_fence {
                lines.push((index + 1, line.to_owned()));
            }
        }
        Self { path: path.to_owned(), lines }
    }

    fn read(path: &str) -> Self {
        Self::new(path, &fs::read_to_string(root().join(path)).expect("a page is text"))
    }

    /// All pages of the workspace.
    fn all() -> Vec<Self> {
        let folders = ["docs", "plugin-api", "plugins", "tests", "host"];
        let below = folders.iter().flat_map(|folder| paths_below(folder, ".md"));
        let top = fs::read_dir(root()).expect("the workspace is there").flatten();
        let top =
            top.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.ends_with(".md"));
        top.chain(below).map(|path| Self::read(&path)).collect()
    }

    /// The names of its headings in links, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for (_, line) in self.lines.iter().filter(|(_, line)| line.starts_with('#')) {
            let anchor = anchor(line.trim_start_matches('#').trim());
            let again = (1..).map(|nth| format!("{anchor}-{nth}"));
            let free = std::iter::once(anchor.clone()).chain(again).find(|name| !anchors.contains(name));
            anchors.extend(free);
        }
        anchors
    }

    /// The targets of its links, with their lines.
    fn links(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().flat_map(|(number, line)| {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            targets.map(move |(target, _)| (*number, target))
        })
    }

    /// What stands in backticks, with the lines.
    fn quoted(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines
            .iter()
            .flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |word| (*number, word)))
    }

    /// Links that lead nowhere.
    fn broken_links(&self) -> Vec<Finding> {
        let folder = Path::new(&self.path).parent().unwrap_or(Path::new(""));
        let is_ours = |target: &str| !target.contains("://") && !target.starts_with("mailto:");
        let mut broken = Vec::new();
        for (line, target) in self.links().filter(|(_, target)| is_ours(target)) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path =
                if file.is_empty() { self.path.clone() } else { folder.join(file).display().to_string() };
            if !root().join(&path).exists() {
                broken.push(Finding::new(&self.path, line, format!("there is no file {path}")));
            } else if !anchor.is_empty()
                && path.ends_with(".md")
                && !Self::read(&path).anchors().contains(anchor)
            {
                broken.push(Finding::new(&self.path, line, format!("{path} has no heading #{anchor}")));
            }
        }
        broken
    }
}

/// GitHub's name for a heading: lower case, blanks are hyphens, other marks are dropped.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || ['-', '_', ' '].contains(letter));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let pages = Page::all();
    assert!(pages.iter().any(|page| page.links().count() > 0), "no page has links: this test checks nothing");
    expect_none(
        "Name the file from the page's own folder, and a heading as GitHub does: lower case, hyphens for blanks, no \
         other marks.",
        pages.iter().flat_map(Page::broken_links),
    );
}

/// Files and folders that a text names: by their paths from the root, or by the end of them.
struct Files(Vec<String>);

impl Files {
    fn all() -> Self {
        let folders = ["host", "plugin-api", "plugins", "tests", "docs", ".ci"];
        Self(folders.iter().flat_map(|folder| paths_below(folder, "")).collect())
    }

    /// Whether a quoted word is the name of a file of ours that is not there.
    fn lacks(&self, word: &str) -> bool {
        let is_path = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
        let is_below = |folder: &str| word.starts_with(&format!("{folder}/"));
        let is_rooted = ["host", "plugin-api", "tests", "docs", ".ci"].iter().any(|folder| is_below(folder));
        if !is_path || !(is_rooted || (word.ends_with(".rs") && word != "mod.rs")) {
            return false;
        }
        let word = word.trim_end_matches('/');
        let is_it = |file: &String| {
            let from_root = file == word || file.starts_with(&format!("{word}/"));
            from_root || (!is_rooted && file.ends_with(&format!("/{word}")))
        };
        !self.0.iter().any(is_it)
    }
}

#[test]
fn files_named_in_the_documentation_exist() {
    let files = Files::all();
    let lacking = |page: &Page| {
        let missing = page.quoted().filter(|(_, word)| files.lacks(word));
        missing
            .map(|(line, word)| Finding::new(&page.path, line, format!("there is no {word}")))
            .collect::<Vec<_>>()
    };
    expect_none("The file was moved or renamed: write its new name.", Page::all().iter().flat_map(lacking));
}

#[test]
fn files_named_in_comments_exist() {
    let files = Files::all();
    let lacking = |file: &SourceFile| {
        let comments =
            file.text.lines().enumerate().filter_map(|(index, line)| {
                Some((index + 1, line.trim_start().strip_prefix("//")?.to_owned()))
            });
        let page = Page { path: file.path.clone(), lines: comments.collect() };
        let missing = page.quoted().filter(|(_, word)| files.lacks(word));
        // A crate names its own files from its own folder.
        let is_near = |word: &str| {
            let mut folders = Path::new(&file.path).ancestors().skip(1);
            folders.any(|folder| root().join(folder).join(word).exists())
        };
        let missing = missing.filter(|(_, word)| !is_near(word));
        missing
            .map(|(line, word)| Finding::new(&page.path, line, format!("there is no {word}")))
            .collect::<Vec<_>>()
    };
    expect_none("The file was moved or renamed: write its new name.", workspace().iter().flat_map(lacking));
}

/// The tests with whole grids by their names, such as `losses::a_slave_that_is_killed_costs_nothing`, and
/// each of their modules followed by `*`.
fn tests_of_grids() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in SourceFile::below("tests/tests/all") {
        let module =
            file.path.trim_start_matches("tests/tests/all/").trim_end_matches(".rs").trim_end_matches("/mod");
        let module = module.replace('/', "::");
        let parts: Vec<_> = module.split("::").collect();
        names.extend((1..=parts.len()).map(|length| format!("{}::*", parts[..length].join("::"))));
        names.extend(functions(&file).map(|name| format!("{module}::{name}")));
    }
    names
}

/// The names of a file's functions, tests included.
fn functions(file: &SourceFile) -> impl Iterator<Item = &str> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let after = file.text.lines().filter_map(|line| line.split_once("fn ").map(|(_, after)| after));
    after.map(move |after| after.split(|letter| !is_of_name(letter)).next().unwrap_or_default())
}

/// The page that names tests, and the rules of torture, by their bare names, too.
const GUARANTEES: &str = "docs/guarantees.md";

/// Tests that a page names and that do not exist.
fn missing_tests(page: &Page, of_grids: &BTreeSet<String>, all: &BTreeSet<&str>) -> Vec<Finding> {
    let is_module = |name: &str| of_grids.contains(&format!("{name}::*"));
    let is_of_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let is_name = |word: &str| word.chars().all(is_of_name);
    let is_missing = |word: &str| match word.split_once("::") {
        Some((module, _)) => is_module(module) && !of_grids.contains(word),
        None => page.path == GUARANTEES && is_name(word) && word.contains('_') && !all.contains(word),
    };
    let missing = page.quoted().filter(|(_, word)| is_missing(word));
    missing.map(|(line, word)| Finding::new(&page.path, line, format!("there is no test {word}"))).collect()
}

#[test]
fn tests_named_in_the_documentation_exist() {
    let of_grids = tests_of_grids();
    let files = workspace();
    let all: BTreeSet<_> = files.iter().flat_map(functions).collect();
    let pages = Page::all();
    let named = pages.iter().flat_map(Page::quoted).filter(|(_, word)| of_grids.contains(*word)).count();
    assert!(named > 20, "the pages name {named} tests: this test checks nothing");
    expect_none(
        "The test was moved or renamed: write its new name, `file::test`.",
        pages.iter().flat_map(|page| missing_tests(page, &of_grids, &all)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_the_names_that_github_gives_them() {
        let page = Page::new(
            "a.md",
            "# G1 Accounting\n## `run`, and *more*\n```\n# no heading\n```\n## G1 Accounting\n",
        );
        assert_eq!(
            page.anchors(),
            BTreeSet::from(["g1-accounting", "run-and-more", "g1-accounting-1"].map(str::to_owned))
        );
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let page = Page::new(
            "docs/a.md",
            "[a](nowhere.md) [b](../README.md#no-such) [c](../README.md#licence) [d](#x)\n",
        );
        let broken: Vec<_> = page.broken_links().into_iter().map(|found| found.what).collect();
        assert!(broken.len() == 3 && broken[0].contains("docs/nowhere.md"), "{broken:?}");
    }

    #[test]
    fn a_file_that_is_not_there_is_found() {
        let files = Files(vec!["host/src/wire/frame.rs".to_owned()]);
        for missing in ["host/src/gone.rs", "gone.rs", "wire/gone.rs", "docs/gone.md"] {
            assert!(files.lacks(missing), "{missing}");
        }
        for fine in
            ["host/src/wire/frame.rs", "frame.rs", "wire/frame.rs", "host/src/wire/", "/etc/passwd", "a::b"]
        {
            assert!(!files.lacks(fine), "{fine}");
        }
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        let page = Page::new(
            GUARANTEES,
            "`losses::*` `losses::gone` `losses::kept` `std::fs` `a_test_that_is_gone` `kept` `one`\n",
        );
        let of_grids = BTreeSet::from(["losses::*", "losses::kept"].map(str::to_owned));
        let missing = missing_tests(&page, &of_grids, &BTreeSet::from(["kept"]));
        let missing: Vec<_> = missing.iter().map(|found| found.what.as_str()).collect();
        assert_eq!(missing, ["there is no test losses::gone", "there is no test a_test_that_is_gone"]);
    }
}
