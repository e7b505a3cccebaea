//! The document and the code hold each other: every key, its type and its default, both ways; and
//! the defaults that are written are the ones that hold.

use std::collections::BTreeMap;
use std::time::Duration;

use throughway::config::schema::SECTIONS;
use throughway::egress::{HopTimeouts, Timeouts, Way};
use throughway::observe::log;
use throughway::plan::Limits;
use throughway::policy::limits::Ping;
use throughway::policy::origin::MissingOrigin;
use throughway::policy::rate::Action;

use super::config::{Home, LEAST};

const DOCUMENT: &str = include_str!("../../docs/configuration.md");
const REFERENCE: &str = include_str!("../../config/reference.toml");

/// Section and key to type and default.
type Keys = BTreeMap<(String, String), (String, String)>;

fn of_schema() -> Keys {
    let mut keys = Keys::new();
    for section in SECTIONS {
        let name = if section.name.is_empty() {
            "file"
        } else {
            section.name
        };
        for key in section.keys {
            let value = (key.kind.to_owned(), key.default.to_owned());
            keys.insert((name.to_owned(), key.name.to_owned()), value);
        }
    }
    keys
}

/// The rows under each heading of the form ``### `section` ``.
fn of_document() -> Keys {
    let mut keys = Keys::new();
    let mut section = None;
    for line in DOCUMENT.lines() {
        if line.starts_with('#') {
            let name = line.strip_prefix("### `").and_then(|l| l.strip_suffix('`'));
            section = name.map(str::to_owned);
        }
        let Some(section) = &section else { continue };
        let Some(row) = line.strip_prefix("| `") else {
            continue;
        };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let key = cells[0].trim_end_matches('`').to_owned();
        let value = (cells[1].to_owned(), cells[2].to_owned());
        let before = keys.insert((section.clone(), key), value);
        assert!(before.is_none(), "twice in the document: {line}");
    }
    keys
}

#[test]
fn every_key_is_documented_with_its_type_and_default_and_no_other_is() {
    let (schema, document) = (of_schema(), of_document());
    for (key, value) in &schema {
        assert_eq!(
            document.get(key),
            Some(value),
            "{key:?} in docs/configuration.md"
        );
    }
    for key in document.keys() {
        assert!(
            schema.contains_key(key),
            "{key:?} is documented and not there"
        );
    }
}

#[test]
fn every_key_is_in_the_reference_example() {
    for section in SECTIONS {
        for key in section.keys.iter().filter(|k| k.name != "NAME") {
            let name = key.name;
            let is_there = REFERENCE.lines().any(|line| {
                line.contains(&format!("{name} = "))
                    || line
                        .trim_start_matches('[')
                        .split([']', '.'])
                        .any(|part| part == name)
            });
            assert!(
                is_there,
                "`{name}` of `{}` is not in reference.toml",
                section.name
            );
        }
    }
}

#[test]
fn the_defaults_that_are_written_are_the_ones_that_hold() {
    let plan = Home::new().parse(LEAST).unwrap();
    let route = plan.routes.iter().next().unwrap();
    assert_eq!(route.missing_origin, MissingOrigin::Allow);
    let (dial, hop) = (Timeouts::default(), HopTimeouts::default());
    let limits = Limits::default();
    let written = of_schema();
    let check = |section: &str, key: &str, holds: Duration| {
        let (_, default) = &written[&(section.to_owned(), key.to_owned())];
        let default = humantime::parse_duration(default);
        assert_eq!(default, Ok(holds), "{section}.{key}");
    };
    check("server.drain", "timeout", plan.drain.timeout);
    check("limits", "handshake", limits.handshake);
    check("route.limits", "idle", route.limits.idle.unwrap());
    check("backend.NAME.timeouts", "resolve", dial.resolve);
    check("backend.NAME.timeouts", "connect", dial.connect);
    check("backend.NAME.timeouts", "tls", dial.tls);
    check("backend.NAME.timeouts", "upgrade", dial.upgrade);
    check("backend.NAME.timeouts", "total", dial.total);
    check("egress.NAME.timeouts", "resolve", hop.resolve);
    check("egress.NAME.timeouts", "connect", hop.connect);
    check("egress.NAME.timeouts", "tls", hop.tls);
    check("egress.NAME.timeouts", "reply", hop.reply);
    let several = "egress = 'e'\n[egress.e]\nvia = ['f']\n[[egress.f.hop]]\nurl = 'http://f:1'\n";
    let plan = Home::new().parse(&format!("{LEAST}{several}")).unwrap();
    match &plan.backends[0].way {
        Way::Among(e) => check("egress.NAME", "retry_after", e.retry_after()),
        way => panic!("{way:?}"),
    }
    let keys = "ping = { every = '30s' }\n[[route]]\nname = 's'\nbackend = 'b'\nmatch = { path = '/s' }\n\
                rate = { session = { messages = '1/s' } }\nping = { every = '20s' }\n";
    let plan = Home::new().parse(&format!("{LEAST}{keys}")).unwrap();
    let route = plan.routes.iter().find(|r| r.name == "s").unwrap();
    let rate = route.rates.session.unwrap();
    for section in ["route.rate.session", "route.rate.client"] {
        check(section, "burst", rate.burst);
    }
    assert_eq!(rate.action, Action::Delay);
    for (section, ping) in [
        ("route.ping", route.ping),
        ("backend.NAME.ping", plan.backends[0].ping),
    ] {
        match ping {
            Ping::Every { timeout, .. } => check(section, "timeout", timeout),
            other => panic!("{other:?}"),
        }
    }
    let text = |section: &str, key: &str| written[&(section.to_owned(), key.to_owned())].1.clone();
    assert_eq!(
        text("limits", "connections"),
        limits.connections.to_string()
    );
    assert_eq!(
        text("limits", "head_bytes"),
        format!("{}KiB", limits.head_bytes_max / 1024)
    );
    let drain = plan.drain;
    assert_eq!(
        text("server.drain", "close_code"),
        drain.close_code.to_string()
    );
    assert_eq!(text("server.drain", "spread"), "half of `timeout`");
    assert_eq!(drain.spread * 2, drain.timeout);
    assert_eq!(text("log", "level"), log::Params::default().level);
}

/// The ```toml blocks of a document that are whole files.
fn whole_files(document: &str) -> Vec<&str> {
    let blocks = document.split("```toml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default());
    blocks
        .filter(|block| block.starts_with("version = 1"))
        .collect()
}

#[test]
fn every_whole_file_in_a_document_loads() {
    let readme = whole_files(include_str!("../../README.md"));
    let reference = whole_files(DOCUMENT);
    assert_eq!((readme.len(), reference.is_empty()), (2, false));
    for text in readme.into_iter().chain(reference) {
        Home::new()
            .parse(text)
            .unwrap_or_else(|faults| panic!("{text}\n{faults}"));
    }
}
