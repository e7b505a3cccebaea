//! Frames, read and written a second time: nothing of the crate's own grammar is used (RFC 6455 §5.2).
//!
//! Knows no rules: any bytes are frames.

use std::ops::Range;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Where one frame stands in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub start: usize,
    pub payload: usize,
    /// May be past the end of the stream.
    pub end: usize,
    pub first: u8,
    pub key: Option<[u8; 4]>,
}

impl Frame {
    /// The frame that begins there; `None` if its header is not complete.
    pub fn at(stream: &[u8], start: usize) -> Option<Self> {
        let first = *stream.get(start)?;
        let second = *stream.get(start + 1)?;
        let extra = match second % 128 {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mut payload = start + 2 + extra;
        let number = |bytes: &[u8]| bytes.iter().fold(0_usize, |n, b| n << 8 | usize::from(*b));
        let len = match extra {
            0 => usize::from(second % 128),
            _ => number(stream.get(start + 2..payload)?),
        };
        let mut key = None;
        if second >= 128 {
            key = Some(stream.get(payload..payload + 4)?.try_into().unwrap());
            payload += 4;
        }
        Some(Self {
            start,
            payload,
            end: payload.saturating_add(len),
            first,
            key,
        })
    }

    /// All that begin in `stream`, one after the other.
    pub fn all(stream: &[u8]) -> Vec<Self> {
        let mut frames: Vec<Self> = Vec::new();
        while let Some(frame) = Self::at(stream, frames.last().map_or(0, |last| last.end)) {
            frames.push(frame);
        }
        frames
    }

    pub fn opcode(&self) -> u8 {
        self.first % 16
    }

    pub fn is_last(&self) -> bool {
        self.first >= 128
    }

    pub fn len(&self) -> usize {
        self.end - self.payload
    }

    /// As much of it as is in a stream of so many bytes.
    pub fn within(&self, bytes: usize) -> Range<usize> {
        self.start..self.end.min(bytes)
    }

    /// Without its mask; `None` if it is not complete.
    pub fn text(&self, stream: &[u8]) -> Option<Vec<u8>> {
        let mut text = stream.get(self.payload..self.end)?.to_vec();
        mask(&mut text, self.key);
        Some(text)
    }
}

/// How a length is written: in the shortest form, or in a longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Shortest,
    Two,
    Eight,
}

/// A frame of this payload, which is masked where there is a key.
pub fn write(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64, Form::Shortest, key);
    let at = frame.len();
    frame.extend_from_slice(payload);
    mask(&mut frame[at..], key);
    frame
}

pub fn header(first: u8, len: u64, form: Form, key: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if key.is_some() { 128 } else { 0 };
    let mut bytes = vec![first];
    match (form, len) {
        (Form::Shortest, 0..126) => bytes.push(bit | len as u8),
        (Form::Shortest, 126..65_536) | (Form::Two, _) => {
            bytes.push(bit | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        (Form::Shortest, _) | (Form::Eight, _) => {
            bytes.push(bit | 127);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
    }
    bytes.extend(key.into_iter().flatten());
    bytes
}

fn mask(bytes: &mut [u8], key: Option<[u8; 4]>) {
    // What is masked with zeros is what it was, and long payloads are, to save the time.
    let Some(key) = key.filter(|key| *key != [0; 4]) else {
        return;
    };
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte ^= key[at % 4];
    }
}
