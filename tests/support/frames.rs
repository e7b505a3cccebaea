//! Frames, right and wrong: built bit by bit, and taken apart again (RFC 6455 §5.2).
//!
//! A second reading of the RFC: it uses nothing of the crate's own. Knows no connection, and so not
//! what a frame is allowed to be.

/// Every masked frame of a test has this key, so that two runs have the same bytes.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

/// Whose frames they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    Client,
    Backend,
}

impl Seat {
    /// The one across.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Backend,
            Self::Backend => Self::Client,
        }
    }
}

/// In how many bits a length is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Least,
    Bits16,
    Bits64,
}

/// A frame in the making. It is a right one until something is made wrong.
#[derive(Debug, Clone)]
pub struct Frame {
    opcode: u8,
    fin: bool,
    rsv: u8,
    form: Form,
    claimed: Option<u64>,
    wrongly_masked: bool,
    payload: Vec<u8>,
}

/// A whole message of one frame, or a control frame.
pub fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    Frame {
        opcode,
        fin: true,
        rsv: 0,
        form: Form::Least,
        claimed: None,
        wrongly_masked: false,
        payload: payload.as_ref().to_vec(),
    }
}

pub fn text(payload: impl AsRef<[u8]>) -> Frame {
    frame(TEXT, payload)
}

pub fn binary(payload: impl AsRef<[u8]>) -> Frame {
    frame(BINARY, payload)
}

/// The last frame of a message.
pub fn rest(payload: impl AsRef<[u8]>) -> Frame {
    frame(CONTINUATION, payload)
}

pub fn ping(payload: impl AsRef<[u8]>) -> Frame {
    frame(PING, payload)
}

pub fn pong(payload: impl AsRef<[u8]>) -> Frame {
    frame(PONG, payload)
}

pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Frame {
    frame(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
}

impl Frame {
    /// More of its message follows.
    pub fn and_more(mut self) -> Self {
        self.fin = false;
        self
    }

    /// With these RSV bits: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub fn rsv(mut self, bits: u8) -> Self {
        self.rsv = bits;
        self
    }

    /// The length in 16 bits, whatever it is.
    pub fn len16(mut self) -> Self {
        self.form = Form::Bits16;
        self
    }

    /// The length in 64 bits, whatever it is.
    pub fn len64(mut self) -> Self {
        self.form = Form::Bits64;
        self
    }

    /// The header, in 64 bits, says this length, whatever follows.
    pub fn claiming(mut self, len: u64) -> Self {
        self.claimed = Some(len);
        self.len64()
    }

    /// The header says this length, and there is none of it.
    pub fn announcing(mut self, len: u64) -> Self {
        self.claimed = Some(len);
        self.payload.clear();
        self
    }

    /// Masked if its sender must not, and not if it must.
    pub fn wrongly_masked(mut self) -> Self {
        self.wrongly_masked = true;
        self
    }

    pub fn is_close(&self) -> bool {
        self.opcode == CLOSE
    }

    /// What the first two bytes of its payload are as a number.
    pub fn code(&self) -> Option<u16> {
        code_of(&self.payload)
    }

    /// Its bytes from this side.
    pub fn bytes(&self, from: Seat) -> Vec<u8> {
        let masked = (from == Seat::Client) != self.wrongly_masked;
        let mask_bit = if masked { 0x80 } else { 0 };
        let len = self.claimed.unwrap_or(self.payload.len() as u64);
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        match (self.form, len) {
            (Form::Least, 0..=125) => bytes.push(mask_bit | len as u8),
            (Form::Bits16, _) | (Form::Least, 126..=0xffff) => {
                bytes.push(mask_bit | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            (Form::Bits64, _) | (Form::Least, _) => {
                bytes.push(mask_bit | 127);
                bytes.extend(len.to_be_bytes());
            }
        }
        match masked {
            false => bytes.extend(&self.payload),
            true => {
                bytes.extend(KEY);
                bytes.extend(unmasked(&self.payload, KEY));
            }
        }
        bytes
    }
}

/// A frame that was received whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub opcode: u8,
    pub fin: bool,
    pub rsv: u8,
    pub is_masked: bool,
    /// Without its mask.
    pub payload: Vec<u8>,
    /// How long it was on the wire.
    pub bytes: usize,
}

/// What a header says, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub opcode: u8,
    pub fin: bool,
    pub rsv: u8,
    pub len: u64,
    pub is_minimal: bool,
    pub key: Option<[u8; 4]>,
    pub bytes: usize,
}

impl Head {
    /// The header at the front of `bytes`, once it is complete.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let short = *bytes.get(1)? & 0x7f;
        let (len, least, lengths) = match short {
            126 => (
                u16::from_be_bytes(*bytes[2..].first_chunk()?).into(),
                126,
                2,
            ),
            127 => (u64::from_be_bytes(*bytes[2..].first_chunk()?), 0x1_0000, 8),
            short => (u64::from(short), 0, 0),
        };
        let behind = 2 + lengths;
        let key = match bytes[1] & 0x80 {
            0 => None,
            _ => Some(*bytes[behind..].first_chunk()?),
        };
        Some(Self {
            opcode: bytes[0] & 0x0f,
            fin: bytes[0] & 0x80 != 0,
            rsv: bytes[0] >> 4 & 7,
            len,
            is_minimal: len >= least,
            key,
            bytes: behind + key.map_or(0, |key| key.len()),
        })
    }
}

/// The whole frames at the front of `bytes`, and whether something follows that is none.
pub fn received(mut bytes: &[u8]) -> (Vec<Received>, bool) {
    let mut frames = Vec::new();
    while let Some(head) = Head::read(bytes) {
        let Some(payload) = whole(&bytes[head.bytes..], head.len) else {
            break;
        };
        let taken = head.bytes + payload.len();
        frames.push(Received {
            opcode: head.opcode,
            fin: head.fin,
            rsv: head.rsv,
            is_masked: head.key.is_some(),
            payload: unmasked(payload, head.key.unwrap_or_default()),
            bytes: taken,
        });
        bytes = &bytes[taken..];
    }
    (frames, !bytes.is_empty())
}

/// The first `len` of `bytes`, if they are so many.
pub fn whole(bytes: &[u8], len: u64) -> Option<&[u8]> {
    bytes.get(..usize::try_from(len).ok()?)
}

/// Eight bytes at a time, because tests are built to be debugged, and megabytes go through here.
pub fn unmasked(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut plain = payload.to_vec();
    let [a, b, c, d] = key;
    let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (eights, rest) = plain.as_chunks_mut();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ twice).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    plain
}

/// The code in a Close's payload.
pub fn code_of(payload: &[u8]) -> Option<u16> {
    payload.first_chunk().map(|code| u16::from_be_bytes(*code))
}
