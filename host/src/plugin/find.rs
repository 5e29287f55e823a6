//! From the text that the user typed, `FILE|NAME[:TASK]`, to a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::load_error::LoadError;

/// Names that an error lists at most: enough to find the right one.
const AVAILABLE_MAX: usize = 20;

/// Finds the library that `name_or_path` means, and the task in it if it names one.
///
/// A text that contains a `/` or ends in `.so` is a path. Anything else is a name: `word-count` is the file
/// `libword_count.so` in one of the directories of `search`.
///
/// # Errors
/// If the name is in none of the directories, or there is no file at the path. The file itself is not opened.
pub(crate) fn find(name_or_path: &str, search: &[PathBuf]) -> Result<(PathBuf, Option<String>), LoadError> {
    let (name, task) = split_task(name_or_path);
    let path = if is_path(name) { existing(name)? } else { named(name, search)? };
    Ok((path, task.map(str::to_owned)))
}

/// Every library that [`find`] would find by a name, with that name.
pub(crate) fn all(search: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for directory in search {
        for name in names_in(directory) {
            let path = directory.join(file_of(&name));
            found.entry(name).or_insert(path);
        }
    }
    found
}

/// The file of a library's name.
fn file_of(name: &str) -> String {
    format!("lib{}.so", name.replace('-', "_"))
}

/// Cuts off `:TASK`, unless the whole text is the path of a file.
fn split_task(name_or_path: &str) -> (&str, Option<&str>) {
    if is_path(name_or_path) && Path::new(name_or_path).exists() {
        return (name_or_path, None);
    }
    match name_or_path.rsplit_once(':') {
        // A slash after the colon means that the colon is part of a directory's name.
        Some((name, task)) if !task.contains('/') => (name, (!task.is_empty()).then_some(task)),
        _ => (name_or_path, None),
    }
}

fn is_path(name: &str) -> bool {
    name.contains('/') || name.ends_with(".so")
}

fn existing(path: &str) -> Result<PathBuf, LoadError> {
    let path = PathBuf::from(path);
    // A path that cannot be looked at (a directory without permission) is reported when it is opened.
    if path.try_exists().is_ok_and(|exists| !exists) {
        return Err(LoadError::Missing { path });
    }
    Ok(path)
}

fn named(name: &str, searched: &[PathBuf]) -> Result<PathBuf, LoadError> {
    let file = file_of(name);
    let found = searched.iter().map(|directory| directory.join(&file)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let available = searched.iter().flat_map(|directory| names_in(directory));
        let available: BTreeSet<_> = available.collect();
        LoadError::UnknownName {
            name: name.to_owned(),
            file,
            available: available.into_iter().take(AVAILABLE_MAX).collect(),
            searched: searched.to_vec(),
        }
    })
}

/// The names of the libraries in a directory. The files of Cargo's other libraries have a hyphen and a hash
/// in their names; a plugin's file never has a hyphen.
fn names_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = directory.read_dir() else { return Vec::new() };
    let name_of = |entry: std::fs::DirEntry| {
        let file = entry.file_name();
        let name = file.to_str()?.strip_prefix("lib")?.strip_suffix(".so")?;
        (!name.contains('-')).then(|| name.replace('_', "-"))
    };
    entries.flatten().filter_map(name_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_with(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(directory.path().join(file), "").unwrap();
        }
        directory
    }

    #[test]
    fn a_name_is_looked_up_in_the_directories_in_order() {
        let first = directory_with(&["libother.so"]);
        let second = directory_with(&["libword_count.so"]);
        let third = directory_with(&["libword_count.so"]);
        let search = [&first, &second, &third].map(|directory| directory.path().to_path_buf());
        let expected = second.path().join("libword_count.so");
        assert_eq!(find("word-count", &search).unwrap(), (expected.clone(), None));
        assert_eq!(find("word_count:count", &search).unwrap(), (expected, Some("count".into())));
    }

    #[test]
    fn an_unknown_name_lists_where_it_was_looked_for_and_what_is_there() {
        let directory = directory_with(&["libword_count.so", "libserde_derive-0123.so", "notes.txt"]);
        let error = find("wordcount", &[directory.path().to_path_buf()]).unwrap_err().to_string();
        assert!(error.starts_with("no plugin `wordcount`: looked for libwordcount.so in "), "{error}");
        assert!(error.contains(&directory.path().display().to_string()), "{error}");
        assert!(error.contains("word-count"), "{error}");
        assert!(!error.contains("serde"), "{error}");
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let directory = directory_with(&["libecho.so", "odd:name.so"]);
        let at = |file: &str| directory.path().join(file).display().to_string();
        let found = |typed: &str| find(typed, &[]).unwrap();
        assert_eq!(found(&at("libecho.so")), (at("libecho.so").into(), None));
        assert_eq!(found(&at("libecho.so:echo")), (at("libecho.so").into(), Some("echo".into())));
        assert_eq!(found(&at("libecho.so:")), (at("libecho.so").into(), None));
        assert_eq!(found(&at("odd:name.so")), (at("odd:name.so").into(), None));
        assert_eq!(found(&at("odd:name.so:task")), (at("odd:name.so").into(), Some("task".into())));
    }

    #[test]
    fn a_path_to_nothing_is_missing() {
        let error = find("./no/such/library.so:task", &[]).unwrap_err();
        assert_eq!(error.to_string(), "there is no file ./no/such/library.so");
        assert!(matches!(find("nothing.so", &[]), Err(LoadError::Missing { .. })));
    }
}
