//! From a file to a plugin's table, through either door. Only this file and the table's own definition know
//! abi_stable.

use std::error::Error;
use std::ffi::c_void;
use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::abi_stability::check_layout_compatibility;
use abi_stable::library::{LibHeader, LibraryError, lib_header_from_path};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use simplegrid_plugin_api::abi::{ABI, C_SYMBOL, Plugin, PluginRef, VERSION, VERSION_SYMBOL, VersionText};

use crate::plugin::library_file::LibraryFile;
use crate::plugin::load_error::LoadError;

/// Differences between layouts that an error shows at most. There can be hundreds, and the first ones are
/// enough.
const DIFFERENCES_MAX: usize = 3;

/// A library that is linked into this process.
struct Linked<'a> {
    /// Its file.
    file: &'a LibraryFile,
    /// What the linker was told to load.
    place: &'a Path,
    symbols: &'static Library,
}

/// Loads the library and returns its table.
pub(super) fn open(file: &LibraryFile) -> Result<Plugin, LoadError> {
    let place = file.place()?;
    let linked = Linked { file, place: &place, symbols: link(file, &place)? };
    file.check_loaded()?;
    let plugin = match c_door(&linked)? {
        Some(plugin) => plugin,
        None => rust_door(&linked)?,
    };
    if plugin.abi != ABI {
        return Err(linked.other_abi(format!("its table has number {}, not {ABI}", plugin.abi)));
    }
    Ok(plugin)
}

/// Loads the library, for as long as the process lives.
fn link(file: &LibraryFile, place: &Path) -> Result<&'static Library, LoadError> {
    // SAFETY: loading runs the library's initialisers, which may do anything; a user who names a plugin
    // trusts it with this process. All its symbols are bound now, so that none can be missing later.
    let library = unsafe { Library::open(Some(place), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
        LoadError::Linker { path: file.path().to_owned(), cause: file.in_words(&causes(&error), place) }
    })?;
    file.stay_open();
    // Never unloaded: see the invariant of `plugin`.
    Ok(Box::leak(Box::new(library)))
}

/// The table of a C plugin: the bytes at the symbol, which can be anything.
#[repr(C)]
struct CTable {
    abi: u32,
    functions: [*const c_void; FUNCTIONS.len()],
}

/// The functions of [`Plugin`], in their order.
const FUNCTIONS: [&str; 7] = ["manifest", "extension", "prepare", "create", "handle", "flush", "destroy"];

const _: () = assert!(size_of::<CTable>() == size_of::<Plugin>());

fn c_door(linked: &Linked<'_>) -> Result<Option<Plugin>, LoadError> {
    // SAFETY: the symbol of this name is a static table; a pointer to it is read as just that.
    let Ok(symbol) = (unsafe { linked.symbols.get::<*const CTable>(C_SYMBOL) }) else { return Ok(None) };
    let table = *symbol;
    // SAFETY: the first member of any version's table is its number.
    let abi = unsafe { (*table).abi };
    if abi != ABI {
        return Err(linked.other_abi(format!("its table has number {abi}, not {ABI}")));
    }
    // SAFETY: a table of this number has these functions, as pointers that may still be null.
    let functions = unsafe { (*table).functions };
    if let Some((name, _)) = FUNCTIONS.iter().zip(functions).find(|(_, function)| function.is_null()) {
        return Err(linked.other_abi(format!("its table lacks the function `{name}`")));
    }
    // SAFETY: it is a table of this number and none of its functions is null, so it is a valid `Plugin`.
    Ok(Some(unsafe { *table.cast::<Plugin>() }))
}

fn rust_door(linked: &Linked<'_>) -> Result<Plugin, LoadError> {
    let header = lib_header_from_path(linked.place).map_err(|error| linked.refused(&error))?;
    let root = root_module(header).map_err(|error| linked.refused(&error))?;
    Ok(Plugin {
        abi: root.abi(),
        manifest: root.manifest(),
        extension: root.extension(),
        prepare: root.prepare(),
        create: root.create(),
        handle: root.handle(),
        flush: root.flush(),
        destroy: root.destroy(),
    })
}

/// The root module, if its layout is ours, or a shorter or longer version of ours.
///
/// `RootModule::load_from_file` is not used, because it returns the first library that a process has loaded
/// for every later path.
fn root_module(header: &LibHeader) -> Result<PluginRef, LibraryError> {
    let refusal = match header.init_root_module::<PluginRef>() {
        Err(error @ LibraryError::AbiInstability(_)) => error,
        other => return other,
    };
    // abi_stable lets a library have more fields than we know, but not fewer. Our table has all fields in its
    // guaranteed prefix, so a plugin with a shorter table is fine: check the other way round.
    let Some(theirs) = header.layout() else { return Err(refusal) };
    match check_layout_compatibility(theirs, PluginRef::LAYOUT).into_result() {
        // SAFETY: the layouts were just found compatible: ours has all that theirs has, at the same places,
        // and fields that theirs lacks are behind the prefix, where the accessors check for them.
        Ok(()) => unsafe { header.init_root_module_with_unchecked_layout::<PluginRef>() },
        Err(_) => Err(refusal),
    }
}

impl Linked<'_> {
    fn refused(&self, error: &LibraryError) -> LoadError {
        match error {
            LibraryError::GetSymbolError { .. } => {
                LoadError::NotAPlugin { path: self.file.path().to_owned() }
            }
            LibraryError::InvalidAbiHeader(_) => {
                self.other_abi("it was built with another abi_stable".into())
            }
            error => self.other_abi(self.file.in_words(&differences(&error.to_string()), self.place)),
        }
    }

    fn other_abi(&self, first_difference: String) -> LoadError {
        // SAFETY: the symbol of this name is plain data of this type in every version.
        let theirs = unsafe { self.symbols.get::<*const VersionText>(VERSION_SYMBOL) };
        let theirs = theirs.map_or_else(
            |_| "of unknown version".into(),
            // SAFETY: the same, and a symbol's address is never null.
            |text| unsafe { **text }.to_text(),
        );
        let path = self.file.path().to_owned();
        LoadError::OtherAbi { path, theirs, ours: VERSION, first_difference }
    }
}

/// The lines of a layout error that say something, each once; the whole error can have 700 lines.
fn differences(error: &str) -> String {
    let mut differences: Vec<&str> = Vec::new();
    for line in error.lines().filter_map(|line| line.trim().strip_prefix("Error:")) {
        if differences.len() < DIFFERENCES_MAX && !differences.contains(&line) {
            differences.push(line);
        }
    }
    if differences.is_empty() {
        return error.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    differences.join("; ")
}

/// An error with all its causes: libloading's own text only says "dlopen failed".
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use abi_stable::library::ROOT_MODULE_LOADER_NAME;

    use crate::plugin::elf::RUST_SYMBOL;

    #[test]
    fn the_door_that_is_looked_for_in_a_file_is_the_one_that_is_used() {
        assert_eq!(RUST_SYMBOL, ROOT_MODULE_LOADER_NAME);
    }
}
