//! Numbers in as few bytes as they need: seven bits a byte, the lowest first, and the highest bit says
//! that there are more.
//!
//! Knows nothing of what they count.

/// Of the longest.
pub(super) const BYTES_MAX: usize = 5;

/// Puts `number` behind `bytes`.
pub(super) fn push(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes the number at the front of `bytes`; `None` where they end within it.
pub(super) fn pop(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for place in 0..BYTES_MAX {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_out_again_and_what_is_behind_it_stays() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u32::MAX - 1, u32::MAX] {
            let mut bytes = Vec::new();
            push(&mut bytes, number);
            assert!(bytes.len() <= BYTES_MAX);
            for cut in 0..bytes.len() {
                assert_eq!(pop(&mut &bytes[..cut]), None);
            }
            bytes.push(7);
            let mut rest = &bytes[..];
            assert_eq!((pop(&mut rest), rest), (Some(number), &[7][..]));
        }
    }
}
