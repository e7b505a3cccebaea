//! The system's GSSAPI (RFC 2743, RFC 2744), as far as a client of Kerberos needs it: names,
//! credentials from a password, a keytab or a ticket cache, and contexts that make tokens.
//!
//! The one room with `unsafe`: no crate has a safe interface to the credentials of one keytab or one
//! cache (`gss_acquire_cred_from`), and the process-wide environment variables can serve one identity
//! alone. What the library hands out is owned by one value here and given back when that is dropped;
//! `tests/gss.rs` makes ten thousand tokens and looks at the memory. Every call may block. Knows no
//! proxies and no HTTP.

mod buffer;
mod context;
mod credential;
mod error;
mod mechanism;
mod name;

pub use context::Context;
pub use credential::{Credential, Store};
pub use error::Error;
pub use mechanism::Mechanism;
pub use name::Name;
