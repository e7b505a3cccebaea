//! How it can end: the words of each end, and what the program exits with.
//!
//! Knows no socket. A new end does not compile until it has both.

use std::io;
use std::time::Duration;

use super::input::BadInput;
use super::message::{Close, Violation};
use super::voice::harmless;
use crate::cli::exit::Failure;
use crate::cli::way::span;

/// EX_DATAERR.
const DATA: u8 = 65;
/// EX_IOERR.
const IO: u8 = 74;
/// EX_TEMPFAIL, as a probe whose ping has no pong.
const NO_PONG: u8 = 75;
/// EX_PROTOCOL.
const PROTOCOL: u8 = 76;
/// RFC 6455 §7.1.5: a connection that ended without a Close counts as 1006.
const LOST: u8 = of_code(1006);

/// Why it ended.
#[derive(Debug)]
pub(super) enum End {
    /// The other side's Close came first.
    Closed(Close),
    /// It answered ours.
    Answered(Close),
    /// Its stream ended, or failed, without one.
    Lost(String),
    /// Our Close had no answer in time.
    Unanswered(Duration),
    /// A second signal came before the answer to our Close.
    Cut,
    /// No pong came in time.
    NoPong(Duration),
    /// What came was against the protocol, and the other side was told so.
    Broken(Violation),
    /// What was to be sent was not to be had.
    Input(BadInput),
    /// Standard output takes no more.
    Output(io::Error),
    /// The system has no random bytes to mask with.
    NoRandomness,
}

/// The exit code of a close code, which stays below 126: what is above is the shell's.
pub(super) const fn of_code(code: u16) -> u8 {
    match code {
        1000 => 0,
        // Each its own: 1001 is 101.
        1001..=1014 => (code - 900) as u8,
        3000..=3999 => 120,
        4000..=4999 => 121,
        // None of these comes by the wire.
        _ => PROTOCOL,
    }
}

impl End {
    /// What the program exits with.
    pub(super) fn exit(&self) -> u8 {
        match self {
            Self::Closed(close) | Self::Answered(close) => close.code.map_or(0, of_code),
            Self::Lost(_) | Self::Unanswered(_) | Self::Cut => LOST,
            Self::NoPong(_) => NO_PONG,
            Self::Broken(_) => PROTOCOL,
            Self::Input(BadInput::Data(_)) => DATA,
            Self::Output(error) if is_reader_gone(error) => 0,
            Self::Input(BadInput::Io(_)) | Self::Output(_) => IO,
            Self::NoRandomness => 1,
        }
    }

    /// One sentence.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Closed(close) => format!("closed by the server: {}", close_words(close)),
            Self::Answered(close) => format!("closed: {}", close_words(close)),
            Self::Lost(how) => {
                format!("the connection was lost without a Close frame (1006): {how}")
            }
            Self::Unanswered(wait) => format!(
                "the server did not answer our Close frame within {}",
                span(*wait)
            ),
            Self::Cut => "cut before the server answered our Close frame".to_owned(),
            Self::NoPong(timeout) => format!(
                "no pong within {}: the server, or something on the way, is gone",
                span(*timeout)
            ),
            Self::Broken(violation) => format!(
                "the server broke the protocol and was told {}: {violation}",
                violation.code
            ),
            Self::Input(BadInput::Data(words) | BadInput::Io(words)) => words.clone(),
            Self::Output(error) if is_reader_gone(error) => {
                "whoever read the messages is gone".to_owned()
            }
            Self::Output(error) => format!("stdout cannot be written: {}", error.kind()),
            Self::NoRandomness => "no randomness to be had".to_owned(),
        }
    }

    /// The same as the program's result.
    pub(super) fn result(&self) -> Result<(), Failure> {
        match self.exit() {
            0 => Ok(()),
            code => Err(Failure::Blocked {
                code,
                text: self.words(),
            }),
        }
    }
}

/// A reader that went away, as `head` does, has all it wanted.
fn is_reader_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// A close code with its name, and the reason that came with it.
fn close_words(close: &Close) -> String {
    let Some(code) = close.code else {
        return "no code".to_owned();
    };
    let name = match name(code) {
        "" => String::new(),
        name => format!(" ({name})"),
    };
    match close.reason.as_str() {
        "" => format!("{code}{name}"),
        reason => format!("{code}{name}, \"{}\"", harmless(reason)),
    }
}

// The registry of RFC 6455 §11.7.
fn name(code: u16) -> &'static str {
    match code {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1007 => "invalid payload",
        1008 => "policy violation",
        1009 => "message too big",
        1010 => "extension wanted",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        1014 => "bad gateway",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(code: Option<u16>, reason: &str) -> End {
        End::Closed(Close {
            code,
            reason: reason.to_owned(),
        })
    }

    #[test]
    fn each_end_has_its_exit_code_and_its_words() {
        let check = |end: End, exit: u8, words: &str| {
            assert_eq!((end.exit(), end.words().as_str()), (exit, words));
            assert_eq!(end.result().is_ok(), exit == 0);
        };
        let closed_by = "closed by the server:";
        for (code, exit, words) in [
            (1000, 0, "1000 (normal closure)"),
            (1001, 101, "1001 (going away)"),
            (1002, 102, "1002 (protocol error)"),
            (1008, 108, "1008 (policy violation)"),
            (1014, 114, "1014 (bad gateway)"),
            (3000, 120, "3000"),
            (4999, 121, "4999"),
        ] {
            check(
                closed(Some(code), ""),
                exit,
                &format!("{closed_by} {words}"),
            );
        }
        check(closed(None, ""), 0, "closed by the server: no code");
        check(
            closed(Some(4001), "by\x1be"),
            121,
            "closed by the server: 4001, \"by\\u{1b}e\"",
        );
        let answered = Close {
            code: Some(1000),
            reason: String::new(),
        };
        check(End::Answered(answered), 0, "closed: 1000 (normal closure)");
        let lost = "the connection was lost without a Close frame (1006): reset";
        check(End::Lost("reset".to_owned()), 106, lost);
        check(
            End::Unanswered(Duration::from_secs(5)),
            106,
            "the server did not answer our Close frame within 5.0 s",
        );
        check(
            End::Cut,
            106,
            "cut before the server answered our Close frame",
        );
        check(
            End::NoPong(Duration::from_secs(10)),
            75,
            "no pong within 10.0 s: the server, or something on the way, is gone",
        );
        let masked = Violation {
            code: 1002,
            words: "masked".to_owned(),
        };
        let broke = "the server broke the protocol and was told 1002: masked";
        check(End::Broken(masked), 76, broke);
        check(End::Input(BadInput::Data("a".to_owned())), 65, "a");
        check(End::Input(BadInput::Io("b".to_owned())), 74, "b");
        check(
            End::Output(io::ErrorKind::BrokenPipe.into()),
            0,
            "whoever read the messages is gone",
        );
        check(
            End::Output(io::ErrorKind::StorageFull.into()),
            74,
            "stdout cannot be written: no storage space",
        );
        check(End::NoRandomness, 1, "no randomness to be had");
    }

    #[test]
    fn no_close_code_exits_with_what_the_shell_uses() {
        for code in 0..=u16::MAX {
            assert!(of_code(code) < 126, "{code}");
            assert!(of_code(code) != 0 || code == 1000, "{code}");
        }
    }
}
