//! An egress with several chains: which, in what order, and how long a dead one is left aside.
//!
//! Knows no hops: each chain is an egress of its own, which has been read already.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::egress::pac::Pac;
use crate::egress::{Alternatives, Egress, Order};
use crate::policy::health::Health;
use crate::policy::pool::RoundRobin;

use super::backend::DIRECT;
use super::context::{Text, unknown_name};
use super::egress::no_proxy;
use super::fault::Fault;
use super::reader::Section;

/// More chains than this are a list for a balancer.
const CHAINS_MAX: usize = 16;

const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Keys that mean something only beside `via`.
const ONLY_WITH_VIA: [&str; 2] = ["order", "retry_after"];

/// The egresses of the file by name.
pub(super) type Members<'a> = HashMap<&'a str, Member>;

/// One of them.
pub(super) enum Member {
    /// With hops.
    Chain(Arc<Egress>),
    /// With `via`.
    Via,
    /// With `pac`.
    Pac(Arc<Pac>),
    /// With a fault, which has been told.
    Faulty,
}

/// The entries of `via`.
struct Listed {
    chains: Vec<Arc<Egress>>,
    ends_direct: bool,
}

/// Whether the egress has `via`; what it has besides must go with that.
pub(super) fn is_asked_for(section: Section<'_>) -> bool {
    let Some(via) = section.field("via") else {
        // What goes with a script is told where that is read.
        let lonely = ONLY_WITH_VIA
            .iter()
            .filter(|_| section.field("pac").is_none());
        let lonely = lonely.filter_map(|key| section.field(key));
        for field in lonely {
            let fault = Fault::at(field.key_span(), format!("`{}` without `via`", field.key));
            let help = "it says how several chains take turns, and this egress has one";
            section.cx.report(fault.help(help).may_follow());
        }
        return false;
    };
    if section.field("hop").is_some() {
        let fault = Fault::at(via.key_span(), "`via` and `hop` in one egress");
        let help = "give the hops an egress of their own, and name it in `via`";
        section.cx.report(fault.help(help));
    }
    if let Some(timeouts) = section.field("timeouts") {
        let fault = Fault::at(timeouts.key_span(), "`timeouts` in an egress with `via`");
        let help = "each egress that `via` names has its own";
        section.cx.report(fault.help(help));
    }
    true
}

/// An egress with `via`. `None` after a fault.
pub(super) fn lower(name: &str, section: Section<'_>, known: &Members<'_>) -> Option<Alternatives> {
    let no_proxy = no_proxy(section);
    let order = section.choice(
        "order",
        &[
            ("failover", Order::Failover),
            ("round-robin", Order::RoundRobin),
        ],
    );
    let retry_after = section.duration("retry_after", RETRY_AFTER);
    let listed = listed(section, known)?;
    Some(Alternatives {
        name: name.to_owned(),
        no_proxy: no_proxy?,
        order,
        turn: RoundRobin::default(),
        health: Arc::new(Mutex::new(Health::new(listed.chains.len(), retry_after))),
        chains: listed.chains,
        ends_direct: listed.ends_direct,
    })
}

fn listed(section: Section<'_>, known: &Members<'_>) -> Option<Listed> {
    let field = section.field("via")?;
    let names = field.texts_not_empty()?;
    let is_direct = |name: &Text<'_>| name.text == DIRECT;
    check_once_each(section, &names);
    for name in names.iter().rev().skip(1).filter(|n| is_direct(n)) {
        let fault = Fault::at(name.span.clone(), "\"direct\" is not the last in `via`");
        let help = "it always works, so that nothing after it would be tried";
        section.cx.report(fault.help(help));
    }
    let count = names.iter().filter(|n| !is_direct(n)).count();
    if count == 0 || count > CHAINS_MAX {
        let message = format!("`via` names 1 to {CHAINS_MAX} egresses");
        let fault = Fault::at(field.span(), message);
        section.cx.report(fault.found(count.to_string()));
        return None;
    }
    let chains: Vec<Option<Arc<Egress>>> = names
        .iter()
        .filter(|name| !is_direct(name))
        .map(|name| chain(section, name, known))
        .collect();
    Some(Listed {
        chains: chains.into_iter().collect::<Option<_>>()?,
        ends_direct: names.last().is_some_and(is_direct),
    })
}

fn check_once_each(section: Section<'_>, names: &[Text<'_>]) {
    for (n, name) in names.iter().enumerate() {
        if names.iter().take(n).any(|before| before.text == name.text) {
            let message = format!("{} is in `via` twice", name.quoted());
            section.cx.report(Fault::at(name.span.clone(), message));
        }
    }
}

fn chain(section: Section<'_>, name: &Text<'_>, known: &Members<'_>) -> Option<Arc<Egress>> {
    match known.get(name.text) {
        Some(Member::Chain(egress)) => Some(egress.clone()),
        // Told already.
        Some(Member::Faulty) => None,
        // One with `via` can be no entry of another, so that there are neither nests nor circles.
        Some(member @ (Member::Via | Member::Pac(_))) => {
            let key = if matches!(member, Member::Via) {
                "via"
            } else {
                "pac"
            };
            let message = format!("the egress {} has `{key}` itself", name.quoted());
            let fault = Fault::at(name.span.clone(), message);
            let help = "name the egresses with hops that it leads to";
            section.cx.report(fault.help(help));
            None
        }
        None => {
            let with_hops = known
                .iter()
                .filter(|(_, m)| !matches!(m, Member::Via | Member::Pac(_)));
            let mut names: Vec<&str> = with_hops.map(|(name, _)| *name).collect();
            names.sort_unstable();
            names.push(DIRECT);
            unknown_name(section.cx, name, "egress with hops", names.into_iter());
            None
        }
    }
}
