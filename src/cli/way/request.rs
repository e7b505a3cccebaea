//! The opening handshake that was asked for, as a request.
//!
//! Knows no way: it is the same by whichever it goes.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{
    CONNECTION, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};

use super::asked::Flags;
use super::url::Url;
use crate::cli::exit::Failure;
use crate::egress::Request;
use crate::wire::list::is_token;
use crate::wire::origin::Origin;

const NAME_AND_VERSION: &str = concat!("throughway/", env!("CARGO_PKG_VERSION"));

/// What is asked of the server at `url`.
pub(super) fn request(flags: &Flags, url: &Url<'_>) -> Result<Request, Failure> {
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

    #[test]
    fn each_key_is_sixteen_bytes_and_another() {
        let keys = [key().unwrap(), key().unwrap()];
        assert_ne!(keys[0], keys[1]);
        for key in keys {
            assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
        }
    }
}
