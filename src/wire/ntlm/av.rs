//! The attributes of a challenge, and what a client adds to them ([MS-NLMP] §2.2.2.1).
//!
//! Knows where they begin and end, not in which message.

use super::layout::{TooLong, array};

// The identifiers, in the specification's order.
const EOL: u16 = 0;
const FLAGS: u16 = 6;
const TIMESTAMP: u16 = 7;
const TARGET_NAME: u16 = 9;
const CHANNEL_BINDINGS: u16 = 10;

/// In the flags: the Type 3 holds a MIC.
const MIC_PRESENT: u32 = 0x0000_0002;

/// AV_PAIR.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    id: u16,
    value: Vec<u8>,
}

/// A list of attributes, its end not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pairs(Vec<Pair>);

impl Pairs {
    /// Parses a list up to its end, which must be there. What comes behind it is padding.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut pairs = Vec::new();
        loop {
            let id = u16::from_le_bytes(array(bytes, 0)?);
            let length = usize::from(u16::from_le_bytes(array(bytes, 2)?));
            let value = bytes.get(4..4 + length)?;
            bytes = bytes.get(4 + length..)?;
            match (id, length) {
                (EOL, 0) => return Some(Self(pairs)),
                (EOL, _) => return None,
                (FLAGS, n) if n != 4 => return None,
                (TIMESTAMP, n) if n != 8 => return None,
                _ => pairs.push(Pair {
                    id,
                    value: value.to_vec(),
                }),
            }
        }
    }

    /// The list with its end.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, TooLong> {
        let mut bytes = Vec::with_capacity(256);
        for Pair { id, value } in &self.0 {
            let length = u16::try_from(value.len()).map_err(|_| TooLong)?;
            bytes.extend_from_slice(&id.to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(&[0; 4]);
        Ok(bytes)
    }

    /// The clock of whoever challenges: 100 ns since 1601.
    pub(super) fn timestamp(&self) -> Option<u64> {
        array(self.value(TIMESTAMP)?, 0).map(u64::from_le_bytes)
    }

    /// What a client answers with ([MS-NLMP] §3.1.5.1.2): the same attributes, its own flags,
    /// channel bindings and target name added. Whoever challenges without any attribute does not
    /// know them, and gets none. `target_name` is in UTF-16LE.
    pub(super) fn answered(&self, mic: bool, binding: [u8; 16], target_name: &[u8]) -> Self {
        if self.0.is_empty() {
            return Self::default();
        }
        let ours = [FLAGS, CHANNEL_BINDINGS, TARGET_NAME];
        let theirs = self.0.iter().filter(|pair| !ours.contains(&pair.id));
        let mut pairs: Vec<Pair> = theirs.cloned().collect();
        let mut add = |id, value: &[u8]| {
            pairs.push(Pair {
                id,
                value: value.to_vec(),
            });
        };
        let flags = self.flags() | if mic { MIC_PRESENT } else { 0 };
        if flags != 0 {
            add(FLAGS, &flags.to_le_bytes());
        }
        add(CHANNEL_BINDINGS, &binding);
        add(TARGET_NAME, target_name);
        Self(pairs)
    }

    fn flags(&self) -> u32 {
        let flags = self.value(FLAGS).and_then(|value| array(value, 0));
        flags.map_or(0, u32::from_le_bytes)
    }

    fn value(&self, id: u16) -> Option<&[u8]> {
        let found = self.0.iter().find(|pair| pair.id == id);
        found.map(|pair| pair.value.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A domain name, flags, a timestamp.
    const LIST: &[u8] =
        b"\x02\0\x04\0D\0M\0\x06\0\x04\0\x01\0\0\0\x07\0\x08\0\x01\0\0\0\0\0\0\x80\0\0\0\0";

    #[test]
    fn a_list_is_whole_or_none() {
        for cut in 0..LIST.len() {
            assert_eq!(Pairs::parse(&LIST[..cut]), None, "{cut}");
        }
        let pairs = Pairs::parse(LIST).expect("a list");
        assert_eq!(pairs.timestamp(), Some(0x8000_0000_0000_0001));
        assert_eq!(pairs.to_bytes().expect("short"), LIST);
        assert_eq!(Pairs::parse(&[LIST, b"padding"].concat()), Some(pairs));
    }

    #[test]
    fn an_attribute_of_the_wrong_length_is_none() {
        for bytes in [
            &b"\0\0\x01\0x"[..],
            b"\x06\0\x02\0\0\0\0\0\0\0",
            b"\x07\0\x04\0\0\0\0\0\0\0\0\0",
            b"\x02\0\xff\xff\0\0\0\0",
        ] {
            assert_eq!(Pairs::parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn an_answer_keeps_what_was_asked_and_adds_its_own() {
        let asked = Pairs::parse(LIST).expect("a list");
        let answered = asked.answered(true, [7; 16], b"H\0").to_bytes();
        let expected = [
            b"\x02\0\x04\0D\0M\0\x07\0\x08\0\x01\0\0\0\0\0\0\x80\x06\0\x04\0\x03\0\0\0\x0a\0\x10\0",
            &[7; 16][..],
            b"\x09\0\x02\0H\0\0\0\0\0",
        ];
        assert_eq!(answered, Ok(expected.concat()));
    }

    #[test]
    fn bindings_and_a_name_of_the_other_side_are_replaced() {
        let asked = Pairs::parse(b"\x09\0\x01\0x\x0a\0\x01\0y\0\0\0\0").expect("a list");
        let answered = asked.answered(false, [0; 16], b"H\0");
        assert_eq!(answered.value(TARGET_NAME), Some(&b"H\0"[..]));
        assert_eq!(answered.value(CHANNEL_BINDINGS), Some(&[0; 16][..]));
        assert_eq!(answered.0.len(), 2);
    }

    #[test]
    fn nothing_is_added_to_nothing() {
        let none = Pairs::default();
        let bytes = none.answered(false, [7; 16], b"H\0").to_bytes();
        assert_eq!(bytes, Ok(vec![0; 4]));
    }
}
