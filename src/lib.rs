//! Throughway: a WebSocket gateway and a way through corporate proxies.
//!
//! The crate is one street, [`session`], and its other modules are the rooms along it: what the
//! street needs at hand, the rooms that a client's bytes pass through ([`listen`], [`front`],
//! [`policy`], [`egress`], [`splice`]) with the grammar and the material they share, and what people
//! see of it. `ARCHITECTURE.md` has the map.
//!
//! The library is what the program and its tests are built from. Its interface follows the rooms
//! and may change with them; the program's flags, its configuration file and its log are what is
//! kept stable.

pub mod plan;
pub mod refusal;
pub mod session;

pub mod egress;
pub mod front;
#[cfg(feature = "gssapi")]
pub mod gss;
pub mod lifecycle;
pub mod listen;
pub mod net;
pub mod pac;
pub mod policy;
pub mod splice;
pub mod wire;

pub mod cli;
pub mod config;
pub mod observe;
