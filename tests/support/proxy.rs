//! Scripted CONNECT proxies.

use std::net::SocketAddr;

use super::script::{Act, Script};

pub const OK: &str = "HTTP/1.1 200 Connection established\r\n\r\n";
pub const ASKS_AND_CLOSES: &str =
    "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"corp\"\r\nConnection: close\r\n\r\n";
pub const ASKS_AND_STAYS: &str = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"corp\"\r\n\
                                  Content-Length: 5\r\n\r\nwho??";

/// Bytes to send.
pub fn say(text: &str) -> Act {
    Act::Say(text.as_bytes().to_vec())
}

/// A proxy with one script for all its connections.
pub async fn proxy(script: Vec<Act>) -> Script {
    Script::play(vec![script], None).await
}

/// A proxy with a script for each connection.
pub async fn proxy_by_turns(scripts: Vec<Vec<Act>>) -> Script {
    Script::play(scripts, None).await
}

/// Says `reply` to each CONNECT and then carries bytes to `to`.
pub async fn proxy_that_says(reply: &str, to: SocketAddr) -> Script {
    proxy(vec![Act::Head, say(reply), Act::Tunnel(to)]).await
}

/// Says `reply` to each CONNECT and closes.
pub async fn proxy_that_refuses(reply: &str) -> Script {
    proxy(vec![Act::Head, say(reply)]).await
}
