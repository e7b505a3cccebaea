//! A dial against scripted proxies and backends: SOCKS5, the 101, the ways to a server, and what goes
//! beyond the rules of CONNECT and 407, which are in `rules`.

pub(crate) mod alternatives;
mod answer;
mod auth;
mod auto;
mod connect;
pub(crate) mod digest;
pub(crate) mod env;
mod http2;
mod kinds;
pub(crate) mod negotiate;
pub(crate) mod ntlm;
mod pac;
mod pac_turns;
pub(crate) mod servers;
mod socks;
mod socks_chains;
pub(crate) mod tls;
mod warm;
