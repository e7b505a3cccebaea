//! Material: the kinds of stream, TLS on either end, HTTP/2 for one tunnel, socket options.
//!
//! Knows nothing of WebSockets, routes or proxies.

pub mod binding;
pub mod http2;
pub mod parting;
pub mod pipe;
pub mod prefixed;
pub mod quiet;
mod ready;
pub mod scratch;
pub mod sockopt;
pub mod stream;
pub mod tls;
mod tls_session;
pub mod tls_stream;
pub mod verify;

pub use stream::Stream;
pub use tls_stream::TlsStream;
