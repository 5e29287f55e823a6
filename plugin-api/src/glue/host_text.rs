//! Text that the host passes.

use crate::abi::Bytes;
use crate::{Error, Result};

/// Text that the host passes.
///
/// # Safety
/// It must live during `'a`.
pub(super) unsafe fn utf8<'a>(bytes: Bytes, what: &str) -> Result<&'a str> {
    // SAFETY: the caller promises it.
    let bytes = unsafe { bytes.get() }.unwrap_or_default();
    std::str::from_utf8(bytes).map_err(|cause| Error::fatal(format_args!("{what} is not UTF-8: {cause}")))
}
