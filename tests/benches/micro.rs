//! `cargo bench -p simplegrid-tests`: the time of each kernel.

use criterion::Criterion;
use simplegrid_tests::bench::kernels;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for kernel in &kernels::ALL {
        criterion.bench_function(&format!("{}: {}", kernel.name, kernel.one_call), |bencher| {
            let mut work = (kernel.prepare)();
            bencher.iter(&mut work);
        });
    }
    criterion.final_summary();
}
