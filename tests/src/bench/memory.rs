//! Memory of master and slave against the size of the input: it should not grow.

use super::findings::Findings;
use super::sample::{Finding, Target};
use super::{Wishes, records};
use crate::grid::Grid;
use crate::process::Process;
use crate::wait;

const MIB: u64 = 1 << 20;

/// The most memory that a process is allowed, in MiB.
const MOST: f64 = 64.0;

/// Bytes of a record, about.
const RECORD_BYTES: u64 = 59;

/// Measures a small input and a large one.
///
/// # Errors
/// If a run fails.
pub(super) fn run(wishes: &Wishes, findings: &mut Findings) -> anyhow::Result<()> {
    let sizes: [u64; 2] = if wishes.quick { [10, 100] } else { [10, 1000] };
    for mib in sizes {
        let grid = Grid::new();
        let slave = grid.slave("echo");
        let input = grid.path("input");
        records::write_lines(&input, (mib * MIB / RECORD_BYTES) as usize)?;
        let mut master = grid.master().args("-k -o /dev/null").arg(&input).start();
        let mut peak = 0.0;
        while master.is_running() {
            // The kernel remembers the peak, so it is enough to look now and then.
            peak = peak_mib(&master).unwrap_or(peak);
            wait::until_the_next_strike(std::time::Duration::from_millis(2));
        }
        let ended = master.wait();
        anyhow::ensure!(ended.status == 0, "the run has failed: {}", ended.stderr);
        let of = |who: &str, peak: f64| {
            let finding = Finding::new("memory", format!("{who}, {mib} MiB of input"), "MiB", vec![peak]);
            finding.at(mib as f64).should_be(Target::AtMost(MOST))
        };
        findings.add(of("master", peak));
        findings.add(of("slave", peak_mib(&slave).unwrap_or(f64::NAN)));
    }
    Ok(())
}

/// The most memory that a process has had.
fn peak_mib(process: &Process) -> Option<f64> {
    let line = process.status("VmHWM")?;
    let kib: f64 = line.split_whitespace().find_map(|word| word.parse().ok())?;
    Some(kib / 1024.0)
}
