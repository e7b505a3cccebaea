//! From a client in the clear to an offer, and back from a decision to an answer.
//!
//! Knows no route and no backend: it is told what to answer.

pub mod answer;
pub mod h1;
pub mod page;

pub use h1::{Offer, ReceiveError, gone, receive};
pub use page::Page;
