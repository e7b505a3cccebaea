//! The way to the backend: a list of hops folded over a stream, the last of which is the upgrade
//! itself.
//!
//! [`dial`] tries a backend's servers in turn and returns a [`Link`] whose backend has said, and
//! been held to, its 101, or what the backend said instead. Knows nothing of clients: what it
//! sends was made for it, and what it gets it hands back raw.

pub mod alternatives;
mod auth;
pub mod auto;
mod budget;
pub mod by_scheme;
mod chain;
mod dial;
pub mod error;
mod hop;
pub mod outlook;
pub mod pac;
pub mod params;
mod program;
mod reached;
mod request;
mod route;
mod shortage;
mod steps;
mod stumble;
pub mod versions;
pub mod warm;

pub use alternatives::{Alternatives, Order};
#[cfg(feature = "gssapi")]
pub use auth::system;
pub use auth::{
    Auth, Choice, Exchange, Kerberos, Lack, Mechanism, Membership, NegotiateFault, NoToken,
    NtlmFault, Scheme,
};
pub use auto::Auto;
pub use by_scheme::{ByScheme, Found};
pub use dial::dial;
pub use error::{DialError, Fault, Place};
pub use outlook::{Outgoing, Outlook, Straight};
pub use pac::Pac;
pub use params::{
    Backend, Credentials, Egress, Hop, HopTimeouts, Protocol, Resolve, Secret, Server,
    ServerAddress, Timeouts, TlsTo, Way,
};
pub use program::Program;
pub use reached::{Declined, Link, Reached};
pub use request::Request;
pub use shortage::Shortage;
pub use steps::{Detail, Fact, Secured, Steps};
pub use stumble::{AnswerFault, AuthFault, Cause, ReplyFault, Step, TlsFault};
pub use versions::{Http, Versions};

pub use crate::net::http2::Code;
pub use warm::Warm;
