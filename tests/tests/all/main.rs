//! Everything that can only be seen from outside: real processes, real signals, real files.

mod grid;
mod hygiene;
mod losses;
mod mended;
mod partition;
mod peers;
mod poison;
mod registry;
mod run;
mod signals;
mod tidy;
mod usage;
