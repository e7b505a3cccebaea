//! The kinds of stream a session may stand on, as one type.
//!
//! An enum rather than a trait object: there are few kinds, a pump polls them millions of times,
//! and TLS inside a tunnel inside TLS is one `Box` deeper, not one type longer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::http2::Tunnel;
use super::pipe::Plain;
use super::prefixed::Prefixed;
use super::tls;
use super::tls_stream::TlsStream;

/// One leg of a session.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A Unix-domain socket: a backend on this machine.
    Unix(UnixStream),
    /// TLS over any other kind; the gateway is the server (towards a client) or the client
    /// (towards a backend or a proxy).
    Tls(Box<TlsStream<Stream>>),
    /// The one stream of an HTTP/2 connection over any other kind.
    Http2(Box<Tunnel>),
    /// Any other kind with bytes that were read too early still in front of it.
    Prefixed(Box<Prefixed<Stream>>),
}

impl Stream {
    /// This stream with `tail` in front of it; itself when the tail is empty.
    #[must_use]
    pub fn with_tail(self, tail: Bytes) -> Self {
        if tail.is_empty() {
            return self;
        }
        Self::Prefixed(Box::new(Prefixed::new(self, tail)))
    }

    /// Bytes that were read too early and are not replayed yet.
    pub fn tail(&self) -> &[u8] {
        match self {
            Self::Prefixed(prefixed) => prefixed.tail(),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) | Self::Http2(_) => &[],
        }
    }

    /// Whether this is TLS whose two ends have agreed on HTTP/2 (RFC 7301).
    pub fn speaks_http2(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.session().alpn_protocol() == Some(tls::ALPN_HTTP2),
            Self::Prefixed(prefixed) => prefixed.stream().speaks_http2(),
            Self::Tcp(_) | Self::Unix(_) | Self::Http2(_) => false,
        }
    }

    /// The TCP socket at the bottom, where there is one; that of an HTTP/2 connection is out of
    /// reach.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(tcp) => Some(tcp),
            Self::Unix(_) | Self::Http2(_) => None,
            Self::Tls(tls) => tls.io().tcp(),
            Self::Prefixed(prefixed) => prefixed.stream().tcp(),
        }
    }
}

impl Plain for Stream {
    fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(tcp) => Some(tcp),
            Self::Prefixed(prefixed) if prefixed.tail().is_empty() => prefixed.stream().plain(),
            Self::Unix(_) | Self::Tls(_) | Self::Http2(_) | Self::Prefixed(_) => None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tls(s) => Pin::new(s.as_mut()).poll_read(cx, buf),
            Self::Http2(s) => Pin::new(s.as_mut()).poll_read(cx, buf),
            Self::Prefixed(s) => Pin::new(s.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(s.as_mut()).poll_write(cx, buf),
            Self::Http2(s) => Pin::new(s.as_mut()).poll_write(cx, buf),
            Self::Prefixed(s) => Pin::new(s.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_flush(cx),
            Self::Unix(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s.as_mut()).poll_flush(cx),
            Self::Http2(s) => Pin::new(s.as_mut()).poll_flush(cx),
            Self::Prefixed(s) => Pin::new(s.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s.as_mut()).poll_shutdown(cx),
            Self::Http2(s) => Pin::new(s.as_mut()).poll_shutdown(cx),
            Self::Prefixed(s) => Pin::new(s.as_mut()).poll_shutdown(cx),
        }
    }
}
