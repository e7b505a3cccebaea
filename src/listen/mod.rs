//! From a bound socket to an accepted client in the clear: bind, accept, TLS.
//!
//! Knows nothing of HTTP: what comes out of here is a stream and who is at its other end.

pub mod accept;
pub mod admission;
pub mod bind;
mod params;
pub mod secure;

pub use accept::{Acceptor, Arrived};
pub use admission::{Admission, Kind, Place};
pub use bind::{BindError, Bound, bind};
pub use params::Params;
pub use secure::{Accepted, SecureError};
