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

/// Bytes that wait unsent in this machine before a socket takes no more: few enough for a Ping to
/// leave within seconds on a slow line.
const UNSENT_BYTES_MAX: u32 = 64 * 1024;

/// Lets a socket be little ahead of its line, so that a byte that it takes is a sign of life, and a
/// Ping does not stand behind megabytes (TCP_NOTSENT_LOWAT, tcp(7)). Linux has it; elsewhere Pings
/// wait longer.
pub fn keep_little_unsent(socket: SockRef<'_>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
    #[cfg(not(target_os = "linux"))]
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};

    #[test]
    fn little_is_kept_unsent() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        keep_little_unsent(SockRef::from(&socket)).unwrap();
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_BYTES_MAX);
    }
}
