//! Catches panics inside the plugin, because they cannot cross a C boundary, and remembers where they
//! happened.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// What a panic said, with the place: `no such thing at src/lib.rs:12:5`.
#[derive(Debug)]
pub(crate) struct PanicMessage(pub(crate) String);

/// The text for a panic whose value is not text (`panic_any`).
const NO_TEXT: &str = "a panic without text";

thread_local! {
    /// Whether this thread is inside [`guard`]. Only such panics are caught here.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    /// The message of the panic that is being caught.
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `body` and catches its panic. A caught panic prints nothing: its message goes to SimpleGrid, which
/// logs it with the record, the node and the worker.
#[inline]
pub(crate) fn guard<T>(body: impl FnOnce() -> T) -> Result<T, PanicMessage> {
    static HOOK: Once = Once::new();
    if !HOOK.is_completed() {
        HOOK.call_once(install_hook);
    }
    let outer = GUARDED.replace(true);
    // Whatever a panic leaves half done is dropped by the caller and never used again.
    let result = catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(outer);
    result.map_err(caught)
}

/// Sets the hook of this library's own copy of the standard library (or, in a test, of the whole process).
/// Panics of other threads go where they always went.
fn install_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| if GUARDED.get() { remember(info) } else { previous(info) }));
}

fn remember(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    // `panic!` with a plain text has a `&str`, with arguments a `String`.
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or(NO_TEXT);
    let place = info.location().map(|location| format!(" at {location}")).unwrap_or_default();
    MESSAGE.set(Some(format!("{text}{place}")));
}

#[cold]
fn caught(payload: Box<dyn Any + Send>) -> PanicMessage {
    // Dropping a payload can run the author's code and panic again; leaking it once is harmless.
    std::mem::forget(payload);
    // `resume_unwind` panics without calling the hook, hence without a message.
    PanicMessage(MESSAGE.take().unwrap_or_else(|| NO_TEXT.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_text_and_place() {
        let PanicMessage(message) = guard(|| panic!("no {}", "luck")).unwrap_err();
        assert!(message.starts_with("no luck at "), "{message}");
        assert!(message.contains("guard.rs:"), "{message}");
    }

    #[test]
    fn a_payload_that_is_no_text_is_caught_too() {
        let PanicMessage(message) = guard(|| std::panic::panic_any(7)).unwrap_err();
        assert!(message.starts_with("a panic without text at "), "{message}");
        let PanicMessage(message) = guard(|| std::panic::resume_unwind(Box::new(7))).unwrap_err();
        assert_eq!(message, "a panic without text");
    }

    #[test]
    fn a_guard_within_a_guard_leaves_the_outer_one_in_force() {
        let PanicMessage(message) = guard(|| {
            let _ = guard(|| panic!("inner"));
            panic!("outer")
        })
        .unwrap_err();
        assert!(message.starts_with("outer at "), "{message}");
    }
}
