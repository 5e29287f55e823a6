//! `--journal`: however a run ends, the same command goes on, and every row is there once.

use std::fs;

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, FailedRecord, Finished, Grid, Need, Process, numbered, sorted, wait};

/// Records that take a while each; some of them fail.
fn slow_records() -> String {
    let record = |number: usize| match number % 50 {
        7 => "reject\n".to_owned(),
        19 => "leak\n".to_owned(),
        _ => format!("sleep 1 {number}\n"),
    };
    (0..3000).map(record).collect()
}

/// Adds the files of a run in a grid's directory.
fn with_files<'g>(call: Call<'g>, flags: &str) -> Call<'g> {
    call.args(flags).args("-o rows --failed failed --journal journal input")
}

/// What a file of failed records says, except where the records were run.
fn failures(file: &[u8]) -> Vec<(u64, String, String)> {
    FailedRecord::all(file).into_iter().map(|failed| (failed.seq, failed.record, failed.reason)).collect()
}

/// Kills runs one after the other, and lets the last one end. Each is killed when it has written a
/// checkpoint, or at least its header, and then some rows that no checkpoint counts.
#[track_caller]
fn kill_ten_times(grid: &Grid, start: impl Fn() -> Process) -> Finished {
    for kill in 0..10 {
        let before = grid.read("journal").len();
        let mut run = start();
        // The first checkpoint of a run comes at once, the second a second later.
        let grown = match kill {
            3 => 0,
            6 => 40,
            _ => 1,
        };
        let mut wait_until_grown = |file: &str, bytes: usize| {
            wait::until(&format!("{file} grows"), || grid.read(file).len() >= bytes || !run.is_running());
        };
        wait_until_grown("journal", before + grown);
        wait_until_grown("rows", grid.read("rows").len() + kill * 30);
        run.signal(Signal::SIGKILL);
        let ended = run.wait();
        assert_eq!(ended.status, -9, "run {kill} ended before it was killed: {}", ended.stderr);
    }
    start().wait()
}

#[track_caller]
fn expect_as_without_kills(grid: &Grid, ended: Finished, in_order: bool) {
    let records = slow_records();
    let whole =
        grid.run("hostile").arg("-k").args("--failed whole-failed").input(&records).finish().expect(1);
    let ended = ended.expect(1).expect_counts(3000, 2880, 120);
    assert!(ended.count("resumed") > 0, "{}", ended.stderr);
    if in_order {
        assert!(grid.read("rows") == whole.stdout, "the rows are not those of a run that was never killed");
    } else {
        assert!(sorted(&grid.read("rows")) == sorted(&whole.stdout), "a row is missing, or there twice");
    }
    assert_eq!(failures(&grid.read("failed")), failures(&grid.read("whole-failed")));
}

#[test]
fn a_run_that_is_killed_ten_times_ends_as_one_that_never_was() {
    for (flags, in_order) in [("-k", true), ("", false)] {
        let grid = Grid::new();
        grid.write("input", slow_records());
        let ended = kill_ten_times(&grid, || with_files(grid.run("hostile"), flags).start());
        expect_as_without_kills(&grid, ended, in_order);
    }
}

#[test]
fn a_partitioned_run_that_is_killed_ten_times_ends_as_one_that_never_was() {
    let grid = Grid::new();
    grid.write("input", slow_records());
    let start = || with_files(grid.run("hostile"), "--partition-by whole-record").start();
    let ended = kill_ten_times(&grid, start);
    expect_as_without_kills(&grid, ended, false);
}

#[test]
fn a_master_that_is_killed_goes_on_with_the_slaves_that_it_had() {
    let grid = Grid::new();
    let _slave = grid.slave("hostile");
    grid.write("input", slow_records());
    let ended = kill_ten_times(&grid, || with_files(grid.master(), "-k --wait-nodes 40s").start());
    expect_as_without_kills(&grid, ended, true);
}

/// A master that went on with a run gave each record all its retries again: a record that kills its workers
/// did so again and again, for as long as the master was started again.
#[test]
fn attempts_survive_a_resume() {
    const RETRIES: usize = 3;
    for flags in ["-k", ""] {
        let grid = Grid::new();
        let poison = format!("once {} abort", grid.path("go").display());
        grid.write("input", format!("{poison}\n"));
        let start = || {
            let run = grid.run("hostile").task_arg("side-log", grid.path("log"));
            with_files(run.args("--retries").arg(RETRIES.to_string()), flags).start()
        };
        for kill in 0..RETRIES {
            let run = start();
            wait::until("the record is in hand", || grid.side_log("log").count(&poison) > 2 * kill);
            wait::until("the journal has its header", || {
                let journal = grid.read("journal");
                journal.len() >= 36 && journal.len() >= header_end(&journal)
            });
            let before = grid.read("journal").len();
            grid.write("go", "");
            wait::until("the attempt is in the journal", || grid.read("journal").len() > before);
            // Otherwise the kill would lose the next attempt without a trace.
            wait::until("the next one has begun", || grid.side_log("log").count(&poison) > 2 * kill + 1);
            run.signal(Signal::SIGKILL);
            run.wait().expect(-9);
        }
        let run = start();
        wait::until("the record is in hand", || grid.side_log("log").count(&poison) > 2 * RETRIES);
        grid.write("go", "");
        run.wait().expect(1).expect_counts(1, 0, 1);
        let failed = grid.failed("failed");
        assert_eq!((failed[0].reason.as_str(), failed[0].attempts), ("crash", RETRIES as u64 + 1), "{flags}");
        assert!(!grid.path("go").exists(), "it has died {RETRIES} times and once more");
    }
}

/// A run that was killed after several checkpoints, and can end quickly.
fn killed_run(grid: &Grid) -> String {
    let records = |number: usize| numbered(&format!("{number} "), 30) + "reject\n";
    let gate = |number: usize| grid.gate(&format!("gate{number}")) + "\n";
    let input: String = (0..4).flat_map(|number| [records(number), gate(number)]).collect();
    grid.write("input", &input);
    let run = with_files(grid.run("hostile"), "-k --header").start();
    for number in 0..3 {
        let before = grid.read("journal").len();
        grid.open_gate(&format!("gate{number}"));
        wait::until("a checkpoint is written", || grid.read("journal").len() > before.max(1));
    }
    run.signal(Signal::SIGKILL);
    run.wait();
    grid.open_gate("gate3");
    input
}

/// Restores the files, with another journal, and runs again.
fn run_with_journal(grid: &Grid, journal: &[u8], rows: &[u8], failed: &[u8]) -> Finished {
    grid.write("journal", journal);
    grid.write("rows", rows);
    grid.write("failed", failed);
    with_files(grid.run("hostile"), "-k --header").finish()
}

#[track_caller]
fn expect_whole(grid: &Grid, input: &str, what: &str) {
    let rows: String =
        input.lines().filter(|line| *line != "reject").map(|line| format!("{line}\n")).collect();
    let found = String::from_utf8_lossy(&grid.read("rows")).into_owned();
    assert!(found == format!("line\n{rows}"), "{what}: {found}");
    let failed: Vec<_> = failures(&grid.read("failed")).iter().map(|(seq, ..)| *seq).collect();
    assert_eq!(failed, [30, 62, 94, 126], "{what}");
}

/// Where the header of a journal ends, as `docs/journal.md` says.
fn header_end(journal: &[u8]) -> usize {
    let payload = u32::from_le_bytes(journal[28..32].try_into().expect("it has four bytes"));
    36 + 12 + payload as usize
}

#[test]
fn a_journal_cut_anywhere_is_good_for_what_is_left_of_it_or_refused_if_that_is_no_header() {
    let grid = Grid::new();
    let input = killed_run(&grid);
    let [journal, rows, failed] = ["journal", "rows", "failed"].map(|name| grid.read(name));
    let header_end = header_end(&journal);
    let places = (0..header_end).step_by(19).chain((header_end..journal.len()).step_by(7));
    for cut in places {
        let run = || run_with_journal(&grid, &journal[..cut], &rows, &failed);
        if (1..header_end).contains(&cut) {
            let run = run().expect(2);
            assert!(run.errors()[0].contains("ends within its header: it was cut short"), "{}", run.stderr);
            assert!(
                grid.read("rows") == rows && grid.read("journal") == journal[..cut],
                "files were changed"
            );
            continue;
        }
        run().expect(1).expect_counts(128, 124, 4);
        expect_whole(&grid, &input, &format!("cut at {cut} of {}", journal.len()));
    }
}

#[test]
fn a_journal_with_a_flipped_bit_is_good_up_to_there_or_refused() {
    let grid = Grid::new();
    let input = killed_run(&grid);
    let [journal, rows, failed] = ["journal", "rows", "failed"].map(|name| grid.read(name));
    let mut refused = 0;
    for at in (0..journal.len()).step_by(23) {
        let mut flipped = journal.clone();
        flipped[at] ^= 1 << (at % 8);
        let run = run_with_journal(&grid, &flipped, &rows, &failed);
        if run.status == 2 {
            refused += 1;
            assert!(run.stderr.contains("journal"), "{}", run.stderr);
            assert!(grid.read("rows") == rows && grid.read("journal") == flipped, "files were changed");
            continue;
        }
        run.expect(1).expect_counts(128, 124, 4);
        expect_whole(&grid, &input, &format!("bit at {at} of {}", journal.len()));
    }
    assert!(refused > 0, "the header is damaged at some of those places");
}

#[test]
fn a_journal_of_another_run_is_refused_and_nothing_is_changed() {
    let grid = Grid::new();
    killed_run(&grid);
    let before = ["journal", "rows", "failed"].map(|name| grid.read(name));
    let refused = |call: Call<'_>, text: &str| {
        let run = call.finish().expect(2);
        assert!(run.errors()[0].contains(text), "{}", run.stderr);
        assert!(["journal", "rows", "failed"].map(|name| grid.read(name)) == before, "files were changed");
    };
    refused(with_files(grid.run("hostile"), "--header"), "--keep-order was true and is now false");
    refused(with_files(grid.run("hostile"), "-k"), "--header was true and is now false");
    refused(with_files(grid.run("echo"), "-k --header"), "the task was hostile and is now echo");
    refused(with_files(grid.run("hostile"), "-k --header --format csv"), "--format was lines and is now csv");
    fs::write(grid.path("input"), "something else\n").unwrap();
    refused(with_files(grid.run("hostile"), "-k --header"), "the size of input was");
}

#[test]
fn another_standard_input_is_noticed() {
    let grid = Grid::new();
    let call = || grid.run("hostile").args("-k -o rows --journal journal");
    let mut run = call().start();
    run.write(format!("one\ntwo\n{}\n", grid.gate("gate")));
    wait::until("a checkpoint is written", || grid.read("rows").len() == 8);
    run.signal(Signal::SIGKILL);
    run.wait();
    let other = call().input("one\nthree\nfour and more than there was before, to be sure of it\n").finish();
    let other = other.expect(2);
    assert!(other.errors()[0].contains("the beginning of the input was"), "{}", other.stderr);
    grid.open_gate("gate");
    let gate = grid.gate("gate");
    call().input(format!("one\ntwo\n{gate}\nthree\n")).finish().expect(0).expect_counts(4, 4, 0);
    assert_eq!(String::from_utf8_lossy(&grid.read("rows")), format!("one\ntwo\n{gate}\nthree\n"));
}

#[test]
fn a_finished_run_is_not_run_again() {
    let grid = Grid::new();
    grid.write("input", "one\nreject\n");
    let call = || with_files(grid.run("hostile").task_arg("side-log", grid.path("log")), "");
    call().finish().expect(1).expect_counts(2, 1, 1);
    let executed = grid.side_log("log").len();
    let again = call().finish().expect(1).expect_counts(2, 1, 1);
    assert!(again.stderr.contains("nothing is left to do"), "{}", again.stderr);
    assert_eq!((again.count("resumed"), grid.side_log("log").len()), (2, executed));
    assert_eq!(grid.read("rows"), b"one\n");
}

#[test]
fn an_empty_input_has_a_journal_too() {
    let grid = Grid::new();
    grid.write("input", "");
    with_files(grid.run("echo"), "--header").finish().expect(0).expect_counts(0, 0, 0);
    let again = with_files(grid.run("echo"), "--header").finish().expect(0);
    assert!(again.stderr.contains("nothing is left to do"), "{}", again.stderr);
}

#[test]
fn a_second_run_with_the_same_journal_is_refused() {
    let grid = Grid::new();
    let first = {
        let mut run = grid.run("hostile").args("-o rows --journal journal").start();
        run.write(format!("one\n{}\n", grid.gate("gate")));
        run
    };
    wait::until("the first one has begun", || !grid.read("journal").is_empty());
    let second = grid.run("hostile").args("-o rows --journal journal").input("one\n").finish().expect(4);
    assert!(second.errors()[0].contains("the journal journal is in use"), "{}", second.stderr);
    grid.open_gate("gate");
    first.finish().expect(0).expect_counts(2, 2, 0);
}

#[test]
fn an_output_that_was_cut_since_is_refused() {
    let grid = Grid::new();
    killed_run(&grid);
    // Every checkpoint counts the first line, even if no row has come out yet.
    grid.write("rows", "lin");
    let run = with_files(grid.run("hostile"), "-k --header").finish().expect(4);
    assert!(run.errors()[0].contains("rows has 3 bytes, but the journal journal says"), "{}", run.stderr);
}

#[test]
fn an_output_or_failed_records_that_were_edited_since_are_refused() {
    let grid = Grid::new();
    grid.write("input", slow_records());
    let call = || with_files(grid.run("hostile"), "-k");
    let run = call().start();
    wait::until("records have failed", || !grid.read("failed").is_empty());
    run.signal(Signal::SIGTERM);
    run.wait().expect(143);
    for file in ["rows", "failed"] {
        let before = grid.read(file);
        let mut edited = before.clone();
        let last = before.len() - 2;
        edited[last] ^= 1;
        grid.write(file, &edited);
        let run = call().finish().expect(4);
        assert!(run.errors()[0].contains(&format!("{file} was changed: its first ")), "{}", run.stderr);
        assert!(
            run.errors()[0].contains("put the file back as it was, or delete the journal"),
            "{}",
            run.stderr
        );
        assert!(grid.read(file) == edited, "the file was changed");
        grid.write(file, &before);
    }
    expect_as_without_kills(&grid, call().finish(), true);
}

#[test]
fn a_signal_lets_a_run_write_how_far_it_is() {
    let grid = Grid::new();
    grid.write("input", slow_records());
    let run = with_files(grid.run("hostile"), "-k").start();
    wait::until("it has begun", || !grid.read("rows").is_empty());
    run.signal(Signal::SIGTERM);
    let run = run.wait().expect(143);
    assert!(run.stderr.contains("run the same command again"), "{}", run.stderr);
    let finished = run.count("done") + run.count("failed");
    let ended = with_files(grid.run("hostile"), "-k").finish();
    assert_eq!(ended.count("resumed"), finished, "nothing of what was finished is run again");
    expect_as_without_kills(&grid, ended, true);
}

#[test]
fn a_full_disk_ends_a_run_that_goes_on_when_there_is_room() {
    let grid = Grid::new();
    let _slave = grid.slave("echo");
    let input = numbered("a record of some length ", 200_000);
    grid.write("input", &input);
    let run = with_files(grid.master(), "-k").files_up_to_blocks(2048).finish().expect(4);
    assert!(run.errors()[0].contains("cannot write rows: File too large"), "{}", run.stderr);
    with_files(grid.master(), "-k --wait-nodes 40s").finish().expect(0).expect_counts(200_000, 200_000, 0);
    assert!(grid.read("rows") == input.as_bytes(), "the rows differ from the input");
}

/// Mounts a small disk that only its own processes see: `$1` is where, and the rest is a run that writes
/// there. The run is started a second time when the disk has grown.
const ON_A_SMALL_DISK: &str = r#"
    disk=$1; shift
    mount -t tmpfs -o size=1m tmpfs "$disk" || exit 77
    "$@"; echo "first $?"
    ls "$disk" >&2
    mount -o remount,size=64m "$disk" || exit 77
    "$@"; echo "second $?"
    cat "$disk/rows"
"#;

#[test]
fn a_small_disk_that_is_full_ends_a_run_that_goes_on_when_it_has_grown() {
    let grid = Grid::new();
    let input = numbered("a record of some length ", 200_000);
    grid.write("input", &input);
    let disk = grid.path("disk");
    fs::create_dir(&disk).expect("it can be made");
    let run =
        grid.run("echo").arg("-k").path("--journal", disk.join("journal")).path("-o", disk.join("rows"));
    let run = run.arg(grid.path("input")).with_mounts_of_its_own(ON_A_SMALL_DISK, &disk).finish();
    let is_mounted = run.status != 77 && !run.stderr.contains("unshare");
    let mounted = is_mounted.then_some(()).ok_or(format!("no small disk can be mounted: {}", run.stderr));
    if Need::Mount.check(mounted).is_none() {
        return;
    }
    let run = run.expect(0);
    assert!(run.errors()[0].contains("No space left on device"), "{}", run.stderr);
    assert!(run.stderr.contains("run the same command again"), "{}", run.stderr);
    let rows = run.stdout.strip_prefix(&b"first 4\nsecond 0\n"[..]).expect("it ends with 4, and then with 0");
    assert!(rows == input.as_bytes(), "the rows differ from the input");
}

#[test]
fn records_that_failed_can_be_run_again_from_their_file() {
    let grid = Grid::new();
    let input = b"reject\0two\nlines\0retry\0\xff\xfe bytes\0leak\0";
    grid.run("hostile").args("--format nul --retries 0 --failed failed").input(input).finish().expect(1);
    let again = grid.run("echo").args("-k --format failed failed").finish().expect(0);
    assert_eq!(sorted(&again.stdout), ["leak", "reject", "retry"]);
    let failed = grid.read("failed");
    let broken =
        [&failed[..], b"not a line of it\n{\"record\":\"begin\",\"reason\":\"too-long\"}\n"].concat();
    let again = grid.run("echo").args("-k --format failed --failed still").input(broken).finish().expect(1);
    let still = FailedRecord::all(&grid.read("still"));
    let words: Vec<_> = still.iter().map(|failed| (failed.seq, failed.reason.as_str())).collect();
    assert_eq!(words, [(3, "rejected"), (4, "too-long")]);
    assert!(still[0].message.contains("record 4 of the input is not a line"), "{:?}", still[0]);
    assert!(still[1].message.contains("only the beginning"), "{:?}", still[1]);
    again.expect_counts(5, 3, 2);
}
