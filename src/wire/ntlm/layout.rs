//! How every message is laid out ([MS-NLMP] §2.2.1): a fixed part, whose fields say where in the
//! payload behind it their values are.
//!
//! Knows no field by name.

use std::fmt;

use zeroize::Zeroizing;

/// What every message begins with.
pub(super) const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// A value that no field can hold: its length is 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// A message in the making. It may hold what proves a password, so it is wiped when dropped.
pub(super) struct Layout {
    fixed: Zeroizing<Vec<u8>>,
    payload: Zeroizing<Vec<u8>>,
    /// Where the payload begins: how long the fixed part will be.
    payload_at: usize,
}

impl Layout {
    /// A message of this type (1 or 3) whose fixed part has so many bytes.
    pub(super) fn new(message_type: u32, fixed_bytes: usize) -> Self {
        let empty = Self {
            fixed: Zeroizing::new(Vec::with_capacity(fixed_bytes)),
            payload: Zeroizing::new(Vec::with_capacity(1024)),
            payload_at: fixed_bytes,
        };
        empty.bytes(SIGNATURE).u32(message_type)
    }

    /// A number in the fixed part.
    pub(super) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Bytes in the fixed part.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.fixed.extend_from_slice(bytes);
        self
    }

    /// A value in the payload, and where it is in the fixed part: length, the same length again,
    /// offset.
    pub(super) fn field(mut self, value: &[u8]) -> Result<Self, TooLong> {
        let length = u16::try_from(value.len()).map_err(|_| TooLong)?;
        let offset = self.payload_at + self.payload.len();
        let offset = u32::try_from(offset).map_err(|_| TooLong)?;
        self.payload.extend_from_slice(value);
        let length = length.to_le_bytes();
        Ok(self.bytes(&length).bytes(&length).u32(offset))
    }

    /// The finished message.
    pub(super) fn finish(mut self) -> Zeroizing<Vec<u8>> {
        debug_assert_eq!(self.fixed.len(), self.payload_at, "the fixed part is whole");
        self.fixed.extend_from_slice(&self.payload);
        self.fixed
    }
}

/// `N` bytes at `offset`, if there are so many.
pub(super) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The value that the field at `offset` points to. An empty one may point anywhere: many senders
/// leave its offset unset.
pub(super) fn value(message: &[u8], offset: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_le_bytes(array(message, offset)?));
    let at = u32::from_le_bytes(array(message, offset + 4)?);
    if length == 0 {
        return Some(&[]);
    }
    let at = usize::try_from(at).ok()?;
    message.get(at..at.checked_add(length)?)
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name is too long for NTLM")
    }
}

impl std::error::Error for TooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_says_where_its_value_is() {
        let message = Layout::new(9, 28).field(b"abc").expect("short");
        let message = message.field(b"de").expect("short").finish();
        assert_eq!(message.len(), 33);
        assert_eq!(value(&message, 12), Some(&b"abc"[..]));
        assert_eq!(value(&message, 20), Some(&b"de"[..]));
        for cut in 28..31 {
            assert_eq!(value(&message[..cut], 12), None, "{cut}");
        }
    }

    #[test]
    fn an_empty_value_may_point_anywhere() {
        assert_eq!(
            value(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], 0),
            Some(&[][..])
        );
        assert_eq!(value(&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], 0), None);
    }

    #[test]
    fn a_value_over_16_bits_of_length_has_no_field() {
        assert!(Layout::new(3, 20).field(&[0; 0xffff]).is_ok());
        let refused = Layout::new(3, 20).field(&[0; 0x1_0000]).err();
        assert_eq!(refused, Some(TooLong));
    }
}
