//! The header of a WebSocket frame, and the mask over its payload (RFC 6455 §5.2, §5.3).
//!
//! Knows one frame at a time: not which frames make a message, not which side must mask, and
//! not what a payload means.

use std::fmt;
use std::ops::DerefMut;

use bytes::BufMut;

use super::layout::{FIN, LEN_16, LEN_64, Layout, LenForm, MASK};

/// Longest header there is: two bytes, a 64-bit length and a mask.
pub const HEADER_BYTES_MAX: usize = 14;

/// RFC 6455 §5.5: longest payload of a control frame.
pub const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;

/// Stands in for the bytes of a header that have not come: each value breaks no rule, whichever
/// bytes stand before it. The second says that there is neither mask nor length behind it; a longer
/// length is then of 0x7f alone, neither too short for its form nor too big.
const HARMLESS: [u8; HEADER_BYTES_MAX] = [
    FIN, 0, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f,
];

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// More of the message that a text or binary frame began.
    Continuation,
    /// The first frame of a text message.
    Text,
    /// The first frame of a binary message.
    Binary,
    /// The last frame of a side.
    Close,
    /// Asks for a pong with the same payload.
    Ping,
    /// Answers a ping, or comes on its own.
    Pong,
}

/// The header of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1 to RSV3 as a number: RSV1 is 4, RSV2 is 2, RSV3 is 1. Zero without an extension that
    /// was agreed on, which only the caller can know.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key; present from a client, absent from a server (RFC 6455 §5.1).
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload that follow.
    pub len: u64,
}

/// Why bytes are not the header of a frame. Each is a protocol error: close code 1002.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// Opcodes 3 to 7 and 11 to 15 are reserved.
    ReservedOpcode(u8),
    /// A control frame without FIN (RFC 6455 §5.4).
    FragmentedControl,
    /// A control frame over 125 bytes (RFC 6455 §5.5), or with its length in a form for so many.
    LongControl,
    /// A length that a shorter form would hold.
    LengthNotMinimal,
    /// The most significant bit of a 64-bit length is not zero.
    LengthTooBig,
}

/// Reads the header at the front of `bytes`. `None` while it is not complete, else the header and
/// how many bytes it took. An error is found as soon as no more bytes could mend it.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, FrameError> {
    if let Some((layout, used)) = Layout::read(bytes) {
        return Ok(Some((judge(&layout)?, used)));
    }
    let mut whole = HARMLESS;
    for (byte, came) in whole.iter_mut().zip(bytes) {
        *byte = *came;
    }
    if let Some((layout, _)) = Layout::read(&whole) {
        judge(&layout)?;
    }
    Ok(None)
}

/// The header that a layout is, where the protocol has one like it.
#[inline]
pub fn judge(layout: &Layout) -> Result<Header, FrameError> {
    let opcode = Opcode::from_bits(layout.opcode)?;
    if opcode.is_control() {
        if !layout.fin {
            return Err(FrameError::FragmentedControl);
        }
        // What the 7 bits do not hold is longer than a control frame, or not in its shortest form;
        // they alone tell, before the length that follows has come.
        if layout.form != LenForm::Bits7 {
            return Err(FrameError::LongControl);
        }
    }
    // RFC 6455 §5.2: "the most significant bit MUST be 0".
    if layout.len > i64::MAX as u64 {
        return Err(FrameError::LengthTooBig);
    }
    if !layout.is_minimal() {
        return Err(FrameError::LengthNotMinimal);
    }
    Ok(Header {
        fin: layout.fin,
        rsv: layout.rsv,
        opcode,
        mask: layout.mask,
        len: layout.len,
    })
}

/// Appends the bytes of `header`, its length in the shortest form.
pub fn encode(header: &Header, out: &mut Vec<u8>) {
    let fin = if header.fin { FIN } else { 0 };
    out.push(fin | (header.rsv & 0b111) << 4 | header.opcode.bits());
    let masked = if header.mask.is_some() { MASK } else { 0 };
    if header.len < u64::from(LEN_16) {
        // It fits: it is under 126.
        out.push(masked | header.len as u8);
    } else if let Ok(len) = u16::try_from(header.len) {
        out.push(masked | LEN_16);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(masked | LEN_64);
        out.extend_from_slice(&header.len.to_be_bytes());
    }
    out.extend_from_slice(header.mask.as_ref().map_or(&[], |key| key.as_slice()));
}

/// Appends one whole frame: no fragment, no extension, masked where there is a key.
pub fn append<B>(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>, out: &mut B)
where
    B: BufMut + DerefMut<Target = [u8]>,
{
    let header = Header {
        fin: true,
        rsv: 0,
        opcode,
        mask,
        len: payload.len() as u64,
    };
    let mut head = Vec::with_capacity(HEADER_BYTES_MAX);
    encode(&header, &mut head);
    out.put_slice(&head);
    let payload_at = out.len();
    out.put_slice(payload);
    if let (Some(key), Some(payload)) = (mask, out.get_mut(payload_at..)) {
        self::mask(key, 0, payload);
    }
}

/// Masks or unmasks `bytes`, which stand `offset` bytes into the payload: one operation, its own
/// inverse (RFC 6455 §5.3).
pub fn mask(key: [u8; 4], offset: u64, bytes: &mut [u8]) {
    let mut key = key;
    // It fits: it is under 4.
    key.rotate_left((offset % 4) as usize);
    let [a, b, c, d] = key;
    // Eight bytes at once, which is what lets the compiler go on to wider registers.
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for eight in words {
        *eight = (u64::from_ne_bytes(*eight) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

impl Opcode {
    /// Close, Ping and Pong: never fragmented, and allowed between the fragments of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// What a header's four bits stand for.
    #[inline]
    pub fn from_bits(bits: u8) -> Result<Self, FrameError> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            reserved => Err(FrameError::ReservedOpcode(reserved)),
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continuation => "continuation",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
        })
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedOpcode(bits) => write!(f, "reserved opcode {bits}"),
            Self::FragmentedControl => f.write_str("control frame without FIN"),
            Self::LongControl => f.write_str("control frame over 125 bytes"),
            Self::LengthNotMinimal => f.write_str("payload length not in its shortest form"),
            Self::LengthTooBig => f.write_str("payload length over 63 bits"),
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn header(fin: bool, rsv: u8, opcode: Opcode, mask: Option<[u8; 4]>, len: u64) -> Header {
        Header {
            fin,
            rsv,
            opcode,
            mask,
            len,
        }
    }

    /// The bytes are exactly this header, whatever follows, and no prefix of them is one.
    fn check(bytes: &[u8], expected: Header) {
        for split in 0..bytes.len() {
            assert_eq!(parse(&bytes[..split]), Ok(None), "{bytes:02x?} at {split}");
        }
        let mut followed = bytes.to_vec();
        for _ in 0..3 {
            assert_eq!(parse(&followed), Ok(Some((expected, bytes.len()))));
            followed.push(0xff);
        }
        let mut encoded = vec![0xee];
        encode(&expected, &mut encoded);
        assert_eq!(encoded[1..], *bytes, "{expected:?}");
    }

    /// The last of the bytes makes it this error, whatever follows, and none before it does.
    fn check_error(bytes: &[u8], expected: FrameError) {
        for split in 0..bytes.len() {
            assert_eq!(parse(&bytes[..split]), Ok(None), "{bytes:02x?} at {split}");
        }
        for after in [0x00, 0x7f, 0xff] {
            let mut followed = bytes.to_vec();
            for _ in 0..=HEADER_BYTES_MAX {
                assert_eq!(parse(&followed), Err(expected), "{followed:02x?}");
                followed.push(after);
            }
        }
    }

    #[test]
    fn a_header_is_read_at_every_split_and_written_back_the_same() {
        use Opcode::*;
        check(&[0x81, 0x05], header(true, 0, Text, None, 5));
        check(&[0x01, 0x03], header(false, 0, Text, None, 3));
        check(&[0x80, 0x02], header(true, 0, Continuation, None, 2));
        check(&[0x00, 0x00], header(false, 0, Continuation, None, 0));
        check(&[0xc1, 0x07], header(true, 4, Text, None, 7));
        check(&[0xa2, 0x07], header(true, 2, Binary, None, 7));
        check(&[0x92, 0x07], header(true, 1, Binary, None, 7));
        check(&[0x88, 0x00], header(true, 0, Close, None, 0));
        check(&[0x89, 0x7d], header(true, 0, Ping, None, 125));
        check(
            &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d],
            header(true, 0, Pong, Some(KEY), 5),
        );
    }

    #[test]
    fn each_form_of_the_length_at_its_bounds() {
        use Opcode::Binary;
        check(&[0x82, 0x7d], header(true, 0, Binary, None, 125));
        check(
            &[0x82, 0x7e, 0x00, 0x7e],
            header(true, 0, Binary, None, 126),
        );
        check(
            &[0x82, 0xfe, 0xff, 0xff, 0x37, 0xfa, 0x21, 0x3d],
            header(true, 0, Binary, Some(KEY), 65_535),
        );
        check(
            &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0],
            header(true, 0, Binary, None, 65_536),
        );
        let mut longest = vec![0x82, 0xff, 0x7f];
        longest.extend([0xff; 7]);
        longest.extend(KEY);
        assert_eq!(longest.len(), HEADER_BYTES_MAX);
        check(
            &longest,
            header(true, 0, Binary, Some(KEY), i64::MAX as u64),
        );
    }

    #[test]
    fn what_the_grammar_forbids_is_an_error_as_soon_as_it_is_seen() {
        use FrameError::*;
        for reserved in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            check_error(&[0x80 | reserved], ReservedOpcode(reserved));
        }
        for control in [0x08, 0x09, 0x0a] {
            check_error(&[control], FragmentedControl);
            check_error(&[0x80 | control, 0x7e], LongControl);
            check_error(&[0x80 | control, 0xff], LongControl);
        }
        check_error(&[0x82, 0x7e, 0x00, 0x7d], LengthNotMinimal);
        check_error(&[0x82, 0x7e, 0x00, 0x00], LengthNotMinimal);
        check_error(&[0x82, 0xfe, 0x00, 0x7d], LengthNotMinimal);
        // What two bytes hold is known by the six zeros before them.
        check_error(&[0x82, 0x7f, 0, 0, 0, 0, 0, 0], LengthNotMinimal);
        check_error(&[0x82, 0x7f, 0x80], LengthTooBig);
        check_error(&[0x82, 0xff, 0xff], LengthTooBig);
    }

    #[test]
    fn no_two_bytes_are_both_a_frame_and_something_else() {
        // Every header of two bytes that parses is written back as the same two bytes.
        for first in 0..=u8::MAX {
            for second in 0..=LEN_16 - 1 {
                let Ok(Some((header, 2))) = parse(&[first, second]) else {
                    continue;
                };
                let mut bytes = Vec::new();
                encode(&header, &mut bytes);
                assert_eq!(bytes, [first, second]);
            }
        }
    }

    #[test]
    fn the_masked_hello_of_the_rfc() {
        // RFC 6455 §5.7.
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        mask(KEY, 0, &mut payload);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn a_payload_is_masked_the_same_whole_or_in_two_at_any_point() {
        let payload: Vec<u8> = (0..41).collect();
        let mut whole = payload.clone();
        mask(KEY, 0, &mut whole);
        let byte_by_byte: Vec<u8> = payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        assert_eq!(whole, byte_by_byte);
        for split in 0..=payload.len() {
            let mut parts = payload.clone();
            let (left, right) = parts.split_at_mut(split);
            mask(KEY, 0, left);
            mask(KEY, split as u64, right);
            assert_eq!(parts, whole, "split at {split}");
        }
    }
}
