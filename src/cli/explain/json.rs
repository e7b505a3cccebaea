//! An explanation for programs: one JSON object, whose keys and stable words are kept.
//!
//! Knows no layout of lines.

use serde_json::{Value, json};

use super::judged::{Answer, Explained, Opened, Reach};
use super::words;
use crate::egress::{Egress, Outlook};

/// What becomes of a request.
pub(super) fn of(explained: &Explained<'_>) -> Value {
    let (flags, seen) = (explained.asked.flags, &explained.asked.seen);
    let opened = explained.opened.as_ref();
    let (backend, servers, refused) = match &explained.answer {
        Answer::Taken { backend, servers } => {
            let servers = servers.iter().map(server).collect();
            (json!(backend.name), servers, Value::Null)
        }
        Answer::Refused { refusal, detail } => {
            let refused = json!({
                "status": refusal.status.as_u16(),
                "reason": refusal.reason,
                "sentence": refusal.sentence,
                "detail": detail,
            });
            (Value::Null, Vec::new(), refused)
        }
    };
    json!({
        "request": {
            "host": flags.host,
            "path": flags.target,
            "origin": flags.origin,
            "subprotocols": flags.subprotocol,
            "extensions": flags.extension,
            "listener": seen.listener,
            "from": seen.address.ip().to_string(),
        },
        "route": opened.and_then(|o| o.route.as_ref()).map(|(route, _)| &route.name),
        "routes": opened.map(routes).unwrap_or_default(),
        "origin": opened.map_or(Value::Null, origin),
        "offers": opened.map(offers).unwrap_or_default(),
        "refused": refused,
        "backend": backend,
        "found_by": explained.found_by,
        "servers": servers,
    })
}

fn routes(opened: &Opened<'_>) -> Vec<Value> {
    let routes = opened.routes.iter().map(|verdict| {
        json!({
            "route": verdict.route.name,
            "verdict": words::verdict(&verdict.standing),
            "why": words::why(verdict.route, &verdict.standing, opened),
        })
    });
    routes.collect()
}

fn origin(opened: &Opened<'_>) -> Value {
    let Some((route, said)) = &opened.route else {
        return Value::Null;
    };
    json!({
        "verdict": words::origin_verdict(said),
        "why": words::origin(route, said, opened),
    })
}

fn offers(opened: &Opened<'_>) -> Vec<String> {
    let route = opened.route.as_ref();
    route.map_or_else(Vec::new, |(route, _)| words::offers(route, opened))
}

fn server(reach: &Reach<'_>) -> Value {
    let headers: Vec<Value> = words::headers(&reach.outgoing.headers)
        .into_iter()
        .map(|(name, value)| json!([name, value]))
        .collect();
    let (way, chains) = match &reach.outlook {
        Outlook::Straight(_) => ("direct", Vec::new()),
        Outlook::Through(egress) => ("egress", vec![chain(&egress.name, egress)]),
        Outlook::ByScript(_) => ("pac", Vec::new()),
        Outlook::Unfound(_) => ("auto", Vec::new()),
        Outlook::Among(several) => {
            let name = |chain: &Egress| format!("{}/{}", several.name, chain.name);
            let chains = several.chains.iter();
            let mut chains: Vec<Value> = chains.map(|c| chain(&name(c), c)).collect();
            if several.ends_direct {
                let name = format!("{}/direct", several.name);
                chains.push(json!({ "egress": name, "hops": [], "warm": 0 }));
            }
            ("alternatives", chains)
        }
    };
    json!({
        "server": reach.server.url,
        "way": way,
        "why": words::way(&reach.outlook),
        "chains": chains,
        "target": reach.outgoing.target,
        "headers": headers,
    })
}

fn chain(name: &str, egress: &Egress) -> Value {
    let hops: Vec<String> = egress.hops.iter().map(words::hop).collect();
    json!({ "egress": name, "hops": hops, "warm": words::warm(egress) })
}
