//! The ways out in what `check` prints: each that a backend uses, once.
//!
//! Knows no file, only the plan. Of credentials it says that they are there.

use std::mem::discriminant;
use std::sync::Arc;

use crate::egress::pac::Pac;
use crate::egress::{
    Alternatives, Auth, Auto, ByScheme, Choice, Egress, Found, Membership, Order, Protocol, Way,
};
use crate::plan::Plan;

use super::backend::{AUTOMATIC, DIRECT, ENVIRONMENT};
use super::summary::one;
use super::value::show_duration;

type Row = [Vec<String>; 3];

/// Name, hops and who goes direct all the same.
pub(super) fn rows(plan: &Plan) -> impl Iterator<Item = Row> {
    let mut used: Vec<&Way> = Vec::new();
    for backend in &plan.backends {
        if !used.iter().any(|way| is_same(way, &backend.way)) {
            used.push(&backend.way);
        }
    }
    used.into_iter().flat_map(of_way)
}

fn is_same(a: &Way, b: &Way) -> bool {
    match (a, b) {
        (Way::Through(a), Way::Through(b)) => Arc::ptr_eq(a, b),
        (Way::Among(a), Way::Among(b)) => Arc::ptr_eq(a, b),
        (Way::Pac(a), Way::Pac(b)) => Arc::ptr_eq(a, b),
        // There is one environment.
        (a, b) => discriminant(a) == discriminant(b),
    }
}

fn of_way(way: &Way) -> Vec<Row> {
    match way {
        Way::Direct => Vec::new(),
        Way::Through(egress) => {
            vec![[one(&egress.name), hops(egress), lines(&egress.no_proxy)]]
        }
        Way::Among(alternatives) => of_alternatives(alternatives),
        Way::ByScheme(ways) => vec![of_environment(ENVIRONMENT, ways)],
        Way::Auto(auto) => vec![of_auto(auto)],
        Way::Pac(pac) => vec![[one(&pac.name), of_script(pac), lines(&pac.no_proxy)]],
    }
}

fn of_script(pac: &Pac) -> Vec<String> {
    let mut said = vec![
        format!("as {} says", pac.source),
        format!("looked at again after {}", show_duration(pac.refresh)),
        format!("an answer holds for {}", show_duration(pac.cache)),
    ];
    if let Some(auth) = pac.auth() {
        said.push(format!("with {} auth for some", auth.choice()));
    }
    said
}

fn hops(egress: &Egress) -> Vec<String> {
    let hops = egress.hops.iter().map(|hop| match &hop.credentials {
        Some(_) if hop.protocol != Protocol::Http => format!("{hop} with user and password"),
        Some(_) => format!("{hop} with {}", told(&hop.auth)),
        None => hop.to_string(),
    });
    let warm = egress.warm.iter().map(|warm| {
        let age_max = show_duration(warm.age_max);
        format!("kept warm for each server: {}, for {age_max}", warm.count)
    });
    hops.chain(warm).collect()
}

fn told(auth: &Auth) -> String {
    let Membership {
        domain,
        workstation,
    } = auth.membership();
    let mut text = format!("{} auth", auth.choice());
    for (key, value) in [("domain", domain), ("workstation", workstation)] {
        if !value.is_empty() {
            text.push_str(&format!(", {key} {value}"));
        }
    }
    if let Some(kerberos) = auth.kerberos() {
        if auth.choice() == Choice::Auto {
            text.push_str(", Kerberos first");
        }
        let spn = kerberos.spn.iter().map(|spn| format!(", spn {spn}"));
        text.extend(spn);
        let keys = kerberos.mechanism.keys();
        text.extend(keys.iter().map(|keys| format!(", {keys}")));
    }
    text
}

/// A list that is written with commas, an entry a line.
fn lines(list: &impl ToString) -> Vec<String> {
    list.to_string().split(", ").map(str::to_owned).collect()
}

fn of_alternatives(alternatives: &Alternatives) -> Vec<Row> {
    let order = match alternatives.order {
        Order::Failover => "the first of these that is usable",
        Order::RoundRobin => "these in turns",
    };
    let again = show_duration(alternatives.retry_after());
    let mut all = vec![[
        one(&alternatives.name),
        vec![order.to_owned(), format!("a dead one again after {again}")],
        lines(&alternatives.no_proxy),
    ]];
    let name = |chain: &str| one(format!("{}/{chain}", alternatives.name));
    let chains = alternatives.chains.iter();
    all.extend(chains.map(|chain| [name(&chain.name), hops(chain), Vec::new()]));
    if alternatives.ends_direct {
        let last = one("when none of them is left");
        all.push([name(DIRECT), last, Vec::new()]);
    }
    all
}

/// Nobody is asked for this but the environment.
fn of_auto(auto: &Auto) -> Row {
    if auto.environment().names_any() {
        return of_environment(AUTOMATIC, auto.environment());
    }
    let desktop = auto.desktop().map(|name| format!("then by {name}"));
    let places = ["then by WPAD".to_owned(), "else direct".to_owned()];
    let found = one("found when it is needed").into_iter();
    let found = found.chain(desktop).chain(places);
    [one(AUTOMATIC), found.collect(), Vec::new()]
}

fn of_environment(name: &str, ways: &ByScheme) -> Row {
    let way = |scheme: &str, found: &Option<Found>| match found {
        Some(found) => {
            let hops = hops(&found.egress).join(", ");
            format!("{scheme}: {hops}, from {}", found.source)
        }
        None => format!("{scheme}: direct, no variable names a proxy"),
    };
    let found = ways.wss.as_ref().or(ways.ws.as_ref());
    [
        one(name),
        vec![way("wss", &ways.wss), way("ws", &ways.ws)],
        found.map_or(Vec::new(), |found| lines(&found.egress.no_proxy)),
    ]
}
