//! One non-blocking connection, plain or TLS, that takes and gives plaintext.
//!
//! Nothing is kept that the socket did not take: whoever sends knows where it was and comes again.
//! Closing is by reset, so that no run leaves addresses in TIME_WAIT behind. Knows no WebSocket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::{Connection, HandshakeKind};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Box<Connection>>,
}

/// What reading gave.
pub(crate) enum Gave {
    Bytes(usize),
    Nothing,
    End,
}

impl Wire {
    /// Begins to connect; the first event that says writable tells how it went.
    pub(crate) fn connect(
        to: SocketAddr,
        tls: Option<Connection>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match socket.connect(&to.into()) {
            Err(error) if !is_under_way(&error) => Err(error),
            _ => Self::new(TcpStream::from_std(socket.into()), tls, registry, token),
        }
    }

    pub(crate) fn new(
        mut socket: TcpStream,
        tls: Option<Connection>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let tls = tls.map(Box::new);
        Ok(Self { socket, tls })
    }

    /// Whether the connection that was begun stands.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the TLS handshake took the short way.
    pub(crate) fn is_resumed(&self) -> bool {
        let kind = self.tls.as_ref().and_then(|tls| tls.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }

    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<Gave> {
        let read = match &mut self.tls {
            None => self.socket.read(into),
            Some(tls) => read_tls(tls, &mut self.socket, into),
        };
        match read {
            Ok(0) => Ok(Gave::End),
            Ok(count) => Ok(Gave::Bytes(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Gave::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Whether a read that did not fill its buffer emptied the socket. A TLS record says nothing
    /// about the next one.
    pub(crate) fn short_read_is_last(&self) -> bool {
        self.tls.is_none()
    }

    /// Writes what is taken now; 0 means: come again when it is writable.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return or_zero(self.socket.write(bytes));
        };
        if !flush_tls(tls, &mut self.socket)? {
            return Ok(0);
        }
        let count = tls.writer().write(bytes)?;
        flush_tls(tls, &mut self.socket)?;
        Ok(count)
    }

    /// Sends what TLS holds back; for a plain connection there is never anything.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => flush_tls(tls, &mut self.socket).map(drop),
        }
    }
}

fn is_under_way(error: &io::Error) -> bool {
    // EINPROGRESS, for which the standard library has a kind of its own that is not stable.
    error.kind() == ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

fn or_zero(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

fn read_tls(tls: &mut Connection, socket: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(into) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => return other,
        }
        if tls.read_tls(socket)? == 0 {
            return Ok(0);
        }
        tls.process_new_packets().map_err(io::Error::other)?;
        flush_tls(tls, socket)?;
    }
}

/// Whether everything went out.
fn flush_tls(tls: &mut Connection, socket: &mut TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        if or_zero(tls.write_tls(socket))? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
