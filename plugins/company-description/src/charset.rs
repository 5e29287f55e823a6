//! A page's bytes as UTF-8, whatever they were.
//!
//! The encoding is chosen as browsers choose it: by a byte order mark, or else by what the server says, or
//! else by what the page itself says. If all three are silent, the page is read as UTF-8 if that is possible,
//! and as Windows-1252 otherwise.

use std::io::{self, Cursor, Read};

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::meta;

/// A page must declare its encoding within this many bytes (HTML, 4.2.5.4).
const BEGINNING_BYTES: usize = 1024;

/// The most bytes of a byte order mark: those of UTF-8.
const MARK_BYTES_MAX: usize = 3;

/// How many bytes are decoded at once.
const CHUNK_BYTES: usize = 8 * 1024;

/// Hands a page in UTF-8 to `look`. The server's `content_type` may name the encoding.
pub(crate) fn with_utf8(
    mut page: impl Read,
    content_type: Option<&str>,
    look: impl Fn(&mut dyn Read) -> io::Result<Option<String>>,
) -> io::Result<Option<String>> {
    let Beginning { bytes, encoding, end } = Beginning::read(&mut page, content_type);
    // An end with an error is not an error of the bytes before it: the description may be among them.
    let page = Cursor::new(bytes).chain(Ending(end)).chain(page);
    if let Some(encoding) = encoding {
        return look(&mut Utf8Reader::new(page, encoding));
    }
    // There is no sign of an encoding. The reader limits the length of the page, and so of this copy.
    let mut copy = Vec::new();
    let found = look(&mut Utf8Reader::new(Copying { page, copy: &mut copy }, UTF_8))?;
    match found {
        Some(text) if text.contains(char::REPLACEMENT_CHARACTER) && !is_utf8(&copy) => {
            look(&mut Utf8Reader::new(copy.as_slice(), WINDOWS_1252))
        }
        found => Ok(found),
    }
}

/// What has to be known of a page before it can be decoded.
struct Beginning {
    bytes: Vec<u8>,
    /// The encoding, if there is any sign of it.
    encoding: Option<&'static Encoding>,
    /// What ended the page before the beginning was complete.
    end: Option<io::Error>,
}

impl Beginning {
    /// Reads until the encoding is clear, but no further than a page may declare it: the rest may never come.
    fn read(mut page: impl Read, content_type: Option<&str>) -> Self {
        let mut bytes = Vec::new();
        let mut buffer = [0; BEGINNING_BYTES];
        let end = loop {
            match page.read(&mut buffer[bytes.len()..]) {
                Ok(0) => break None,
                Ok(length) => bytes.extend_from_slice(&buffer[bytes.len()..][..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
            // With fewer bytes, a byte order mark may still become complete and have the first word.
            if bytes.len() >= MARK_BYTES_MAX
                && let Some(encoding) = choose(&bytes, content_type)
            {
                return Self { bytes, encoding: Some(encoding), end: None };
            }
        };
        Self { encoding: choose(&bytes, content_type), bytes, end }
    }
}

/// A reader of nothing, which fails once if there is an error.
struct Ending(Option<io::Error>);

impl Read for Ending {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Whether the bytes are UTF-8, apart from a character that may be cut off at their end.
fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// The encoding, if there is any sign of it.
fn choose(beginning: &[u8], content_type: Option<&str>) -> Option<&'static Encoding> {
    let named = |label: String| Encoding::for_label(label.as_bytes());
    if let Some((encoding, _)) = Encoding::for_bom(beginning) {
        return Some(encoding);
    }
    if let Some(encoding) = content_type.and_then(meta::charset_of).and_then(named) {
        return Some(encoding);
    }
    // The first tag in UTF-16, without a byte order mark: not standard, but unmistakable.
    match beginning {
        [b'<', 0, ..] => return Some(UTF_16LE),
        [0, b'<', ..] => return Some(UTF_16BE),
        _ => {}
    }
    let declared = meta::declared_charset(beginning).and_then(named)?;
    // A page whose declaration can be read as ASCII is not UTF-16, whatever it says (HTML, 13.2.3.2).
    Some(if declared == UTF_16LE || declared == UTF_16BE { UTF_8 } else { declared })
}

/// Keeps a copy of what is read through it.
struct Copying<'a, R> {
    page: R,
    copy: &'a mut Vec<u8>,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.page.read(buffer)?;
        self.copy.extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

/// Decodes a page while it is being read.
struct Utf8Reader<R> {
    page: R,
    decoder: Decoder,
    raw: Vec<u8>,
    ready: Vec<u8>,
    taken: usize,
    is_over: bool,
}

impl<R: Read> Utf8Reader<R> {
    fn new(page: R, encoding: &'static Encoding) -> Self {
        // This decoder removes a byte order mark, if there is one.
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { page, decoder, raw: vec![0; CHUNK_BYTES], ready: Vec::new(), taken: 0, is_over: false }
    }

    /// Decodes the next chunk. A chunk may decode to nothing.
    fn fill(&mut self) -> io::Result<()> {
        let length = match self.page.read(&mut self.raw) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            length => length?,
        };
        self.is_over = length == 0;
        let raw = &self.raw[..length];
        let room = self.decoder.max_utf8_buffer_length(length).expect("a chunk is not half of all memory");
        self.ready.clear();
        self.ready.resize(room, 0);
        let (_, _, written, _) = self.decoder.decode_to_utf8(raw, &mut self.ready, self.is_over);
        self.ready.truncate(written);
        self.taken = 0;
        Ok(())
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() && !self.is_over {
            self.fill()?;
        }
        let length = buffer.len().min(self.ready.len() - self.taken);
        buffer[..length].copy_from_slice(&self.ready[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(page: &[u8], content_type: Option<&str>) -> Option<String> {
        with_utf8(page, content_type, |page| meta::description(page)).unwrap()
    }

    fn page(text: &str) -> String {
        format!("<html><head><meta name=\"description\" content=\"{text}\"></head></html>")
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn a_byte_order_mark_has_the_first_word() {
        let text = page("Käse & 用户 😀");
        let marked = format!("\u{feff}{text}");
        for bytes in
            [marked.clone().into_bytes(), utf16(&marked, u16::to_le_bytes), utf16(&marked, u16::to_be_bytes)]
        {
            for content_type in [None, Some("text/html; charset=iso-8859-1")] {
                assert_eq!(description(&bytes, content_type).as_deref(), Some("Käse & 用户 😀"));
            }
        }
    }

    #[test]
    fn the_server_has_the_second_word_and_the_page_the_third() {
        let (bytes, _, _) = encoding_rs::KOI8_R.encode("Мы делаем вещи");
        let page = |declared: &str| {
            [format!("<meta charset={declared}><meta name=description content=\"").as_bytes(), &bytes, b"\">"]
                .concat()
        };
        let expected = Some("Мы делаем вещи".to_owned());
        assert_eq!(description(&page("utf-8"), Some("text/html; charset=KOI8-R")), expected);
        assert_eq!(description(&page("koi8-r"), Some("text/html")), expected);
        // An unknown word names no encoding.
        assert_eq!(description(&page("koi8-r"), Some("text/html; charset=nonsense")), expected);
    }

    #[test]
    fn utf16_is_seen_without_a_mark_and_not_believed_where_it_cannot_be() {
        let text = page("Käse");
        assert_eq!(description(&utf16(&text, u16::to_le_bytes), None).as_deref(), Some("Käse"));
        assert_eq!(description(&utf16(&text, u16::to_be_bytes), None).as_deref(), Some("Käse"));
        let server = Some("text/html; charset=utf-16be");
        assert_eq!(
            description(&utf16(&format!(" {text}"), u16::to_be_bytes), server).as_deref(),
            Some("Käse")
        );
        let text = format!("<meta charset=utf-16>{text}");
        assert_eq!(description(text.as_bytes(), None).as_deref(), Some("Käse"));
    }

    #[test]
    fn without_any_sign_it_is_utf8_if_it_can_be() {
        assert_eq!(description(page("Käse – 用户").as_bytes(), None).as_deref(), Some("Käse – 用户"));
        let (bytes, _, _) = WINDOWS_1252.encode("<meta name=description content=\"Käse – €\">");
        assert_eq!(description(&bytes, None).as_deref(), Some("Käse – €"));
        assert_eq!(description(page("K&auml;se").as_bytes(), None).as_deref(), Some("Käse"));
        // Entities are no sign of anything.
        let text = "Fish &amp; K&auml;se &mdash; Käse &#0;";
        assert_eq!(description(page(text).as_bytes(), None).as_deref(), Some("Fish & Käse — Käse \u{fffd}"));
    }

    #[test]
    fn letters_may_fall_between_chunks() {
        for pad in 0..8 {
            let text =
                format!("{}{}", " ".repeat(CHUNK_BYTES + 1024 - 50 + pad), page("😀用é😀用é😀用é😀用é"));
            let expected = Some("😀用é😀用é😀用é😀用é");
            assert_eq!(description(text.as_bytes(), Some("text/html; charset=utf-8")).as_deref(), expected);
            let bytes = utf16(&text, u16::to_le_bytes);
            assert_eq!(description(&bytes, Some("text/html; charset=utf-16le")).as_deref(), expected);
        }
    }
}
