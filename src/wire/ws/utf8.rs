//! UTF-8 that comes in parts, cut anywhere (RFC 6455 §8.1).
//!
//! Keeps nothing but a code point that is cut off, and knows neither frames nor masks.

/// What came so far of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Utf8 {
    /// The front of a code point whose end has not come …
    held: [u8; HELD_BYTES_MAX],
    /// … and how many bytes of it.
    held_len: u8,
}

/// The bytes are no UTF-8, and none that follow could make them so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUtf8;

/// The longest code point has a byte more.
const HELD_BYTES_MAX: usize = 3;

impl Utf8 {
    /// Takes what comes next. An error is found with its byte, not with the code point's end.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), NotUtf8> {
        let rest = self.complete(bytes)?;
        match std::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NotUtf8),
            // Right as far as it goes.
            Err(error) => {
                self.hold(rest.get(error.valid_up_to()..).unwrap_or_default());
                Ok(())
            }
        }
    }

    /// The text may end here: no code point is cut off.
    pub fn is_whole(&self) -> bool {
        self.held_len == 0
    }

    /// Gives the held code point its next bytes, and returns those behind it.
    fn complete<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8], NotUtf8> {
        while !self.is_whole()
            && let Some((&next, rest)) = bytes.split_first()
        {
            let [a, b, c] = self.held;
            let longer = match self.held_len {
                1 => &[a, next][..],
                2 => &[a, b, next],
                _ => &[a, b, c, next],
            };
            match std::str::from_utf8(longer) {
                Ok(_) => self.held_len = 0,
                Err(error) if error.error_len().is_some() => return Err(NotUtf8),
                Err(_) => self.hold(longer),
            }
            bytes = rest;
        }
        Ok(bytes)
    }

    fn hold(&mut self, cut: &[u8]) {
        self.held_len = 0;
        for (held, byte) in self.held.iter_mut().zip(cut) {
            *held = *byte;
            self.held_len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it fails, byte by byte and in any two parts alike: `Ok` tells whether it is whole.
    fn check(bytes: &[u8], expected: Result<bool, usize>) {
        let mut utf8 = Utf8::default();
        let mut failed_at = None;
        for (at, byte) in bytes.iter().enumerate() {
            if utf8.take(&[*byte]).is_err() {
                failed_at = Some(at);
                break;
            }
        }
        let by_byte = failed_at.map_or(Ok(utf8.is_whole()), Err);
        assert_eq!(by_byte, expected, "{bytes:02x?}");
        for split in 0..=bytes.len() {
            let (left, right) = bytes.split_at(split);
            let mut utf8 = Utf8::default();
            let in_two = utf8.take(left).and_then(|()| utf8.take(right));
            let in_two = in_two.map(|()| utf8.is_whole());
            assert_eq!(in_two.ok(), expected.ok(), "{bytes:02x?} at {split}");
        }
    }

    #[test]
    fn text_of_every_length_of_code_point() {
        check(b"", Ok(true));
        check(b"Hello", Ok(true));
        check(
            "κόσμε \u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}".as_bytes(),
            Ok(true),
        );
        check(
            "\u{10000}\u{10ffff}\u{1f310}\0\u{feff}".as_bytes(),
            Ok(true),
        );
    }

    #[test]
    fn a_code_point_cut_off_is_not_whole() {
        for whole in [
            "\u{80}",
            "\u{7ff}",
            "\u{800}",
            "\u{ffff}",
            "\u{10000}",
            "\u{10ffff}",
        ] {
            for cut in 1..whole.len() {
                check(&whole.as_bytes()[..cut], Ok(false));
                check(&[b"text", &whole.as_bytes()[..cut]].concat(), Ok(false));
                // Another may not begin within it.
                check(&[&whole.as_bytes()[..cut], b"x"].concat(), Err(cut));
                check(
                    &[&whole.as_bytes()[..cut], whole.as_bytes()].concat(),
                    Err(cut),
                );
            }
        }
    }

    #[test]
    fn what_is_no_code_point_fails_with_the_byte_that_makes_it_so() {
        // No code point begins so: a continuation, an overlong lead, one past U+10FFFF.
        for lead in (0x80..=0xc1).chain(0xf5..=0xff) {
            check(&[lead], Err(0));
            check(&[b'x', lead, 0x80, 0x80, 0x80], Err(1));
        }
        // Overlong forms, surrogates, past U+10FFFF: told by the second byte.
        check(&[0xe0, 0x80, 0x80], Err(1));
        check(&[0xe0, 0x9f, 0xbf], Err(1));
        check(&[0xf0, 0x80, 0x80, 0x80], Err(1));
        check(&[0xf0, 0x8f, 0xbf, 0xbf], Err(1));
        check(&[0xed, 0xa0, 0x80], Err(1));
        check(&[0xed, 0xbf, 0xbf], Err(1));
        check(&[0xf4, 0x90, 0x80, 0x80], Err(1));
        // The well-known one: a surrogate behind good text.
        let text = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited";
        check(text, Err(12));
        // A third and a fourth byte that continue nothing.
        check(&[0xe1, 0x80, 0xc0], Err(2));
        check(&[0xf1, 0x80, 0x80, 0x41], Err(3));
    }

    #[test]
    fn every_code_point_is_read_however_it_is_cut() {
        let mut buffer = [0; 4];
        for char in ('\0'..=char::MAX).step_by(7) {
            let bytes = char.encode_utf8(&mut buffer).as_bytes();
            for split in 0..bytes.len() {
                let mut utf8 = Utf8::default();
                assert_eq!(utf8.take(&bytes[..split]), Ok(()));
                assert_eq!(utf8.is_whole(), split == 0);
                assert_eq!(utf8.take(&bytes[split..]), Ok(()));
                assert!(utf8.is_whole(), "{char:?} at {split}");
            }
        }
    }
}
