//! Cuts what a command writes into lines, as it comes.

use memchr::memchr;

/// A line that is not complete yet.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Hands out the lines that the bytes complete, without their line breaks.
    ///
    /// # Errors
    /// The first one of `line`.
    pub fn push<E>(
        &mut self,
        mut bytes: &[u8],
        mut line: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = memchr(b'\n', bytes) {
            let (whole, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.begun.is_empty() {
                line(whole)?;
            } else {
                self.begun.extend_from_slice(whole);
                line(&self.begun)?;
                self.begun.clear();
            }
            bytes = rest;
        }
        self.begun.extend_from_slice(bytes);
        Ok(())
    }

    /// Hands out the last line if no line break ended it, and begins anew.
    ///
    /// # Errors
    /// That of `line`.
    pub fn finish<E>(&mut self, line: impl FnOnce(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.begun.is_empty() {
            return Ok(());
        }
        let last = line(&self.begun);
        self.begun.clear();
        last
    }

    /// Bytes of the line that is not complete yet.
    pub fn begun_bytes(&self) -> usize {
        self.begun.len()
    }

    /// Forgets it.
    pub fn clear(&mut self) {
        self.begun = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut cut: Vec<String> = Vec::new();
        let mut keep = |line: &[u8]| {
            cut.push(String::from_utf8(line.to_vec()).unwrap());
            Ok::<(), ()>(())
        };
        for piece in pieces {
            lines.push(piece.as_bytes(), &mut keep).unwrap();
        }
        lines.finish(&mut keep).unwrap();
        assert_eq!(lines.begun_bytes(), 0);
        cut
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        assert_eq!(cut(&["a\nbc\n\nd\n"]), ["a", "bc", "", "d"]);
        assert_eq!(cut(&["a", "\nb", "c\n", "\n", "d", "\n"]), ["a", "bc", "", "d"]);
    }

    #[test]
    fn the_last_line_needs_no_line_break() {
        assert_eq!(cut(&["a\nb"]), ["a", "b"]);
        assert_eq!(cut(&[]), Vec::<String>::new());
    }
}
