//! How the code looks where rustfmt and clippy have no opinion: comments, imports, visibility.

use std::collections::BTreeMap;

use super::finding::{Finding, expect_none};
use super::source_file::SourceFile;
use super::uses::Use;
use super::{host, workspace};

/// Columns of the code (`rustfmt.toml`), and so of comments.
const WIDTH: usize = 110;

/// The comments of a file that are too wide. A line that cannot be broken is not: one with a URL, one of a
/// table, or one of a drawing.
fn wide_comments(file: &SourceFile) -> Vec<Finding> {
    let mut is_drawing = false;
    let mut wide = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
        let text = comment.trim_start_matches(['/', '!']).trim();
        if text.starts_with("```") {
            is_drawing = !is_drawing;
        }
        let width = line.chars().count();
        if width > WIDTH && !is_drawing && !text.contains("://") && !text.starts_with('|') {
            wide.push(Finding::new(&file.path, index + 1, format!("{width} columns")));
        }
    }
    wide
}

#[test]
fn comments_are_no_wider_than_the_code() {
    expect_none(
        "A comment has at most 110 columns, as code has: break the line.",
        workspace().iter().flat_map(wide_comments),
    );
}

/// The declarations of a file that are not one for each module.
fn odd_imports(file: &SourceFile) -> Vec<Finding> {
    let all = Use::all(file);
    let mut odd = Vec::new();
    for (at, one) in all.iter().enumerate() {
        let mut say =
            |what: &str| odd.push(Finding::new(&file.path, one.line, format!("{what}: {}", one.module)));
        let is_glob = one.items.iter().any(|(there, _)| there == "*");
        let is_of_tests = one.module == "super" && (one.is_in_tests || file.is_test());
        if one.is_nested {
            say("braces within braces");
        }
        if is_glob && !is_of_tests && !one.module.ends_with("prelude") && file.path != "host/src/internals.rs"
        {
            say("a glob");
        }
        // A function or an inner module may import for itself.
        let is_of_the_file = one.indent == if one.is_in_tests { 4 } else { 0 };
        let is_again = |other: &Use| {
            let of = |one: &Use| (one.indent, one.is_in_tests, one.module.clone(), one.visibility.clone());
            of(one) == of(other)
        };
        if is_of_the_file && all[..at].iter().any(is_again) {
            say("a second `use` of one module");
        }
    }
    odd
}

#[test]
fn each_module_is_imported_by_one_line() {
    expect_none(
        "Write one `use` for each module, with one pair of braces at most: `use a::b::{C, D};`. A glob is for \
         `use super::*;` in tests.",
        workspace().iter().flat_map(odd_imports),
    );
}

/// Where an import belongs: the standard library, other crates, ours.
fn rank(module: &str) -> usize {
    match module.split("::").next() {
        Some("std" | "core" | "alloc") => 0,
        Some("crate" | "super" | "self") => 2,
        _ => 1,
    }
}

/// The first block of a file's imports, if it is not in order. (`use` without a module in front imports a
/// child.)
fn disorder(file: &SourceFile) -> Option<Finding> {
    let is_of_a_module = |one: &Use| one.module.starts_with(|first: char| first.is_ascii_lowercase());
    let is_plain =
        |one: &&Use| one.indent == 0 && !one.is_in_tests && one.visibility.is_empty() && is_of_a_module(one);
    let all = Use::all(file);
    let plain: Vec<_> = all.iter().filter(is_plain).collect();
    let wrong = plain.windows(2).find(|pair| rank(&pair[0].module) > rank(&pair[1].module))?;
    let children = format!("mod {};", wrong[1].module.split("::").next().unwrap_or_default());
    let is_child = file.text.contains(&children);
    (!is_child)
        .then(|| Finding::new(&file.path, wrong[1].line, format!("{} comes too late", wrong[1].module)))
}

#[test]
fn imports_are_in_order() {
    expect_none(
        "First the standard library, then other crates, then `super` and `crate`, with a blank line between them.",
        workspace().iter().filter_map(disorder),
    );
}

#[test]
fn there_are_three_kinds_of_visibility() {
    let narrow = |file: &SourceFile| {
        let lines = file.code().filter(|(_, line)| line.contains(concat!("pub(", "in ")));
        lines.map(|(number, line)| Finding::new(&file.path, number, line.trim())).collect::<Vec<_>>()
    };
    expect_none(
        "Write `pub(super)` if only the parent's folder needs it, `pub(crate)` otherwise; `pub` is for other crates.",
        workspace().iter().flat_map(narrow),
    );
}

/// What begins a public item, behind `pub(crate)`.
const ITEMS: [&str; 10] =
    ["fn", "struct", "enum", "trait", "const", "static", "type", "async", "unsafe", "extern"];

/// Items that other modules use and that have no documentation.
fn undocumented(file: &SourceFile) -> Vec<Finding> {
    let mut silent = Vec::new();
    let mut is_documented = false;
    let mut is_attribute = false;
    for (number, line) in file.before_tests() {
        let line = line.trim();
        let item = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub "));
        let keyword = item.and_then(|item| item.split([' ', '<']).next());
        if keyword.is_some_and(|keyword| ITEMS.contains(&keyword)) && !is_documented {
            silent.push(Finding::new(&file.path, number, line));
        }
        // Attributes, of one line or several, stand between the documentation and the item.
        is_attribute |= line.starts_with("#[");
        is_documented = line.starts_with("///") || (is_documented && is_attribute);
        is_attribute &= !line.ends_with(']');
    }
    silent
}

#[test]
fn what_other_modules_use_is_documented() {
    expect_none(
        "Write a `///` comment before the item: what it is, and its units and errors if it has any. (rustc's \
         `missing_docs` sees only what other crates see.)",
        host().iter().flat_map(undocumented),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { path: "host/src/a.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_wide_comment_is_found_unless_it_cannot_be_broken() {
        let wide = "word ".repeat(30);
        assert_eq!(wide_comments(&file(&format!("fn a() {{}}\n    /// {wide}\n"))).len(), 1);
        let fine = format!(
            "// https://example.org/ {wide}\n//! | {wide}\n//! ```text\n//! {wide}\n//! ```\n// short\n"
        );
        assert!(wide_comments(&file(&fine)).is_empty());
    }

    #[test]
    fn imports_in_another_style_are_found() {
        let odd = |text: &str| odd_imports(&file(text)).len();
        assert_eq!(odd("use a::{B, c::{D, E}};\nuse b::*;\nuse c::D;\nuse c::E;\n"), 3);
        assert_eq!(
            odd("use a::B;\npub use a::C;\n#[cfg(test)]\nmod tests {\n    use super::*;\n    use a::B;\n}\n"),
            0
        );
    }

    #[test]
    fn imports_in_another_order_are_found() {
        assert!(disorder(&file("use crate::a::B;\nuse std::fs::File;\n")).is_some());
        assert!(disorder(&file("use std::fs::File;\n\nuse bytes::Bytes;\n\nuse crate::a::B;\n")).is_none());
    }

    #[test]
    fn an_item_without_documentation_is_found() {
        let silent = |text: &str| undocumented(&file(text)).len();
        assert_eq!(silent("pub(crate) fn a() {}\n#[must_use]\npub(crate) struct B;\n"), 2);
        assert_eq!(
            silent("/// A.\n#[derive(\n    Debug,\n)]\npub(crate) fn a() {}\npub(super) fn b() {}\n"),
            0
        );
    }
}

/// The name of the type that a line declares at the top of its file.
fn declared_type(line: &str) -> Option<&str> {
    let words = line.trim_start_matches("pub").trim_start_matches("(crate)").trim_start_matches("(super)");
    let mut words = words.split_whitespace();
    let is_type = matches!(words.next(), Some("struct" | "enum" | "trait" | "type"));
    let name = words.next()?.split(['<', '(', ':', ';', '{', '=']).next()?;
    (is_type && !line.starts_with(' ')).then_some(name)
}

#[test]
fn no_two_types_of_the_program_share_a_name() {
    let mut files_of: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for file in host() {
        for (number, line) in file.code() {
            if let Some(name) = declared_type(line) {
                let finding = Finding::new(&file.path, number, name);
                files_of.entry(name.to_owned()).or_default().push(finding);
            }
        }
    }
    assert!(files_of.len() > 100, "no types are found: this test checks nothing");
    expect_none(
        "One word for each idea, and one idea for each word: the type that came later, or means less, says more.",
        files_of.into_values().filter(|all| all.len() > 1).flatten(),
    );
}

/// The errors of a file whose text has a cause in it that is shown once more by those who show all causes. A
/// variant is what stands between one `#[error]` and the next, or the end of the type.
fn causes_said_twice(file: &SourceFile) -> Vec<Finding> {
    let lines: Vec<_> = file.before_tests().collect();
    let mut twice = Vec::new();
    for (at, (number, line)) in lines.iter().enumerate() {
        if !line.trim_start().starts_with("#[error(") {
            continue;
        }
        let rest = lines[at + 1..].iter().map(|(_, line)| *line);
        let is_over = |line: &str| line == "}" || line.trim_start().starts_with("#[error(");
        let error: Vec<_> = std::iter::once(*line).chain(rest.take_while(|line| !is_over(line))).collect();
        let error = error.join("\n");
        let text_ends = error.find(")]").unwrap_or(error.len());
        let (text, fields) = error.split_at(text_ends);
        let has_source = ["#[from]", "#[source]", " source:"].iter().any(|mark| fields.contains(mark));
        let shows_it = ["{source", "{0", ".source", ", source", "(.0"].iter().any(|mark| text.contains(mark));
        if has_source && shows_it {
            twice.push(Finding::new(&file.path, *number, line.trim()));
        }
    }
    twice
}

#[test]
fn no_error_says_its_cause_twice() {
    let planted = |text: &str| {
        let file = SourceFile { path: "planted.rs".to_owned(), text: text.to_owned() };
        causes_said_twice(&file).len()
    };
    assert_eq!(planted("enum E {\n    #[error(\"no: {0}\")]\n    No(#[from] io::Error),\n}"), 1);
    assert_eq!(
        planted("enum E {\n    #[error(\"no: {source}\")]\n    No {\n        source: io::Error,\n    },\n}"),
        1
    );
    assert_eq!(
        planted(
            "enum E {\n    #[error(\"no: {0}\")]\n    No(io::Error),\n    #[error(\"x\")]\n    X {\n        source: io::Error,\n    },\n}"
        ),
        0
    );
    expect_none(
        "An error is shown with all its causes, one after the other. If its own text has the cause in it, the cause is \
         no `source`: call the field `cause`, without `#[from]` and `#[source]`. Or leave it out of the text.",
        workspace().iter().flat_map(causes_said_twice),
    );
}
