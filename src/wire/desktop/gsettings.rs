//! `gsettings list-recursively org.gnome.system.proxy`: a schema, a key and a value a line, the
//! value as GVariant's text format has it.
//!
//! Knows no GNOME but these lines.

use std::collections::HashMap;

use super::{At, Manual, Setting};

const SCHEMA: &str = "org.gnome.system.proxy";

/// The values by schema (without [`SCHEMA`]) and key.
struct Values<'t>(HashMap<(&'t str, &'t str), &'t str>);

/// Reads what was printed; `None` where it tells no mode that is known.
pub fn parse(text: &str) -> Option<Setting> {
    let values = Values::read(text);
    match values.text("", "mode")?.as_str() {
        "none" => Some(Setting::Off),
        "manual" => Some(manual(&values)),
        "auto" => Some(match values.text("", "autoconfig-url") {
            Some(url) if !url.is_empty() => Setting::Script(url),
            _ => Setting::Discover,
        }),
        _ => None,
    }
}

// `use-same-proxy` and `http enabled` are leftovers that desktops neither show nor keep true.
fn manual(values: &Values<'_>) -> Setting {
    let at = |schema: &str| {
        let port = values.get(schema, "port")?.parse().ok();
        At::of(&values.text(schema, "host")?, port)
    };
    let ignored = values.get("", "ignore-hosts").map(strings);
    Manual {
        http: at(".http"),
        https: at(".https"),
        socks: at(".socks"),
        ignored: ignored.unwrap_or_default(),
    }
    .setting()
}

impl<'t> Values<'t> {
    fn read(text: &'t str) -> Self {
        let value = |line: &'t str| {
            let (schema, rest) = line.strip_prefix(SCHEMA)?.split_once(' ')?;
            let (key, value) = rest.split_once(' ')?;
            Some(((schema, key), value.trim()))
        };
        Self(text.lines().filter_map(value).collect())
    }

    fn get(&self, schema: &str, key: &str) -> Option<&'t str> {
        self.0.get(&(schema, key)).copied()
    }

    fn text(&self, schema: &str, key: &str) -> Option<String> {
        strings(self.get(schema, key)?).into_iter().next()
    }
}

/// The strings of a value, be it one or a list of them: between `'` or `"`, with `\` before what
/// is meant as it is.
fn strings(value: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = value.chars();
    while let Some(quote) = rest.find(|c| matches!(c, '\'' | '"')) {
        let mut text = String::new();
        loop {
            match rest.next() {
                // A string without an end is none.
                None => return all,
                Some(c) if c == quote => break,
                Some('\\') => text.extend(rest.next()),
                Some(c) => text.push(c),
            }
        }
        all.push(text);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    fn check(lines: &str, expected: &str) {
        let text = lines.replace("| ", "org.gnome.system.proxy ");
        let text = text.replace("|.", "org.gnome.system.proxy.");
        assert_eq!(shown(parse(&text)), expected, "{lines}");
    }

    #[test]
    fn each_mode_is_read() {
        // As a fresh Debian prints it.
        let fresh = "\
| autoconfig-url ''
| ignore-hosts ['localhost', '127.0.0.0/8', '::1']
| mode 'none'
| use-same-proxy true
|.http authentication-password ''
|.http enabled false
|.http host ''
|.http port 8080
|.https host ''
|.https port 0
|.socks host ''
|.socks port 0
";
        check(fresh, "off");
        let manual = fresh.replace("'none'", "'manual'");
        check(&manual, "off");
        let http = manual.replace(".http host ''", ".http host 'proxy.corp.example'");
        let past = r#"past ["localhost", "127.0.0.0/8", "::1"]"#;
        check(&http, &format!("proxy.corp.example:8080 - - {past}"));
        let both = http.replace(
            "|.https host ''\n|.https port 0",
            "|.https host 'http://tls.corp.example/'\n|.https port 3129",
        );
        check(
            &both,
            &format!("proxy.corp.example:8080 tls.corp.example:3129 - {past}"),
        );
        let auto = fresh.replace("'none'", "'auto'");
        check(&auto, "discover");
        let url = auto.replace("url ''", "url 'http://pac.corp.example/x?y=1'");
        check(&url, "script http://pac.corp.example/x?y=1");
    }

    #[test]
    fn lists_and_quotes_are_read_as_gvariant_writes_them() {
        let check = |value: &str, expected: &[&str]| assert_eq!(strings(value), expected);
        check("@as []", &[]);
        check("['a']", &["a"]);
        check(r#"['a', "it's", 'b\\c\'d']"#, &["a", "it's", r"b\c'd"]);
        check("''", &[""]);
        check("'a", &[]);
        check("'a\\", &[]);
        check("8080", &[]);
    }

    #[test]
    fn what_tells_nothing_is_nothing() {
        check("", "nothing");
        check("No such schema “org.gnome.system.proxy”", "nothing");
        check("| mode 'else'", "nothing");
        check("| mode", "nothing");
        check("| mode none", "nothing");
        check("| mode 'manual'\n|.http host 'a'\n|.http port 99999", "off");
        check("| mode 'manual'\n|.http host 'a b'\n|.http port 1", "off");
    }
}
