//! The cells of an output row, which a plugin lends to the host for the duration of one call.
#![expect(unsafe_code, reason = "bytes that a plugin points to")]

use simplegrid_plugin_api::abi::Bytes;

/// The cells of one row.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a>(&'a [Bytes]);

impl<'a> Cells<'a> {
    /// Cells that live as long as `'a`.
    ///
    /// # Safety
    /// Each of them must be NULL or point to as many bytes as it says, which stay unchanged for as long as
    /// `'a`.
    pub(super) unsafe fn new(cells: &'a [Bytes]) -> Self {
        Self(cells)
    }

    /// Their bytes; `None` for NULL.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> {
        // SAFETY: the caller of `new` has promised that the bytes live that long, unchanged.
        self.0.iter().map(|cell| unsafe { cell.get() })
    }
}
