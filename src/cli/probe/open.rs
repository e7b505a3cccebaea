//! The path after its 101: pings without a pong, and idle connections that are cut.
//!
//! Knows no frames, only what came of them.

use super::path::{Broken, How, Kept, Silence};
use crate::cli::way::advice::{Exit, Verdict};
use crate::cli::way::{Scene, span};

/// A ping without its pong.
pub(super) fn of_ping(broken: &Broken, scene: &Scene) -> Verdict {
    let (reason, exit, cause) = match broken {
        Broken::Silent => (
            "timeout",
            Exit::TryAgain,
            "the 101 came, and no pong after it: frames do not get through".to_owned(),
        ),
        Broken::Ended(how) => (
            "lost",
            Exit::Unreachable,
            format!("the 101 came, and then the connection ended: {how}"),
        ),
        Broken::Unreadable(words) => (
            "frames_invalid",
            Exit::Unreachable,
            format!("what came after the 101 is no WebSocket: {words}"),
        ),
    };
    let remedy = match scene.is_secure {
        false => "use wss://: what is between may pass the handshake and not the frames",
        true => "look at the backend's log, and at what terminates TLS before it",
    };
    Verdict {
        reason,
        exit,
        cause,
        remedy: remedy.to_owned(),
    }
}

/// A cut is a finding, not a failure: the way is open, and this is how long it stays so.
pub(super) fn of_silence(silence: &Silence) -> Option<Verdict> {
    let longest = span(silence.longest);
    let cause = match &silence.end {
        Ok(Kept) => return None,
        Err(Broken::Ended(How::Close(_))) => {
            "a Close frame came: the backend, or a gateway that speaks WebSocket, ends idle sessions"
        }
        Err(Broken::Ended(How::Fin | How::Rst | How::Error(_))) => {
            "the backend or something on the way ends idle connections"
        }
        Err(Broken::Silent) => {
            "something on the way forgets idle connections and tells nobody: pings get no answer"
        }
        Err(Broken::Unreadable(_)) => "what came is no WebSocket frame",
    };
    Some(Verdict {
        reason: "idle_cut",
        exit: Exit::Finding,
        cause: cause.to_owned(),
        remedy: format!("send pings more often than every {longest}"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::way::advice::check::scene;

    #[test]
    fn a_ping_without_a_pong_is_told_by_what_came_instead() {
        let check = |broken, reason: &str, code: u8, cause: &str| {
            let verdict = of_ping(&broken, &scene(true, &[]));
            assert!(crate::cli::way::advice::REASONS.contains(&verdict.reason));
            assert_eq!(
                (verdict.reason, verdict.exit.code(), verdict.cause.as_str()),
                (reason, code, cause)
            );
        };
        check(
            Broken::Silent,
            "timeout",
            75,
            "the 101 came, and no pong after it: frames do not get through",
        );
        check(
            Broken::Ended(How::Rst),
            "lost",
            69,
            "the 101 came, and then the connection ended: RST",
        );
        check(
            Broken::Unreadable("reserved opcode 3".to_owned()),
            "frames_invalid",
            69,
            "what came after the 101 is no WebSocket: reserved opcode 3",
        );
    }

    #[test]
    fn a_cut_is_a_finding_with_the_longest_silence_in_its_remedy() {
        let check = |end, expected: Option<&str>| {
            let verdict = of_silence(&Silence {
                lasted: Duration::from_secs(90),
                longest: Duration::from_secs(60),
                frames: 1,
                end,
            });
            let told = verdict.as_ref().map(|v| v.cause.as_str());
            assert_eq!(told, expected);
            if let Some(verdict) = verdict {
                assert_eq!((verdict.reason, verdict.exit.code()), ("idle_cut", 0));
                assert_eq!(verdict.remedy, "send pings more often than every 1m");
            }
        };
        check(Ok(Kept), None);
        check(
            Err(Broken::Ended(How::Close(None))),
            Some(
                "a Close frame came: the backend, or a gateway that speaks WebSocket, ends idle \
                 sessions",
            ),
        );
        check(
            Err(Broken::Ended(How::Fin)),
            Some("the backend or something on the way ends idle connections"),
        );
        check(
            Err(Broken::Silent),
            Some(
                "something on the way forgets idle connections and tells nobody: pings get no \
                 answer",
            ),
        );
    }
}
