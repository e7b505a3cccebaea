//! HTTP/2 as far as one tunnel needs it (RFC 9113 §8.5): a connection that asks one request after
//! the other, and the stream of the last of them as bytes both ways.
//!
//! No task drives the connection: whoever waits for an answer or polls the tunnel drives it, so
//! that it costs nothing while nobody does, and ends with its tunnel. Knows no proxies, and not
//! what a status means.

mod client;
mod fault;
mod line;
mod socket;
mod tunnel;

pub use client::{Answer, Client};
pub use fault::{Code, Failure};
pub use tunnel::Tunnel;

/// What the other side may have sent that was not taken yet: the protocol's own default, for the
/// stream and for the connection alike, because there is one stream. It is also what a pump holds
/// at most, so a tunnel by HTTP/2 costs a stalled side no more than any other. The price is its
/// speed over a long way: so much for each round trip.
const WINDOW_BYTES: u32 = 65_535;

/// What we may have written that the socket has not taken yet.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// What is read off the socket while nobody takes what came: the window and as much again for the
/// heads of frames. Then the socket waits, too. Frames of less than nine bytes of data get there
/// before the window is used up; then the other direction has to wait for the taking.
const AHEAD_BYTES_MAX: usize = 2 * 64 * 1024;

/// The crate counts frames that are shorter than this as overhead, for as many bytes as they are
/// short of it.
const SHORT_FRAME_BYTES: usize = 256;

/// One read off the socket, which may go beyond [`AHEAD_BYTES_MAX`]: no more than the crate has
/// room for, which is a frame or two.
const READ_BYTES_MAX: usize = 64 * 1024;

/// A tunnel carries what somebody else wrote, so many short frames are nobody's attack. What is
/// read ahead bounds them: each takes nine bytes for its head and one at least of data.
const SHORT_FRAMES_BUDGET: usize = (AHEAD_BYTES_MAX + READ_BYTES_MAX) / 10 * SHORT_FRAME_BYTES;
