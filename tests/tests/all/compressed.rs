//! Compressed input and output: all of it is read, and nothing else is ever taken for records or for the end.

use nix::sys::signal::Signal;
use simplegrid_tests::{Call, Finished, Grid, numbered, sorted, wait};

/// The lines `one` and `two`, as the usual programs compress them.
const GZIP: &[u8] =
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\xcf\x4b\xe5\x2a\x29\xcf\xe7\x02\0\xe6\x0b\xba\x12\x08\0\0\0";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x04\x58\x41\0\0one\ntwo\n\xe6\xa6\x0e\x40";
const BZIP2: &[u8] = b"BZh91AY&SY\xa7\x14\x2b\x77\0\0\x02\xc1\x80\0\x10\x02\x01\x84\x80\x20\0\x21\x80\
    \x0c\x02\x38\xf5\x1b\x8b\xb9\x22\x9c\x28\x48\x53\x8a\x15\xbb\x80";
const XZ: &[u8] =
    b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0\x21\x01\x16\0\0\0\x74\x2f\xe5\xa3\x01\0\x07one\ntwo\n\0\
    \x51\xab\x9e\xaf\x57\x75\x70\x49\0\x01\x20\x08\xbb\x19\xd9\xbb\x1f\xb6\xf3\x7d\x01\0\0\0\0\x04YZ";

const KINDS: [(&str, &[u8]); 4] = [("gzip", GZIP), ("zstd", ZSTD), ("bzip2", BZIP2), ("xz", XZ)];

/// Has the program itself compress lines into a file, by its name.
fn compress(grid: &Grid, name: &str, lines: &str) {
    grid.run("echo").arg("-k").path("-o", grid.path(name)).input(lines).finish().expect(0);
}

#[test]
fn each_kind_is_read_from_a_file_and_from_a_pipe() {
    for (kind, packed) in KINDS {
        let grid = Grid::new();
        let input = packed.repeat(3);
        let run = grid.run("echo").arg("-k").input(&input).finish().expect(0).expect_counts(6, 6, 0);
        assert_eq!(run.text(), "one\ntwo\n".repeat(3), "{kind}");
        grid.write("input", &input);
        let run = grid.run("echo").args("-k input").finish().expect(0).expect_counts(6, 6, 0);
        assert_eq!(run.text(), "one\ntwo\n".repeat(3), "{kind}");
    }
}

#[test]
fn every_format_is_unpacked() {
    for (format, records) in [("lines", 2), ("csv", 2), ("nul", 1)] {
        let run = Grid::new().run("echo").args("-k --format").arg(format).input(GZIP).finish().expect(0);
        run.expect_counts(records, records, 0);
    }
}

#[test]
fn plain_and_compressed_files_are_read_one_after_the_other() {
    let grid = Grid::new();
    grid.write("a", "plain");
    grid.write("b", ZSTD);
    grid.write("c", "");
    grid.write("d", GZIP);
    let run = grid.run("echo").args("-k a b c d a").finish().expect(0).expect_counts(6, 6, 0);
    assert_eq!(run.text(), "plain\none\ntwo\none\ntwo\nplain\n");
}

#[test]
fn a_master_reads_compressed_input_too() {
    let grid = Grid::new();
    let _slave = grid.slave("echo");
    let run = grid.master().args("-k --wait-nodes 40s").input(XZ).finish().expect(0).expect_counts(2, 2, 0);
    assert_eq!(run.text(), "one\ntwo\n");
}

/// A run over an input that is not as it should be, which ends with its whole records before that.
#[track_caller]
fn expect_refusal(input: &[u8], read: &str, said: &str) {
    let grid = Grid::new();
    for (run, name) in [
        (grid.run("echo").arg("-k").input(input), "standard input".to_owned()),
        (
            grid.run("echo").arg("-k").arg(grid.write("input", input)),
            grid.path("input").display().to_string(),
        ),
    ] {
        let run = run.finish().expect(4);
        assert_eq!(run.text(), read);
        let expected = format!("failed to unpack {name}: {said}");
        assert!(run.stderr.contains(&expected), "{expected}\n{}", run.stderr);
        assert_eq!(run.count("done"), read.lines().count() as u64, "{}", run.stderr);
    }
}

#[test]
fn garbage_after_the_first_member_ends_the_run_and_the_records_before_it_count() {
    for (_, packed) in KINDS {
        let input = [packed, b"\0\0three\n"].concat();
        let said = format!("its compressed data ends at byte {}", packed.len());
        expect_refusal(&input, "one\ntwo\n", &said);
    }
}

#[test]
fn zero_bytes_after_the_last_member_are_padding() {
    for (kind, packed) in KINDS {
        let input = [packed, &[0; 10_000], packed, &[0; 512]].concat();
        let run = Grid::new().run("echo").arg("-k").input(input).finish().expect(0);
        assert_eq!(run.text(), "one\ntwo\none\ntwo\n", "{kind}");
    }
}

#[test]
fn compressed_data_that_is_cut_off_is_not_taken_for_its_end() {
    for (kind, packed) in KINDS {
        let input = [packed, &packed[..packed.len() - 5]].concat();
        let said = format!(
            "it ends after byte {}, in the middle of the {kind} data that begins at byte {}",
            input.len(),
            packed.len()
        );
        let grid = Grid::new();
        let run = grid.run("echo").arg("-k").input(&input).finish().expect(4);
        assert!(run.text().starts_with("one\ntwo\n"), "{kind}");
        assert!(run.stderr.contains(&said), "{said}\n{}", run.stderr);
    }
}

#[test]
fn a_wrong_checksum_ends_the_run() {
    for (kind, packed) in KINDS {
        let mut second = packed.to_vec();
        // The last bytes of gzip's and zstd's data are checksums; bzip2's and xz's are inside.
        let place = if kind == "xz" { 40 } else { packed.len() - 5 };
        let place = if kind == "zstd" { packed.len() - 1 } else { place };
        second[place] ^= 1;
        let run = Grid::new().run("echo").arg("-k").input([packed, &second].concat()).finish().expect(4);
        assert!(run.text().starts_with("one\ntwo\n"), "{kind}");
        assert!(
            run.stderr.contains(&format!("{kind} data that begins at byte {}", packed.len())),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn bytes_that_look_compressed_are_records_if_the_user_says_so() {
    let grid = Grid::new();
    let input = b"\x1f\x8b\x08 a line\nBZh91AY&SY another\n";
    let run = grid.run("echo").args("-k --input-compression none").input(input).finish().expect(0);
    assert_eq!(run.stdout, input);
    let run = grid.run("echo").args("-k").input(input).finish().expect(4);
    assert!(run.stdout.is_empty());
}

#[test]
fn a_compressed_pipe_is_followed() {
    let grid = Grid::new();
    let mut run = grid.run("echo").arg("-k").start();
    for _ in 0..3 {
        let lines = run.stdout().iter().filter(|byte| **byte == b'\n').count();
        run.write(ZSTD);
        run.wait_for_lines(lines + 2);
    }
    run.close_input();
    run.finish().expect(0).expect_counts(6, 6, 0);
}

#[test]
fn a_signal_ends_a_run_that_waits_for_more_of_a_compressed_pipe() {
    let grid = Grid::new();
    let mut run = grid.run("echo").arg("-k").start();
    run.write([GZIP, &GZIP[..12]].concat());
    run.wait_for_lines(2);
    run.signal(Signal::SIGINT);
    let ended = run.wait();
    assert_eq!(ended.text(), "one\ntwo\n", "{}", ended.stderr);
    assert_eq!(ended.status, 130, "{}", ended.stderr);
}

#[test]
fn rows_and_failed_records_are_written_compressed_by_the_names_of_their_files() {
    for ending in ["gz", "zst"] {
        let grid = Grid::new();
        let records = numbered("record ", 30_000);
        compress(&grid, &format!("rows.{ending}"), &records);
        let packed = grid.read(&format!("rows.{ending}"));
        assert!(packed.len() * 3 < records.len(), "{ending}: {} bytes", packed.len());
        let run = grid.run("echo").arg("-k").arg(grid.path(&format!("rows.{ending}"))).finish().expect(0);
        assert!(run.text() == records, "{ending}: the rows differ");

        let failed = grid.path(&format!("failed.{ending}"));
        grid.run("email-domain").path("--failed", &failed).input(&records).finish().expect(1);
        let run = grid.run("echo").args("-k --format failed").arg(&failed).finish().expect(0);
        assert!(sorted(&run.stdout) == sorted(records.as_bytes()), "{ending}: the failed records differ");
    }
}

#[test]
fn a_run_without_rows_writes_a_compressed_file_of_none() {
    for ending in ["gz", "zst"] {
        let grid = Grid::new();
        let name = format!("rows.{ending}");
        compress(&grid, &name, "");
        assert!(!grid.read(&name).is_empty());
        grid.run("echo").arg(grid.path(&name)).finish().expect(0).expect_counts(0, 0, 0);
    }
}

#[test]
fn a_row_is_in_a_compressed_file_as_soon_as_it_would_be_in_a_plain_one() {
    for ending in ["gz", "zst"] {
        let grid = Grid::new();
        let name = format!("rows.{ending}");
        let mut run = grid.run("echo").arg("-k").path("-o", grid.path(&name)).start();
        run.write("one\n");
        let partly = format!("partly.{ending}");
        wait::until("the row is in the file", || {
            grid.write(&partly, grid.read(&name));
            // So far, the file is cut off.
            grid.run("echo").arg(grid.path(&partly)).finish().text() == "one\n"
        });
        run.close_input();
        run.finish().expect(0);
    }
}

#[test]
fn a_run_that_ends_early_ends_its_compressed_file() {
    let grid = Grid::new();
    let mut run = grid.run("echo").arg("-k").path("-o", grid.path("rows.gz")).start();
    run.write("one\n");
    wait::until("the row is in the file", || grid.read("rows.gz").len() > 10);
    run.signal(Signal::SIGINT);
    run.wait().expect(130);
    assert_eq!(grid.run("echo").arg(grid.path("rows.gz")).finish().expect(0).text(), "one\n");
}

#[test]
fn a_full_disk_behind_a_compressed_output_is_reported_and_nothing_counts() {
    let grid = Grid::new();
    std::os::unix::fs::symlink("/dev/full", grid.path("rows.gz")).expect("the link is made");
    let run = grid.run("echo").path("-o", grid.path("rows.gz")).input("one\ntwo\n").finish().expect(4);
    assert_eq!(run.count("done"), 0, "{}", run.stderr);
    assert!(run.stderr.contains("rows.gz: No space left"), "{}", run.stderr);
}

#[test]
fn a_compressed_file_that_cannot_be_written_as_asked_is_refused_with_what_to_do() {
    for (flags, said) in [
        ("--journal j -o rows.gz", "--output rows.gz would be compressed, and a later run could not cut it"),
        ("--journal j -o rows --failed failed.zst", "--failed failed.zst would be compressed"),
        ("-o rows.xz", "name rows instead, and compress it when the run is over: `xz rows`"),
        ("--failed failed.bz2", "files are written compressed as .gz and .zst, not with bzip2"),
        ("--summary-json summary.gz", "it is not written compressed; name summary instead"),
    ] {
        let grid = Grid::new();
        let run = grid.run("echo").args(flags).input("one\n").finish().expect(2);
        assert!(run.stderr.contains(said), "{said}\n{}", run.stderr);
        for name in ["rows.gz", "rows", "j", "failed.zst", "rows.xz"] {
            assert!(!grid.path(name).exists(), "{flags}: {name} was made");
        }
    }
}

fn journaled(grid: &Grid) -> Call<'_> {
    grid.run("hostile").args("-k -o rows --failed failed --journal journal input.gz")
}

#[test]
fn a_run_over_compressed_input_that_is_killed_goes_on_where_it_stood() {
    let grid = Grid::new();
    let records: String = (0..3000).map(|number| format!("sleep 1 {number}\n")).collect();
    compress(&grid, "input.gz", &records);
    for _ in 0..3 {
        let before = grid.read("journal").len();
        let mut run = journaled(&grid).start();
        wait::until("the journal grows", || grid.read("journal").len() > before || !run.is_running());
        run.signal(Signal::SIGKILL);
        let ended = run.wait();
        assert_eq!(ended.status, -9, "it ended before it was killed: {}", ended.stderr);
    }
    let ended: Finished = journaled(&grid).finish().expect(0).expect_counts(3000, 3000, 0);
    assert!(ended.count("resumed") > 0, "{}", ended.stderr);
    let whole = grid.run("hostile").arg("-k").input(&records).finish().expect(0);
    assert!(grid.read("rows") == whole.stdout, "the rows are not those of a run that was never killed");
    journaled(&grid).args("--input-compression none").finish().expect(2);
}
