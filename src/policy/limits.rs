//! The limits of a session, as values.

use std::time::Duration;

/// What ends a session although both sides would go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Silence in both directions after which the session ends; `None`: never.
    pub idle: Option<Duration>,
    /// Age at which the session ends; `None`: never.
    pub session: Option<Duration>,
}
