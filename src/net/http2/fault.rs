//! How HTTP/2 fails, as values. Knows nothing of what a failure means for a tunnel.

use std::{fmt, io};

use h2::Reason;

/// A code of RFC 9113 §7, with which either side ends a stream or the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u32);

impl Code {
    /// Nothing is wrong.
    pub const NO_ERROR: Self = Self(0x0);
    /// Nothing was done for the request.
    pub const REFUSED_STREAM: Self = Self(0x7);
    /// The connection at the other end of a tunnel failed.
    pub const CONNECT_ERROR: Self = Self(0xa);
    /// Too much of something.
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    /// The same over HTTP/1.1, please.
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);
}

/// The names, in the order of the codes.
const NAMES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Why a request has no answer, or a tunnel no more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The other side ended the stream (RST_STREAM).
    Reset(Code),
    /// It ended the connection (GOAWAY).
    GoneAway(Code),
    /// What it sent is not valid, and this is what we told it.
    Invalid(Code),
    /// The connection ended, and the stream had not.
    Ended,
    /// The connection failed.
    Lost(io::ErrorKind),
    /// An interim answer that cannot be one (101, RFC 9113 §8.6).
    Switching,
    /// More interim answers than were allowed.
    TooManyInterim,
    /// The request is none that can be sent.
    Unsendable,
}

impl From<Reason> for Code {
    fn from(reason: Reason) -> Self {
        Self(reason.into())
    }
}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Self {
        if let Some(io) = error.get_io() {
            return match io.kind() {
                // As the crate calls an end of the connection.
                io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => Self::Ended,
                kind => Self::Lost(kind),
            };
        }
        let Some(reason) = error.reason() else {
            return Self::Unsendable;
        };
        match (error.is_remote(), error.is_go_away()) {
            (true, true) => Self::GoneAway(reason.into()),
            (true, false) => Self::Reset(reason.into()),
            (false, _) => Self::Invalid(reason.into()),
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure {
            Failure::Reset(_) => io::ErrorKind::ConnectionReset,
            // Without an error it is an end like that of the connection that follows it.
            Failure::GoneAway(Code::NO_ERROR) | Failure::Ended => io::ErrorKind::UnexpectedEof,
            Failure::GoneAway(_) => io::ErrorKind::ConnectionAborted,
            Failure::Lost(kind) => kind,
            Failure::Invalid(_)
            | Failure::Switching
            | Failure::TooManyInterim
            | Failure::Unsendable => io::ErrorKind::InvalidData,
        };
        Self::new(kind, failure)
    }
}

impl fmt::Display for Code {
    /// As the RFC spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = usize::try_from(self.0).unwrap_or(usize::MAX);
        match NAMES.get(at) {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset(code) => write!(f, "the stream was reset: {code}"),
            Self::GoneAway(code) => write!(f, "the connection was ended: {code}"),
            Self::Invalid(code) => write!(f, "not valid HTTP/2: {code}"),
            Self::Ended => f.write_str("the connection ended before its stream"),
            Self::Lost(kind) => kind.fmt(f),
            Self::Switching => f.write_str("101 is no answer in HTTP/2"),
            Self::TooManyInterim => f.write_str("too many interim answers"),
            Self::Unsendable => f.write_str("the request cannot be sent"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_by_its_name_or_its_number() {
        let check = |code: u32, expected: &str| assert_eq!(Code(code).to_string(), expected);
        check(0x0, "NO_ERROR");
        check(0xd, "HTTP_1_1_REQUIRED");
        check(0xe, "0xe");
        check(u32::MAX, "0xffffffff");
        for (code, name) in [
            (Code::REFUSED_STREAM, "REFUSED_STREAM"),
            (Code::CONNECT_ERROR, "CONNECT_ERROR"),
            (Code::ENHANCE_YOUR_CALM, "ENHANCE_YOUR_CALM"),
        ] {
            assert_eq!(code.to_string(), name);
        }
    }

    #[test]
    fn a_failure_is_the_io_error_that_a_pump_understands() {
        use io::ErrorKind as K;
        let check = |failure: Failure, expected: K| {
            assert_eq!(io::Error::from(failure).kind(), expected, "{failure:?}");
        };
        check(Failure::Reset(Code::CONNECT_ERROR), K::ConnectionReset);
        check(Failure::GoneAway(Code(2)), K::ConnectionAborted);
        check(Failure::GoneAway(Code::NO_ERROR), K::UnexpectedEof);
        check(Failure::Ended, K::UnexpectedEof);
        check(Failure::Lost(K::TimedOut), K::TimedOut);
        check(Failure::Invalid(Code(1)), K::InvalidData);
    }
}
