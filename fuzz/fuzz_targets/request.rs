//! A client's request head, and the judgement on the handshake in it.

#![no_main]

use http::{HeaderMap, HeaderName, Version};
use libfuzzer_sys::fuzz_target;
use throughway::wire::authority::Authority;
use throughway::wire::head::{HEADERS_MAX, RequestHead, Scanner, parse_request};
use throughway::wire::ws::extensions;
use throughway::wire::ws::handshake::{self, Opening};
use throughway::wire::{fields, list};
use throughway_fuzz::{at_every_split, text};

const COMPRESSING: [&str; 3] = [
    "permessage-deflate",
    "x-webkit-deflate-frame",
    "deflate-frame",
];

fuzz_target!(|data: &[u8]| {
    let verdict = at_every_split(data, || {
        let mut scanner = Scanner::default();
        move |bytes: &[u8]| scanner.scan(bytes).transpose()
    });
    let Some(Ok(end)) = verdict else {
        return;
    };
    let head = &data[..end];
    let by_search = data.windows(4).position(|w| w == b"\r\n\r\n");
    assert_eq!(
        by_search.map(|at| at + 4),
        Some(end),
        "the head ends elsewhere"
    );
    let Ok(parsed) = parse_request(head) else {
        return;
    };
    assert!(parsed.headers.len() <= HEADERS_MAX);
    is_what_stands_there(&parsed, head);
    let again = printed(&parsed);
    assert_eq!(Scanner::default().scan(&again), Ok(Some(again.len())));
    let again = parse_request(&again).expect("what was parsed prints back");
    assert_eq!(again.headers, parsed.headers);
    assert_eq!(
        (&again.target, &again.method),
        (&parsed.target, &parsed.method)
    );
    if let Ok(opening) = handshake::judge(parsed) {
        is_harmless(&opening, head);
    }
});

/// Each line of the head is one of the parsed, in its order among those of its name.
fn is_what_stands_there(parsed: &RequestHead, head: &[u8]) {
    let mut lines = head.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end);
    let first = lines
        .next()
        .and_then(text)
        .expect("a request line in ASCII");
    let version = if parsed.version == Version::HTTP_10 {
        "1.0"
    } else {
        "1.1"
    };
    let expected = format!("{} {} HTTP/{version}", parsed.method, parsed.target);
    assert_eq!(first, expected);
    let mut taken = http::HeaderMap::<usize>::default();
    for line in lines.filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|&b| b == b':').expect("a colon");
        let name = HeaderName::from_bytes(&line[..colon]).expect("a name");
        let at = taken.get(&name).copied().unwrap_or_default();
        taken.insert(name.clone(), at + 1);
        let value = parsed
            .headers
            .get_all(&name)
            .iter()
            .nth(at)
            .expect("a value");
        assert_eq!(value.as_bytes(), line[colon + 1..].trim_ascii());
    }
    assert_eq!(taken.values().sum::<usize>(), parsed.headers.len());
}

fn printed(head: &RequestHead) -> Vec<u8> {
    let mut bytes = format!("{} {} {:?}", head.method, head.target, head.version).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(format!("\r\n{name}:").as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes
}

/// What was let through cannot be read as anything else by who is behind us. Looks at the bytes
/// themselves, not at what was made of them.
fn is_harmless(opening: &Opening, head: &[u8]) {
    let lines: Vec<(String, &[u8])> = head
        .split(|&b| b == b'\n')
        .skip(1)
        .filter_map(cut)
        .collect();
    // Many frameworks read an underscore or a dot as a dash.
    let named = |wanted: &str| {
        let is = |name: &str| name.replace(['_', '.'], "-") == wanted;
        let found = lines.iter().filter(move |(name, _)| is(name));
        found.map(|(_, value)| *value).collect::<Vec<_>>()
    };
    assert!(head.starts_with(b"GET "));
    assert!(named("transfer-encoding").is_empty() && named("expect").is_empty());
    assert!(matches!(named("content-length").as_slice(), [] | [b"0"]));
    let hosts: Vec<_> = lines.iter().filter(|(name, _)| name == "host").collect();
    let [(_, host)] = hosts.as_slice() else {
        panic!("{} Host lines", hosts.len());
    };
    let host = text(host).map(Authority::parse);
    assert_eq!(host, Some(Ok(opening.authority.clone())));
    assert!(
        opening
            .target
            .authority
            .as_ref()
            .is_none_or(|a| *a == opening.authority)
    );
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    assert!(is_plain(&opening.target.path_and_query));
    // Base64 of 16 bytes.
    assert!(is_plain(&opening.key) && opening.key.len() == 24 && opening.key.ends_with("=="));
    assert!(opening.subprotocols.iter().all(|s| list::is_token(s)));
    let is_text = |text: &str| text.bytes().all(|b| b == b'\t' || !b.is_ascii_control());
    assert!(opening.origin.as_deref().is_none_or(is_text));
    // What is no text is never equal to what a backend may choose.
    let is_text = |name: &str| name == fields::NO_TEXT || is_text(name);
    let names = extensions::names(&opening.headers);
    assert!(names.iter().all(|name| is_text(name)));
    is_free_of_compression(&opening.headers, &names);
}

/// Where offers to compress are refused, none is left, and nothing is there that was not.
fn is_free_of_compression(headers: &HeaderMap, before: &[String]) {
    let mut left = headers.clone();
    extensions::refuse_compression(&mut left);
    let names = extensions::names(&left);
    assert!(
        names
            .iter()
            .all(|name| !COMPRESSING.contains(&name.as_str()))
    );
    let mut twice = left.clone();
    extensions::refuse_compression(&mut twice);
    assert_eq!(twice, left);
    let is_other = |name: &&String| !COMPRESSING.contains(&name.as_str());
    let mut others = before.iter().filter(is_other);
    // What stays is there in its order; what could hide an offer may have gone too.
    assert!(names.iter().all(|name| others.any(|other| other == name)));
}

fn cut(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|&b| b == b':')?;
    let name = text(&line[..colon])?.to_ascii_lowercase();
    Some((name, line[colon + 1..].trim_ascii()))
}
