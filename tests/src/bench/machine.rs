//! Which machine it is: figures without it say nothing.

use std::{fmt, fs, thread};

use serde::Serialize;

/// The facts of a machine that matter.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// What the processor calls itself.
    pub processor: String,
    /// How many processors this process can use.
    pub processors: usize,
    /// Memory in GiB.
    pub memory_gib: f64,
    /// The kernel's version.
    pub kernel: String,
    /// Processes that wanted to run, on average, in the last minute.
    pub load: f64,
    /// Whether the program was built with optimizations.
    pub optimized: bool,
}

/// Those of this machine.
pub(super) fn facts() -> Facts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let kib = field(&read("/proc/meminfo"), "MemTotal").split(' ').next().and_then(|text| text.parse().ok());
    Facts {
        processor: field(&read("/proc/cpuinfo"), "model name"),
        processors: thread::available_parallelism().map_or(1, usize::from),
        memory_gib: kib.unwrap_or(0.0) / f64::from(1 << 20),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        load: read("/proc/loadavg").split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0),
        optimized: !cfg!(debug_assertions),
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, processors, memory_gib, kernel, load, optimized } = self;
        write!(f, "{processors} × {processor}, {memory_gib:.0} GiB, Linux {kernel}, load {load}")?;
        if *optimized { Ok(()) } else { write!(f, "; NOT OPTIMIZED: run it with --release") }
    }
}
