//! What a splice is told of its session.
//!
//! Knows no file; whoever has one makes these.

use std::time::Duration;

use super::throttle::Throttle;
use super::watch::Limits;
use crate::wire::ws::close::CloseCode;

/// Everything that a splice goes by.
#[derive(Debug)]
pub struct Params {
    /// What ends the session although both sides would go on.
    pub limits: Limits,
    /// Whether frames are looked at.
    pub frames: Frames,
    /// permessage-deflate was agreed on (RFC 7692), so that RSV1 means something.
    pub deflate: bool,
    /// The longest payload of one frame; `None`: any.
    pub frame_bytes_max: Option<u64>,
    /// The longest message, all of its frames together; `None`: any.
    pub message_bytes_max: Option<u64>,
    /// How fast the client may talk; `None`: as it likes.
    pub throttle: Option<Throttle>,
    /// The gateway's own Pings to the client.
    pub ping_client: Option<Ping>,
    /// The gateway's own Pings to the backend.
    pub ping_backend: Option<Ping>,
    /// What both sides are told at the cut.
    pub cut_code: CloseCode,
}

/// Whether frames are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frames {
    /// No: bytes are bytes. Nothing is counted but them, and nobody is told of an end but by an end.
    Opaque,
    /// Their headers are followed and counted; nothing is refused but what goes beyond a limit.
    #[default]
    Observe,
    /// They are held to the protocol, too.
    Validate,
}

/// When a side that says nothing is asked whether it is there, and how long it may take to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Silence before it is asked.
    pub every: Duration,
    /// From then on.
    pub timeout: Duration,
}

impl Params {
    /// Bytes only, and these limits.
    pub fn opaque(limits: Limits) -> Self {
        Self {
            limits,
            frames: Frames::Opaque,
            ..Self::default()
        }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            frames: Frames::default(),
            deflate: false,
            frame_bytes_max: None,
            message_bytes_max: None,
            throttle: None,
            ping_client: None,
            ping_backend: None,
            cut_code: CloseCode::GOING_AWAY,
        }
    }
}
