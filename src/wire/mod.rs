//! Grammar: bytes to values and back. No await, no clock, no randomness, no log, no configuration.

pub mod answer_head;
pub mod authority;
pub mod binding;
pub mod challenge;
pub mod connect;
pub mod desktop;
pub mod digest;
pub mod fields;
pub mod head;
pub mod list;
pub mod ntlm;
pub mod origin;
pub mod pac_message;
pub mod pac_result;
pub mod resolv_conf;
pub mod socks5;
pub mod speaks;
pub mod target;
pub mod ws;
