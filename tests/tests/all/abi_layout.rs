//! The table of functions is written down twice, in Rust and in the C header: both say the same.

use std::fmt::Write as _;
use std::fs;
use std::mem::{offset_of, size_of};
use std::path::Path;
use std::process::Command;

use simplegrid_plugin_api::abi::{
    self, BatchV1, Bytes, Host, Pair, PartitionV1, Plugin, RecordFieldsV1, VersionText,
};
use simplegrid_tests::{Grid, Need};

/// A struct of both sides: its name in C, its bytes, and where its members are.
struct Layout {
    name: &'static str,
    bytes: usize,
    members: Vec<(&'static str, usize)>,
}

/// The layout of a struct, with every member: one that is missing here does not compile.
macro_rules! layout {
    ($c:literal, $rust:ident { $($member:ident),* }) => {{
        let all = |it: &$rust| { let $rust { $($member: _),* } = it; };
        let _ = all;
        Layout {
            name: $c,
            bytes: size_of::<$rust>(),
            members: vec![$((stringify!($member), offset_of!($rust, $member))),*],
        }
    }};
}

fn layouts() -> Vec<Layout> {
    vec![
        layout!("sg_bytes", Bytes { ptr, len }),
        layout!("sg_pair", Pair { key, value }),
        layout!("sg_host", Host { ctx, emit, line, fields, done, log, stopping, extension }),
        layout!("sg_plugin", Plugin { abi, manifest, extension, prepare, create, handle, flush, destroy }),
        layout!("sg_partition_v1", PartitionV1 { find, key }),
        layout!("sg_batch_v1", BatchV1 { max, handle }),
        layout!("sg_record_fields_v1", RecordFieldsV1 { fields }),
    ]
}

fn header() -> String {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api/include/simplegrid.h");
    fs::read_to_string(header).expect("the header is there")
}

#[test]
fn the_structs_of_the_header_are_laid_out_as_those_of_rust() {
    let mut source = "#include <stddef.h>\n#include \"simplegrid.h\"\n".to_owned();
    for Layout { name, bytes, members } in layouts() {
        writeln!(source, "_Static_assert(sizeof({name}) == {bytes}, \"{name}\");").expect("it is memory");
        for (member, offset) in members {
            writeln!(source, "_Static_assert(offsetof({name}, {member}) == {offset}, \"{name}.{member}\");")
                .expect("it is memory");
        }
    }
    let constants = [
        ("SG_ABI", i64::from(abi::ABI)),
        ("SG_OK", abi::OK.into()),
        ("SG_HELD", abi::HELD.into()),
        ("SG_REJECT", abi::REJECT.into()),
        ("SG_RETRY", abi::RETRY.into()),
        ("SG_FATAL", abi::FATAL.into()),
        ("SG_PANIC", abi::PANIC.into()),
    ];
    for (name, value) in constants {
        writeln!(source, "_Static_assert({name} == {value}, \"{name}\");").expect("it is memory");
    }
    let grid = Grid::new();
    let source = grid.write("layout.c", source);
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api/include");
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(include)
        .arg(source)
        .output();
    let compiled = compiled.map_err(|error| format!("`cc` cannot be run: {error}"));
    let Some(compiled) = Need::CCompiler.check(compiled) else { return };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

#[test]
fn the_header_has_no_struct_that_is_not_compared() {
    let compared = layouts();
    let header = header();
    let ends = header.lines().filter_map(|line| line.strip_prefix("} ")?.strip_suffix(';'));
    let unknown: Vec<_> = ends.filter(|name| !compared.iter().any(|layout| layout.name == *name)).collect();
    assert!(unknown.is_empty(), "not compared: {unknown:?}");
    let missing: Vec<_> =
        compared.iter().filter(|layout| !header.contains(&format!("}} {};", layout.name))).collect();
    assert!(
        missing.is_empty(),
        "not in the header: {:?}",
        missing.iter().map(|it| it.name).collect::<Vec<_>>()
    );
}

#[test]
fn the_names_of_extensions_are_those_of_the_header() {
    let header = header();
    for name in [abi::PARTITION_V1, abi::BATCH_V1, abi::RECORD_FIELDS_V1] {
        let name = String::from_utf8_lossy(name);
        assert!(header.contains(&format!("\"{name}\"")), "{name}");
    }
    assert_eq!(size_of::<VersionText>(), 32, "hosts of any version read it");
}
