//! What a run says that it waits for.

use super::test_run::{TestRun, rules, slot};
use crate::scoreboard::Status;
use crate::wire::LossKind;

fn waits_for(run: &TestRun) -> Option<String> {
    run.state.has_work().then(|| run.state.waits_for().to_string())
}

#[track_caller]
fn expect(run: &TestRun, text: &str) {
    assert_eq!(waits_for(run).as_deref(), Some(text));
}

#[test]
fn a_run_waits_for_what_is_oldest() {
    let mut run = TestRun::new(rules(), &[]);
    expect(&run, "the run has no node");
    run.join(0, 2);
    assert_eq!(waits_for(&run), None, "it waits for input, and that is how it should be");
    run.read(["1", "2"]);
    expect(&run, "record 1 is at slot 0 of n0:1; another slot is busy, too");
    let batch = run.sent_to(slot(0, 0));
    run.echo(&batch);
    expect(&run, "record 2 is at slot 1 of n0:1");
    let batch = run.sent_to(slot(0, 1));
    run.say(&batch, batch.batch, &[(0, Status::Held, String::new())], true);
    expect(&run, "the task of slot 1 of n0:1 holds record 2 and does not finish it");
    run.kill(slot(0, 0), LossKind::Crash, None);
    run.kill(slot(0, 1), LossKind::Crash, None);
    expect(&run, "no worker is ready");
    run.up(slot(0, 0));
    let again = run.last_sent();
    run.say(&again, again.batch, &[(0, Status::Retry, String::new())], true);
    expect(&run, "records that failed wait for their next attempt");
    run.pass(std::time::Duration::from_secs(1));
    let again = run.last_sent();
    run.echo(&again);
    run.end_input();
    expect(&run, "the task of slot 0 of n0:1 is in its last flush");
}
