//! What the records of a session say of its beginning, kept small until they do.
//!
//! Knows nothing of what came after.

use std::time::Duration;

use super::number;
use super::phases::{Packed, Phases};
use super::record::{Request, Way, client};

/// What a session's record will say of its beginning. It is kept for as long as the session lasts, so
/// it is one allocation instead of ten: each text behind its length, then how long the way to the 101
/// took.
#[derive(Debug)]
pub struct Begun(Box<[u8]>);

/// The client's address and [`WARM`] among them.
const TEXTS: usize = 11;
/// Stands for a tunnel that was open before.
const WARM: &str = "warm";

impl Begun {
    /// Packs it up; the 101 came `to_101` after the connection, `phases` say how.
    pub fn new(request: &Request, way: &Way, phases: &Phases, to_101: Duration) -> Self {
        let texts: [&str; TEXTS] = [
            &client(request.client),
            &request.listener,
            &request.host,
            &request.path,
            &request.origin,
            &request.route,
            &request.backend,
            &way.server,
            &way.egress,
            if way.warm { WARM } else { "" },
            &way.subprotocol,
        ];
        let phases = phases.packed(to_101);
        let bytes: usize = texts
            .iter()
            .map(|text| number::BYTES_MAX + text.len())
            .sum();
        let mut packed = Vec::with_capacity(bytes + phases.len());
        for text in texts {
            // No text of a request's head is longer.
            number::push(&mut packed, u32::try_from(text.len()).unwrap_or(u32::MAX));
            packed.extend_from_slice(text.as_bytes());
        }
        packed.extend_from_slice(&phases);
        // Copied, and not shrunk where it is: what is as long as it has to be fits into a gap of the heap.
        Self(Box::from(&*packed))
    }

    /// What it said, as it was.
    pub fn unpack(&self) -> (Request<&str>, Way<&str>, Packed<'_>) {
        let mut rest = &*self.0;
        let mut next = || {
            let len = number::pop(&mut rest).map_or(0, |len| len as usize);
            let (text, behind) = rest.split_at_checked(len).unwrap_or_default();
            rest = behind;
            std::str::from_utf8(text).unwrap_or_default()
        };
        let client = next().parse().ok();
        let request = Request {
            listener: next(),
            client,
            host: next(),
            path: next(),
            origin: next(),
            route: next(),
            backend: next(),
        };
        let way = Way {
            server: next(),
            egress: next(),
            warm: next() == WARM,
            subprotocol: next(),
        };
        (request, way, Packed::of(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::phases::Phase;

    #[test]
    fn what_was_packed_comes_out_again_empty_texts_and_all() {
        let request = Request {
            listener: "public".to_owned(),
            client: Some([192, 0, 2, 1].into()),
            path: "/café".to_owned(),
            backend: "chat".to_owned(),
            ..Request::default()
        };
        let way = Way {
            egress: "direct".to_owned(),
            warm: true,
            ..Way::default()
        };
        let phases = Phases::default();
        phases.took(0, Phase::Decide, Duration::from_micros(100));
        let begun = Begun::new(&request, &way, &phases, Duration::from_millis(2));
        let (unpacked, unpacked_way, phases) = begun.unpack();
        assert_eq!(
            (phases.millis(), phases.to_string().as_str()),
            (2, "decide 0.1 ms")
        );
        assert_eq!(unpacked.client, request.client);
        assert!(unpacked_way.warm);
        let texts = [
            (unpacked.listener, "public"),
            (unpacked.host, ""),
            (unpacked.path, "/café"),
            (unpacked.origin, ""),
            (unpacked.route, ""),
            (unpacked.backend, "chat"),
            (unpacked_way.server, ""),
            (unpacked_way.egress, "direct"),
            (unpacked_way.subprotocol, ""),
        ];
        for (text, expected) in texts {
            assert_eq!(text, expected);
        }
        let phases = 2 + 2;
        assert_eq!(begun.0.len(), TEXTS + "192.0.2.1".len() + 26 + phases);
    }
}
