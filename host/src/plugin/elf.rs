//! Looks at a file before the dynamic linker does. The linker's message for a text file is hard to read, and
//! it maps a truncated library without complaint, so that the process dies of it later.
//!
//! Nothing of the file is run, and any bytes get an answer. How many bytes a whole library needs is counted
//! here; where the headers' fields are is known to the crate `elf`.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use elf::abi;
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader};
use elf::parse::ParseAt;
use elf::segment::{ProgramHeader, SegmentTable};

use super::load_error::LoadError;

/// Bytes of the ELF header of a 64-bit machine.
const HEADER_BYTES: usize = size_of::<elf::file::Elf64_Ehdr>();

/// Bytes at the beginning of a file that tell a text from other files.
const TEXT_BYTES: usize = 512;

#[cfg(target_arch = "x86_64")]
const OUR_MACHINE: u16 = abi::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const OUR_MACHINE: u16 = abi::EM_AARCH64;

/// Checks that the file is a complete shared library for this machine.
pub(super) fn check(path: &Path) -> Result<(), LoadError> {
    check_bytes(path, &read(path)?)
}

fn check_bytes(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let header = header(path, bytes)?;
    if header.e_machine != OUR_MACHINE {
        return Err(other_machine(path, machine_name(header.e_machine)));
    }
    if header.e_type != abi::ET_DYN {
        return Err(not_a_library(path, "an ELF file of another type"));
    }
    check_length(path, bytes, needed(&header, bytes))
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |cause: std::io::Error| match cause.kind() {
        ErrorKind::NotFound => LoadError::Missing { path: path.to_owned() },
        ErrorKind::IsADirectory => LoadError::Directory { path: path.to_owned() },
        _ => LoadError::Unreadable { path: path.to_owned(), cause },
    };
    let mut file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(LoadError::Directory { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// The ELF header, if it has the word size and the byte order of this machine.
fn header(path: &Path, bytes: &[u8]) -> Result<FileHeader<LittleEndian>, LoadError> {
    if bytes.is_empty() {
        return Err(not_a_library(path, "empty"));
    }
    if !bytes.starts_with(&abi::ELFMAGIC) {
        let is_text =
            std::str::from_utf8(&bytes[..bytes.len().min(TEXT_BYTES)]).is_ok_and(|text| !text.contains('\0'));
        return Err(not_a_library(path, if is_text { "a text file" } else { "not an ELF file" }));
    }
    check_length(path, bytes, HEADER_BYTES as u64)?;
    if (bytes[abi::EI_CLASS], bytes[abi::EI_DATA]) != (abi::ELFCLASS64, abi::ELFDATA2LSB) {
        return Err(other_machine(path, "a 32-bit or big-endian machine".to_owned()));
    }
    let ident = (LittleEndian, Class::ELF64, bytes[abi::EI_OSABI], bytes[abi::EI_ABIVERSION]);
    FileHeader::parse_tail(ident, &bytes[abi::EI_NIDENT..])
        .map_err(|_| not_a_library(path, "an ELF file with a damaged header"))
}

/// The length that the headers speak of: what is mapped, and the table of sections, which linkers put last.
fn needed(header: &FileHeader<LittleEndian>, bytes: &[u8]) -> u64 {
    let end_of = |start: u64, bytes: usize, count: u16| start.saturating_add(bytes as u64 * u64::from(count));
    let tables = [
        end_of(header.e_phoff, ProgramHeader::size_for(Class::ELF64), header.e_phnum),
        end_of(header.e_shoff, usize::from(header.e_shentsize), header.e_shnum),
    ];
    let first = usize::try_from(header.e_phoff).unwrap_or(usize::MAX);
    let programs = bytes.get(first..).unwrap_or_default();
    let segments = SegmentTable::new(LittleEndian, Class::ELF64, programs)
        .iter()
        .take(usize::from(header.e_phnum))
        .filter(|segment| segment.p_type == abi::PT_LOAD)
        .map(|segment| segment.p_offset.saturating_add(segment.p_filesz));
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

fn other_machine(path: &Path, theirs: String) -> LoadError {
    LoadError::OtherMachine { path: path.to_owned(), theirs, ours: std::env::consts::ARCH }
}

fn machine_name(machine: u16) -> String {
    match machine {
        abi::EM_386 => "x86 (32 bits)".into(),
        abi::EM_ARM => "arm (32 bits)".into(),
        abi::EM_X86_64 => "x86_64".into(),
        abi::EM_AARCH64 => "aarch64".into(),
        abi::EM_RISCV => "riscv".into(),
        other => format!("ELF machine {other}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn what_is_not_a_library_is_named() {
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

    proptest! {
        #[test]
        fn any_bytes_behind_the_beginning_of_a_header_are_survived(
            rest in prop::collection::vec(any::<u8>(), 0..300),
            machine in prop::sample::select(&[OUR_MACHINE, abi::EM_RISCV][..]),
        ) {
            let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
            bytes.extend(rest);
            if let Some(place) = bytes.get_mut(16..20) {
                place[..2].copy_from_slice(&abi::ET_DYN.to_le_bytes());
                place[2..].copy_from_slice(&machine.to_le_bytes());
            }
            let _ = check_bytes("x.so".as_ref(), &bytes);
        }
    }
}
