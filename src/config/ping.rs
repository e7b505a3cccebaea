//! `ping`, of a route for its clients and of a backend for its servers: a table or one of two words.

use std::time::Duration;

use crate::policy::limits::Ping;

use super::fault::Fault;
use super::field::Field;
use super::reader::Section;
use super::schema;
use super::value::show_duration;

/// More often is no sign of life but a load.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `schema` is that of the table.
pub(super) fn lower(section: Section<'_>, schema: &'static schema::Section) -> Ping {
    let Some(field) = section.field("ping") else {
        return Ping::default();
    };
    if field.is_table() {
        return field.section(schema).and_then(table).unwrap_or_default();
    }
    if !field.is_text() {
        field.wrong(EXPECTED, None);
        return Ping::default();
    }
    match field.text() {
        None => {}
        Some(text) if text.text == "off" => {}
        Some(text) if text.text == "auto" => return Ping::Auto,
        Some(text) => {
            let fault = Fault::at(text.span.clone(), "`ping` has no such value");
            let fault = fault.found(text.quoted()).expected(EXPECTED);
            let help = format!("write ping = {{ every = \"{}\" }}", text.text);
            let is_duration = super::value::duration(text.text).is_ok();
            let help = is_duration.then_some(help);
            section.cx.report(fault.help_if_any(help));
        }
    }
    Ping::default()
}

const EXPECTED: &str = "{ every = \"30s\", timeout = \"10s\" }, \"auto\" or \"off\"";

fn table(section: Section<'_>) -> Option<Ping> {
    let every = section.required("every")?;
    let every_field = every;
    let every = every.duration()?;
    let timeout = section.duration("timeout", TIMEOUT);
    if every < EVERY_MIN {
        let fault = Fault::at(every_field.span(), "`every` is too short for a ping");
        let fault = fault.found(show_duration(every));
        section.cx.report(fault.expected("at least 1s"));
        return None;
    }
    if timeout >= every {
        report(section, every_field, every, timeout);
        return None;
    }
    Some(Ping::Every { every, timeout })
}

fn report(section: Section<'_>, every_field: Field<'_>, every: Duration, timeout: Duration) {
    let written = section.field("timeout");
    let span = written.map_or(every_field.span(), |f| f.span());
    let fault = Fault::at(span, "`timeout` of a ping is not shorter than `every`");
    let help = match written {
        Some(_) => "the next ping is not sent before the last is answered or given up",
        None => "write `timeout` too: left out, it is 10s",
    };
    let fault = fault
        .found(show_duration(timeout))
        .expected(format!("less than {}", show_duration(every)));
    section.cx.report(fault.help(help));
}
