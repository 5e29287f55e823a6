//! What a command has said on its standard error: all of it goes to the log, its last lines into the message
//! of a record that fails.

use std::collections::VecDeque;

use crate::lines::Lines;

/// Lines that are kept for the message.
const LINES_MAX: usize = 4;

/// Bytes of a line that are kept, and logged.
const LINE_BYTES_MAX: usize = 2048;

/// The last lines of the record in hand.
#[derive(Debug, Default)]
pub struct LastWords {
    lines: Lines,
    last: VecDeque<String>,
}

impl LastWords {
    /// Begins anew, for another record.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.last.clear();
    }

    /// Takes what the command has written.
    pub fn push(&mut self, bytes: &[u8]) {
        let last = &mut self.last;
        let Ok(()) = self.lines.push::<std::convert::Infallible>(bytes, |line| {
            keep(last, line);
            Ok(())
        });
        if self.lines.begun_bytes() > LINE_BYTES_MAX {
            self.finish();
        }
    }

    /// The command has ended.
    pub fn finish(&mut self) {
        let last = &mut self.last;
        let Ok(()) = self.lines.finish::<std::convert::Infallible>(|line| {
            keep(last, line);
            Ok(())
        });
    }

    /// The last lines as one, or nothing if there were none.
    pub fn text(&self) -> Option<String> {
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join(" | "))
    }
}

fn keep(last: &mut VecDeque<String>, line: &[u8]) {
    let line = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]);
    let line = line.trim_end();
    if line.is_empty() {
        return;
    }
    tracing::info!("{line}");
    if last.len() == LINES_MAX {
        last.pop_front();
    }
    last.push_back(line.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&str]) -> Option<String> {
        let mut words = LastWords::default();
        pieces.iter().for_each(|piece| words.push(piece.as_bytes()));
        words.finish();
        words.text()
    }

    #[test]
    fn the_last_lines_are_kept() {
        assert_eq!(said(&[]), None);
        assert_eq!(said(&["\n \n"]), None);
        assert_eq!(said(&["no ", "such file\n"]).unwrap(), "no such file");
        assert_eq!(said(&["1\n2\n3\n4\n5\n6"]).unwrap(), "3 | 4 | 5 | 6");
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut words = LastWords::default();
        for _ in 0..1000 {
            words.push(&[b'x'; 4096]);
        }
        words.finish();
        assert!(words.text().unwrap().len() <= LINES_MAX * (LINE_BYTES_MAX + 3));
    }
}
