//! The percent-encoding of URLs (RFC 3986, 2.1), strictly: a broken encoding is an error, and is not taken
//! literally. Pure.

/// A part of a URL without its encoding; `None` if the encoding is broken, or its bytes are not text.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

/// A part of a URL, with everything encoded that would end it.
pub(crate) fn encoded(text: &str) -> String {
    let encode = |character: char| match character {
        '%' | '/' | '?' | '#' | '@' | ':' | '&' | ' ' => format!("%{:02X}", u32::from(character)),
        plain => plain.to_string(),
    };
    text.chars().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_can_be_decoded_again() {
        for text in ["", "plain", "a%b", "p@ss:w/rd?#&", "größe 1"] {
            assert_eq!(decoded(&encoded(text)).as_deref(), Some(text));
        }
        assert_eq!(decoded("%C3%bc").as_deref(), Some("ü"));
    }

    #[test]
    fn a_broken_encoding_is_refused() {
        for text in ["%", "%4", "%zz", "a%+1", "%ff", "%é"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
