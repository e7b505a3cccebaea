//! `server.drain`: how the sessions that run are ended before the process is.

use crate::policy::drain::{Drain, may_be_told};

use super::fault::Fault;
use super::reader::Section;
use super::schema;
use super::value::show_duration;

/// RFC 6455 §7.4.2: all that may stand in a Close.
const CODES: std::ops::RangeInclusive<usize> = 1000..=4999;

pub(super) fn lower(file: Section<'_>) -> Drain {
    let default = Drain::default();
    let server = file.section("server", &schema::SERVER);
    let Some(section) = server.and_then(|s| s.section("drain", &schema::DRAIN)) else {
        return default;
    };
    let within = Drain::within(section.duration("timeout", default.timeout));
    let spread = section.field("spread").and_then(|f| f.duration_or_none());
    let drain = Drain {
        spread: spread.map_or(within.spread, Option::unwrap_or_default),
        close_code: close_code(section).unwrap_or(within.close_code),
        ..within
    };
    if let Some(field) = section
        .field("spread")
        .filter(|_| drain.spread > drain.timeout)
    {
        let fault = Fault::at(field.span(), "`spread` is longer than `timeout`");
        let fault = fault.found(show_duration(drain.spread));
        let fault = fault.expected(format!("at most {}", show_duration(drain.timeout)));
        let help = "who is not told by then is cut without a word";
        section.cx.report(fault.help(help));
    }
    drain
}

fn close_code(section: Section<'_>) -> Option<u16> {
    let field = section.field("close_code")?;
    let code = u16::try_from(field.integer(CODES)?).ok()?;
    if !may_be_told(code) {
        let fault = Fault::at(
            field.span(),
            "`close_code` says something else than a drain",
        );
        let fault = fault.found(code.to_string()).expected(
            "1001 (going away), 1012 (service restart), 1013 (try again later) or 3000 to 4999",
        );
        let help = match code {
            1000 => "1000 says that all is done, and most clients do not come again after it",
            _ => "other codes blame somebody for the end, or must not be sent",
        };
        section.cx.report(fault.help(help));
        return None;
    }
    Some(code)
}
