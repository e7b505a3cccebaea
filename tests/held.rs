//! What an idle session holds of the heap, and what one takes from it from its first byte to its
//! last, counted by an allocator: no noise, no clock.
//!
//! The gateway runs in this process, and every far end is a socket of the standard library that
//! holds nothing but its descriptor, so what grows with the sessions is the gateway's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]
#![allow(
    clippy::disallowed_methods,
    reason = "the far ends are sockets of this file's own"
)]

#[path = "support/mod.rs"]
mod support;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cap::Cap;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Stream};
use support::backend::good_101;
use support::certs::{DevCert, dev_certificate};
use support::gateway::gateway;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// All tests count the one heap, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Before the counting: pools, tables and queues have their size by then.
const WARM: usize = 64;
/// Counted.
const SESSIONS: usize = 400;

/// A binary frame of 58 bytes, masked with zeros.
const MESSAGE: [u8; 64] = {
    let mut message = [7; 64];
    (message[0], message[1]) = (0x82, 0x80 | 58);
    (message[2], message[3], message[4], message[5]) = (0, 0, 0, 0);
    message
};
const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: chat.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nOrigin: https://chat.example.com\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Answers every connection with its 101 and one echo, and keeps it open.
fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::with_capacity(WARM + SESSIONS);
        for tcp in listener.incoming() {
            let mut tcp = tcp.unwrap();
            let head = head(&mut tcp);
            let answer = good_101(&head, "", "");
            tcp.write_all(answer.as_bytes()).unwrap();
            let mut message = MESSAGE;
            tcp.read_exact(&mut message).unwrap();
            tcp.write_all(&message).unwrap();
            kept.push(tcp);
        }
    });
    address
}

fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// One session, opened and used once. What is left of it on this side is a descriptor: TLS, where
/// there is some, is forgotten without a goodbye.
fn session(address: SocketAddr, tls: Option<&DevCert>) -> TcpStream {
    let mut tcp = TcpStream::connect(address).unwrap();
    match tls {
        None => use_once(&mut tcp),
        Some(cert) => {
            let config = throughway::net::tls::client(cert.roots(), None).unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let mut connection = ClientConnection::new(config, name).unwrap();
            use_once(&mut Stream::new(&mut connection, &mut tcp));
        }
    }
    tcp
}

fn use_once(stream: &mut (impl Read + Write)) {
    stream.write_all(HANDSHAKE.as_bytes()).unwrap();
    assert!(head(stream).starts_with("HTTP/1.1 101 "));
    stream.write_all(&MESSAGE).unwrap();
    let mut back = [0; MESSAGE.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, MESSAGE);
}

/// The heap once nothing happens on it any more: the last session may still be tidying up.
fn settled() -> usize {
    let mut last = HEAP.allocated();
    let mut same = 0;
    while same < 50 {
        thread::sleep(Duration::from_millis(1));
        let now = HEAP.allocated();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

fn check(tls: bool, bytes_max: usize) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let server = format!("ws://{}", backend());
    let cert = tls.then(|| dev_certificate(&["localhost"]));
    let mut builder = gateway().route("/chat", server);
    if let Some(cert) = &cert {
        builder = builder.tls(cert);
    }
    let gateway = builder.run();
    let mut kept = Vec::with_capacity(WARM + SESSIONS);
    let mut open = |sessions: usize| {
        for _ in 0..sessions {
            kept.push(session(gateway.address, cert.as_ref()));
        }
        assert_eq!(kept.len(), gateway.gateway.sessions());
        settled()
    };
    let before = open(WARM);
    let after = open(SESSIONS);
    let bytes = after.saturating_sub(before) / SESSIONS;
    println!("bytes of an idle session, tls: {tls}: {bytes}");
    assert!(bytes <= bytes_max, "{bytes} bytes");
}

#[test]
fn an_idle_session_holds_little() {
    check(false, 1420);
}

#[test]
fn an_idle_session_over_tls_holds_little_more() {
    check(true, 3860);
}

/// Bytes ever taken from the heap, whether given back or not, by sessions that live for one echo:
/// those of the sockets at both ends, then those of the gateway between them as well.
fn taken_by_sessions_to(address: SocketAddr) -> usize {
    let sessions = |count: usize| {
        for _ in 0..count {
            drop(session(address, None));
        }
        settled();
        HEAP.total_allocated()
    };
    let before = sessions(WARM);
    (sessions(SESSIONS) - before) / SESSIONS
}

#[test]
fn a_session_that_comes_and_goes_takes_little() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let gateway = gateway()
        .route("/chat", format!("ws://{}", backend()))
        .run();
    let of_the_ends = taken_by_sessions_to(backend());
    let bytes = taken_by_sessions_to(gateway.address) - of_the_ends;
    println!("bytes taken by a session: {bytes}");
    assert!(bytes <= 21_000, "{bytes} bytes");
}
