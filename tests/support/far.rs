//! A far end of the gateway: in the clear, or over a TLS that is not the gateway's own.

use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tokio_util::either::Either;

/// A client's or a backend's stream.
pub type Far = Either<TcpStream, TlsStream<TcpStream>>;

/// The TCP connection, whatever stands on it.
pub fn tcp(far: &Far) -> &TcpStream {
    match far {
        Either::Left(tcp) => tcp,
        Either::Right(tls) => tls.get_ref().0,
    }
}

/// The same, to be written to past TLS.
pub fn tcp_mut(far: &mut Far) -> &mut TcpStream {
    match far {
        Either::Left(tcp) => tcp,
        Either::Right(tls) => tls.get_mut().0,
    }
}
