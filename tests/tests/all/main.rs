//! Everything that can only be seen from outside: real processes, real signals, real files.

mod adversary;
mod corpus;
mod database_connections;
mod database_servers;
mod grid;
mod hygiene;
mod journal;
mod line_protocol;
mod losses;
mod mended;
mod million;
mod namespaces;
mod original;
mod partition;
mod peers;
mod perl_clients;
mod poison;
mod registry;
mod registry_contract;
mod registry_schema;
mod registry_servers;
mod run;
mod signals;
mod tidy;
mod torture;
mod usage;
