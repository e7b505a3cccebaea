//! A 101 that does not hold, and an answer that is no HTTP.
//!
//! Knows no bytes: the grammar of a 101 has named what is wrong.

use super::step::At;
use super::{Exit, Told, told};
use crate::egress::AnswerFault;
use crate::wire::ws::answer::AnswerError;

impl At<'_> {
    pub(super) fn answer(&self, fault: &AnswerFault) -> Told {
        match fault {
            AnswerFault::Invalid(error) => self.invalid(*error),
            AnswerFault::Unreadable(words) => told(
                Exit::Unreachable,
                format!("what answers is no HTTP server: {words}"),
                "check host, port and scheme of the URL",
            ),
        }
    }

    fn invalid(&self, error: AnswerError) -> Told {
        let (cause, remedy) = match error {
            AnswerError::Upgrade => (
                "the 101 came without its Upgrade header: something between removed it",
                self.scene.unread(),
            ),
            AnswerError::Connection => (
                "the 101 came without Connection: Upgrade: something between removed it",
                self.scene.unread(),
            ),
            AnswerError::AcceptMissing | AnswerError::AcceptWrong | AnswerError::AcceptTwice => (
                "the 101 answers another handshake than ours: Sec-WebSocket-Accept does not fit",
                "look for a cache or a second gateway between, and at the backend itself",
            ),
            AnswerError::Version => (
                "the 101 is not HTTP/1.1, the only version that has one",
                "look at what stands before the backend",
            ),
            AnswerError::SubprotocolTwice => (
                "the backend chose more than one subprotocol",
                "correct the backend",
            ),
            AnswerError::SubprotocolNotOffered => (
                "the backend chose a subprotocol that was not offered",
                "offer it by --subprotocol, or correct the backend",
            ),
            AnswerError::SubprotocolRequired => (
                "the backend chose none of the subprotocols that are required",
                "correct the backend",
            ),
            AnswerError::ExtensionNotOffered => (
                "the backend chose an extension that was not offered",
                "correct the backend, or what stands before it",
            ),
            AnswerError::Body => (
                "the 101 announces a body, and it has none",
                "correct the backend, or what stands before it",
            ),
        };
        told(Exit::Unreachable, cause, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::check;
    use super::*;
    use crate::egress::{Cause, Place, Step};

    #[test]
    fn a_101_that_does_not_hold_says_what_is_wrong_with_it() {
        let check = |error, cause: &str, remedy: &str| {
            let fault = Cause::Answer(AnswerFault::Invalid(error));
            let expected = ("answer_invalid", 69, cause, remedy);
            check(&Place::Server, Step::Upgrade, fault, expected);
        };
        let key = "the 101 answers another handshake than ours: Sec-WebSocket-Accept does not fit";
        let between = "look for a cache or a second gateway between, and at the backend itself";
        for error in [
            AnswerError::AcceptMissing,
            AnswerError::AcceptTwice,
            AnswerError::AcceptWrong,
        ] {
            check(error, key, between);
        }
        let wss = "use wss://: nobody between can take a header out of what he cannot read";
        check(
            AnswerError::Upgrade,
            "the 101 came without its Upgrade header: something between removed it",
            wss,
        );
        check(
            AnswerError::Connection,
            "the 101 came without Connection: Upgrade: something between removed it",
            wss,
        );
        check(
            AnswerError::SubprotocolNotOffered,
            "the backend chose a subprotocol that was not offered",
            "offer it by --subprotocol, or correct the backend",
        );
    }
}
