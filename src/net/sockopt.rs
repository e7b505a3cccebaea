//! Socket options that every leg gets.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Silence before the kernel probes a peer: well under the six minutes after which common load
/// balancers drop an idle flow without a word.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// With the above, a peer that vanished is noticed after two minutes.
const KEEPALIVE_RETRIES: u32 = 4;

/// TCP_NODELAY, because a WebSocket message is complete when it is written, and SO_KEEPALIVE,
/// because a peer that lost its power says nothing. What a listening socket accepts has the options
/// that the listener has (tcp(7) on Linux), so they cost nothing for each connection.
pub fn prepare(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&keepalive)
}
