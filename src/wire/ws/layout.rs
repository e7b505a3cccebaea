//! Where the header of a WebSocket frame ends, and what stands in it (RFC 6455 §5.2).
//!
//! Reading cannot fail: any bytes are the header of some frame, and so whoever only watches never
//! loses its place. Does not know what a frame may say; [`super::frame`] judges one,
//! [`super::rules`] what one side sends.

pub(super) const FIN: u8 = 0b1000_0000;
pub(super) const MASK: u8 = 0b1000_0000;
/// The 7-bit length says that a 16-bit length follows …
pub(super) const LEN_16: u8 = 126;
/// … or a 64-bit one.
pub(super) const LEN_64: u8 = 127;

/// RFC 6455 §5.2: opcodes with this bit are of control frames, the reserved ones among them.
const CONTROL: u8 = 0b1000;

/// The header of one frame, as it stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1 to RSV3 as a number: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub rsv: u8,
    /// The opcode's four bits, so under 16; 10 of the 16 are reserved.
    pub opcode: u8,
    /// In how many bits the length was written.
    pub form: LenForm,
    /// Bytes of payload that follow. The protocol ends at 2^63 - 1, this does not.
    pub len: u64,
    /// The masking key.
    pub mask: Option<[u8; 4]>,
}

/// The three ways to write a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LenForm {
    /// Beside the MASK bit: up to 125.
    Bits7,
    /// Behind 126 in the place of the 7 bits.
    Bits16,
    /// Behind 127.
    Bits64,
}

impl Layout {
    /// Reads the header at the front of `bytes`. `None` while it is not complete, which 14 bytes
    /// always are; else the header and how many bytes it took.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let &[first, second, ref rest @ ..] = bytes else {
            return None;
        };
        let (form, len, rest) = match second & !MASK {
            LEN_16 => {
                let (len, rest) = rest.split_first_chunk()?;
                (LenForm::Bits16, u64::from(u16::from_be_bytes(*len)), rest)
            }
            LEN_64 => {
                let (len, rest) = rest.split_first_chunk()?;
                (LenForm::Bits64, u64::from_be_bytes(*len), rest)
            }
            short => (LenForm::Bits7, u64::from(short), rest),
        };
        let (mask, rest) = if second & MASK == 0 {
            (None, rest)
        } else {
            let (key, rest) = rest.split_first_chunk()?;
            (Some(*key), rest)
        };
        let layout = Self {
            fin: first & FIN != 0,
            rsv: first >> 4 & 0b111,
            opcode: first & 0x0F,
            form,
            len,
            mask,
        };
        Some((layout, bytes.len() - rest.len()))
    }

    /// A control frame by its opcode, be that reserved or not.
    pub fn is_control(&self) -> bool {
        self.opcode & CONTROL != 0
    }

    /// No shorter form holds the length.
    pub fn is_minimal(&self) -> bool {
        match self.form {
            LenForm::Bits7 => true,
            LenForm::Bits16 => self.len >= u64::from(LEN_16),
            LenForm::Bits64 => self.len > u64::from(u16::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LenForm::*;
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// The bytes are this header whatever follows, and no prefix of them is one.
    fn check(bytes: &[u8], form: LenForm, len: u64, mask: Option<[u8; 4]>, minimal: bool) {
        let expected = Layout {
            fin: bytes[0] & 0x80 != 0,
            rsv: bytes[0] / 16 % 8,
            opcode: bytes[0] % 16,
            form,
            len,
            mask,
        };
        for split in 0..bytes.len() {
            assert_eq!(
                Layout::read(&bytes[..split]),
                None,
                "{bytes:02x?} at {split}"
            );
        }
        let mut followed = bytes.to_vec();
        for _ in 0..3 {
            assert_eq!(Layout::read(&followed), Some((expected, bytes.len())));
            followed.push(0xff);
        }
        assert_eq!(expected.is_minimal(), minimal, "{bytes:02x?}");
        assert_eq!(expected.is_control(), bytes[0] % 16 >= 8, "{bytes:02x?}");
    }

    #[test]
    fn every_header_is_read_at_every_split_be_it_allowed_or_not() {
        // All that FIN, RSV and the opcode can be.
        for first in 0..=u8::MAX {
            check(&[first, 0], Bits7, 0, None, true);
            check(&[first, 125], Bits7, 125, None, true);
            check(
                &[first, 0x85, 0x37, 0xfa, 0x21, 0x3d],
                Bits7,
                5,
                Some(KEY),
                true,
            );
            check(&[first, 126, 0, 5], Bits16, 5, None, false);
            check(&[first, 126, 0, 125], Bits16, 125, None, false);
            check(&[first, 126, 0, 126], Bits16, 126, None, true);
            check(&[first, 126, 0xff, 0xff], Bits16, 65_535, None, true);
            check(
                &[first, 127, 0, 0, 0, 0, 0, 0, 0, 0],
                Bits64,
                0,
                None,
                false,
            );
            check(
                &[first, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                Bits64,
                65_535,
                None,
                false,
            );
            check(
                &[first, 127, 0, 0, 0, 0, 0, 1, 0, 0],
                Bits64,
                65_536,
                None,
                true,
            );
            check(
                &[first, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
                Bits64,
                1 << 63,
                None,
                true,
            );
        }
    }

    #[test]
    fn the_longest_header_is_complete_with_its_fourteenth_byte() {
        let longest = [&[0xff; 10][..], &KEY].concat();
        assert_eq!(longest.len(), crate::wire::ws::frame::HEADER_BYTES_MAX);
        check(&longest, Bits64, u64::MAX, Some(KEY), true);
        let masked16 = [&[0x82, 0xfe, 0x01, 0x00][..], &KEY].concat();
        check(&masked16, Bits16, 256, Some(KEY), true);
    }
}
