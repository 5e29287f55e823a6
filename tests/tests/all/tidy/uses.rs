//! `use` declarations, read from the text of a file. It knows as much of the language as the house's style of
//! imports allows.

use super::source_file::SourceFile;

/// A `use` declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    /// Its first line, counted from 1.
    pub line: usize,
    /// The blanks before it: a declaration in a function or an inner module is another one's neighbour.
    pub indent: usize,
    /// What stands before `use`: an attribute, `pub` and the like, or nothing.
    pub visibility: String,
    /// Whether it stands after the beginning of the file's tests.
    pub is_in_tests: bool,
    /// The module whose items are imported, such as `crate::wire`.
    pub module: String,
    /// What is imported: the name there, and the name here.
    pub items: Vec<(String, String)>,
    /// Whether there are braces within the braces.
    pub is_nested: bool,
}

impl Use {
    /// All declarations of a file.
    pub(super) fn all(file: &SourceFile) -> Vec<Self> {
        let tests = file.lines();
        let mut lines = file.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let mut all = Vec::new();
        let mut attribute = "";
        while let Some((line, first)) = lines.next() {
            let Some((visibility, rest)) = begins(first.trim_start()) else {
                attribute = if first.trim_start().starts_with("#[cfg") { first.trim() } else { "" };
                continue;
            };
            let mut text = rest.to_owned();
            while !text.contains(';') {
                let Some((_, more)) = lines.next() else { break };
                text.push_str(more.trim());
            }
            let indent = first.len() - first.trim_start().len();
            let declared = Self::parse(text.split(';').next().unwrap_or_default());
            let visibility = format!("{attribute}{visibility}");
            all.extend(declared.map(|new| Self {
                line,
                indent,
                visibility,
                is_in_tests: line > tests,
                ..new
            }));
            attribute = "";
        }
        all
    }

    /// What stands between `use` and the semicolon; none if it is no path, as in a text in another language.
    fn parse(text: &str) -> Option<Self> {
        let (path, braces) = text.split_once('{').unwrap_or((text, ""));
        let (module, items) = match path.strip_suffix("::") {
            Some(module) => (module, braces.trim_end_matches('}')),
            None => path.rsplit_once("::")?,
        };
        let item = |item: &str| {
            let (there, here) = item.split_once(" as ").unwrap_or((item, item));
            (there.trim().to_owned(), here.trim().to_owned())
        };
        Some(Self {
            line: 0,
            indent: 0,
            visibility: String::new(),
            is_in_tests: false,
            module: module.trim().to_owned(),
            items: items.split(',').filter(|item| !item.trim().is_empty()).map(item).collect(),
            is_nested: braces.contains('{'),
        })
    }
}

/// The visibility and the rest, if a declaration begins on this line.
fn begins(line: &str) -> Option<(&str, &str)> {
    if let Some(rest) = line.strip_prefix("use ") {
        return Some(("", rest));
    }
    let (visibility, rest) = line.split_once(" use ")?;
    let is_visibility = visibility == "pub" || (visibility.starts_with("pub(") && visibility.ends_with(')'));
    is_visibility.then_some((visibility, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<Use> {
        Use::all(&SourceFile { path: String::new(), text: text.to_owned() })
    }

    #[test]
    fn a_declaration_is_read_with_its_names() {
        let all = parsed("use a::b::{C, d as e};\n\npub(crate) use super::f;\n    use\tstrict;\n");
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].module.as_str(), all[0].line, all[0].is_nested), ("a::b", 1, false));
        let names = |here: &str, there: &str| (there.to_owned(), here.to_owned());
        assert_eq!(all[0].items, [names("C", "C"), names("e", "d")]);
        assert_eq!(
            (all[1].module.as_str(), all[1].visibility.as_str(), all[1].line),
            ("super", "pub(crate)", 3)
        );
    }

    #[test]
    fn a_declaration_of_several_lines_is_one() {
        let all =
            parsed("use a::{\n    B,\n    c::{D, E},\n};\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n");
        assert_eq!(all.len(), 2);
        assert!(all[0].is_nested && !all[0].is_in_tests);
        assert!(all[1].is_in_tests && all[1].indent == 4);
    }
}
