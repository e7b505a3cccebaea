//! An explanation for people: a label and a line for each fact.
//!
//! Knows the words' order and width, and none of the words.

use super::judged::{Answer, Explained, Reach};
use super::words;
use crate::policy::explain::Standing;

/// What becomes of a request, as lines.
pub(super) fn of(explained: &Explained<'_>) -> String {
    let mut lines = Lines::default();
    request(explained, &mut lines);
    routes(explained, &mut lines);
    match &explained.answer {
        Answer::Refused { refusal, detail } => {
            let (status, reason) = (refusal.status.as_u16(), refusal.reason);
            lines.add("answer", &format!("{status} {reason}: {detail}"));
            lines.add("  body", refusal.sentence);
        }
        Answer::Taken { backend, servers } => {
            let turns = match servers.len() {
                0 | 1 => "",
                _ => "; each session starts one server further on",
            };
            lines.add(
                "answer",
                &format!("goes to backend {}{turns}", backend.name),
            );
            if let Some(found_by) = &explained.found_by {
                lines.add("  auto", &format!("found by {found_by}"));
            }
            reached(servers, &mut lines);
        }
    }
    lines.0
}

/// Text in two columns.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, label: &str, text: &str) {
        self.0 += &format!("{label:<10}{text}\n");
    }
}

fn request(explained: &Explained<'_>, lines: &mut Lines) {
    let (flags, seen) = (explained.asked.flags, &explained.asked.seen);
    let scheme = if seen.secure { "wss" } else { "ws" };
    let url = format!("{scheme}://{}{}", flags.host, flags.target);
    let (listener, from) = (&seen.listener, seen.address.ip());
    let text = format!("{url} by listener {listener} from {from}");
    lines.add("request", &text);
}

fn routes(explained: &Explained<'_>, lines: &mut Lines) {
    let Some(opened) = &explained.opened else {
        return;
    };
    let is_taken = |standing: &Standing<'_>| matches!(standing, Standing::Taken);
    let (taken, others): (Vec<_>, Vec<_>) =
        opened.routes.iter().partition(|v| is_taken(&v.standing));
    if taken.is_empty() {
        lines.add("route", "none");
    }
    for (label, verdict) in taken
        .into_iter()
        .map(|v| ("route", v))
        .chain(others.into_iter().map(|v| ("  not", v)))
    {
        let why = words::why(verdict.route, &verdict.standing, opened);
        lines.add(label, &format!("{}: {why}", verdict.route.name));
    }
    if let Some((route, said)) = &opened.route {
        lines.add("origin", &words::origin(route, said, opened));
        for (n, change) in words::offers(route, opened).iter().enumerate() {
            lines.add(if n == 0 { "offers" } else { "" }, change);
        }
    }
}

// Servers that get the very same request stand above it together.
fn reached(servers: &[Reach<'_>], lines: &mut Lines) {
    let mut servers = servers.iter().peekable();
    while let Some(reach) = servers.next() {
        lines.add("server", &reach.server.url);
        lines.add("  way", &words::way(&reach.outlook));
        for (name, hops) in words::chains(&reach.outlook) {
            lines.add("", &format!("{name}: {hops}"));
        }
        let is_next_the_same = servers
            .peek()
            .is_some_and(|next| next.outgoing == reach.outgoing);
        if is_next_the_same {
            continue;
        }
        lines.add("  asks", &format!("GET {}", reach.outgoing.target));
        for (name, value) in words::headers(&reach.outgoing.headers) {
            lines.add("", &format!("{name}: {value}"));
        }
    }
}
