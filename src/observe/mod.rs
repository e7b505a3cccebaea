//! Facts in, text out: the log and the records.
//!
//! Knows none of the other rooms: whoever has something to tell brings it as plain values.

pub mod begun;
pub mod course;
pub mod failures;
pub mod log;
mod number;
pub mod phases;
pub mod record;
