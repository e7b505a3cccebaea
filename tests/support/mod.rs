//! What the tests have in common: bad sockets, certificates, noise, waiting.
//!
//! Knows nothing of any one test, and nothing of the gateway.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a test binary that takes this module in need not use all of it, and shows it to nobody"
)]

pub mod backend;
pub mod certs;
pub mod client;
pub mod desktop;
pub mod dialling;
pub mod digest;
pub mod ends;
pub mod far;
pub mod frames;
pub mod gateway;
pub mod http2;
pub mod kerberos;
pub mod noise;
pub mod ntlm;
pub mod process;
pub mod proxy;
pub mod script;
pub mod sockets;
pub mod socks;
pub mod spoken;
pub mod started;
pub mod strict;
pub mod websocket;

use std::time::{Duration, Instant};

/// How long a test waits for what it knows will happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until `condition` holds; fails, naming `what`, after [`PATIENCE`].
///
/// For what happens in other tasks and sockets and can only be looked at, not awaited.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
