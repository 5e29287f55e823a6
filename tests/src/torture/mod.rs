//! Torture: whole runs of seeded size and shape, in which everything that can break does break, and a checker
//! that believes only what it sees from outside: the output, the failed records, the summary, and the file in
//! which every execution is noted.
//!
//! In the order of a round: `plan` throws the dice, `records` says what each record asks for and what must
//! become of it, `fleet` has the slaves, `master` the master, `deed` says what can be broken and `nemesis`
//! breaks it, `round` brings everything together, `patience` sees to it that the run ends or says why it
//! cannot, `checker` judges, `report` adds up.

mod checker;
mod deed;
mod evidence;
mod feeder;
mod fleet;
mod master;
mod nemesis;
mod patience;
mod plan;
mod reader;
mod records;
mod registry;
mod report;
mod rival;
mod round;
mod stranger;

pub use plan::{Faults, Mode, Wishes};
pub use report::{Report, RoundReport};
pub use round::{Failure, round};
