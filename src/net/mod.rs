//! Material: the kinds of stream, TLS on either end, socket options.
//!
//! Knows nothing of WebSockets, routes or proxies.

pub mod binding;
pub mod prefixed;
pub mod sockopt;
pub mod stream;
pub mod tls;
pub mod verify;

pub use stream::Stream;
