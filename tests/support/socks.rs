//! Scripted SOCKS5 proxies, and hops that lead to them.

use std::net::SocketAddr;

use throughway::egress::{Hop, Protocol, Resolve};

use super::dialling::{hop, known_at};
use super::script::{Act, Script};

/// What is sent without credentials, and with them.
pub const GREETING: &[u8] = b"\x05\x01\x00";
pub const GREETING_WITH_PASSWORD: &[u8] = b"\x05\x02\x00\x02";
/// User and password of `dialling`.
pub const LOGIN: &[u8] = b"\x01\x05alice\x0bopen sesame";
/// CONNECT to the server of `dialling` that only a proxy can resolve.
pub const CONNECT_INSIDE: &[u8] = b"\x05\x01\x00\x03\x0dchat.internal\x23\x28";

/// The proxy's sides of the exchange.
pub const NO_AUTH: &[u8] = b"\x05\x00";
pub const WANTS_PASSWORD: &[u8] = b"\x05\x02";
pub const LOGGED_IN: &[u8] = b"\x01\x00";
pub const GRANTED: &[u8] = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";

/// A hop that resolves at the proxy.
pub fn socks5h(address: SocketAddr) -> Hop {
    Hop {
        protocol: Protocol::Socks5(Resolve::There),
        ..hop(address)
    }
}

/// A hop for which the gateway resolves.
pub fn socks5(address: SocketAddr) -> Hop {
    Hop {
        protocol: Protocol::Socks5(Resolve::Here),
        ..hop(address)
    }
}

/// A hop with credentials.
pub fn known_socks5h(address: SocketAddr) -> Hop {
    Hop {
        protocol: Protocol::Socks5(Resolve::There),
        ..known_at(address)
    }
}

pub fn bytes(bytes: &[u8]) -> Act {
    Act::Say(bytes.to_vec())
}

/// CONNECT to a name or an address, as RFC 1928 §4 draws it.
pub fn connect(kind: u8, address: &[u8], port: u16) -> Vec<u8> {
    [&[5, 1, 0, kind], address, &port.to_be_bytes()].concat()
}

/// CONNECT to where a server of this machine listens.
pub fn connect_to(address: SocketAddr) -> Vec<u8> {
    match address {
        SocketAddr::V4(v4) => connect(1, &v4.ip().octets(), v4.port()),
        SocketAddr::V6(v6) => connect(4, &v6.ip().octets(), v6.port()),
    }
}

/// Lets everybody in, takes a CONNECT of so many bytes and says `reply`, then does `then`.
pub fn open_door(connect_bytes: usize, reply: &[u8], then: Act) -> Vec<Act> {
    vec![
        Act::Read(GREETING.len()),
        bytes(NO_AUTH),
        Act::Read(connect_bytes),
        bytes(reply),
        then,
    ]
}

/// The same with user and password.
pub fn guarded_door(connect_bytes: usize, reply: &[u8], then: Act) -> Vec<Act> {
    vec![
        Act::Read(GREETING_WITH_PASSWORD.len()),
        bytes(WANTS_PASSWORD),
        Act::Read(LOGIN.len()),
        bytes(LOGGED_IN),
        Act::Read(connect_bytes),
        bytes(reply),
        then,
    ]
}

/// An open proxy that carries to `to` whatever is asked of it in so many bytes.
pub async fn socks_proxy(connect_bytes: usize, to: SocketAddr) -> Script {
    let script = open_door(connect_bytes, GRANTED, Act::Tunnel(to));
    Script::play(vec![script], None).await
}
