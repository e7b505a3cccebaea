//! Binding the addresses of a listener.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::Params;

/// Connections that the kernel completes ahead of us: enough for a burst of reconnecting clients,
/// and cut to `net.core.somaxconn` by the kernel anyway.
const BACKLOG: i32 = 4096;

/// One bound address of a listener.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub socket: TcpListener,
    /// The address it really has; differs from the configured one where that had port 0.
    pub address: SocketAddr,
    /// The listener it belongs to.
    pub listener: Arc<Params>,
}

/// An address that cannot be bound.
#[derive(Debug)]
pub struct BindError {
    listener: String,
    address: SocketAddr,
    error: io::Error,
}

/// Binds all addresses of all listeners, or none.
pub fn bind(listeners: &[Arc<Params>]) -> Result<Vec<Bound>, BindError> {
    let mut bound = Vec::new();
    for listener in listeners {
        for &address in &listener.bind {
            let socket = open(address).map_err(|error| BindError {
                listener: listener.name.clone(),
                address,
                error,
            })?;
            bound.push(Bound {
                address: socket.local_addr().unwrap_or(address),
                socket,
                listener: listener.clone(),
            });
        }
    }
    Ok(bound)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `[::]` means IPv6 alone, so that it stands beside `0.0.0.0` on the same port.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            listener,
            address,
            error,
        } = self;
        write!(
            f,
            "listener {listener}: cannot listen on {address}: {error}"
        )?;
        match error.kind() {
            io::ErrorKind::PermissionDenied if address.port() < 1024 => {
                f.write_str("; ports below 1024 need the capability CAP_NET_BIND_SERVICE")
            }
            io::ErrorKind::AddrInUse => f.write_str("; another process listens there"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}
