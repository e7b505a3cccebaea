//! What a dial comes back with: a stream that may carry a session, or the backend's other word.
//!
//! Knows nothing of how either was reached.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::net::Stream;
use crate::wire::ws::extensions::Extensions;

/// A backend that answered.
#[derive(Debug)]
pub enum Reached {
    /// With a 101 that holds.
    Switched(Link),
    /// With anything else.
    Declined(Declined),
}

/// A stream whose backend has said its 101.
#[derive(Debug)]
pub struct Link {
    /// To the backend.
    pub stream: Stream,
    /// What came glued to the 101: the backend's first bytes.
    pub tail: Bytes,
    /// Of the 101, as they came.
    pub headers: HeaderMap,
    /// The value that answers the key of the request.
    pub accept: HeaderValue,
    /// The one that the backend chose.
    pub subprotocol: Option<String>,
    /// What the frames on this stream may hold.
    pub extensions: Extensions,
    /// The server's URL.
    pub server: String,
    /// The egress's name, with that of the chain where it has several (`corp/proxy-b`), or `direct`.
    pub egress: String,
    /// Whether its tunnel was open before the request came.
    pub warm: bool,
}

/// A valid answer that is not a 101.
#[derive(Debug)]
pub struct Declined {
    /// Its status.
    pub status: StatusCode,
    /// As they came: the framing they describe is already taken off the body.
    pub headers: HeaderMap,
    /// At most 64 KiB.
    pub body: Bytes,
    /// Whether there was more.
    pub truncated: bool,
    /// The server's URL.
    pub server: String,
    /// The egress's name, with that of the chain where it has several (`corp/proxy-b`), or `direct`.
    pub egress: String,
}
