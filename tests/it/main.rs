//! Behaviour of the whole and of its rooms over real and bad sockets; one module a behaviour.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, connect and spawn"
)]

#[path = "../support/mod.rs"]
mod support;

mod abandoned;
mod auto;
mod causes;
mod chaos;
mod config;
mod config_docs;
mod config_faults;
mod config_pac;
mod config_ways;
mod conformance;
mod connect;
mod counts;
mod demo;
mod egress;
mod explain;
mod flood;
mod forwarding;
mod handover;
mod http2;
mod library;
mod life;
mod log;
mod offers;
mod origins;
mod probe;
mod proxied;
mod records;
mod requests;
mod rules;
mod secrets;
mod sessions;
mod shortage;
mod splice;
mod threads;
mod tls;
mod tls_stream;
mod warm;
