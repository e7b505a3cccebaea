//! A dial against scripted proxies and backends: every rule of CONNECT, of 407, of SOCKS5 and of
//! the 101.

mod alternatives;
mod answer;
mod auth;
mod connect;
mod digest;
mod env;
mod kinds;
mod negotiate;
mod ntlm;
mod pac;
mod servers;
mod socks;
mod socks_chains;
mod tls;
