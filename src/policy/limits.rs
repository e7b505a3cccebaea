//! What ends a session, and how closely its frames are looked at, as values.
//!
//! Knows no frames: who reads them obeys what stands here.

use std::time::Duration;

/// What ends a session although both sides would go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Silence in both directions after which the session ends; `None`: never.
    pub idle: Option<Duration>,
    /// Age at which the session ends; `None`: never.
    pub session: Option<Duration>,
    /// The longest payload of one frame, either way; `None`: whatever comes.
    pub frame_bytes: Option<u64>,
    /// The longest payload of one message, all its frames together; `None`: whatever comes.
    pub message_bytes: Option<u64>,
}

/// How closely the frames of a session are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frames {
    /// Their headers are read and counted; nothing is held against the protocol.
    #[default]
    Observe,
    /// And what breaks the protocol ends the session.
    Validate,
    /// They are bytes.
    Opaque,
}

/// When a silent leg is asked for a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ping {
    /// Never.
    #[default]
    Off,
    /// After this silence.
    Every {
        /// The silence.
        every: Duration,
        /// How long the answer may take; shorter than `every`.
        timeout: Duration,
    },
    /// As often as the way to the other side is found to need: [`super::pace`].
    Auto,
}

/// Which records a session leaves before the one at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Records {
    /// One when it begins.
    pub start: bool,
    /// And one each time that this much of its life has passed; `None`: none.
    pub every: Option<Duration>,
}
