//! What a route does with subprotocols: which it requires, which it keeps from the backend, and
//! which have another name there.
//!
//! Every name in a route is the client's, but for the targets of `map`. In this order: what is
//! offered is held against `require`, `strip` takes out, `map` renames. The backend's choice is told
//! to the client by the name that the client offered it by. Knows no headers.

/// The rules of a route; empty: all is passed on as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subprotocols {
    /// The client must offer one of these, and the backend must choose one of them.
    pub require: Vec<String>,
    /// The backend's name for a client's.
    pub map: Vec<(String, String)>,
    /// Not told to the backend.
    pub strip: Vec<String>,
}

/// What goes to the backend of an offer. The names inside are there once each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer(Vec<Name>);

/// One subprotocol by its two names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    outside: String,
    inside: String,
    required: bool,
}

impl Subprotocols {
    /// Whether the route takes a client that offers these.
    pub fn admit(&self, offered: &[String]) -> bool {
        let counts = |name| self.require.contains(name) && !self.strip.contains(name);
        self.require.is_empty() || offered.iter().any(counts)
    }

    /// Whether some offer may look different to the backend.
    pub fn changes_offers(&self) -> bool {
        !self.map.is_empty() || !self.strip.is_empty()
    }

    /// What of a client's offer goes on, in the client's order.
    pub fn offer(&self, offered: &[String]) -> Offer {
        let mut names: Vec<Name> = Vec::new();
        for outside in offered.iter().filter(|name| !self.strip.contains(name)) {
            let inside = self.inside(outside);
            let name = Name {
                outside: outside.clone(),
                inside: inside.to_owned(),
                required: self.require.contains(outside),
            };
            // RFC 6455 §4.1: each is offered once. Two become one where a client knows a name of
            // the inside too; then the choice is told by the one that the route knows.
            match names.iter_mut().find(|known| known.inside == inside) {
                None => names.push(name),
                Some(known) if name.outside != inside => *known = name,
                Some(_) => {}
            }
        }
        Offer(names)
    }

    fn inside<'a>(&'a self, outside: &'a str) -> &'a str {
        let renamed = self.map.iter().find(|(from, _)| from == outside);
        renamed.map_or(outside, |(_, to)| to)
    }
}

impl Offer {
    /// The names that the backend is told, in order.
    pub fn inside(&self) -> Vec<String> {
        self.0.iter().map(|name| name.inside.clone()).collect()
    }

    /// Those of them of which the backend must choose one.
    pub fn required(&self) -> Vec<String> {
        let required = self.0.iter().filter(|name| name.required);
        required.map(|name| name.inside.clone()).collect()
    }

    /// The client's name for what the backend chose.
    pub fn outside(&self, chosen: &str) -> Option<&str> {
        let name = self.0.iter().find(|name| name.inside == chosen)?;
        Some(&name.outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn rules(require: &[&str], map: &[(&str, &str)], strip: &[&str]) -> Subprotocols {
        let pair = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        Subprotocols {
            require: owned(require),
            map: map.iter().map(pair).collect(),
            strip: owned(strip),
        }
    }

    #[test]
    fn a_client_offers_one_of_those_that_are_required() {
        let check = |require: &[&str], offered: &[&str], admitted: bool| {
            let rules = rules(require, &[("a", "b")], &[]);
            assert_eq!(
                rules.admit(&owned(offered)),
                admitted,
                "{offered:?} of {require:?}"
            );
        };
        check(&[], &[], true);
        check(&[], &["a"], true);
        check(&["a"], &["a"], true);
        check(&["c", "a"], &["x", "a"], true);
        check(&["a"], &[], false);
        check(&["a"], &["A"], false);
        // The name inside is not what a client offers.
        check(&["a"], &["b"], false);
        let never = rules(&["a"], &[], &["a"]);
        assert!(!never.admit(&owned(&["a"])));
    }

    /// What the backend is told, what it must choose from, and by which names the client knows it.
    fn check(
        rules: &Subprotocols,
        offered: &[&str],
        inside: &[&str],
        required: &[&str],
        told: &[&str],
    ) {
        let offer = rules.offer(&owned(offered));
        assert_eq!(offer.inside(), inside, "{offered:?} by {rules:?}");
        assert_eq!(offer.required(), required, "{offered:?} by {rules:?}");
        let outside = inside.iter().map(|name| offer.outside(name).unwrap());
        assert_eq!(
            outside.collect::<Vec<_>>(),
            told,
            "{offered:?} by {rules:?}"
        );
        assert_eq!(offer.outside("never offered"), None);
    }

    #[test]
    fn an_offer_is_stripped_and_renamed_in_its_order_and_the_choice_told_back() {
        let none = Subprotocols::default();
        check(&none, &[], &[], &[], &[]);
        check(&none, &["b", "a"], &["b", "a"], &[], &["b", "a"]);
        let map = rules(&["v2", "v1"], &[("v2", "v2.in")], &["debug"]);
        check(
            &map,
            &["debug", "v1", "x", "v2"],
            &["v1", "x", "v2.in"],
            &["v1", "v2.in"],
            &["v1", "x", "v2"],
        );
        check(&map, &["debug"], &[], &[], &[]);
        let swap = rules(&[], &[("a", "b"), ("b", "a")], &[]);
        check(&swap, &["a", "b"], &["b", "a"], &[], &["a", "b"]);
    }

    #[test]
    fn a_name_is_offered_once_and_told_by_the_one_that_the_route_knows() {
        let map = rules(&["v2"], &[("v2", "v2.in")], &[]);
        check(&map, &["v2", "v2.in"], &["v2.in"], &["v2.in"], &["v2"]);
        check(&map, &["v2.in", "v2"], &["v2.in"], &["v2.in"], &["v2"]);
        check(&map, &["v2", "v2"], &["v2.in"], &["v2.in"], &["v2"]);
        check(&map, &["v2.in"], &["v2.in"], &[], &["v2.in"]);
    }

    #[test]
    fn what_changes_offers() {
        assert!(!rules(&["a"], &[], &[]).changes_offers());
        assert!(rules(&[], &[("a", "b")], &[]).changes_offers());
        assert!(rules(&[], &[], &["a"]).changes_offers());
    }
}
