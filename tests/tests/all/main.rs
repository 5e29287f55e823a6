//! Everything that can only be seen from outside: real processes, real signals, real files.

mod adversary;
mod corpus;
mod grid;
mod hygiene;
mod journal;
mod line_protocol;
mod losses;
mod mended;
mod million;
mod namespaces;
mod partition;
mod peers;
mod poison;
mod registry;
mod run;
mod signals;
mod tidy;
mod torture;
mod usage;
