//! What the targets have in common: reading bytes as they may arrive, and reading them naively.
//!
//! Knows no parser.

use std::fmt::Debug;

/// The data as text, where it is text.
pub fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// A reader gives one verdict, however the bytes arrive: at once, one by one, or in any two parts.
/// `reader` makes a fresh one, which is shown all that has arrived so far, again and again until
/// it knows. Returns the verdict; `None` where all of `data` is too little for one.
pub fn at_every_split<T, R>(data: &[u8], reader: impl Fn() -> R) -> Option<T>
where
    T: PartialEq + Debug,
    R: FnMut(&[u8]) -> Option<T>,
{
    let whole = reader()(data);
    let mut by_byte = reader();
    let by_byte = (0..=data.len()).find_map(|so_far| by_byte(&data[..so_far]));
    assert_eq!(by_byte, whole, "byte by byte");
    let mut in_two = reader();
    let in_two = in_two(split(data).0).or_else(|| in_two(data));
    assert_eq!(in_two, whole, "in two parts");
    whole
}

/// The data in two parts, cut somewhere that is the same for the same data.
pub fn split(data: &[u8]) -> (&[u8], &[u8]) {
    // FNV-1a.
    let hash = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    data.split_at((hash % (data.len() as u64 + 1)) as usize)
}

/// `text` with each `%` and two digits made the byte they stand for; `None` where one is broken.
pub fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2)?;
        // Unlike the number's own parser, which takes a sign.
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(part[2..].as_bytes());
    }
    Some(bytes)
}

/// Header lines from what a target was given: a line each, cut at its first colon. What is no
/// header line by its characters is left out.
pub fn headers(data: &[u8]) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    for line in data.split(|&b| b == b'\n').take(64) {
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            continue;
        };
        let name = http::HeaderName::from_bytes(&line[..colon]);
        let value = http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}
