//! Why a request takes its route, and why it takes no other.
//!
//! Judges with the very rules that [`Routes::find`] goes by, and knows no words for what it finds.

use super::route::{Mismatch, Route, Routes};
use crate::wire::authority::Host;

/// What became of one route.
#[derive(Debug)]
pub struct Verdict<'p> {
    /// The route.
    pub route: &'p Route,
    /// How it stands to the request.
    pub standing: Standing<'p>,
}

/// How a route stands to a request.
#[derive(Debug)]
pub enum Standing<'p> {
    /// It takes it.
    Taken,
    /// It does not match.
    Differs(Mismatch),
    /// It matches, and another one comes before it.
    Outdone {
        /// The one that takes the request.
        by: &'p Route,
        /// What decides between the two.
        on: Edge,
    },
}

/// What decides between two routes that match: the first of these in which they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The host of one is more specific.
    Host,
    /// The path of one is.
    Path,
    /// One asks for subprotocols, and the other does not.
    Subprotocols,
    /// One comes first in the file.
    Order,
}

impl Routes {
    /// What becomes of each route, in the order in which they are tried.
    pub fn explain(
        &self,
        listener: &str,
        host: &Host,
        path: &str,
        offered: &[String],
    ) -> Vec<Verdict<'_>> {
        let taken = self.find(listener, host, path, offered);
        let standing = |route: &Route| match (route.mismatch(listener, host, path, offered), taken)
        {
            (Some(mismatch), _) => Standing::Differs(mismatch),
            (None, Some(by)) if !std::ptr::eq(by, route) => Standing::Outdone {
                by,
                on: edge(by, route),
            },
            (None, _) => Standing::Taken,
        };
        self.iter()
            .map(|route| Verdict {
                route,
                standing: standing(route),
            })
            .collect()
    }
}

fn edge(a: &Route, b: &Route) -> Edge {
    if a.host.rank() != b.host.rank() {
        return Edge::Host;
    }
    if a.path.rank() != b.path.rank() {
        return Edge::Path;
    }
    match a.subprotocols.is_empty() == b.subprotocols.is_empty() {
        true => Edge::Order,
        false => Edge::Subprotocols,
    }
}

#[cfg(test)]
mod tests {
    use super::super::route::tests::route;
    use super::*;

    fn routes() -> Routes {
        let mut inside = route("inside", "*", "/*", &[]);
        inside.listeners = Some(vec!["internal".to_owned()]);
        Routes::new(vec![
            inside,
            route("any", "*", "/*", &[]),
            route("wild", "*.example.com", "/*", &[]),
            route("exact", "chat.example.com", "/*", &[]),
            route("ws", "chat.example.com", "/ws/*", &[]),
            route("v1", "chat.example.com", "/ws/*", &["v1"]),
            route("v2", "chat.example.com", "/ws/*", &["v2"]),
        ])
    }

    /// Of each route in the order in which they are tried, what became of it.
    fn check(host: &str, path: &str, offered: &[&str], expected: &[(&str, &str)]) {
        let offered: Vec<String> = offered.iter().map(|&s| s.to_owned()).collect();
        let (routes, host) = (routes(), Host::parse(host).unwrap());
        let verdicts = routes.explain("public", &host, path, &offered);
        let words = verdicts.iter().map(|verdict| {
            let standing = match &verdict.standing {
                Standing::Taken => "taken".to_owned(),
                Standing::Differs(mismatch) => format!("{mismatch:?}"),
                Standing::Outdone { by, on } => format!("{} {on:?}", by.name),
            };
            (verdict.route.name.clone(), standing)
        });
        let words: Vec<(String, String)> = words.collect();
        let words: Vec<(&str, &str)> = words.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(words, expected, "{host}{path} {offered:?}");
        let taken = verdicts
            .iter()
            .find(|v| matches!(v.standing, Standing::Taken));
        let found = routes.find("public", &host, path, &offered);
        assert_eq!(taken.map(|v| &v.route.name), found.map(|r| &r.name));
    }

    #[test]
    fn each_route_has_its_reason_and_at_most_one_is_taken() {
        check(
            "chat.example.com",
            "/ws/a",
            &["v2", "v1"],
            &[
                ("v1", "taken"),
                ("v2", "v1 Order"),
                ("ws", "v1 Subprotocols"),
                ("exact", "v1 Path"),
                ("wild", "v1 Host"),
                ("inside", "Listener"),
                ("any", "v1 Host"),
            ],
        );
        check(
            "a.example.com",
            "/",
            &[],
            &[
                ("v1", "Host"),
                ("v2", "Host"),
                ("ws", "Host"),
                ("exact", "Host"),
                ("wild", "taken"),
                ("inside", "Listener"),
                ("any", "wild Host"),
            ],
        );
        check(
            "chat.example.com",
            "/ws/",
            &["v3"],
            &[
                ("v1", "Subprotocols"),
                ("v2", "Subprotocols"),
                ("ws", "taken"),
                ("exact", "ws Path"),
                ("wild", "ws Host"),
                ("inside", "Listener"),
                ("any", "ws Host"),
            ],
        );
        check(
            "chat.example.com",
            "/ws",
            &["v1"],
            &[
                ("v1", "Path"),
                ("v2", "Path"),
                ("ws", "Path"),
                ("exact", "taken"),
                ("wild", "exact Host"),
                ("inside", "Listener"),
                ("any", "exact Host"),
            ],
        );
    }
}
