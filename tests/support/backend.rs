//! Scripted backends, good and hostile.

use std::sync::Arc;

use throughway::wire::ws::accept::accept_for;

use super::script::{Act, Script};

/// The 101 that answers the request in `head`, with these header lines besides (each with its
/// CRLF) and these bytes glued to it.
pub fn good_101(head: &str, headers: &str, tail: &str) -> String {
    let key = key_of(head);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{headers}\r\n{tail}",
        accept_for(&key)
    )
}

/// The key in a request head.
pub fn key_of(head: &str) -> String {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "));
    line.unwrap_or_default().to_owned()
}

/// Answers each head with what `answer` makes of it.
pub fn answer(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Act {
    Act::Answer(Arc::new(move |head| answer(head).into_bytes()))
}

/// Switches and echoes.
pub async fn echo_backend() -> Script {
    let good = answer(|head| good_101(head, "", ""));
    backend(vec![Act::Head, good, Act::Echo]).await
}

/// A backend with one script for all its connections.
pub async fn backend(script: Vec<Act>) -> Script {
    Script::play(vec![script], None).await
}
