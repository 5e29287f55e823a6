//! The programs that the documentation shows are complete: copied into a crate of their own, outside this
//! workspace, they build, and their tests pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use simplegrid_tests::Grid;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in the workspace").to_owned()
}

/// The blocks of code in a page that are in one language, without the indentation of the list that they are
/// in.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(workspace().join("docs").join(page)).expect("the page is there");
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start() == format!("```{language}") {
            let block = lines.by_ref().take_while(|line| line.trim_start() != "```");
            let block: Vec<_> = block.map(|line| line.get(indent..).unwrap_or_default()).collect();
            blocks.push(block.join("\n") + "\n");
        }
    }
    blocks
}

fn only_block_with(blocks: &[String], words: &str) -> String {
    let mut with = blocks.iter().filter(|block| block.contains(words));
    let found = with.next().unwrap_or_else(|| panic!("no block has `{words}`"));
    assert!(with.next().is_none(), "several blocks have `{words}`");
    found.clone()
}

/// Runs cargo in a crate that has the guide's `Cargo.toml` and this `src/lib.rs`.
#[track_caller]
fn expect_cargo(command: &str, library: &str) {
    let crate_of_its_own = Grid::new();
    let manifest = only_block_with(&blocks("plugin-guide.md", "toml"), "[package]");
    let here = workspace().join("plugin-api").display().to_string();
    let ours = manifest.replace("../simplegrid/plugin-api", &here);
    assert_ne!(manifest, ours, "the guide says where the crate is");
    let manifest = crate_of_its_own.write("Cargo.toml", ours);
    fs::create_dir(crate_of_its_own.path("src")).expect("the directory is new");
    crate_of_its_own.write("src/lib.rs", library);
    // The same versions as here, which are on this machine.
    fs::copy(workspace().join("Cargo.lock"), crate_of_its_own.path("Cargo.lock")).expect("there is one");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([command, "--offline", "--manifest-path"]).arg(manifest).env("CARGO_TARGET_DIR", target);
    let output = cargo.env("RUSTFLAGS", "-D warnings").output().expect("cargo is there");
    assert!(output.status.success(), "{library}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_guides_plugin_and_its_test_work_as_they_stand_there() {
    let rust = blocks("plugin-guide.md", "rust");
    let plugin = only_block_with(&rust, "impl Task for EmailDomain");
    let test = only_block_with(&rust, "fn the_domain_follows_the_at_sign");
    expect_cargo("test", &format!("{plugin}\n{test}"));
}

#[test]
fn the_bridge_to_a_perl_program_builds() {
    let bridge = only_block_with(&blocks("migrating-from-net-simplegrid.md", "rust"), "impl Task for Bridge");
    expect_cargo("check", &bridge);
}
