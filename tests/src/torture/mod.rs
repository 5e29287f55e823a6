//! Torture: whole runs of seeded size and shape, in which everything that may break does break, and a checker
//! that believes nothing but what it sees from outside: the output, the failed records, the summary, and the
//! file in which every execution was noted.
//!
//! In the order of a round: `plan` throws the dice, `records` says what each record asks for and what must
//! become of it, `fleet` has the slaves, `master` the master, `nemesis` breaks things, `round` brings all
//! together, `checker` judges, `report` adds up.

mod checker;
mod feeder;
mod fleet;
mod master;
mod nemesis;
mod plan;
mod records;
mod registry;
mod report;
mod rival;
mod round;

pub use plan::{Mode, Wishes};
pub use report::{Report, RoundReport};
pub use round::{Failure, round};
