//! Looks at a file before the dynamic linker does. The linker's message for a text file is hard to read, and
//! it maps a truncated library without complaint, so that the process dies of it later.
//!
//! Nothing of the file is run, and any bytes get an answer. How many bytes a whole library needs is counted
//! here; where the headers' fields are is known to the crate `elf`.

use std::path::Path;

use elf::abi;
use elf::dynamic::DynamicTable;
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader};
use elf::hash::{GnuHashTable, SysVHashTable};
use elf::parse::ParseAt;
use elf::segment::{ProgramHeader, SegmentTable};
use elf::string_table::StringTable;
use elf::symbol::{Symbol, SymbolTable};
use simplegrid_plugin_api::abi::C_SYMBOL;

use super::load_error::LoadError;

/// Bytes of the ELF header of a 64-bit machine.
const HEADER_BYTES: usize = size_of::<elf::file::Elf64_Ehdr>();

/// Bytes at the beginning of a file that tell a text from other files.
const TEXT_BYTES: usize = 512;

/// Bytes at the beginning of a file that tell whether it can be a library at all.
pub(super) const HEAD_BYTES: u64 = TEXT_BYTES as u64;

/// What the linker replaces by the directory of the library in which it stands.
const ORIGINS: [&[u8]; 2] = [b"$ORIGIN", b"${ORIGIN}"];

/// The entries of a library that name others, or where they are.
const NAMING: [i64; 5] = [abi::DT_NEEDED, abi::DT_RPATH, abi::DT_RUNPATH, DT_AUXILIARY, DT_FILTER];

/// Two of them have no name in the crate (`elf.h` of the C library).
const DT_AUXILIARY: i64 = 0x7fff_fffd;
const DT_FILTER: i64 = 0x7fff_ffff;

/// What abi_stable calls the root module of a Rust plugin.
pub(super) const RUST_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

#[cfg(target_arch = "x86_64")]
const OUR_MACHINE: u16 = abi::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const OUR_MACHINE: u16 = abi::EM_AARCH64;

/// Checks, by the beginning of a file, that it can be a shared library for this machine.
pub(super) fn check_head(path: &Path, head: &[u8]) -> Result<(), LoadError> {
    library_header(path, head).map(drop)
}

/// Checks that the bytes of a file are a complete shared library for this machine.
pub(super) fn check(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let header = library_header(path, bytes)?;
    check_length(path, bytes, needed(&header, bytes))
}

/// Whether a library finds others relative to the directory that it is in, so that the linker must be told
/// its name.
pub(super) fn needs_its_directory(bytes: &[u8]) -> bool {
    names_of_others(bytes).is_some_and(|names| {
        names.into_iter().any(|name| ORIGINS.iter().any(|origin| contains(name, origin)))
    })
}

/// Checks that a library has one of the two doors of a plugin, before anything of it is run: the linker would
/// run the initialisers of any library, whatever it is.
pub(super) fn check_door(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let has_door = Dynamic::of(bytes)
        .is_some_and(|dynamic| [C_SYMBOL, RUST_SYMBOL].iter().any(|name| dynamic.exports(name.as_bytes())));
    if has_door { Ok(()) } else { Err(LoadError::NotAPlugin { path: path.to_owned() }) }
}

/// The names of other libraries, and of the directories to look for them; nothing if the file has no table of
/// them.
fn names_of_others(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let dynamic = Dynamic::of(bytes)?;
    let texts = dynamic.table(abi::DT_STRTAB)?;
    let naming = dynamic.entries.iter().filter(|entry| NAMING.contains(&entry.d_tag));
    let text = |at: u64| texts.get(usize::try_from(at).ok()?..)?.split(|byte| *byte == 0).next();
    Some(naming.filter_map(|entry| text(entry.d_val())).collect())
}

/// What the dynamic linker is told of a library.
struct Dynamic<'a> {
    bytes: &'a [u8],
    header: FileHeader<LittleEndian>,
    entries: DynamicTable<'a, LittleEndian>,
}

impl<'a> Dynamic<'a> {
    /// `None` if the file has nothing for the linker.
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let header = header(Path::new(""), bytes).ok()?;
        let segment = segments(&header, bytes).find(|segment| segment.p_type == abi::PT_DYNAMIC)?;
        let entries = range(bytes, segment.p_offset, segment.p_filesz)?;
        Some(Self { bytes, header, entries: DynamicTable::new(LittleEndian, Class::ELF64, entries) })
    }

    /// A table that is named by where it will be in memory, with what comes behind it.
    fn table(&self, tag: i64) -> Option<&'a [u8]> {
        let at = self.entries.iter().find(|entry| entry.d_tag == tag)?.d_ptr();
        let mut loaded = segments(&self.header, self.bytes).filter(|one| one.p_type == abi::PT_LOAD);
        loaded.find_map(|segment| {
            let within = at.checked_sub(segment.p_vaddr).filter(|within| *within < segment.p_filesz)?;
            range(self.bytes, segment.p_offset.checked_add(within)?, segment.p_filesz - within)
        })
    }

    /// Whether the linker would find a symbol of that name in it.
    fn exports(&self, name: &[u8]) -> bool {
        self.symbol(name).is_some_and(|symbol| !symbol.is_undefined())
    }

    /// Looks a symbol up as the linker does, in either kind of table.
    fn symbol(&self, name: &[u8]) -> Option<Symbol> {
        let symbols = SymbolTable::new(LittleEndian, Class::ELF64, self.table(abi::DT_SYMTAB)?);
        let texts = StringTable::new(self.table(abi::DT_STRTAB)?);
        let found = if let Some(table) = self.table(abi::DT_GNU_HASH) {
            GnuHashTable::new(LittleEndian, Class::ELF64, table).ok()?.find(name, &symbols, &texts)
        } else {
            let table = self.table(abi::DT_HASH)?;
            SysVHashTable::new(LittleEndian, Class::ELF64, table).ok()?.find(name, &symbols, &texts)
        };
        found.ok()?.map(|(_, symbol)| symbol)
    }
}

fn range(bytes: &[u8], start: u64, length: u64) -> Option<&[u8]> {
    let (start, length) = (usize::try_from(start).ok()?, usize::try_from(length).ok()?);
    bytes.get(start..start.checked_add(length)?)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The header of a shared library for this machine.
fn library_header(path: &Path, bytes: &[u8]) -> Result<FileHeader<LittleEndian>, LoadError> {
    let header = header(path, bytes)?;
    if header.e_machine != OUR_MACHINE {
        return Err(other_machine(path, machine_name(header.e_machine)));
    }
    if header.e_type != abi::ET_DYN {
        return Err(not_a_library(path, "an ELF file of another type"));
    }
    Ok(header)
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
    let loaded = segments(header, bytes)
        .filter(|segment| segment.p_type == abi::PT_LOAD)
        .map(|segment| segment.p_offset.saturating_add(segment.p_filesz));
    loaded.chain(tables).max().unwrap_or(0)
}

/// What the headers say of the parts of the file.
fn segments(header: &FileHeader<LittleEndian>, bytes: &[u8]) -> impl Iterator<Item = ProgramHeader> {
    let first = usize::try_from(header.e_phoff).unwrap_or(usize::MAX);
    let programs = bytes.get(first..).unwrap_or_default();
    SegmentTable::new(LittleEndian, Class::ELF64, programs).iter().take(usize::from(header.e_phnum))
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

/// A real library of this machine: the test program's own C library.
#[cfg(test)]
pub(super) fn test_library() -> Vec<u8> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps.split_whitespace().find(|word| word.contains("libc.so")).unwrap();
    std::fs::read(path).unwrap()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{test_library as library, *};

    fn checked(bytes: &[u8]) -> Result<(), LoadError> {
        let path = Path::new("libx.so");
        check_head(path, &bytes[..bytes.len().min(TEXT_BYTES)])?;
        check(path, bytes)
    }

    #[test]
    fn a_library_that_finds_others_beside_itself_is_recognised() {
        let mut library = library();
        assert!(!needs_its_directory(&library));
        let names: Vec<_> = names_of_others(&library).unwrap().iter().map(|name| name.to_vec()).collect();
        assert!(!names.is_empty(), "the C library needs the linker");
        // The same length, so that nothing moves.
        let name = names.iter().find(|name| name.len() >= 8).unwrap();
        let at = library.windows(name.len()).position(|window| window == name).unwrap();
        library[at..at + 8].copy_from_slice(b"$ORIGIN/");
        assert!(needs_its_directory(&library));
    }

    #[test]
    fn a_library_without_a_door_is_no_plugin() {
        let library = library();
        let dynamic = Dynamic::of(&library).unwrap();
        assert!(dynamic.exports(b"malloc") && !dynamic.exports(b"mallo"));
        assert!(matches!(check_door(Path::new("libc.so"), &library), Err(LoadError::NotAPlugin { .. })));
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
            let _ = check("x.so".as_ref(), &bytes);
            needs_its_directory(&bytes);
            assert!(check_door("x.so".as_ref(), &bytes).is_err());
        }
    }
}
