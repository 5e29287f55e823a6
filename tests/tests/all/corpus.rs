//! Every input that fuzzing has found worth keeping, run once more.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Bytes of all inputs together: they are kept with the source.
const CORPUS_BYTES_MAX: usize = 300 * 1024;

#[test]
fn no_input_that_is_kept_breaks_a_promise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut bytes = 0;
    for (name, target) in simplegrid_fuzz_targets::TARGETS {
        let inputs: Vec<_> =
            fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() > 5, "{name} has no corpus");
        for path in inputs {
            let input = fs::read(&path).unwrap();
            bytes += input.len();
            let kept = catch_unwind(AssertUnwindSafe(|| target(&input)));
            assert!(kept.is_ok(), "{} breaks a promise", path.display());
        }
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes: minimise the corpus");
}
