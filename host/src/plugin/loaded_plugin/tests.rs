//! A plugin in C, called through the real table. It is built with the C compiler that building this crate
//! needs anyway.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use simplegrid_plugin_api::Status;
use simplegrid_plugin_api::abi::Bytes;
use simplegrid_plugin_api::fields::Splitter;

use super::*;
use crate::plugin::Cells;

/// Builds a library in `directory` from a C source, and returns its path.
fn build(directory: &Path, source: &Path, defines: &[&str]) -> PathBuf {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api/include");
    let library = directory.join("libtest.so");
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I"])
        .arg(include)
        .args(defines)
        .arg("-o")
        .arg(&library)
        .arg(source)
        .output()
        .expect("a C compiler, which building SQLite needs too");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

fn test_plugin(directory: &Path, defines: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugin/loaded_plugin/test_plugin.c");
    build(directory, &source, defines)
}

/// Loads the test plugin as built with `defines`.
fn opened(defines: &[&str]) -> Result<LoadedPlugin, LoadError> {
    let directory = tempfile::tempdir().unwrap();
    LoadedPlugin::open(&test_plugin(directory.path(), defines))
}

/// Notes everything that the plugin tells it.
#[derive(Debug, Default)]
struct Told {
    rows: Vec<Vec<Option<usize>>>,
    lines: Vec<Vec<u8>>,
    done: Vec<(u64, Status, String)>,
    splitter: Splitter,
    stopping: Arc<AtomicBool>,
}

impl TaskHost for Told {
    fn emit(&mut self, cells: Cells<'_>) -> Status {
        self.rows.push(cells.iter().map(|cell| cell.map(<[u8]>::len)).collect());
        Status::Ok
    }

    fn line(&mut self, line: &[u8]) -> Status {
        if line.len() > 10 {
            return Status::Reject;
        }
        self.lines.push(line.to_vec());
        Status::Ok
    }

    fn fields(&mut self, record: &[u8]) -> &[Bytes] {
        self.splitter.split(record)
    }

    fn done(&mut self, record: u64, status: Status, message: &[u8]) {
        self.done.push((record, status, String::from_utf8_lossy(message).into_owned()));
    }

    fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopping)
    }
}

fn args(value: &str) -> Vec<(String, String)> {
    vec![("fail".into(), value.into())]
}

#[test]
fn a_c_plugin_runs() {
    let plugin = opened(&[]).unwrap();
    assert_eq!(plugin.manifest().package, "test");
    plugin.prepare("test", &[]).unwrap();
    let mut task = plugin.create("", &[], Told::default()).unwrap();
    assert_eq!(task.handle(1, b"a,\"bcd\""), Status::Ok);
    assert_eq!(task.handle(2, b"line"), Status::Ok);
    assert_eq!(task.handle(3, b"hold"), Status::Held);
    assert_eq!(task.handle(4, b"reject"), Status::Reject);
    assert_eq!(task.flush(false), Status::Ok);
    assert_eq!(task.flush(true), Status::Ok);
    let told = task.host();
    assert_eq!(told.rows, [[Some(3), None]]);
    assert_eq!(told.lines, [b"line"]);
    assert_eq!(told.done, [(4, Status::Reject, "no good".into()), (3, Status::Ok, String::new())]);
}

#[test]
fn what_the_host_answers_reaches_the_plugin() {
    let plugin = opened(&[]).unwrap();
    let mut task = plugin.create("test", &[], Told::default()).unwrap();
    assert_eq!(task.handle(1, b"line that is too long"), Status::Reject);
    assert_eq!(task.handle(2, b"stopping?"), Status::Ok);
    task.host().stopping.store(true, Ordering::Relaxed);
    assert_eq!(task.handle(3, b"stopping?"), Status::Retry);
}

#[test]
fn a_status_that_does_not_exist_is_fatal() {
    let plugin = opened(&[]).unwrap();
    let mut task = plugin.create("test", &[], Told::default()).unwrap();
    assert_eq!(task.handle(1, b"?"), Status::Fatal);
}

#[test]
fn what_a_plugin_says_when_a_call_fails_is_kept() {
    let plugin = opened(&[]).unwrap();
    let error = plugin.prepare("test", &args("not now")).unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (Status::Retry, "not now"));
    let error = plugin.create("test", &args("never"), Told::default()).unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (Status::Reject, "never"));
}

#[test]
fn an_unknown_task_or_partitioner_lists_the_known_ones() {
    let plugin = opened(&[]).unwrap();
    let error = plugin.prepare("tset", &[]).unwrap_err().to_string();
    assert!(error.ends_with("libtest.so has no task `tset`; it has: test"), "{error}");
    let error = plugin.partitioner(Some("third")).unwrap_err().to_string();
    assert!(error.ends_with("libtest.so has no partitioner `third`; it has: second"), "{error}");
}

#[test]
fn a_partitioner_gives_keys() {
    let plugin = opened(&[]).unwrap();
    let mut partitioner = plugin.partitioner(None).unwrap();
    let mut key = b"left over".to_vec();
    partitioner.key(b"a,\"b,c\",d", &mut key).unwrap();
    assert_eq!(key, b"b,c");
    let error = partitioner.key(b"a", &mut key).unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (Status::Reject, "no second field"));
    assert!(key.is_empty());
    let mut partitioner = plugin.partitioner(Some("second")).unwrap();
    partitioner.key(b"a,b,c", &mut key).unwrap();
    assert_eq!(key, b"b");
}

#[test]
fn another_number_or_a_hole_in_the_table_is_refused() {
    let error = opened(&["-DABI=2"]).unwrap_err().to_string();
    assert!(error.ends_with("cannot load: its table has number 2, not 1"), "{error}");
    let error = opened(&["-DFLUSH=0", "-Wno-unused-function"]).unwrap_err().to_string();
    assert!(error.ends_with("cannot load: its table lacks the function `flush`"), "{error}");
}

#[test]
fn a_bad_manifest_is_refused() {
    let error = opened(&["-DMANIFEST=\"{}\""]).unwrap_err().to_string();
    assert!(error.contains("has a bad manifest: missing field `package`"), "{error}");
}

#[test]
fn a_library_that_is_not_a_plugin_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("other.c");
    std::fs::write(&source, "int answer(void) { return 42; }\n").unwrap();
    let error = LoadedPlugin::open(&build(directory.path(), &source, &[])).unwrap_err();
    assert!(matches!(error, LoadError::NotAPlugin { .. }), "{error}");
}

#[test]
fn a_library_with_a_missing_symbol_says_which() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("other.c");
    std::fs::write(
        &source,
        "const int simplegrid_plugin_v1[20];\nint missing(void);\nint answer(void) { return missing(); }\n",
    )
    .unwrap();
    let error = LoadedPlugin::open(&build(directory.path(), &source, &[])).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, LoadError::Linker { .. }) && text.contains("undefined symbol: missing"),
        "{text}"
    );
}

#[test]
fn two_libraries_are_two_plugins() {
    let (first, second) = (opened(&[]).unwrap(), opened(&[r#"-DMANIFEST="{\"package\":\"other\",\"version\":\"1\",\"api\":\"c\",\"partitioners\":[\"second\"]}""#]).unwrap());
    assert_eq!(first.manifest().package, "test");
    assert_eq!(second.manifest().package, "other");
    let error = second.task("test").unwrap_err().to_string();
    assert!(error.ends_with("has no tasks"), "{error}");
}
