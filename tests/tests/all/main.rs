//! Everything that can only be seen from outside: real processes, real signals, real files.

mod adversary;
mod corpus;
mod database_connections;
mod database_servers;
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
mod registry_contract;
mod registry_schema;
mod registry_servers;
mod run;
mod signals;
mod sinks;
mod tidy;
mod torture;
mod usage;
