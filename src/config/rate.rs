//! `rate` of a route: how many messages and bytes a client may send, in one session and in all of
//! its sessions together.

use std::time::Duration;

use crate::policy::rate::{Action, Per, Rate, Rates};

use super::fault::Fault;
use super::field::Field;
use super::reader::Section;
use super::value::{self, show_duration, show_size};
use super::{schema, suggest};

/// How much may come at once: what so long earns.
const BURST: Duration = Duration::from_secs(1);
/// Longer, and it is no burst but another rate.
const BURST_MAX: Duration = Duration::from_secs(60 * 60);

const MESSAGES_MAX: u64 = 1_000_000_000;
const BYTES_MAX: usize = 1 << 40;

const UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 60 * 60)];

pub(super) fn lower(route: Section<'_>) -> Rates {
    let Some(section) = route.section("rate", &schema::ROUTE_RATE) else {
        return Rates::default();
    };
    let (session, client) = (section.field("session"), section.field("client"));
    if session.is_none() && client.is_none() {
        let fault = Fault::at(section.span(), "`rate` says nothing");
        let help = "write rate = { session = { messages = \"100/s\" } }, \
                    or `client` for all sessions of an address";
        section.cx.report(fault.help(help).may_follow());
    }
    let session = session.and_then(|f| f.section(&schema::ROUTE_RATE_SESSION));
    let client = client.and_then(|f| f.section(&schema::ROUTE_RATE_CLIENT));
    Rates {
        session: session.and_then(rate),
        client: client.and_then(rate),
    }
}

fn rate(section: Section<'_>) -> Option<Rate> {
    let (messages, bytes) = (section.field("messages"), section.field("bytes"));
    if messages.is_none() && bytes.is_none() {
        let fault = Fault::at(section.span(), "a rate of nothing");
        let help = "write `messages = \"100/s\"` or `bytes = \"1MiB/s\"`, or both";
        section.cx.report(fault.help(help).may_follow());
    }
    let burst = section.duration("burst", BURST);
    if let Some(field) = section.field("burst").filter(|_| burst > BURST_MAX) {
        let fault = Fault::at(field.span(), "`burst` is too long");
        let fault = fault.found(show_duration(burst)).expected("at most 1h");
        let help = "it is the time whose share may come at once, beside the rate itself";
        section.cx.report(fault.help(help));
    }
    let actions = [("delay", Action::Delay), ("close", Action::Close)];
    Some(Rate {
        messages: messages.and_then(|f| per(f, "\"100/s\"", count)),
        bytes: bytes.and_then(|f| per(f, "\"1MiB/s\"", size)),
        burst,
        action: section.choice("action", &actions),
    })
}

fn per(field: Field<'_>, example: &str, parse: fn(&str) -> Result<u64, String>) -> Option<Per> {
    let expected = format!("so much for each s, m or h, such as {example}");
    if !field.is_text() {
        field.wrong(&expected, None);
        return None;
    }
    let text = field.text()?;
    let parsed = match text.text.split_once('/') {
        None => Err("the time is missing".to_owned()),
        Some((amount, unit)) => of(amount.trim(), unit.trim(), parse),
    };
    match parsed {
        Ok(per) => Some(per),
        Err(reason) => {
            let fault = Fault::at(text.span.clone(), format!("`{}`: {reason}", field.key));
            let fault = fault.found(text.quoted()).expected(expected);
            field.cx.report(fault.help_if_any(hint(text.text)));
            None
        }
    }
}

fn of(amount: &str, unit: &str, parse: fn(&str) -> Result<u64, String>) -> Result<Per, String> {
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    let (_, seconds) = known.ok_or("the time is not s, m or h")?;
    Ok(Per {
        count: parse(amount)?,
        period: Duration::from_secs(*seconds),
    })
}

fn hint(text: &str) -> Option<String> {
    let (amount, unit) = match text.split_once('/') {
        None => return Some(format!("for each second: \"{text}/s\"")),
        Some((amount, unit)) => (amount.trim(), unit.trim()),
    };
    let long = ["second", "minute", "hour"];
    let near = suggest::nearest(unit, ["sec", "min"].into_iter().chain(long))?;
    Some(format!("did you mean \"{amount}/{}\"?", &near[..1]))
}

fn count(text: &str) -> Result<u64, String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number
        .filter(|n| (1..=MESSAGES_MAX).contains(n))
        .ok_or_else(|| format!("must be a whole number from 1 to {MESSAGES_MAX}"))
}

fn size(text: &str) -> Result<u64, String> {
    value::size(text, &(1..=BYTES_MAX)).map(|size| size as u64)
}

/// A rate as `check` shows it.
pub(super) fn show(rate: &Rate) -> String {
    let unit = |per: Per| {
        let seconds = per.period.as_secs();
        let unit = UNITS.iter().find(|(_, s)| *s == seconds);
        unit.map_or("", |(name, _)| name)
    };
    let messages = rate
        .messages
        .map(|per| format!("{} messages/{}", per.count, unit(per)));
    let bytes = rate.bytes.map(|per| {
        let size = show_size(usize::try_from(per.count).unwrap_or(usize::MAX));
        format!("{size}/{}", unit(per))
    });
    let action = match rate.action {
        Action::Delay => "delay",
        Action::Close => "close",
    };
    let burst = show_duration(rate.burst);
    let all = [messages, bytes, Some(format!("burst {burst}, {action}"))];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, parse: fn(&str) -> Result<u64, String>, expected: Option<(u64, u64)>) {
        let parsed = text
            .split_once('/')
            .and_then(|(amount, unit)| of(amount, unit, parse).ok());
        let parsed = parsed.map(|per| (per.count, per.period.as_secs()));
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn so_much_for_each_second_minute_or_hour() {
        check("100/s", count, Some((100, 1)));
        check("1/m", count, Some((1, 60)));
        check("1000000000/h", count, Some((1_000_000_000, 3600)));
        for text in [
            "0/s",
            "1000000001/s",
            "+1/s",
            "1.5/s",
            "/s",
            "1/d",
            "1/",
            "1",
            "1KiB/s",
        ] {
            check(text, count, None);
        }
        check("1MiB/s", size, Some((1 << 20, 1)));
        check("512B/h", size, Some((512, 3600)));
        for text in ["0B/s", "100/s", "1MB/s", "2000GiB/s"] {
            check(text, size, None);
        }
    }

    #[test]
    fn a_hint_writes_it_as_it_was_meant() {
        for (text, expected) in [
            ("100", Some("for each second: \"100/s\"")),
            ("100/sec", Some("did you mean \"100/s\"?")),
            ("100/minute", Some("did you mean \"100/m\"?")),
            ("1MiB / hour", Some("did you mean \"1MiB/h\"?")),
            ("100/parsec", None),
        ] {
            assert_eq!(hint(text).as_deref(), expected, "{text}");
        }
    }
}
