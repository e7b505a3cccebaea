//! A `ws://` or `wss://` URL as it was typed, in the halves that a dial needs.
//!
//! Knows no other scheme, but says which was probably meant.

use http::uri::PathAndQuery;

use crate::cli::exit::Failure;
use crate::wire::authority::Authority;

/// A URL in its two halves.
pub(super) struct Url<'a> {
    pub(super) is_secure: bool,
    /// `ws://host:port`.
    pub(super) server: &'a str,
    pub(super) authority: Authority,
    pub(super) path_and_query: String,
}

/// Reads one.
pub(super) fn url(text: &str) -> Result<Url<'_>, Failure> {
    let usage = |what: &str| Failure::Usage(format!("URL: {what}"));
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| usage("expected ws://host:port/path or wss://host:port/path"))?;
    let is_secure = match scheme.to_ascii_lowercase().as_str() {
        "ws" => false,
        "wss" => true,
        "http" => return Err(usage("its scheme is http; did you mean ws://?")),
        "https" => return Err(usage("its scheme is https; did you mean wss://?")),
        _ => return Err(usage("its scheme is neither ws nor wss")),
    };
    // RFC 6455 §3: a fragment has no meaning and must not be there.
    if rest.contains('#') {
        return Err(usage(
            "it holds a fragment (#), which a WebSocket has none of",
        ));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if authority.contains('@') {
        return Err(usage(
            "it holds a user or a password, which a WebSocket has no place for",
        ));
    }
    let authority = Authority::parse(authority).map_err(|_| usage("no valid host and port"))?;
    let path_and_query = match target.starts_with('/') {
        true => target.to_owned(),
        false => format!("/{target}"),
    };
    PathAndQuery::try_from(path_and_query.as_str())
        .map_err(|_| usage("its path holds what a path cannot; write it percent-encoded"))?;
    Ok(Url {
        is_secure,
        server: text.split_at(scheme.len() + "://".len() + end).0,
        authority,
        path_and_query,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_url(text: &str, expected: Result<(&str, &str), &str>) {
        let read = url(text).map(|url| (url.server.to_owned(), url.path_and_query));
        let read = read.map_err(|failure| failure.to_string());
        let expected = expected
            .map(|(server, path)| (server.to_owned(), path.to_owned()))
            .map_err(|what| format!("error: URL: {what}"));
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn a_url_is_a_server_and_what_to_ask_of_it() {
        check_url("ws://a.test", Ok(("ws://a.test", "/")));
        check_url("WSS://a.test:1/b?c=d", Ok(("WSS://a.test:1", "/b?c=d")));
        check_url("ws://[::1]:1?c", Ok(("ws://[::1]:1", "/?c")));
        check_url(
            "a.test",
            Err("expected ws://host:port/path or wss://host:port/path"),
        );
        check_url(
            "https://a.test",
            Err("its scheme is https; did you mean wss://?"),
        );
        check_url("ftp://a.test", Err("its scheme is neither ws nor wss"));
        check_url("ws://a b/", Err("no valid host and port"));
        check_url(
            "ws://u:sesame@a.test/",
            Err("it holds a user or a password, which a WebSocket has no place for"),
        );
        check_url(
            "ws://a.test/#x",
            Err("it holds a fragment (#), which a WebSocket has none of"),
        );
        check_url(
            "ws://a.test/a b",
            Err("its path holds what a path cannot; write it percent-encoded"),
        );
    }
}
