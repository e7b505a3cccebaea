//! Every section and key of the file, once: what unknown keys are held against, and what
//! `docs/configuration.md` is held against by a test.
//!
//! Knows names, types and defaults as text; what a value means is decided where it is lowered.

use super::suggest;

/// Where any name of the user's own is a key.
const ANY_NAME: &str = "NAME";

/// One table of the file.
#[derive(Debug)]
pub struct Section {
    /// Its place, with dots: `egress.NAME.hop.auth`. Empty for the file itself.
    pub name: &'static str,
    /// Its keys, in the order of the document.
    pub keys: &'static [Key],
}

/// One key of a section.
#[derive(Debug)]
pub struct Key {
    /// As it is written; `NAME` stands for any.
    pub name: &'static str,
    /// What it takes, with the unit.
    pub kind: &'static str,
    /// What holds when it is left out.
    pub default: &'static str,
}

const fn key(name: &'static str, kind: &'static str, default: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
    }
}

macro_rules! sections {
    ($($section:ident $name:literal { $($key:literal $kind:literal $default:literal)* })*) => {
        $(pub(super) static $section: Section = Section {
            name: $name,
            keys: &[$(key($key, $kind, $default)),*],
        };)*

        /// Every section, in the order of the document.
        pub static SECTIONS: &[&Section] = &[$(&$section),*];
    };
}

sections! {
    FILE "" {
        "version" "1" "required"
        "server" "table" "empty"
        "listener" "list of tables" "required"
        "certificate" "list of tables" "none"
        "origins" "table" "empty"
        "route" "list of tables" "required"
        "backend" "tables by name" "none"
        "egress" "tables by name" "none"
        "limits" "table" "empty"
        "log" "table" "empty"
    }
    SERVER "server" {
        "threads" "integer" "one a core"
        "drain" "table" "empty"
        "proxy_status" "true or false" "false"
    }
    DRAIN "server.drain" {
        "timeout" "duration" "30s"
        "spread" "duration or \"none\"" "half of `timeout`"
        "close_code" "integer" "1001"
    }
    LISTENER "listener" {
        "name" "name" "required"
        "bind" "list of IP:port" "required"
        "tls" "table" "none: plain"
        "trusted_proxies" "list of IP or CIDR" "empty"
    }
    LISTENER_TLS "listener.tls" {
        "min_version" "\"1.2\" or \"1.3\"" "1.2"
        "client_ca" "file" "none"
    }
    CERTIFICATE "certificate" {
        "hosts" "list of hosts" "required"
        "cert" "file" "required"
        "key" "file" "required"
    }
    ORIGINS "origins" {
        "NAME" "list of origins, or table" "none"
    }
    ORIGINS_GROUP "origins.NAME" {
        "allow" "list of origins" "required"
        "expose" "true or false" "false"
    }
    ROUTE "route" {
        "name" "name" "required"
        "listeners" "list of names" "all"
        "match" "table" "everything"
        "origins" "name, list of origins, \"same\" or \"any\"" "same"
        "missing_origin" "\"allow\" or \"deny\"" "allow"
        "backend" "name" "required"
        "compression" "\"pass\" or \"off\"" "pass"
        "subprotocols" "table" "empty"
        "frames" "\"observe\", \"validate\" or \"opaque\"" "observe"
        "limits" "table" "empty"
        "rate" "table" "none"
        "ping" "table, \"auto\" or \"off\"" "off"
        "record" "table" "empty"
        "strip_prefix" "path" "none"
        "set_headers" "table of strings" "empty"
        "remove_headers" "list of header names" "empty"
        "preserve_host" "true or false" "true"
    }
    ROUTE_MATCH "route.match" {
        "host" "host, wildcard or \"*\"" "*"
        "path" "path, or prefix with \"/*\"" "/*"
        "subprotocols" "list of subprotocols" "any or none"
    }
    ROUTE_SUBPROTOCOLS "route.subprotocols" {
        "require" "list of subprotocols" "none"
        "map" "table of subprotocols" "empty"
        "strip" "list of subprotocols" "empty"
    }
    ROUTE_LIMITS "route.limits" {
        "idle" "duration or \"none\"" "5m"
        "session" "duration or \"none\"" "none"
        "frame_bytes" "size or \"none\"" "none"
        "message_bytes" "size or \"none\"" "none"
    }
    ROUTE_RATE "route.rate" {
        "session" "table" "none"
        "client" "table" "none"
    }
    ROUTE_RATE_SESSION "route.rate.session" {
        "messages" "rate of messages" "any"
        "bytes" "rate of bytes" "any"
        "burst" "duration" "1s"
        "action" "\"delay\" or \"close\"" "delay"
    }
    ROUTE_RATE_CLIENT "route.rate.client" {
        "messages" "rate of messages" "any"
        "bytes" "rate of bytes" "any"
        "burst" "duration" "1s"
        "action" "\"delay\" or \"close\"" "delay"
    }
    ROUTE_PING "route.ping" {
        "every" "duration" "required"
        "timeout" "duration" "10s"
    }
    ROUTE_RECORD "route.record" {
        "start" "true or false" "false"
        "every" "duration or \"none\"" "none"
    }
    BACKEND "backend.NAME" {
        "servers" "list of tables" "required"
        "tls" "table" "empty"
        "egress" "name, \"env\", \"auto\" or \"direct\"" "direct"
        "ping" "table, \"auto\" or \"off\"" "off"
        "timeouts" "table" "empty"
    }
    BACKEND_SERVER "backend.NAME.servers" {
        "url" "ws, wss or ws+unix URL" "required"
    }
    BACKEND_TLS "backend.NAME.tls" {
        "ca" "file" "none"
        "server_name" "host" "the URL's host"
        "client_cert" "file" "none"
        "client_key" "file" "none"
    }
    BACKEND_PING "backend.NAME.ping" {
        "every" "duration" "required"
        "timeout" "duration" "10s"
    }
    BACKEND_TIMEOUTS "backend.NAME.timeouts" {
        "resolve" "duration" "5s"
        "connect" "duration" "5s"
        "tls" "duration" "5s"
        "upgrade" "duration" "15s"
        "total" "duration" "45s"
    }
    EGRESS "egress.NAME" {
        "no_proxy" "list of entries" "empty"
        "hop" "list of tables" "this, `via` or `pac`"
        "via" "list of names, \"direct\" last" "this, `hop` or `pac`"
        "pac" "http or https URL, or file" "this, `hop` or `via`"
        "pac_refresh" "duration" "10m"
        "pac_cache" "duration" "5m"
        "auth" "table" "none"
        "auth_for" "list of proxies" "none"
        "tls" "table" "empty"
        "order" "\"failover\" or \"round-robin\"" "failover"
        "retry_after" "duration" "30s"
        "warm" "integer" "0"
        "warm_max_age" "duration" "50s"
        "timeouts" "table" "empty"
    }
    PAC_AUTH "egress.NAME.auth" {
        "scheme" "\"auto\", \"basic\", \"digest\", \"ntlm\" or \"negotiate\"" "auto"
        "user" "secret" "required, but for negotiate"
        "password" "secret" "empty"
        "domain" "string" "empty"
        "workstation" "string" "empty"
        "spn" "string" "HTTP/ and the proxy's host"
        "keytab" "file" "the process's"
        "ccache" "file or ticket cache" "the process's"
    }
    PAC_TLS "egress.NAME.tls" {
        "ca" "file" "none"
    }
    HOP "egress.NAME.hop" {
        "url" "http, https, socks5 or socks5h URL" "required"
        "http" "\"auto\", \"1.1\" or \"2\"" "auto"
        "auth" "table" "none"
        "tls" "table" "empty"
    }
    HOP_AUTH "egress.NAME.hop.auth" {
        "scheme" "\"auto\", \"basic\", \"digest\", \"ntlm\" or \"negotiate\"" "auto"
        "user" "secret" "required, but for negotiate"
        "password" "secret" "empty"
        "domain" "string" "empty"
        "workstation" "string" "empty"
        "spn" "string" "HTTP/ and the proxy's host"
        "keytab" "file" "the process's"
        "ccache" "file or ticket cache" "the process's"
    }
    HOP_TLS "egress.NAME.hop.tls" {
        "ca" "file" "none"
        "server_name" "host" "the URL's host"
        "client_cert" "file" "none"
        "client_key" "file" "none"
    }
    HOP_TIMEOUTS "egress.NAME.timeouts" {
        "resolve" "duration" "5s"
        "connect" "duration" "5s"
        "tls" "duration" "5s"
        "reply" "duration" "20s"
    }
    LIMITS "limits" {
        "connections" "integer" "50000"
        "handshake" "duration" "10s"
        "head_bytes" "size" "16KiB"
    }
    LOG "log" {
        "level" "filter" "info"
        "format" "\"auto\", \"text\" or \"json\"" "auto"
    }
}

impl Section {
    /// Whether the user's own names are keys here.
    pub(super) fn takes_any_name(&self) -> bool {
        self.keys.iter().any(|k| k.name == ANY_NAME)
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.takes_any_name() || self.keys.iter().any(|k| k.name == name)
    }

    /// What the writer of an unknown key may have meant.
    pub(super) fn hint(&self, unknown: &str) -> Option<String> {
        let here = self.keys.iter().map(|k| k.name);
        if let Some(near) = suggest::nearest(unknown, here) {
            return Some(format!("did you mean `{near}`?"));
        }
        if let Some(home) = self.home_of(unknown) {
            return Some(format!("`{unknown}` belongs under `{}`", home.title()));
        }
        let elsewhere = SECTIONS.iter().flat_map(|s| s.keys).map(|k| k.name);
        let near = suggest::nearest(unknown, elsewhere.filter(|n| *n != ANY_NAME))?;
        let home = self.home_of(near)?;
        Some(format!(
            "did you mean `{near}`? it belongs under `{}`",
            home.title()
        ))
    }

    /// The section that has the key `name`: the one with the most in common with this one.
    fn home_of(&self, name: &str) -> Option<&'static Section> {
        let in_common = |other: &&&Section| {
            let theirs = other.name.split('.');
            let same = self.name.split('.').zip(theirs).take_while(|(a, b)| a == b);
            same.count()
        };
        SECTIONS
            .iter()
            .filter(|s| s.keys.iter().any(|k| k.name == name))
            .rev()
            .max_by_key(in_common)
            .copied()
    }

    /// As a person would call it.
    pub(super) fn title(&self) -> &'static str {
        if self.name.is_empty() {
            return "the top of the file";
        }
        self.name
    }

    /// The keys, for `expected one of`.
    pub(super) fn key_list(&self) -> String {
        let names: Vec<&str> = self.keys.iter().map(|k| k.name).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(section: &Section, unknown: &str, hint: Option<&str>) {
        assert_eq!(section.hint(unknown).as_deref(), hint, "{unknown}");
    }

    #[test]
    fn an_unknown_key_gets_the_hint_that_fits() {
        check(&ROUTE, "orgins", Some("did you mean `origins`?"));
        check(&ROUTE, "lsiteners", Some("did you mean `listeners`?"));
        check(&ROUTE, "idle", Some("`idle` belongs under `route.limits`"));
        check(&ROUTE, "host", Some("`host` belongs under `route.match`"));
        check(
            &HOP,
            "password",
            Some("`password` belongs under `egress.NAME.hop.auth`"),
        );
        let elsewhere = "did you mean `connections`? it belongs under `limits`";
        check(&FILE, "conections", Some(elsewhere));
        check(&ROUTE, "zzzzzz", None);
    }

    #[test]
    fn every_section_is_there_once_and_every_key_once_in_it() {
        for (i, section) in SECTIONS.iter().enumerate() {
            assert!(SECTIONS[..i].iter().all(|s| s.name != section.name));
            for (j, key) in section.keys.iter().enumerate() {
                assert!(section.keys[..j].iter().all(|k| k.name != key.name));
            }
        }
    }
}
