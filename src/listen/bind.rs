//! Binding the addresses of a listener.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::Params;
use crate::net::sockopt;

/// Connections that the kernel completes ahead of us: enough for a burst of reconnecting clients,
/// and cut to `net.core.somaxconn` by the kernel anyway.
pub(super) const BACKLOG: i32 = 4096;

/// One bound address of a listener, as one thread has it.
#[derive(Debug)]
pub struct Bound {
    /// The thread's own socket: the kernel deals new connections out among those of an address.
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

/// Binds all addresses of all listeners for each of so many threads, or none.
pub fn bind(listeners: &[Arc<Params>], threads: usize) -> Result<Vec<Vec<Bound>>, BindError> {
    let mut bound: Vec<Vec<Bound>> = Vec::new();
    bound.resize_with(threads, Vec::new);
    for listener in listeners {
        for &address in &listener.bind {
            let (sockets, address) = open(address, threads).map_err(|error| BindError {
                listener: listener.name.clone(),
                address,
                error,
            })?;
            for (thread, socket) in bound.iter_mut().zip(sockets) {
                thread.push(Bound {
                    socket,
                    address,
                    listener: listener.clone(),
                });
            }
        }
    }
    Ok(bound)
}

/// So many sockets at one address. Sockets with SO_REUSEPORT share an address with any other
/// process of the same user that has it set, too; a second gateway would get half of our clients
/// and nobody would know. So the first is bound without it, which fails if anybody is there, and
/// lets the others in afterwards.
fn open(address: SocketAddr, sockets: usize) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let first = unbound(address)?;
    first.bind(&address.into())?;
    // Where the port was 0, the first one has got one.
    let address = first.local_addr()?.as_socket().unwrap_or(address);
    let mut opened = vec![first];
    for _ in 1..sockets {
        opened[0].set_reuse_port(true)?;
        let another = unbound(address)?;
        another.set_reuse_port(true)?;
        another.bind(&address.into())?;
        opened.push(another);
    }
    for socket in &opened {
        socket.listen(BACKLOG)?;
    }
    let opened = opened.into_iter().map(TcpListener::from).collect();
    Ok((opened, address))
}

fn unbound(address: SocketAddr) -> io::Result<Socket> {
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
    sockopt::prepare(SockRef::from(&socket))?;
    Ok(socket)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn params(address: SocketAddr) -> Vec<Arc<Params>> {
        vec![Arc::new(Params {
            name: "public".to_owned(),
            bind: vec![address],
            tls: None,
            trusted_proxies: Vec::new(),
        })]
    }

    #[test]
    fn every_thread_has_a_socket_at_the_one_address_and_nobody_else_gets_in() {
        let anywhere = "127.0.0.1:0".parse().unwrap();
        for threads in [1, 2, 5] {
            let bound = bind(&params(anywhere), threads).unwrap();
            let address = bound[0][0].address;
            assert_ne!(address.port(), 0);
            assert_eq!(bound.len(), threads);
            for thread in &bound {
                assert_eq!(thread[0].address, address);
                assert_eq!(thread[0].socket.local_addr().unwrap(), address);
            }
            for others in [1, 2] {
                let error = bind(&params(address), others).unwrap_err().to_string();
                assert!(error.ends_with("another process listens there"), "{error}");
            }
        }
    }
}
