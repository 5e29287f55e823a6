//! Records for measuring, from a seed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::dice::Dice;

const SEED: u64 = 0x0051_e6ed;
const WORDS: [&str; 8] = ["the", "quick", "brown", "fox", "jumps", "over", "a", "dog"];

/// Writes lines of 59 bytes on average, `user0000001@site042.info,51847157,the quick brown fox`, and returns
/// their bytes.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write_lines(path: &Path, count: usize) -> io::Result<u64> {
    write(path, |file, dice| {
        for number in 0..count {
            write!(
                file,
                "user{number:07}@site{:03}.info,{:08},",
                dice.roll(1000),
                dice.number() % 100_000_000
            )?;
            let words = dice.between(2, 6);
            for word in 0..words {
                write!(file, "{}{}", if word > 0 { " " } else { "" }, dice.pick(&WORDS))?;
            }
            writeln!(file)?;
        }
        Ok(())
    })
}

/// Writes lines whose first field is one of so many keys.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write_keyed(path: &Path, count: usize, keys: usize) -> io::Result<u64> {
    write(path, |file, dice| {
        (0..count).try_for_each(|number| {
            writeln!(file, "key{:06},{number:08},the quick brown fox jumps over a dog", dice.roll(keys))
        })
    })
}

/// Writes lines of so many bytes each, the end included.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write_long(path: &Path, count: usize, bytes: usize) -> io::Result<u64> {
    let padding = "x".repeat(bytes.saturating_sub(19));
    write(path, |file, dice| {
        (0..count)
            .try_for_each(|_| writeln!(file, "user,{:013},{padding}", dice.number() % 10_000_000_000_000))
    })
}

fn write(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>, &mut Dice) -> io::Result<()>,
) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    fill(&mut file, &mut Dice::new(SEED))?;
    file.flush()?;
    Ok(file.get_ref().metadata()?.len())
}
