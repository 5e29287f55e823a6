//! The smallest plugin.
