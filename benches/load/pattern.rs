//! Frames whose every byte is known in advance, and the check that exactly those arrive.
//!
//! A frame is made once; its first eight payload bytes say which message of which connection it is
//! and are put in place for each use. So whatever a proxy loses, doubles, swaps between sessions or
//! changes is found by one comparison. Knows no sockets.

use std::fmt;

/// How many bytes of each payload the stamp takes.
pub(crate) const STAMP_BYTES: usize = 8;

/// One masking key for all: a generator has no attacker to hide its payload from.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Which message of which connection, counted from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) connection: u32,
    pub(crate) message: u32,
}

impl Stamp {
    fn bytes(self) -> [u8; STAMP_BYTES] {
        let number = u64::from(self.connection) << 32 | u64::from(self.message);
        number.to_be_bytes()
    }
}

/// One binary frame, ready to be stamped and sent.
#[derive(Debug)]
pub(crate) struct Form {
    bytes: Vec<u8>,
    payload_at: usize,
    mask: [u8; 4],
}

impl Form {
    /// A frame as a client sends it, with `size` bytes of payload.
    pub(crate) fn from_client(size: usize) -> Self {
        Self::new(size, Some(MASK))
    }

    /// A frame as a backend sends it.
    pub(crate) fn from_backend(size: usize) -> Self {
        Self::new(size, None)
    }

    fn new(size: usize, mask: Option<[u8; 4]>) -> Self {
        let size = size.max(STAMP_BYTES);
        let mut bytes = header(size, mask);
        let payload_at = bytes.len();
        let mask = mask.unwrap_or_default();
        let masks = mask.iter().cycle();
        bytes.extend(
            noise()
                .take(size)
                .zip(masks)
                .map(|(byte, mask)| byte ^ mask),
        );
        Self {
            bytes,
            payload_at,
            mask,
        }
    }

    /// The whole frame as message `stamp`.
    pub(crate) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        let place = self.bytes.iter_mut().skip(self.payload_at);
        let masks = self.mask.iter().cycle();
        for ((byte, stamp), mask) in place.zip(stamp.bytes()).zip(masks) {
            *byte = stamp ^ mask;
        }
        &self.bytes
    }
}

/// RFC 6455 §5.2: FIN and opcode 2, then the length in its shortest form, then the masking key.
fn header(size: usize, mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![0x82];
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(length @ 0..=125), _) => bytes.push(masked | length),
        (_, Ok(length)) => {
            bytes.push(masked | 126);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(masked | 127);
            bytes.extend((size as u64).to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    bytes
}

/// Bytes without a pattern that a compressor or a shift by a few bytes would meet (xorshift64).
fn noise() -> impl Iterator<Item = u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some((state >> 32) as u8)
    })
}

/// Where a receiver is in what it should receive.
#[derive(Debug, Default)]
pub(crate) struct Check {
    stamp: Stamp,
    /// How much of the message `stamp` has arrived; less than a whole frame.
    offset: usize,
}

/// The first byte that is not what was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spoilt {
    stamp: Stamp,
    /// Counted from the first byte of the frame's header.
    byte: usize,
}

impl fmt::Display for Spoilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stamp {
            connection,
            message,
        } = self.stamp;
        let byte = self.byte;
        write!(f, "connection {connection}, message {message}, byte {byte}")
    }
}

impl Check {
    pub(crate) fn of(connection: u32) -> Self {
        Self {
            stamp: Stamp {
                connection,
                message: 0,
            },
            offset: 0,
        }
    }

    /// How many whole messages have arrived so far.
    pub(crate) fn messages(&self) -> u32 {
        self.stamp.message
    }

    /// Whether what comes next is the beginning of a message.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.offset == 0
    }

    /// Compares what arrived with what comes next.
    pub(crate) fn accept(&mut self, form: &mut Form, mut bytes: &[u8]) -> Result<(), Spoilt> {
        while !bytes.is_empty() {
            let frame = form.stamped(self.stamp);
            let expected = &frame[self.offset..];
            let length = expected.len().min(bytes.len());
            let (these, rest) = bytes.split_at(length);
            if *these != expected[..length] {
                return Err(self.first_difference(these, expected));
            }
            bytes = rest;
            self.offset += length;
            if self.offset == frame.len() {
                self.offset = 0;
                self.stamp.message += 1;
            }
        }
        Ok(())
    }

    fn first_difference(&self, arrived: &[u8], expected: &[u8]) -> Spoilt {
        let same = arrived.iter().zip(expected).take_while(|(a, b)| a == b);
        Spoilt {
            stamp: self.stamp,
            byte: self.offset + same.count(),
        }
    }
}
