//! Everything that can only be seen from outside: real processes, real signals, real files.

mod adversary;
mod corpus;
mod grid;
mod hygiene;
mod journal;
mod losses;
mod mail;
mod mended;
mod million;
mod namespaces;
mod pages;
mod partition;
mod peers;
mod poison;
mod registry;
mod run;
mod signals;
mod tidy;
mod torture;
mod usage;
