//! Looks at a file before the dynamic linker does, whose words for "this is a text file" are hard to read,
//! and which maps a truncated library and lets the process die of it later.
//!
//! Numbers and offsets are those of the System V ABI, "ELF-64 Object File Format".

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::LoadError;

/// Bytes of the ELF header.
const HEADER_BYTES: usize = 64;
/// A shared object.
const ET_DYN: u16 = 3;
/// Bytes of one program header, and of one section header.
const PROGRAM_HEADER_BYTES: usize = 56;
/// A segment that is mapped.
const PT_LOAD: u32 = 1;

#[cfg(target_arch = "x86_64")]
const OUR_MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const OUR_MACHINE: u16 = 183;

/// Checks that the file is a complete shared library for this machine.
pub(super) fn check(path: &Path) -> Result<(), LoadError> {
    let bytes = read(path)?;
    let header = header(path, &bytes)?;
    let machine = header.u16(18);
    if machine != OUR_MACHINE {
        return Err(LoadError::OtherMachine {
            path: path.to_owned(),
            theirs: machine_name(machine),
            ours: std::env::consts::ARCH,
        });
    }
    if header.u16(16) != ET_DYN {
        return Err(not_a_library(path, "an ELF file of another type"));
    }
    check_length(path, &bytes, needed(header, &bytes))
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => LoadError::Missing { path: path.to_owned() },
        ErrorKind::IsADirectory => LoadError::Directory { path: path.to_owned() },
        _ => LoadError::Unreadable { path: path.to_owned(), source },
    };
    let mut file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(LoadError::Directory { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// The ELF header, if it is one of the class and byte order that we run on.
fn header<'a>(path: &Path, bytes: &'a [u8]) -> Result<Fields<'a>, LoadError> {
    if bytes.is_empty() {
        return Err(not_a_library(path, "empty"));
    }
    if !bytes.starts_with(b"\x7fELF") {
        let is_text =
            std::str::from_utf8(&bytes[..bytes.len().min(512)]).is_ok_and(|text| !text.contains('\0'));
        return Err(not_a_library(path, if is_text { "a text file" } else { "not an ELF file" }));
    }
    check_length(path, bytes, HEADER_BYTES as u64)?;
    // EI_CLASS 2: 64 bits. EI_DATA 1: little endian.
    if bytes[4] != 2 || bytes[5] != 1 {
        return Err(LoadError::OtherMachine {
            path: path.to_owned(),
            theirs: "a 32-bit or big-endian machine".into(),
            ours: std::env::consts::ARCH,
        });
    }
    Ok(Fields(bytes))
}

/// The length that the headers speak of: what is mapped, and the table of sections, which linkers put last.
fn needed(header: Fields<'_>, bytes: &[u8]) -> u64 {
    let (programs, program_count) = (header.u64(32), header.u16(56));
    let (sections, section_bytes, section_count) = (header.u64(40), header.u16(58), header.u16(60));
    let end_of = |start: u64, bytes: u64, count: u16| start.saturating_add(bytes * u64::from(count));
    let tables = [
        end_of(programs, PROGRAM_HEADER_BYTES as u64, program_count),
        end_of(sections, u64::from(section_bytes), section_count),
    ];
    let first = usize::try_from(programs).unwrap_or(usize::MAX);
    let programs = bytes.get(first..).unwrap_or_default().chunks_exact(PROGRAM_HEADER_BYTES);
    let segments = programs
        .take(usize::from(program_count))
        .map(Fields)
        .filter(|program| program.u32(0) == PT_LOAD)
        .map(|program| program.u64(8).saturating_add(program.u64(32)));
    segments.chain(tables).max().unwrap_or(0)
}

fn check_length(path: &Path, bytes: &[u8], needed: u64) -> Result<(), LoadError> {
    let bytes = bytes.len() as u64;
    if bytes < needed {
        return Err(LoadError::Truncated { path: path.to_owned(), bytes, needed });
    }
    Ok(())
}

fn not_a_library(path: &Path, what: &'static str) -> LoadError {
    LoadError::NotALibrary { path: path.to_owned(), what }
}

fn machine_name(machine: u16) -> String {
    match machine {
        3 => "x86 (32 bits)".into(),
        40 => "arm (32 bits)".into(),
        62 => "x86_64".into(),
        183 => "aarch64".into(),
        243 => "riscv".into(),
        other => format!("ELF machine {other}"),
    }
}

/// Little-endian numbers at known places. Whoever makes one checks that they are there.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.0[at..at + N].try_into().expect("a range of N bytes has N bytes")
    }

    fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A real library of this machine: the test program's own C library.
    fn library() -> Vec<u8> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.split_whitespace().find(|word| word.contains("libc.so")).unwrap();
        std::fs::read(path).unwrap()
    }

    fn checked(bytes: &[u8]) -> Result<(), LoadError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libx.so");
        std::fs::write(&path, bytes).unwrap();
        check(&path)
    }

    #[test]
    fn a_whole_library_is_accepted() {
        checked(&library()).unwrap();
    }

    #[test]
    fn what_is_no_library_is_named() {
        let text = checked(b"#!/bin/sh\necho hello\n").unwrap_err().to_string();
        assert!(text.ends_with("is not a shared library: it is a text file"), "{text}");
        let empty = checked(b"").unwrap_err().to_string();
        assert!(empty.ends_with("it is empty"), "{empty}");
        let other = checked(b"PK\x03\x04\0\0").unwrap_err().to_string();
        assert!(other.ends_with("it is not an ELF file"), "{other}");
    }

    #[test]
    fn a_truncated_library_is_refused_wherever_it_ends() {
        let library = library();
        for length in [5, 63, 64, 200, library.len() / 2, library.len() - 1] {
            let error = checked(&library[..length]).unwrap_err();
            assert!(matches!(error, LoadError::Truncated { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn a_library_for_another_machine_is_refused() {
        let mut library = library();
        library[18..20].copy_from_slice(&243_u16.to_le_bytes());
        let error = checked(&library).unwrap_err().to_string();
        assert!(error.contains("is for riscv, but this machine is "), "{error}");
        library[4] = 1;
        assert!(matches!(checked(&library), Err(LoadError::OtherMachine { .. })));
    }

    #[test]
    fn any_header_is_survived() {
        let mut bytes = library();
        bytes.truncate(256);
        for at in 16..64 {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].fill(0xff);
            assert!(checked(&bytes).is_err());
        }
    }

    #[test]
    fn missing_and_directory_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(check(directory.path()), Err(LoadError::Directory { .. })));
        assert!(matches!(check(&directory.path().join("no")), Err(LoadError::Missing { .. })));
    }
}
