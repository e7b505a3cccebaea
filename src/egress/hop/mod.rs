//! The steps of a dial, each from a stream to a stream.

mod answer;
pub(super) mod connect;
mod excerpt;
pub(super) mod socks5;
pub(super) mod tcp;
pub(super) mod tls;
pub(super) mod upgrade;
