//! What a file with mistakes is answered: each mistake, at its place, with a hint, and never a
//! secret.

use throughway::config;

use super::config::{Home, LEAST, PASSWORD, USER};

/// The places of all faults, as `line:column`.
fn places(printed: &str) -> Vec<String> {
    let place = |line: &str| {
        let mut parts = line.trim_start().strip_prefix("--> ")?.rsplitn(3, ':');
        let (column, line) = (parts.next()?, parts.next()?);
        Some(format!("{line}:{column}"))
    };
    printed.lines().filter_map(place).collect()
}

#[test]
fn ten_mistakes_are_ten_faults_each_at_its_place() {
    let text = r#"version = 2
[limits]
handshake = 10
head_bytes = "16"
[[listener]]
name = "public"
bind = ["localhost:8443"]
[[route]]
name = "chat"
orgins = "web"
listeners = ["pulbic"]
match = { path = "ws/*" }
backend = "caht"
missing_origin = "denny"
set_headers = { Upgrade = "h2c" }
[backend.chat]
servers = [{ url = "http://10.0.0.1:80" }]
"#;
    let printed = Home::new().faults(text);
    let expected = [
        "1:11", "3:13", "4:14", "7:9", "10:1", "11:14", "12:18", "13:11", "14:18", "15:17", "17:20",
    ];
    assert_eq!(places(&printed), expected, "{printed}");
    assert!(printed.contains("\n11 errors in "), "{printed}");
    for hint in [
        "write the unit too: \"10s\"",
        "did you mean `origins`?",
        "did you mean `public`?",
        "did you mean `chat`?",
        "did you mean \"deny\"?",
        "did you mean ws://?",
        "\"127.0.0.1:8443\" and \"[::1]:8443\"",
    ] {
        assert!(printed.contains(hint), "{hint} is not in\n{printed}");
    }
}

#[test]
fn a_fault_reads_like_a_compilers() {
    let printed = Home::new().faults(&LEAST.replace("backend = \"b\"", "bakend = \"b\""));
    let file = printed
        .lines()
        .nth(1)
        .unwrap()
        .split(':')
        .next()
        .unwrap()
        .to_owned();
    let expected = "error: unknown key `bakend` in `route`\n".to_owned()
        + &file
        + ":8:1\n  |\n8 | bakend = \"b\"\n  | ^^^^^^\n  = help: did you mean `backend`?\n";
    assert!(printed.contains(&expected), "{printed}\n---\n{expected}");
}

/// `LEAST` with `line` at its end, which is inside `[backend.b]`, must have a fault that says
/// each of `words`.
fn check(line: &str, words: &[&str]) {
    let printed = Home::new().faults(&format!("{LEAST}{line}\n"));
    for word in words {
        assert!(
            printed.contains(word),
            "{word:?} is not said about {line}:\n{printed}"
        );
    }
}

#[test]
fn references_and_names() {
    check(
        "egress = 'crop'\n[[egress.corp.hop]]\nurl = 'http://p:1'",
        &["no egress", "`corp`"],
    );
    check("egress = 'corp'", &["no egress has this name", "direct"]);
    check(
        "[[egress.direct.hop]]\nurl = 'http://p:1'",
        &["`direct` cannot be the name"],
    );
    check(
        "[origins]\nany = ['https://a.b']",
        &["`any` cannot be the name"],
    );
    check(
        "[[route]]\nname = 'r'\nbackend = 'b'\nmatch = { path = '/x' }",
        &["already there in line 7"],
    );
    check(
        "[[route]]\nname = 'x'\nbackend = 'b'",
        &["matches exactly", "line 6"],
    );
    check(
        "[[listener]]\nname = 'b'\nbind = ['127.0.0.1:81', '127.0.0.1:81']",
        &["already taken in line 13"],
    );
    check(
        "[[listener]]\nname = 'a b'\nbind = ['127.0.0.1:81']",
        &["not a name"],
    );
    check(
        "[[route]]\nname = 'x'\nbackend = 'b'\norigins = 'wbe'\n[origins]\nweb = ['https://a.b']",
        &["did you mean `web`?"],
    );
}

#[test]
fn kinds_and_bounds() {
    check("[limits]\nconnections = 0", &["out of bounds", "found 0"]);
    check(
        "[limits]\nconnections = '5'",
        &["found a string", "an integer from 1"],
    );
    check(
        "[limits]\nhead_bytes = '512B'",
        &["must be from 1KiB to 1MiB"],
    );
    check("[limits]\nhandshake = '0s'", &["longer than nothing"]);
    check("[limits]\nhandshake = '400d'", &["at most 365d"]);
    check(
        "[server]\ndrain = '30s'",
        &["found a string, expected a table", "drain = { … }"],
    );
    check(
        "[server]\nproxy_status = 'yes'",
        &["`proxy_status` has the wrong type", "true or false"],
    );
    check(
        "[server]\nproxystatus = true",
        &["did you mean `proxy_status`?"],
    );
    check("[log]\nlevel = 'inof'", &["did you mean \"info\"?"]);
    check("[log]\nlevel = 'a=b=c'", &["not a filter"]);
    check(
        "[log]\nformat = 'JSON'",
        &["\"auto\" or \"text\" or \"json\"", "did you mean \"json\"?"],
    );
    check(
        "[certificate]\nhosts = []",
        &["[[certificate]]", "two brackets"],
    );
    check("servers = []", &["duplicate key"]);
    check("timeouts = { conect = '1s' }", &["did you mean `connect`?"]);
    check("idle = '5m'", &["`idle` belongs under `route.limits`"]);
}

#[test]
fn offers() {
    let route = |keys: &str| format!("[[route]]\nname = 'x'\nbackend = 'b'\n{keys}");
    let rules = |rules: &str| {
        route(&format!(
            "match = {{ path = '/x', subprotocols = ['m'] }}\nsubprotocols = {{ {rules} }}"
        ))
    };
    check(
        &route("compression = 'of'"),
        &["\"pass\" or \"off\"", "did you mean \"off\"?"],
    );
    check(
        &route("compression = false"),
        &["`compression` has the wrong type"],
    );
    check(
        &route("subprotocols = ['v2']"),
        &["expected a table", "match = { subprotocols = […] }"],
    );
    check(&rules("requires = ['a']"), &["did you mean `require`?"]);
    check(
        &rules("require = ['a b']"),
        &["not a subprotocol", "a token"],
    );
    check(
        &rules("require = ['a', 'a']"),
        &["`a` is in this `require` twice"],
    );
    check(
        &rules("strip = ['a', 'a']"),
        &["`a` is in this `strip` twice"],
    );
    check(
        &rules("map = { 'a/b' = 'c' }"),
        &["not a subprotocol", "`a/b`"],
    );
    check(&rules("map = { a = '' }"), &["not a subprotocol"]);
    check(&rules("map = ['a']"), &["a table of strings"]);
    check(
        &rules("map = { a = 'c', b = 'c' }"),
        &["`b` cannot become `c`: `a` becomes it too"],
    );
    let stays = "clients offer a subprotocol of this name, which stays as it is";
    check(&rules("require = ['a', 'b'], map = { a = 'b' }"), &[stays]);
    check(&rules("map = { a = 'm' }"), &[stays]);
    check(
        &rules("require = ['a'], strip = ['a']"),
        &["`a` is in `strip` and in `require`"],
    );
    check(
        &rules("map = { a = 'b' }, strip = ['a']"),
        &["`a` is in `strip` and in `map`"],
    );
}

#[test]
fn frames_and_their_limits() {
    let route = |keys: &str| {
        format!("[[route]]\nname = 'x'\nbackend = 'b'\nmatch = {{ path = '/x' }}\n{keys}")
    };
    let limits = |limits: &str| route(&format!("limits = {{ {limits} }}"));
    check(
        &route("frames = 'validated'"),
        &["`frames` has no such value", "did you mean \"validate\"?"],
    );
    check(
        &limits("frame_bytes = 1024"),
        &["write the unit too: \"1024KiB\""],
    );
    check(
        &limits("message_bytes = '0B'"),
        &["must be from 1B to 1024GiB", "or \"none\""],
    );
    check(
        &limits("message_bytes = '2000GiB'"),
        &["must be from 1B to 1024GiB"],
    );
    check(
        &limits("messages_bytes = '1KiB'"),
        &["did you mean `message_bytes`?"],
    );
    check(
        &limits("frame_bytes = '2KiB', message_bytes = '1KiB'"),
        &[
            "`frame_bytes` is more than `message_bytes`",
            "found 2KiB, expected at most 1KiB",
        ],
    );
    check(
        &route("frame_bytes = '1KiB'"),
        &["`frame_bytes` belongs under `route.limits`"],
    );
    check(
        &route("record = { every = '1s' }"),
        &["too short for a record", "at least 10s"],
    );
    check(
        &route("record = { start = 'yes' }"),
        &["`start` has the wrong type"],
    );
    check(&route("record = true"), &["write `record = { … }`"]);
}

#[test]
fn what_only_frames_could_tell_is_not_asked_of_opaque() {
    let route = |keys: &str| {
        format!(
            "[[route]]\nname = 'x'\nbackend = 'b'\nmatch = {{ path = '/x' }}\nframes = 'opaque'\n{keys}"
        )
    };
    let both = |key: &str| format!("`{key}` and frames = \"opaque\" in one route");
    for (key, keys) in [
        ("frame_bytes", "limits = { frame_bytes = '1KiB' }"),
        (
            "message_bytes",
            "limits = { idle = '1m', message_bytes = '1KiB' }",
        ),
        ("rate", "rate = { session = { messages = '1/s' } }"),
        ("ping", "ping = 'auto'"),
        ("ping", "ping = { every = '30s' }"),
    ] {
        check(
            &route(keys),
            &[&both(key), "nobody sees where a frame or a message begins"],
        );
    }
    let pinged = format!("ping = 'auto'\n{}", route(""));
    check(
        &pinged,
        &["frames = \"opaque\", and the backend has `ping`"],
    );
}

#[test]
fn rates() {
    let route = |rate: &str| {
        format!("[[route]]\nname = 'x'\nbackend = 'b'\nmatch = {{ path = '/x' }}\nrate = {rate}")
    };
    let session = |keys: &str| route(&format!("{{ session = {{ {keys} }} }}"));
    check(&route("'100/s'"), &["write `rate = { … }`"]);
    check(
        &route("{}"),
        &["`rate` says nothing", "messages = \"100/s\""],
    );
    check(
        &route("{ messages = '1/s' }"),
        &["`messages` belongs under `route.rate."],
    );
    check(&session("burst = '1s'"), &["a rate of nothing"]);
    check(
        &session("messages = 100"),
        &["found an integer", "\"100/s\""],
    );
    check(
        &session("messages = '100'"),
        &["the time is missing", "\"100/s\""],
    );
    check(
        &session("messages = '100/sec'"),
        &["did you mean \"100/s\"?"],
    );
    check(
        &session("messages = '100/d'"),
        &["the time is not s, m or h"],
    );
    check(&session("messages = '0/s'"), &["a whole number from 1 to"]);
    check(&session("bytes = '100/s'"), &["not a size", "\"1MiB/s\""]);
    check(
        &session("bytes = '1/s', action = 'drop'"),
        &["\"delay\" or \"close\""],
    );
    check(
        &session("messages = '1/s', burst = '2h'"),
        &["`burst` is too long", "at most 1h"],
    );
    check(
        &route("{ client = { messages = 'x/s' } }"),
        &["must be a whole number"],
    );
}

#[test]
fn pings() {
    let route = |ping: &str| {
        format!("[[route]]\nname = 'x'\nbackend = 'b'\nmatch = {{ path = '/x' }}\nping = {ping}")
    };
    check(
        &route("true"),
        &["found true or false", "\"auto\" or \"off\""],
    );
    check(&route("'of'"), &["`ping` has no such value"]);
    check(&route("'30s'"), &["write ping = { every = \"30s\" }"]);
    check(&route("{}"), &["`every` is missing in this `route.ping`"]);
    check(&route("{ every = 30 }"), &["write the unit too: \"30s\""]);
    check(
        &route("{ every = '999ms' }"),
        &["too short for a ping", "at least 1s"],
    );
    check(
        &route("{ every = '10s', timeout = '10s' }"),
        &[
            "is not shorter than `every`",
            "found 10s, expected less than 10s",
        ],
    );
    check(&route("{ every = '5s' }"), &["left out, it is 10s"]);
    check(
        &route("{ every = '30s', timeout = '0s' }"),
        &["longer than nothing"],
    );
    check(
        "ping = { evry = '30s' }",
        &["did you mean `every`?", "`backend.NAME.ping`"],
    );
    check(
        "ping = { every = '30s', timeout = '1m' }",
        &["expected less than 30s"],
    );
}

#[test]
fn drains() {
    let drain = |keys: &str| format!("[server]\ndrain = {{ {keys} }}");
    check(
        &drain("timeout = '10s', spread = '11s'"),
        &[
            "`spread` is longer than `timeout`",
            "found 11s, expected at most 10s",
        ],
    );
    check(&drain("spread = '31s'"), &["expected at most 30s"]);
    check(&drain("spread = 0"), &["or \"none\""]);
    check(&drain("close_code = '1001'"), &["found a string"]);
    check(
        &drain("close_code = 999"),
        &["an integer from 1000 to 4999"],
    );
    check(
        &drain("close_code = 1000"),
        &["most clients do not come again"],
    );
    for code in ["1002", "1006", "1015", "2000"] {
        check(
            &drain(&format!("close_code = {code}")),
            &["says something else", "1012 (service restart)"],
        );
    }
}

#[test]
fn routes_and_origins() {
    let route = |keys: &str| format!("[[route]]\nname = 'x'\nbackend = 'b'\n{keys}");
    check(
        &route("origins = ['https://a.com/']"),
        &["not an origin", "\"https://a.com\""],
    );
    check(
        &route("origins = ['a.com']"),
        &["the scheme is missing: \"https://a.com\""],
    );
    check(
        &route("origins = 'https://a.com'"),
        &["write `origins = [\"https://a.com\"]`"],
    );
    check(
        &route("match = { host = 'a.com:80' }"),
        &["on every port: \"a.com\""],
    );
    check(&route("match = { path = '/a/../b' }"), &["a dot segment"]);
    check(
        &route("match = { path = '/a*' }"),
        &["a `*` stands only at the end"],
    );
    check(
        &route("match = { subprotocols = ['a b'] }"),
        &["not a subprotocol"],
    );
    check(
        &route("match = { subprotocols = ['a', 'b', 'a'] }"),
        &["`a` is in this `subprotocols` twice"],
    );
    check(&route("strip_prefix = '/ws/'"), &["it ends in a slash"]);
    check(
        &route("set_headers = { X-A = \"a\\r\\nb\" }"),
        &["cannot stand in a header"],
    );
    check(
        &route("remove_headers = ['Sec-WebSocket-Key']"),
        &["the gateway's own"],
    );
    check(
        &route("set_headers = { Host = 'a' }"),
        &["`preserve_host` decides"],
    );
    check(&route("limits = { idle = 'never' }"), &["\"none\""]);
}

#[test]
fn backends_and_proxies() {
    let url = |url: &str| format!("[backend.x]\nservers = [{{ url = '{url}' }}]");
    check(&url("https://a"), &["did you mean wss://?"]);
    check(&url("a:80"), &["did you mean \"ws://a:80\"?"]);
    check(&url("ws://a?x"), &["a query or a fragment"]);
    check(
        &url("ws://hunter:hunter@a"),
        &["a user or a password", "***@a"],
    );
    check(&url("ws+unix:run.sock"), &["no absolute path of a socket"]);
    check(&url("ws+unix://run/x.sock"), &["no absolute path"]);
    check(
        "tls = { server_name = 'a' }",
        &["no server of this backend speaks it"],
    );
    let hop = |keys: &str| format!("[[egress.e.hop]]\n{keys}");
    check(&hop("url = 'socks4://a:1080'"), &["only version 5"]);
    check(&hop("url = 'socks5://a/x'"), &["holds a path"]);
    check(
        &hop("url = 'socks5h://hunter:hunter@a'"),
        &["write auth = { user"],
    );
    check(
        &hop("url = 'socks5://a'\ntls = {}"),
        &["reached without it"],
    );
    let socks = |keys: &str| hop(&format!("url = 'socks5h://a'\nauth = {{ {keys} }}"));
    for key in ["scheme = 'basic'", "spn = 'HTTP/a'", "ccache = 'KCM:'"] {
        check(
            &socks(&format!("{key}, user = 'u', password = 'p'")),
            &["a SOCKS proxy has none", "leave it out"],
        );
    }
    check(&socks("user = 'u'"), &["`password` is missing"]);
    check(&socks("password = 'p'"), &["`user` is missing"]);
    check(
        &socks("user = 'u', password = ''"),
        &["`password` is empty"],
    );
    check(
        &socks(&format!("user = '{}', password = 'p'", "x".repeat(256))),
        &["`user` is too long", "1 to 255 bytes"],
    );
    check(
        &hop("url = 'socks5://a:0'\nauth = { user = 'u' }"),
        &["no valid host and port", "`password` is missing"],
    );
    check(&hop("url = 'http://a'"), &["its port is missing"]);
    check(&hop("url = 'http://a:1/x'"), &["holds a path"]);
    check(
        &hop("url = 'http://hunter:hunter@a:1'"),
        &["write auth = {"],
    );
    check(
        &hop("url = 'http://a:1'\ntls = {}"),
        &["reached without it"],
    );
    for url in ["http://a:1", "socks5://a"] {
        check(
            &hop(&format!("url = '{url}'\nhttp = '1.1'")),
            &[
                "`http`, and the proxy is reached without TLS",
                "leave it out",
            ],
        );
    }
    check(
        &hop("url = 'https://a'\nhttp = '1'"),
        &["expected \"auto\" or \"1.1\" or \"2\""],
    );
    check(
        &hop("url = 'https://a'\nhttp = '2'\nauth = { scheme = 'ntlm', user = 'u' }"),
        &["HTTP/2 does not carry ntlm", "http = \"auto\""],
    );
    check(
        &hop("url = 'http://a:1'\nauth = { scheme = 'basic', user = 'u:v' }"),
        &["a colon"],
    );
    check(
        &hop("url = 'http://a:1'\nauth = { scheme = 'digets', user = 'u:v' }"),
        &[
            "no such scheme",
            "expected \"auto\", \"basic\", \"digest\", \"ntlm\"",
            "did you mean \"digest\"?",
            "a colon",
        ],
    );
    let ntlm = |keys: &str| hop(&format!("url = 'http://a:1'\nauth = {{ {keys} }}"));
    #[cfg(not(feature = "gssapi"))]
    for keys in [
        "scheme = 'negotiate'",
        "scheme = 'kerberos', user = 'u'",
        "user = 'u', spn = 'HTTP/p'",
        "scheme = 'basic', user = 'u', spn = 'HTTP/p'",
        "user = 'u', keytab = 'a.keytab'",
        "user = 'u', ccache = 'KCM:'",
    ] {
        let expected = ["this build has no Kerberos", "--features gssapi"];
        check(&ntlm(keys), &expected);
    }
    #[cfg(feature = "gssapi")]
    for (keys, expected) in [
        ("scheme = 'kerberos'", "told by \"negotiate\""),
        ("scheme = 'negotiate', password = 'p'", "no `user`"),
        (
            "scheme = 'negotiate', user = 'u', password = ''",
            "is empty",
        ),
        (
            "scheme = 'negotiate', spn = 'p'",
            "not the name of a service",
        ),
        (
            "scheme = 'negotiate', spn = 'HTTP/p@'",
            "not the name of a service",
        ),
        (
            "scheme = 'negotiate', spn = 'HTTP/p q'",
            "not the name of a service",
        ),
        ("scheme = 'negotiate', domain = 'D'", "`domain` is told"),
        (
            "scheme = 'basic', user = 'u', spn = 'HTTP/p'",
            "for Kerberos alone",
        ),
        (
            "user = 'u@R', spn = 'HTTP/p'",
            "no user whom Kerberos knows",
        ),
        (
            "user = 'u@corp.test', password = 'p', spn = 'HTTP/p'",
            "no user whom",
        ),
        ("password = 'p'", "`user` is"),
        (
            "scheme = 'ntlm', user = 'u', keytab = 'a'",
            "`keytab` is for Kerberos alone",
        ),
        (
            "user = 'u', keytab = 'a', ccache = 'b'",
            "`keytab` and `ccache` in one",
        ),
        (
            "user = 'u', password = 'p', keytab = 'a'",
            "`keytab` and `password` in one",
        ),
        (
            "user = 'u', password = 'p', ccache = 'a'",
            "`ccache` and `password` in one",
        ),
        (
            "scheme = 'negotiate', keytab = 'a'",
            "`keytab`, and no `user`",
        ),
        ("user = 'u', keytab = 'nowhere'", "/nowhere: no such file"),
        (
            "user = 'u', keytab = 'FILE:/'",
            "`keytab`: not a keytab: /: is a directory",
        ),
        (
            "user = 'u', keytab = '/etc/passwd'",
            "/etc/passwd: it holds something else",
        ),
        ("ccache = 'FILE:nowhere'", "/nowhere: no such file"),
        ("ccache = \"/a\\u0000b\"", "cannot be told to the library"),
        ("ccache = 'MEMORY:a'", "not the name of a ticket cache"),
        ("ccache = 'SESSION:a'", "not the name of a ticket cache"),
        ("ccache = 'KCM:', domain = 'D'", "`domain` is told"),
    ] {
        check(&ntlm(keys), &[expected]);
    }
    for keys in ["user = 'D\\u'", "scheme = 'ntlm', user = 'D\\u'"] {
        check(&ntlm(keys), &["holds a backslash", "domain = \"…\""]);
    }
    for scheme in ["basic", "digest"] {
        let keys = format!("scheme = '{scheme}', user = 'u', domain = 'D', workstation = 'W'");
        let not = format!("not by {scheme}");
        check(
            &ntlm(&keys),
            &["`domain` is told", "`workstation` is", &not],
        );
    }
    for domain in ["", "D\\\\u", "D\\n"] {
        let keys = format!("user = 'u', domain = \"{domain}\"");
        check(&ntlm(&keys), &["`domain` is not a name"]);
    }
    check(
        "[egress.e]\nno_proxy = ['a', 'b c', '10.0.0.0/40']\nhop = []",
        &["not an entry", "not a range", "1 to 8 hops"],
    );
    let evn = "url = 'http://${env:HOST}:1'";
    check(&hop(evn), &["cannot hold a `${…}` reference"]);
}

#[test]
fn certificates_are_tried_before_a_client_does() {
    let tls = |cert: &str, key: &str, hosts: &str| {
        format!(
            "[[listener]]\nname = 't'\nbind = ['127.0.0.1:0']\ntls = {{}}\n[[certificate]]\n\
             hosts = ['{hosts}']\ncert = 'certs/{cert}'\nkey = 'certs/{key}'"
        )
    };
    let valid = format!("{LEAST}{}", tls("chat.pem", "chat.key", "chat.example.com"));
    assert!(Home::new().parse(&valid).is_ok());
    check(
        &tls("none.pem", "chat.key", "a.test"),
        &["cannot read the file: no such file"],
    );
    check(
        &tls("chat.key", "chat.key", "a.test"),
        &["holds no certificate"],
    );
    check(
        &tls("chat.pem", "chat.pem", "a.test"),
        &["holds no private key"],
    );
    check(
        &tls("chat.pem", "gateway.key", "chat.example.com"),
        &["does not belong to the certificate"],
    );
    check(
        &tls("expired.pem", "expired.key", "chat.example.com"),
        &["expired at 2002-02-02"],
    );
    check(
        &tls("future.pem", "future.key", "chat.example.com"),
        &["not valid before 3000-01-01"],
    );
    check(
        &tls("chat.pem", "chat.key", "a.test"),
        &["does not cover `a.test`", "*.chat.example.com"],
    );
    check(
        &tls("chat.pem", "chat.key", "a.*.test"),
        &["not a host of a certificate"],
    );
    check(
        "[[listener]]\nname = 't'\nbind = ['127.0.0.1:0']\ntls = {}",
        &["and no certificate"],
    );
    check(
        "[backend.x]\nservers = [{ url = 'wss://a' }]\ntls = { ca = 'certs/internal-ca.pem', client_cert = 'certs/gateway.pem' }",
        &["`client_cert` without `client_key`"],
    );
}

#[test]
fn syntax_errors_come_all_at_once_and_with_the_other_faults() {
    let text = "version = 1\nlog = \n[limits]\nhandshake = 10\nconnections = \"5\n[server\n";
    let printed = Home::new().faults(text);
    let places = places(&printed);
    for place in ["2:7", "4:13"] {
        assert!(places.iter().any(|p| p == place), "{place}: {printed}");
    }
    assert!(places.iter().any(|p| p.starts_with("5:")), "{printed}");
    assert!(places.iter().any(|p| p.starts_with("6:")), "{printed}");
    assert!(!printed.contains("is missing"), "{printed}");
}

#[test]
fn a_list_that_never_ends_is_one_fault_and_not_one_a_line() {
    let text = LEAST.replace("[\"127.0.0.1:0\"]", "[\"127.0.0.1:0\"");
    let printed = Home::new().faults(&text);
    assert_eq!(places(&printed), ["6:1"], "{printed}");
    assert!(printed.contains("has no `]`"), "{printed}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_as_such() {
    let home = Home::new();
    let load = |name: &str| config::load(&home.path(name)).unwrap_err().to_string();
    assert!(load("none.toml").contains("cannot read the configuration: no such file"));
    std::fs::write(home.path("latin.toml"), b"# caf\xe9\n").unwrap();
    assert!(load("latin.toml").contains("not text in UTF-8"));
    home.write("empty.toml", "");
    let printed = load("empty.toml");
    assert!(printed.contains("`version` is missing"), "{printed}");
    assert!(printed.contains("`listener` is missing"), "{printed}");
    home.write("least.toml", LEAST);
    assert!(config::load(&home.path("least.toml")).is_ok());
}

#[test]
fn no_secret_of_a_faulty_file_is_printed() {
    let home = Home::new();
    home.write("secrets/two-lines", "hunter\nhunter\n");
    home.write(
        "certs/broken.key",
        "-----BEGIN PRIVATE KEY-----\nhunter!\n-----END PRIVATE KEY-----\n",
    );
    let hop = |line: &str| format!("{LEAST}[[egress.e.hop]]\nurl = 'http://p:1'\n{line}\n");
    let auth = |inner: &str| hop(&format!("auth = {{ scheme = 'basic', {inner} }}"));
    let long = "hunter".repeat(50);
    for text in [
        hop(&format!(
            "auth = {{ user = 'hunter', password = '{long}' }}"
        ))
        .replace("http:", "socks5:"),
        auth("user = 'hunter', password = 'hunter', pasword = 'hunter'"),
        auth("user = 'hunter:hunter'"),
        auth("user = 'hunter', password = 12345 # hunter\n"),
        auth("user = ['hunter']"),
        auth("user = \"hunter\\u0007\", password = 'x'"),
        auth("user = 'hunter ${evn:X}', password = 'hunter ${env:UNSET}'"),
        auth("user = '${env:PROXY_USER}:', password = '${file:secrets/proxy-password}', x = 1"),
        auth("user = 'u', password = '${file:secrets/two-lines}'"),
        hop("auth = 'hunter:hunter'"),
        hop("passwd = 'hunter'"),
        hop("auth = { user = 'hunter' password = 'hunter' }"),
        hop("auth = { scheme = 'basic', user = 'hunter, password = 'hunter' }"),
        hop("password = \"hunter\nuser = hunter"),
        hop("url = 'http://hunter:hunter@p:1'"),
        format!("{LEAST}[backend.x]\nservers = [{{ url = 'ws://hunter:hunter@p' }}]\n"),
        format!(
            "{LEAST}[[route]]\nname = 'x'\nbackend = 'b'\nset_headers = {{ Host = 'hunter' }}\n"
        ),
        format!(
            "{LEAST}[[certificate]]\nhosts = ['a.b']\ncert = 'certs/chat.pem'\nkey = 'certs/broken.key'\n"
        ),
    ] {
        let Err(faults) = home.parse(&text) else {
            panic!("valid after all: {text}");
        };
        for printed in [faults.to_string(), format!("{faults:?}")] {
            let printed_values = printed.replace("# hunter", "");
            for secret in ["hunter", "12345", USER, PASSWORD] {
                assert!(!printed_values.contains(secret), "{text}\n{printed}");
            }
        }
    }
}

/// A file with secrets in each place that may hold one.
const SECRETIVE: &str = r#"
version = 1
[egress.e]
no_proxy = ["a.test"]
[[egress.e.hop]]
url = "http://p:3128"
auth = { scheme = "basic", user = "hunter", password = "hunter" }
[[egress.e.hop]]
url = "http://q:3128"
[egress.e.hop.auth]
scheme = "basic"
user = "hunter"
password = """hunter
hunter"""
"#;

/// Whatever one slip of the hand does to a file: it is read to its end, and no secret is shown.
/// The words for a secret themselves are left alone: nobody can know a `p1ss_2ord`.
#[test]
fn no_slip_of_the_hand_stops_the_reading_or_shows_a_secret() {
    let home = Home::new();
    let keys = ["auth", "user", "password", "hunter"];
    let words = keys.iter().flat_map(|k| SECRETIVE.match_indices(k));
    let words: Vec<_> = words.map(|(at, word)| at..at + word.len()).collect();
    for at in 0..SECRETIVE.len() {
        if words.iter().any(|w| w.start < at && at < w.end) {
            continue;
        }
        let (before, after) = SECRETIVE.split_at(at);
        let inserted = [
            "\"", "'", "[", "]", "{", "}", "=", "\n", "#", "\\", "@", ",", ".", "x", "ä", "\"\"\"",
            "'''",
        ];
        let mut slips: Vec<String> = inserted.map(|i| format!("{before}{i}{after}")).into();
        if !words.iter().any(|w| w.contains(&at)) {
            slips.push(format!("{before}{}", &after[1..]));
        }
        slips.push(before.to_owned());
        for slip in slips {
            let Err(faults) = home.parse(&slip) else {
                panic!("valid after all: {slip}");
            };
            let printed = format!("{faults}\n{faults:?}");
            assert!(!printed.contains("hunter"), "{slip}\n{printed}");
        }
    }
}

/// A brace that never closes had made a key of a password's value, and the fault on an unknown key
/// repeated it.
#[test]
fn a_broken_file_makes_no_key_of_a_password_that_a_fault_then_repeats() {
    let text = format!(
        "{LEAST}[[egress.e.hop]]\nurl = \"http://proxy:3128\"\nauth = {{op.auth]\nuser = \"{USER}\"\n\
         password = \"{PASSWORD}.e\n"
    );
    let printed = Home::new().faults(&text);
    assert!(!printed.contains(PASSWORD), "{printed}");
    assert!(!printed.contains(USER), "{printed}");
}
