//! Both sides under question: which of them is asked whether it is there, and which is not.
//!
//! Knows no streams.

use std::time::Duration;

use super::close::Side;
use super::params::Params;
use super::ping::{Pinged, Question, Signs, Verdict};
use super::table::Moment;

/// The sides that are asked.
#[derive(Debug)]
pub(super) struct Alive {
    client: Option<Question>,
    backend: Option<Question>,
}

impl Alive {
    /// `None` where nobody is asked.
    pub(super) fn new(params: &Params, now: Moment) -> Option<Self> {
        let question = |ping: Option<_>| ping.map(|ping| Question::new(ping, now));
        let (client, backend) = (params.ping_client, params.ping_backend);
        (client.is_some() || backend.is_some()).then(|| Self {
            client: question(client),
            backend: question(backend),
        })
    }

    /// The shortest time that anybody is given.
    pub(super) fn finest(params: &Params) -> Duration {
        [params.ping_client, params.ping_backend]
            .into_iter()
            .flatten()
            .fold(Duration::MAX, |finest, ping| {
                finest.min(ping.every).min(ping.timeout)
            })
    }

    /// What to do about each side; nothing about one that is not asked.
    pub(super) fn look(
        &mut self,
        now: Moment,
        client: Signs,
        backend: Signs,
    ) -> [(Side, Verdict); 2] {
        let look = |question: &mut Option<Question>, signs| match question {
            Some(question) => question.look(now, signs),
            None => Verdict::Wait(Moment::NEVER),
        };
        [
            (Side::Client, look(&mut self.client, client)),
            (Side::Backend, look(&mut self.backend, backend)),
        ]
    }

    /// What came of it, of the client and of the backend.
    pub(super) fn pinged(&self, now: Moment) -> (Option<Pinged>, Option<Pinged>) {
        let pinged = |question: &Option<Question>| question.as_ref().map(|q| q.pinged(now));
        (pinged(&self.client), pinged(&self.backend))
    }
}
