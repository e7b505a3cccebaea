//! A backend's 101: the judgement on it, and what of it goes on to the client. A header a line.

#![no_main]

use bytes::BytesMut;
use http::{HeaderMap, StatusCode, Version};
use libfuzzer_sys::fuzz_target;
use throughway::policy::forward;
use throughway::wire::answer_head;
use throughway::wire::ws::answer::{Offered, check_answer};
use throughway::wire::ws::switching::Reader;
use throughway_fuzz::headers;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// RFC 6455 §1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fuzz_target!(|data: &[u8]| {
    let headers = headers(data);
    let subprotocols = ["chat.v2".to_owned(), "chat.v1".to_owned()];
    let extensions = ["permessage-deflate".to_owned()];
    let offered = Offered {
        key: KEY,
        subprotocols: &subprotocols,
        required: &[],
        extensions: &extensions,
    };
    let verdict = check_answer(Version::HTTP_11, &headers, &offered);
    assert_eq!(
        verdict.is_ok(),
        is_answer(&headers),
        "{verdict:?} {headers:?}"
    );
    let is_one = |name: &String| name == "chat.v2";
    let must = Offered {
        required: &subprotocols[..1],
        ..offered
    };
    assert_eq!(
        check_answer(Version::HTTP_11, &headers, &must).is_ok(),
        matches!(&verdict, Ok(agreed) if agreed.subprotocol.as_ref().is_some_and(is_one))
    );
    if let Ok(agreed) = verdict {
        let sent = headers.get("sec-websocket-protocol");
        assert!(!agreed.extensions.others);
        assert_eq!(
            agreed.subprotocol.as_deref().map(str::as_bytes),
            sent.map(|v| v.as_bytes())
        );
    }
    let to_client = forward::to_client(headers.clone());
    ends_here(&headers, &to_client);
    prints_back(&headers);
    reads_in_pieces(data);
});

/// RFC 6455 §4.1 once more, rule by rule.
fn is_answer(headers: &HeaderMap) -> bool {
    let lines =
        |name: &str| -> Vec<&[u8]> { headers.get_all(name).iter().map(|v| v.as_bytes()).collect() };
    // No token that matters here can hold a quote, so only quoted commas could tell it from a
    // proper reading; those are left to the other.
    let tokens = |name: &str| -> Option<Vec<String>> {
        let mut tokens = Vec::new();
        for line in lines(name) {
            let is_text = line.iter().all(|b| matches!(b, b'\t' | b' '..=b'~'));
            let line = std::str::from_utf8(line).ok().filter(|_| is_text)?;
            let parts = cut_at_commas(line);
            tokens.extend(parts.iter().map(|t| t.to_ascii_lowercase()));
        }
        Some(tokens)
    };
    let no_body =
        lines("transfer-encoding").is_empty() && lines("content-length").iter().all(|v| v == b"0");
    let upgrade = tokens("upgrade").is_some_and(|t| t == ["websocket"]);
    let connection = tokens("connection").is_some_and(|t| t.iter().any(|t| t == "upgrade"));
    let accept = lines("sec-websocket-accept") == [ACCEPT.as_bytes()];
    let extensions = tokens("sec-websocket-extensions").is_some_and(|all| {
        let name = |e: &String| e.split(';').next().unwrap_or_default().trim().to_owned();
        all.iter().all(|e| name(e) == "permessage-deflate")
    });
    let subprotocol = match lines("sec-websocket-protocol").as_slice() {
        [] => true,
        [one] => *one == b"chat.v1" || *one == b"chat.v2",
        _ => false,
    };
    no_body && upgrade && connection && accept && extensions && subprotocol
}

/// At those that no quoted-string holds (RFC 9110 §5.6.4), character by character.
fn cut_at_commas(line: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = line.chars();
    let mut is_quoted = false;
    while let Some(c) = chars.next() {
        let last = parts.last_mut().expect("never empty");
        match c {
            ',' if !is_quoted => parts.push(String::new()),
            '\\' if is_quoted => {
                last.push(c);
                last.extend(chars.next());
            }
            _ => {
                is_quoted ^= c == '"';
                last.push(c);
            }
        }
    }
    let parts = parts.iter().map(|p| p.trim_matches([' ', '\t']));
    parts.filter(|p| !p.is_empty()).map(str::to_owned).collect()
}

/// Nothing that is about our connection to the backend, and nothing that was not there.
fn ends_here(from: &HeaderMap, to: &HeaderMap) {
    for (name, _) in to {
        let all = |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(all(from), all(to));
        let name = name.as_str();
        assert!(!name.starts_with("proxy-"), "{name}");
        let of_the_hop = [
            "connection",
            "content-length",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        assert!(!of_the_hop.contains(&name), "{name}");
    }
}

/// A head is the same whether it comes at once or byte by byte, and what is behind it is not touched.
fn reads_in_pieces(data: &[u8]) {
    let all = [b"HTTP/1.1 101 \r\n", data, b"\r\n\r\ntail"].concat();
    let mut at_once = BytesMut::from(all.as_slice());
    let Ok(Some(headers)) = Reader::default().read(&mut at_once) else {
        return;
    };
    assert!(all.ends_with(&at_once));
    let (mut reader, mut bytes) = (Reader::default(), BytesMut::new());
    let by_byte = all.iter().find_map(|byte| {
        bytes.extend_from_slice(&[*byte]);
        reader.read(&mut bytes).expect("the same head")
    });
    assert_eq!((by_byte, bytes.len()), (Some(headers), 0));
}

/// A head that we write is read as what it was made of.
fn prints_back(headers: &HeaderMap) {
    let bytes = answer_head::encode(StatusCode::SWITCHING_PROTOCOLS, headers);
    let mut slots = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Response::new(&mut slots);
    let status = parsed.parse(&bytes).expect("a head");
    assert_eq!(status, httparse::Status::Complete(bytes.len()));
    assert_eq!(parsed.code, Some(101));
    assert_eq!(parsed.headers.len(), headers.len());
    for (read, (name, value)) in parsed.headers.iter().zip(headers) {
        assert!(read.name.eq_ignore_ascii_case(name.as_str()));
        assert_eq!(read.value, value.as_bytes().trim_ascii());
    }
}
