//! Judgement: values in, a decision out. Nothing here waits, reads a clock or rolls dice.

pub mod auth_for;
pub mod backoff;
pub mod clients;
mod cuts;
pub mod decide;
pub mod drain;
pub mod explain;
pub mod forward;
pub mod health;
pub mod lifetime;
pub mod limits;
pub mod no_proxy;
pub mod offers;
pub mod origin;
pub mod pace;
pub mod pool;
pub mod rate;
pub mod route;
pub mod subprotocols;
pub mod wpad;

pub use decide::{Decision, Denied, Unavailable, decide};
