//! What was typed, as values: whom to dial, what to say there, and by which way.
//!
//! Knows no socket. No error repeats a URL that may hold a password.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::HeaderMap;
use http::header::{
    CONNECTION, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::uri::PathAndQuery;

use super::scene::Scene;
use super::way;
use crate::cli::exit::Failure;
use crate::config::{self, Proxy, Wanted};
use crate::egress::{Backend, Request};
use crate::wire::authority::Authority;
use crate::wire::list::is_token;
use crate::wire::origin::Origin;

const NAME_AND_VERSION: &str = concat!("throughway/", env!("CARGO_PKG_VERSION"));
const DEFAULT_FILE: &str = "/etc/throughway/throughway.toml";
/// Ways that need no file.
const WITHOUT_FILE: [&str; 3] = ["direct", "env", "auto"];

const AFTER_HELP: &str = "\
Exit codes: 0 the way is open, 2 usage, 69 unreachable, 75 try again, 77 refused, 78 configuration
invalid. docs/probe.md explains what is shown.

To try it: `throughway demo`, and `throughway probe ws://localhost:8080/proxied` beside it.";

/// What to dial, and how to tell of it.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, override_usage = "throughway probe [OPTIONS] <URL>")]
pub(in crate::cli) struct Flags {
    /// What to open: ws://host[:port]/path or wss://…
    // More than one is refused by ourselves: clap would repeat a proxy's password.
    #[arg(value_name = "URL", required = true)]
    url: Vec<String>,
    /// Go by this egress of the configuration file; `env` goes by HTTPS_PROXY and
    /// its kin, `auto` by what it finds
    #[arg(long, value_name = "NAME", conflicts_with = "proxy")]
    egress: Option<String>,
    /// Go through this proxy, as in http://proxy.example:3128; several are passed in order.
    /// A password on a command line is seen by everyone on the machine: prefer --egress
    #[arg(long, value_name = "URL")]
    proxy: Vec<String>,
    /// Send this Origin
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Offer this subprotocol; may be given several times
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// The configuration file, for its egresses and its backends' TLS
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        env = "THROUGHWAY_CONFIG"
    )]
    config: Option<PathBuf>,
    /// Then wait in silence and tell after how long the way is cut; at most this long
    #[arg(
        long,
        value_name = "MAX",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10m",
        value_parser = humantime::parse_duration,
    )]
    pub(super) idle: Option<Duration>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// What to dial.
pub(super) struct Asked {
    pub(super) backend: Backend,
    pub(super) request: Request,
    pub(super) scene: Scene,
}

/// A URL in its two halves.
struct Url<'a> {
    is_secure: bool,
    /// `ws://host:port`.
    server: &'a str,
    authority: Authority,
    path_and_query: String,
}

impl Asked {
    /// From what was typed and what the file says.
    pub(super) fn read(flags: &Flags) -> Result<Self, Failure> {
        let [text] = flags.url.as_slice() else {
            let text = "one URL is expected; a proxy's stands behind --proxy";
            return Err(Failure::Usage(text.to_owned()));
        };
        let url = url(text)?;
        let proxies: Vec<Proxy> = flags
            .proxy
            .iter()
            .map(|text| proxy(text))
            .collect::<Result<_, _>>()?;
        let request = request(flags, &url)?;
        let wanted = Wanted {
            server: url.server,
            egress: flags.egress.as_deref(),
            proxies: &proxies,
        };
        let file = file(flags);
        let found = config::one(file, &wanted)?;
        let source = way::source(&found, file, &proxies);
        let scene = Scene {
            url: text.clone(),
            host: url.authority.host.to_string(),
            is_secure: url.is_secure,
            hops: way::hops(&found.backend, &source),
            source,
            shows_password: proxies.iter().any(has_password),
        };
        Ok(Self {
            backend: found.backend,
            request,
            scene,
        })
    }
}

fn has_password(proxy: &Proxy) -> bool {
    let credentials = proxy.credentials.as_ref();
    credentials.is_some_and(|known| !known.password.reveal().is_empty())
}

fn file(flags: &Flags) -> Option<&Path> {
    let default = || {
        let egress = flags.egress.as_deref()?;
        (!WITHOUT_FILE.contains(&egress)).then(|| Path::new(DEFAULT_FILE))
    };
    flags.config.as_deref().or_else(default)
}

// --- the URL ------------------------------------------------------------------------------------

fn url(text: &str) -> Result<Url<'_>, Failure> {
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

fn proxy(text: &str) -> Result<Proxy, Failure> {
    Proxy::parse(text).map_err(|reason| Failure::Usage(format!("--proxy: {reason}")))
}

// --- the request --------------------------------------------------------------------------------

fn request(flags: &Flags, url: &Url<'_>) -> Result<Request, Failure> {
    let key = key()?;
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        let value = HeaderValue::from_str(value);
        value.map(|value| headers.insert(name, value))
    };
    let usage = |what: &str| Failure::Usage(what.to_owned());
    if let Some(origin) = &flags.origin {
        let is_origin = Origin::parse(origin).is_ok() && set(ORIGIN, origin).is_ok();
        if !is_origin {
            return Err(usage(
                "--origin: expected one origin, as in https://app.example.com",
            ));
        }
    }
    if !flags.subprotocol.is_empty() {
        let offered = flags.subprotocol.join(", ");
        let are_tokens = flags.subprotocol.iter().all(|name| is_token(name));
        if !are_tokens || set(SEC_WEBSOCKET_PROTOCOL, &offered).is_err() {
            return Err(usage("--subprotocol: expected one name, as in chat.v1"));
        }
    }
    for (name, value) in [
        (UPGRADE, "websocket"),
        (CONNECTION, "Upgrade"),
        (SEC_WEBSOCKET_VERSION, "13"),
        (SEC_WEBSOCKET_KEY, key.as_str()),
        (USER_AGENT, NAME_AND_VERSION),
    ] {
        set(name, value).expect("words and base64 are header values");
    }
    Ok(Request {
        path_and_query: url.path_and_query.clone(),
        host: None,
        headers,
        key,
        subprotocols: flags.subprotocol.clone(),
        subprotocols_required: Vec::new(),
        extensions_offered: Vec::new(),
    })
}

// RFC 6455 §4.1: 16 random bytes in base64.
fn key() -> Result<String, Failure> {
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).map_err(|_| Failure::Run("no randomness to be had".to_owned()))?;
    Ok(STANDARD.encode(nonce))
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

    #[test]
    fn each_key_is_sixteen_bytes_and_another() {
        let keys = [key().unwrap(), key().unwrap()];
        assert_ne!(keys[0], keys[1]);
        for key in keys {
            assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
        }
    }
}
