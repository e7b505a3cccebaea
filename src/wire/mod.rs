//! Grammar: bytes to values and back. No await, no clock, no randomness, no log, no configuration.

pub mod answer_head;
pub mod authority;
pub mod fields;
pub mod head;
pub mod list;
pub mod origin;
pub mod target;
pub mod ws;
