//! A run with an honest slave and one that says anything: no panic, correct accounts, no more in flight than
//! credit allows, and an end once the bad slave is gone.

mod bad_slave;
mod grid;

use grid::Grid;

use crate::script::Script;

/// Steps after which a run that only the honest slave serves must be over.
const STEPS_MAX: usize = 20_000;

/// Runs the script.
pub fn report(data: &[u8]) {
    let mut script = Script::new(data);
    let mut grid = Grid::new(script.byte());
    while !script.is_over() {
        match script.below(8) {
            0 => grid.read(1 + script.below(20)),
            1 => grid.answer_honestly(),
            2 => grid.pass(u64::from(script.byte()) * 10),
            3 if script.flag() => grid.replace_bad_slave(),
            _ => grid.hear_bad_slave(&mut script),
        }
    }
    grid.end_input();
    grid.lose_bad_slave();
    for _ in 0..STEPS_MAX {
        if grid.is_finished() {
            return grid.check_end();
        }
        grid.answer_honestly();
        grid.pass(1000);
    }
    panic!("the run does not end");
}
