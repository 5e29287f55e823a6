//! Rows that go into tables and files instead of back to the master: what each kind of sink costs.

use super::findings::Findings;
use super::sample::{Finding, median};
use super::throughput::seconds_of;
use super::{Wishes, records};
use crate::database_server::{DatabaseServer, Engine};
use crate::grid::Grid;
use crate::slave::Slave;

/// Measures typed rows without a sink, and with each kind that is available.
///
/// # Errors
/// If a run fails.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let files = Grid::new();
    let input = files.path("lines");
    let count = if wishes.quick { 100_000 } else { 1_000_000 };
    records::write_lines(&input, count)?;
    let servers: Vec<_> = Engine::available().filter_map(DatabaseServer::start).collect();
    let databases: Vec<_> = servers.iter().map(DatabaseServer::database).collect();
    let mut sinks = vec![("no sink".to_owned(), None)];
    sinks.push(("`csv:`".to_owned(), Some(format!("csv:{}", files.path("rows").display()))));
    sinks.push(("`sqlite:`".to_owned(), Some(format!("sqlite:{}?table=t", files.path("rows.db").display()))));
    for (server, database) in servers.iter().zip(&databases) {
        let name = format!("`{}:`", server.engine().scheme());
        sinks.push((name, Some(format!("{}?table=t", database.url()))));
    }
    let stations: Vec<_> = sinks.iter().map(|(_, sink)| station(sink.as_deref())).collect();
    let mut rates = vec![Vec::new(); sinks.len()];
    for _ in 0..wishes.rounds.min(5) {
        for ((grid, _), rates) in stations.iter().zip(&mut rates) {
            let call = grid.master().arg(&input);
            rates.push(count as f64 / seconds_of(grid, call, count as u64)? / 1e3);
        }
    }
    let without = median(&rates[0]);
    for ((name, sink), samples) in sinks.iter().zip(rates) {
        let finding = Finding::new("sinks", format!("typed rows, {name}"), "k records/s", samples);
        findings.add(if sink.is_some() { finding.against(without) } else { finding });
    }
    Ok(())
}

fn station(sink: Option<&str>) -> (Grid, Slave) {
    let grid = Grid::new();
    let call = grid.slave_call("bench:typed");
    let slave = Slave::start(match sink {
        Some(sink) => call.arg("--sink").arg(sink),
        None => call,
    });
    (grid, slave)
}
