//! Helpers that start whole grids.
