//! 6: text is UTF-8, however it is cut, and everything else is not text (RFC 3629).

use super::{Case, legal, payload};
use crate::support::frames::{Frame, binary, ping, rest, text};

/// The first and the last code point of each length, the neighbours of what is no code point, and
/// text as people write it.
const SOUND: [&str; 14] = [
    "\0",
    "\u{7f}",
    "\u{80}",
    "\u{7ff}",
    "\u{800}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffe}\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "\u{feff}a mark first",
    "Größe: 5 µm",
    "žluťoučký kůň",
    "日本語 👩\u{200d}🚀",
];

const BROKEN: [(&str, &[u8]); 24] = [
    ("a byte that only goes on", b"\x80"),
    ("the last of these", b"\xbf"),
    ("two of them", b"\x80\xbf"),
    ("one in the middle", b"in the mi\x80ddle"),
    ("a beginning of two alone", b"\xc3"),
    ("a beginning of three alone", b"\xe2\x82"),
    ("a beginning of four alone", b"\xf0\x9f\x8c"),
    ("a beginning and a letter", b"\xe2\x82A"),
    ("a beginning and another", b"\xc3\xc3\xa4"),
    ("an end that is missing", b"so far so good \xc3"),
    ("a slash in two bytes", b"\xc0\xaf"),
    ("a slash in three", b"\xe0\x80\xaf"),
    ("a slash in four", b"\xf0\x80\x80\xaf"),
    ("the longest of two that is one", b"\xc1\xbf"),
    ("the longest of three that is two", b"\xe0\x9f\xbf"),
    ("the longest of four that is three", b"\xf0\x8f\xbf\xbf"),
    ("a NUL in two bytes", b"\xc0\x80"),
    ("the first surrogate", b"\xed\xa0\x80"),
    ("the last surrogate", b"\xed\xbf\xbf"),
    ("a pair of them", b"\xed\xa0\x80\xed\xb0\x80"),
    ("behind the last code point", b"\xf4\x90\x80\x80"),
    ("five bytes", b"\xf8\x88\x80\x80\x80"),
    ("six bytes", b"\xfc\x84\x80\x80\x80\x80"),
    ("what is never in it", b"\xfe\xff"),
];

pub(super) fn cases() -> Vec<Case> {
    let sound = SOUND.iter().flat_map(|text| of_sound(text));
    let broken = BROKEN
        .iter()
        .flat_map(|(name, bytes)| of_broken(name, bytes));
    let others = vec![
        legal("6.0 no text at all", vec![text(""), text("")]),
        legal("6.0 binary is not text", vec![binary(b"\xfe\xff\x80\xc0")]),
        legal(
            "6.0 a ping's payload is not text",
            vec![ping(b"\xfe\xff\x80")],
        ),
        payload(
            "6.0 what is wrong comes late in a long text",
            vec![],
            text([&[b'a'; 5000][..], b"\xff"].concat()),
            1007,
        ),
    ];
    sound.chain(broken).chain(others).collect()
}

fn of_sound(sound: &str) -> Vec<Case> {
    let name = sound.escape_unicode();
    let mut cases = vec![
        legal(format!("6.1 {name}"), vec![text(sound)]),
        legal(format!("6.2 {name} a byte a frame"), byte_by_byte(sound)),
    ];
    for at in 1..sound.len() {
        let (begin, end) = sound.as_bytes().split_at(at);
        cases.push(legal(
            format!("6.3 {name} in two frames at {at}"),
            vec![text(begin).and_more(), ping("between"), rest(end)],
        ));
    }
    cases
}

fn byte_by_byte(sound: &str) -> Vec<Frame> {
    let mut frames = vec![text("").and_more()];
    frames.extend(sound.bytes().map(|byte| rest([byte]).and_more()));
    frames.push(rest(""));
    frames
}

fn of_broken(name: &str, bytes: &[u8]) -> Vec<Case> {
    let good = || vec![text("grüß dich")];
    let mut cases = vec![payload(format!("6.4 {name}"), good(), text(bytes), 1007)];
    for at in 1..bytes.len() {
        let (begin, end) = bytes.split_at(at);
        let (begin, end) = (text(begin).and_more(), rest(end));
        // It may be hopeless before it ends.
        let is_hopeless =
            std::str::from_utf8(&bytes[..at]).is_err_and(|error| error.error_len().is_some());
        let (good, bad) = match is_hopeless {
            true => (good(), begin),
            false => ([good(), vec![begin]].concat(), end),
        };
        let name = format!("6.5 {name}, in two frames at {at}");
        cases.push(payload(name, good, bad, 1007));
    }
    cases
}
