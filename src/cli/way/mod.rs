//! The way that a WebSocket is dialled by: what every command that opens one has in common, from the
//! flags to what there is to be said when the way is blocked.
//!
//! Knows neither what is done with an open WebSocket nor how anything is shown.

pub(in crate::cli) mod advice;
mod asked;
mod gather;
mod request;
mod scene;
mod source;
mod span;
mod url;

pub(in crate::cli) use asked::{Asked, Flags};
pub(in crate::cli) use gather::{Ended, Gather, Heard};
pub(in crate::cli) use scene::{Scene, Source};
pub(in crate::cli) use span::span;
