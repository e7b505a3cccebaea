//! `--header`: headers of the user's own beside those of the handshake.
//!
//! No error repeats a value: it may be a token.

use http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};

use crate::cli::exit::Failure;
use crate::egress::Request;
use crate::wire::authority::Authority;

/// Headers that the handshake itself is made of, or that say how a message is framed.
const OWNED: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Puts each into the request.
pub(super) fn add(lines: &[String], request: &mut Request) -> Result<(), Failure> {
    for line in lines {
        let (name, value) = header(line).map_err(|what| usage(&what))?;
        match name {
            HOST => request.host = Some(host(&value)?),
            // Ours is a stand-in for whoever has none.
            USER_AGENT => drop(request.headers.insert(name, value)),
            name => drop(request.headers.append(name, value)),
        }
    }
    Ok(())
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or("expected NAME: VALUE, as in 'Authorization: Bearer …'")?;
    let shown = name.escape_default();
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("{shown} is no name of a header"))?;
    match name.as_str() {
        "origin" => return Err("Origin is set by --origin".to_owned()),
        "sec-websocket-protocol" => {
            return Err("Sec-WebSocket-Protocol is set by --subprotocol".to_owned());
        }
        owned if OWNED.contains(&owned) || is_family(owned) => {
            return Err(format!("{shown} belongs to the handshake"));
        }
        _ => {}
    }
    let value = HeaderValue::from_str(value.trim_matches([' ', '\t']))
        .map_err(|_| format!("the value of {shown} holds what a header cannot"))?;
    Ok((name, value))
}

// Sec-WebSocket-*, and what is said to a proxy and to nobody behind it.
fn is_family(name: &str) -> bool {
    name.starts_with("sec-websocket-") || name.starts_with("proxy-")
}

fn host(value: &HeaderValue) -> Result<String, Failure> {
    let text = value.to_str().unwrap_or_default();
    match Authority::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(usage("Host is no host and port")),
    }
}

fn usage(what: &str) -> Failure {
    Failure::Usage(format!("--header: {what}"))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn added(lines: &[&str]) -> Result<Request, String> {
        let mut request = Request {
            path_and_query: "/".to_owned(),
            host: None,
            headers: HeaderMap::new(),
            key: String::new(),
            subprotocols: Vec::new(),
            subprotocols_required: Vec::new(),
            extensions_offered: Vec::new(),
        };
        let ours = HeaderValue::from_static("ours");
        request.headers.insert(USER_AGENT, ours);
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let added = add(&lines, &mut request);
        added
            .map(|()| request)
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn headers_are_added_beside_each_other() {
        let lines = [
            "X-A: 1",
            "x-a:2",
            "User-Agent: theirs",
            "Host: a.test:1",
            "Empty:",
        ];
        let request = added(&lines).unwrap();
        let all: Vec<_> = request.headers.get_all("x-a").iter().collect();
        assert_eq!(all, ["1", "2"]);
        assert_eq!(request.headers[USER_AGENT], "theirs");
        assert_eq!(request.headers["empty"], "");
        assert_eq!(request.host.as_deref(), Some("a.test:1"));
    }

    #[test]
    fn what_the_handshake_owns_is_refused_and_no_value_is_repeated() {
        let check = |line: &str, expected: &str| {
            let told = added(&[line]).map(|_| ()).unwrap_err();
            assert_eq!(told, format!("error: --header: {expected}"));
            assert!(!told.contains("sesame"));
        };
        check(
            "Bearer sesame",
            "expected NAME: VALUE, as in 'Authorization: Bearer …'",
        );
        check("A B: sesame", "A B is no name of a header");
        check(
            "X: sesame\r\nY: z",
            "the value of X holds what a header cannot",
        );
        check("Origin: sesame", "Origin is set by --origin");
        check(
            "Sec-WebSocket-Protocol: sesame",
            "Sec-WebSocket-Protocol is set by --subprotocol",
        );
        check("Host: sesame/", "Host is no host and port");
        for name in [
            "Connection",
            "UPGRADE",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Extensions",
            "Content-Length",
            "Transfer-Encoding",
            "Proxy-Authorization",
        ] {
            let expected = format!("{name} belongs to the handshake");
            check(&format!("{name}: sesame"), &expected);
        }
    }
}
