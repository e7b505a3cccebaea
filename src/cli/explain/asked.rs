//! What was typed, as the bytes that a client would send and what the gateway would see of it.
//!
//! Judges nothing: a Host that is none, or a path with a space, is for the gateway's own parser.

use std::net::SocketAddr;

use super::Flags;
use crate::cli::exit::Failure;
use crate::plan::Plan;
use crate::policy::forward::Seen;
use crate::session;

/// Of RFC 6455 §1.3. It stands for the client's own, which is shown nowhere.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request and what is seen of its client.
#[derive(Debug)]
pub(super) struct Asked<'f> {
    pub(super) flags: &'f Flags,
    pub(super) seen: Seen,
    /// From the method to the empty line.
    pub(super) head: String,
}

/// What cannot stand in one line of a head would be another line of it.
pub(super) fn check(flags: &Flags) -> Result<(), Failure> {
    let single = [("--host", &flags.host), ("--path", &flags.target)];
    let origin = flags.origin.iter().map(|origin| ("--origin", origin));
    let subprotocols = flags.subprotocol.iter().map(|s| ("--subprotocol", s));
    let extensions = flags.extension.iter().map(|e| ("--extension", e));
    let offers = subprotocols.chain(extensions);
    let all = single.into_iter().chain(origin).chain(offers);
    match all
        .into_iter()
        .find(|(_, text)| text.contains(char::is_control))
    {
        Some((flag, _)) => Err(Failure::Usage(format!("{flag}: holds a control character"))),
        None => Ok(()),
    }
}

impl<'f> Asked<'f> {
    /// As it comes in by a listener of `plan`.
    pub(super) fn of(flags: &'f Flags, plan: &Plan) -> Result<Self, Failure> {
        let is_meant = |name: &str| flags.listener.as_deref().is_none_or(|n| n == name);
        let Some(listener) = plan.listeners.iter().find(|l| is_meant(&l.name)) else {
            let names: Vec<&str> = plan.listeners.iter().map(|l| l.name.as_str()).collect();
            let names = names.join(", ");
            let text = format!("--listener: there is none of this name; there are: {names}");
            return Err(Failure::Usage(text));
        };
        Ok(Self {
            flags,
            seen: session::seen(listener, SocketAddr::new(flags.from, 0)),
            head: head(flags),
        })
    }
}

fn head(flags: &Flags) -> String {
    let mut head = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n",
        flags.target, flags.host
    );
    if let Some(origin) = &flags.origin {
        head += &format!("Origin: {origin}\r\n");
    }
    if !flags.subprotocol.is_empty() {
        let offered = flags.subprotocol.join(", ");
        head += &format!("Sec-WebSocket-Protocol: {offered}\r\n");
    }
    if !flags.extension.is_empty() {
        let offered = flags.extension.join(", ");
        head += &format!("Sec-WebSocket-Extensions: {offered}\r\n");
    }
    head += "\r\n";
    head
}
