//! The WebSocket protocol as bytes and values (RFC 6455).

pub mod accept;
pub mod answer;
pub mod close;
pub mod control;
pub mod extensions;
pub mod frame;
pub mod handshake;
pub mod layout;
pub mod rules;
pub mod switching;
pub mod utf8;
pub mod violation;
