//! Tunnels that are opened ahead of the sessions: how many, and how old they may get.
//!
//! Knows no hops; who has none of its own is sent to those that have.

use std::time::Duration;

use crate::egress::Warm;
use crate::policy::lifetime::AGE_MIN;

use super::fault::Fault;
use super::reader::Section;
use super::value::show_duration;

/// For each server. More are a load on the proxy that no handshake is worth.
const COUNT_MAX: usize = 64;

/// Under the 60 s after which NAT boxes, load balancers and proxies commonly drop what is idle.
const AGE_MAX: Duration = Duration::from_secs(50);

const KEYS: [&str; 2] = ["warm", "warm_max_age"];

/// Reports what stands in an egress that leads to proxies of other egresses.
pub(super) fn check_place(section: Section<'_>) {
    let others = [
        (
            "via",
            "write it in each egress that `via` names and that is to have warm tunnels",
        ),
        (
            "pac",
            "a script names its proxies only when it is asked; use egresses with `hop`",
        ),
    ];
    let Some((other, help)) = others
        .into_iter()
        .find(|(key, _)| section.field(key).is_some())
    else {
        return;
    };
    for field in KEYS.iter().filter_map(|key| section.field(key)) {
        let message = format!("`{}` in an egress with `{other}`", field.key);
        section
            .cx
            .report(Fault::at(field.key_span(), message).help(help));
    }
}

/// Of an egress with hops.
pub(super) fn lower(section: Section<'_>) -> Option<Warm> {
    let count = section.field("warm");
    let age_field = section.field("warm_max_age");
    let age_max = section.duration("warm_max_age", AGE_MAX);
    if let Some(field) = age_field.filter(|_| count.is_none()) {
        let fault = Fault::at(field.key_span(), "`warm_max_age` without `warm`");
        let help = "`warm = 2` opens two tunnels ahead for each server";
        section.cx.report(fault.help(help).may_follow());
    }
    if let Some(field) = age_field.filter(|_| age_max < AGE_MIN) {
        let fault = Fault::at(field.span(), "`warm_max_age` is too short");
        let fault = fault.found(show_duration(age_max));
        let expected = format!("at least {}", show_duration(AGE_MIN));
        section.cx.report(fault.expected(expected));
    }
    let count = count?.integer(0..=COUNT_MAX)?;
    (count > 0).then(|| Warm::new(count, age_max))
}
