//! What of a client's offers goes on to the backend, and what it hears of the choice: extensions and
//! subprotocols (RFC 6455 §4.2.2, §9.1).
//!
//! Knows the two header fields, and none of the others.

use http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL};

use super::subprotocols::{Offer, Subprotocols};
use crate::wire::ws::extensions;

/// The rules of a route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offers {
    /// Whether messages may be compressed.
    pub compression: Compression,
    /// What becomes of subprotocols.
    pub subprotocols: Subprotocols,
}

/// Whether messages may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As the two sides agree.
    #[default]
    Pass,
    /// No offer to compress reaches the backend.
    Off,
}

/// What the backend is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The subprotocols.
    pub subprotocols: Offer,
    /// The names of the extensions.
    pub extensions: Vec<String>,
}

impl Offers {
    /// Rewrites a client's offers in `headers`, which go to the backend; `subprotocols` are those it
    /// offers. What no rule changes goes on byte for byte.
    pub fn rewrite(&self, subprotocols: &[String], headers: &mut HeaderMap) -> Offered {
        match self.compression {
            Compression::Pass => {}
            Compression::Off => extensions::refuse_compression(headers),
        }
        let subprotocols = self.subprotocols.offer(subprotocols);
        if self.subprotocols.changes_offers() {
            write(headers, &subprotocols.inside().join(", "));
        }
        Offered {
            extensions: extensions::names(headers),
            subprotocols,
        }
    }
}

/// Tells the client which of its subprotocols was chosen, by its own name for it.
pub fn choose(headers: &mut HeaderMap, chosen: Option<&str>) {
    write(headers, chosen.unwrap_or_default());
}

fn write(headers: &mut HeaderMap, names: &str) {
    // Tokens and commas are a valid value.
    match HeaderValue::from_str(names) {
        Ok(value) if !names.is_empty() => headers.insert(SEC_WEBSOCKET_PROTOCOL, value),
        _ => headers.remove(SEC_WEBSOCKET_PROTOCOL),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::parse_request;
    use crate::wire::ws::handshake::{Opening, judge};

    const PROTOCOL: &str = "sec-websocket-protocol";
    const EXTENSIONS: &str = "sec-websocket-extensions";

    fn opening(lines: &str) -> Opening {
        let text = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {lines}\r\n"
        );
        judge(parse_request(text.as_bytes()).unwrap()).unwrap()
    }

    /// What the backend is told in `field`, line by line.
    fn check(offers: &Offers, lines: &str, field: &str, expected: &[&str]) {
        let opening = opening(lines);
        let mut headers = opening.headers;
        let offered = offers.rewrite(&opening.subprotocols, &mut headers);
        let told: Vec<_> = headers.get_all(field).iter().collect();
        assert_eq!(told, expected, "{lines:?} by {offers:?}");
        // What the answer is held against is what was told, whatever was.
        assert_eq!(offered.extensions, extensions::names(&headers));
        let told = judged_subprotocols(&headers);
        assert_eq!(offered.subprotocols.inside(), told, "{lines:?}");
    }

    fn judged_subprotocols(headers: &HeaderMap) -> Vec<String> {
        let names = crate::wire::fields::tokens(headers, &SEC_WEBSOCKET_PROTOCOL);
        names.map(str::to_owned).collect()
    }

    fn offers(compression: Compression, map: &[(&str, &str)], strip: &[&str]) -> Offers {
        let pair = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        Offers {
            compression,
            subprotocols: Subprotocols {
                require: Vec::new(),
                map: map.iter().map(pair).collect(),
                strip: strip.iter().map(|&name| name.to_owned()).collect(),
            },
        }
    }

    #[test]
    fn without_rules_everything_goes_on_as_it_came() {
        let none = Offers::default();
        let lines = "Sec-WebSocket-Protocol: a ,b\r\nSec-WebSocket-Protocol: c\r\n\
                     Sec-WebSocket-Extensions: permessage-deflate;a,x\r\n";
        check(&none, lines, PROTOCOL, &["a ,b", "c"]);
        check(&none, lines, EXTENSIONS, &["permessage-deflate;a,x"]);
    }

    #[test]
    fn offers_to_compress_end_here_where_compression_is_off() {
        let off = offers(Compression::Off, &[], &[]);
        let lines = "Sec-WebSocket-Extensions: permessage-deflate;a,x\r\n";
        check(&off, lines, EXTENSIONS, &["x"]);
        check(&off, "Sec-WebSocket-Protocol: a,b\r\n", PROTOCOL, &["a,b"]);
    }

    #[test]
    fn subprotocols_are_renamed_and_taken_out() {
        let rules = offers(Compression::Pass, &[("v2", "v2.in")], &["debug"]);
        let lines = "Sec-WebSocket-Protocol: debug,v2\r\nSec-WebSocket-Protocol: x\r\n";
        check(&rules, lines, PROTOCOL, &["v2.in, x"]);
        check(&rules, "Sec-WebSocket-Protocol: debug\r\n", PROTOCOL, &[]);
        check(&rules, "", PROTOCOL, &[]);
    }

    #[test]
    fn the_choice_is_told_by_the_clients_name_or_not_at_all() {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v2.in"));
        choose(&mut headers, Some("v2"));
        assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "v2");
        choose(&mut headers, None);
        assert!(!headers.contains_key(SEC_WEBSOCKET_PROTOCOL));
    }
}
