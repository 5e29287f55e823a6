//! The lines that a command answers with, where it owes one for each record.

use simplegrid_child_process::{Listener, Step};
use simplegrid_plugin_api::{Error, Line, Output, Result};

/// Bytes of all answers together: what one call of a task may write.
const BYTES_MAX: usize = 256 << 20;

/// Lines, as they come.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    bytes: Vec<u8>,
    /// Where each line ends, without its line break.
    ends: Vec<usize>,
}

impl Answers {
    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Takes what the command has written. Returns whether a line has become whole.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        let (before, from) = (self.ends.len(), self.bytes.len());
        self.ends.extend(memchr::memchr_iter(b'\n', bytes).map(|end| from + end));
        self.bytes.extend_from_slice(bytes);
        self.ends.len() > before
    }

    /// The command has ended: its last line needs no line break.
    pub(crate) fn finish(&mut self) {
        if self.begins_another() {
            self.ends.push(self.bytes.len());
        }
    }

    /// How many whole lines there are.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Whether something follows the last whole line.
    pub(crate) fn begins_another(&self) -> bool {
        self.bytes.len() > self.ends.last().map_or(0, |end| end + 1)
    }

    /// Listens until there are so many whole lines, or the command has ended.
    pub(crate) fn listen<'a, 'o>(
        &'a mut self,
        enough: usize,
        output: &'a Output<'o, Line>,
    ) -> Listening<'a, 'o> {
        Listening { answers: self, enough, output }
    }

    /// The whole lines, in their order.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|end| end + 1));
        begins.zip(&self.ends).map(|(begin, &end)| &self.bytes[begin..end])
    }
}

/// Someone who waits for answers.
pub(crate) struct Listening<'a, 'o> {
    answers: &'a mut Answers,
    enough: usize,
    output: &'a Output<'o, Line>,
}

impl Listener for Listening<'_, '_> {
    fn hear(&mut self, bytes: &[u8]) -> Result<Step> {
        let is_whole = self.answers.push(bytes);
        if self.answers.bytes.len() > BYTES_MAX {
            return Err(Error::reject(format_args!(
                "the command has written more than {} MiB",
                BYTES_MAX >> 20
            )));
        }
        Ok(match is_whole {
            true if self.answers.count() >= self.enough => Step::Enough,
            true => Step::Whole,
            false => Step::Piece,
        })
    }

    fn stopping(&self) -> bool {
        self.output.stopping()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&str]) -> Answers {
        let mut answers = Answers::default();
        for piece in pieces {
            let lines = answers.count();
            let is_whole = answers.push(piece.as_bytes());
            assert_eq!(is_whole, answers.count() > lines);
        }
        answers
    }

    fn lines(answers: &Answers) -> Vec<&str> {
        answers.lines().map(|line| std::str::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn answers_are_the_same_however_they_come() {
        for pieces in [&["a\nbc\n\nd\n"][..], &["a", "\nb", "c\n", "\n", "d", "\n"]] {
            let answers = heard(pieces);
            assert_eq!(lines(&answers), ["a", "bc", "", "d"]);
            assert!(!answers.begins_another());
        }
    }

    #[test]
    fn a_line_without_end_counts_once_the_command_has_ended() {
        let mut answers = heard(&["a\nb"]);
        assert_eq!((answers.count(), answers.begins_another()), (1, true));
        answers.finish();
        assert_eq!(lines(&answers), ["a", "b"]);
        answers.finish();
        assert_eq!(answers.count(), 2);
        answers.clear();
        answers.finish();
        assert_eq!((answers.count(), answers.begins_another()), (0, false));
    }
}
