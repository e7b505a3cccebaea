//! The head of an HTTP/1.1 answer, as bytes (RFC 9112 §4).

use http::StatusCode;
use http::header::HeaderMap;

/// Encodes a head, its empty line included. Names and values are valid by their types.
pub fn encode(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(status.as_str().as_bytes());
    head.push(b' ');
    // RFC 9112 §4: the reason may be empty, its space may not be missing.
    head.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    head.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        spell(name.as_str(), &mut head);
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Names compare without case (RFC 9110 §5.1), yet some embedded clients search for the RFC's
/// spelling letter by letter. So `sec-websocket-accept` goes out as `Sec-WebSocket-Accept`.
fn spell(name: &str, head: &mut Vec<u8>) {
    for (i, part) in name.split('-').enumerate() {
        if i > 0 {
            head.push(b'-');
        }
        match part {
            "websocket" => head.extend_from_slice(b"WebSocket"),
            "www" => head.extend_from_slice(b"WWW"),
            _ => {
                let start = head.len();
                head.extend_from_slice(part.as_bytes());
                head[start..]
                    .iter_mut()
                    .take(1)
                    .for_each(|b| b.make_ascii_uppercase());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn names_are_spelled_as_the_rfcs_spell_them() {
        for (name, spelled) in [
            ("sec-websocket-accept", "Sec-WebSocket-Accept"),
            ("allow", "Allow"),
            ("www-authenticate", "WWW-Authenticate"),
            ("x--y", "X--Y"),
        ] {
            let mut head = Vec::new();
            spell(name, &mut head);
            assert_eq!(String::from_utf8(head).unwrap(), spelled);
        }
    }

    #[test]
    fn a_head_with_repeated_fields_and_an_unnamed_status() {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a"));
        headers.append("set-cookie", HeaderValue::from_static("b"));
        let text = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            String::from_utf8(encode(status, &headers)).unwrap()
        };
        let lines = "Set-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
        assert_eq!(
            text(101),
            format!("HTTP/1.1 101 Switching Protocols\r\n{lines}")
        );
        assert_eq!(text(599), format!("HTTP/1.1 599 \r\n{lines}"));
    }
}
