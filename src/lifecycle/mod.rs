//! The life of the process: start, signals, drain, end.

mod descriptors;
mod run;
pub mod signals;
mod spawn;
mod threads;

pub use run::{Gateway, RunError, run, runtime, start};
pub use spawn::Tasks;
