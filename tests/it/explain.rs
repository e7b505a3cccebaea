//! `throughway explain` says what the gateway does: the same requests are explained and sent, and
//! the two answers are held together.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::backend::{answer, backend, good_101};
use crate::support::certs::dev_certificate;
use crate::support::client::{Answer, Client, Handshake, handshake};
use crate::support::gateway::{Running, gateway};
use crate::support::process::throughway;
use crate::support::script::{Act, Script};
use crate::support::started::written;

use super::config::{Home, LEAST, PASSWORD, USER};

/// What an explanation said and how it ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn explain(config: &Path, arguments: &[&str]) -> Said {
    let mut command = throughway();
    command.arg("explain").arg("-c").arg(config).args(arguments);
    command.env("PROXY_USER", USER);
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A request, as it is explained and as it is sent.
struct Row {
    host: &'static str,
    path: &'static str,
    origin: Option<&'static str>,
    subprotocols: &'static [&'static str],
    extensions: &'static [&'static str],
}

const fn row(host: &'static str, path: &'static str) -> Row {
    Row {
        host,
        path,
        origin: None,
        subprotocols: &[],
        extensions: &[],
    }
}

impl Row {
    const fn from(self, origin: &'static str) -> Self {
        let origin = Some(origin);
        Self { origin, ..self }
    }

    const fn offering(self, subprotocols: &'static [&'static str]) -> Self {
        Self {
            subprotocols,
            ..self
        }
    }

    const fn extended_by(self, extensions: &'static [&'static str]) -> Self {
        Self { extensions, ..self }
    }

    fn name(&self) -> String {
        let Self { host, path, .. } = self;
        let offers = [self.subprotocols, self.extensions];
        format!("{host}{path} {:?} {offers:?}", self.origin)
    }

    fn arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["--json", "--host", self.host, "--path", self.path];
        if let Some(origin) = self.origin {
            arguments.extend(["--origin", origin]);
        }
        for subprotocol in self.subprotocols {
            arguments.extend(["--subprotocol", subprotocol]);
        }
        for extension in self.extensions {
            arguments.extend(["--extension", extension]);
        }
        arguments
    }

    fn request(&self) -> Handshake {
        let mut request = handshake(self.path).replacing(&format!("Host: {}", self.host));
        if let Some(origin) = self.origin {
            request = request.with(&format!("Origin: {origin}"));
        }
        if !self.subprotocols.is_empty() {
            let offered = self.subprotocols.join(", ");
            request = request.with(&format!("Sec-WebSocket-Protocol: {offered}"));
        }
        if !self.extensions.is_empty() {
            let offered = self.extensions.join(", ");
            request = request.with(&format!("Sec-WebSocket-Extensions: {offered}"));
        }
        request
    }
}

/// Routes that tell their name to the backend, to which all of them lead.
fn routes(backend: &Script) -> String {
    let routes = [
        (
            "any",
            "match = { path = '/open/*' }\norigins = 'any'\nremove_headers = ['origin']",
        ),
        (
            "exact",
            "match = { host = 'chat.test' }\norigins = ['https://*.chat.test']",
        ),
        (
            "room",
            "match = { host = 'chat.test', path = '/room' }\nmissing_origin = 'deny'",
        ),
        (
            "ws",
            "match = { host = 'chat.test', path = '/ws/*' }\nstrip_prefix = '/ws'",
        ),
        (
            "v1",
            "match = { host = 'chat.test', path = '/ws/*', subprotocols = ['v1'] }",
        ),
        (
            "v2",
            "match = { host = 'chat.test', path = '/ws/*', subprotocols = ['v2', 'v3'] }",
        ),
        (
            "offers",
            "match = { host = 'chat.test', path = '/offers' }\ncompression = 'off'\n\
             subprotocols = { require = ['v2', 'v1'], map = { v2 = 'v2.in' }, strip = ['debug'] }",
        ),
        (
            "wild",
            "match = { host = '*.chat.test' }\norigins = 'any'\npreserve_host = false",
        ),
        (
            "inside",
            "match = { path = '/inside' }\nlisteners = ['inside']\norigins = 'any'",
        ),
    ];
    let route = |(name, keys): (&str, &str)| {
        format!(
            "[[route]]\nname = '{name}'\n{keys}\nbackend = 'b'\nset_headers = {{ X-Route = '{name}' }}\n"
        )
    };
    let routes: String = routes.map(route).concat();
    let url = format!("ws://{}/base", backend.address);
    format!(
        "{routes}[backend.b]\nservers = [{{ url = '{url}' }}]\n\
         [[listener]]\nname = 'inside'\nbind = ['127.0.0.1:0']\n"
    )
}

const TABLE: &[Row] = &[
    row("chat.test", "/"),
    row("CHAT.test.:80", "/x?y=1"),
    row("chat.test", "/").from("https://a.chat.test"),
    row("chat.test", "/").from("https://a.b.chat.test"),
    row("chat.test", "/").from("https://evil.test"),
    row("chat.test", "/").from("null"),
    row("chat.test", "/").from("evil"),
    row("chat.test", "/").from(""),
    row("chat.test", "/room"),
    row("chat.test", "/room?token=a").from("http://chat.test"),
    row("chat.test", "/room").from("https://chat.test"),
    row("chat.test:8080", "/room").from("http://chat.test:8080"),
    row("chat.test:8080", "/room").from("http://chat.test"),
    row("chat.test", "/room/"),
    row("chat.test", "/%72oom"),
    row("chat.test", "/ws/"),
    row("chat.test", "/ws"),
    row("chat.test", "/ws/a%20b?c=d%2F"),
    row("chat.test", "/ws/a").offering(&["v1"]),
    row("chat.test", "/ws/a").offering(&["v2", "v1"]),
    row("chat.test", "/ws/a").offering(&["v0", "v3"]),
    row("chat.test", "/ws/a").offering(&["v0"]),
    row("chat.test", "/ws/a").offering(&["v 0"]),
    row("chat.test", "/ws/a").offering(&[""]),
    row("chat.test", "/offers"),
    row("chat.test", "/offers").offering(&["debug", "v2.in"]),
    row("chat.test", "/offers").offering(&["debug", "v2", "x", "v1"]),
    row("chat.test", "/offers")
        .offering(&["v1"])
        .extended_by(&["permessage-deflate; client_max_window_bits", "x-a; b"]),
    row("chat.test", "/").extended_by(&["permessage-deflate; client_max_window_bits", "x-a"]),
    row("a.chat.test", "/"),
    row("a.b.chat.test", "/"),
    row("a.chat.test", "/open/a").from("https://evil.test"),
    row("other.test", "/open/a").from("https://evil.test"),
    row("[::1]:8080", "/open/"),
    row("127.0.0.1", "/open/"),
    row("other.test", "/"),
    row("other.test", "/inside"),
    row("", "/"),
    row("a b", "/"),
    row("chat.test:0", "/"),
    row("chat.test, evil.test", "/"),
    row("2130706433", "/"),
    row("chat.test", "room"),
    row("chat.test", ""),
    row("chat.test", "*"),
    row("chat.test", "/a b"),
    row("chat.test", "/../room"),
    row("chat.test", "/%2e%2e/room"),
    row("chat.test", "//room"),
    row("chat.test", "/a#b"),
    row("chat.test", "/%zz"),
    row("chat.test", "/ä"),
    row("chät.test", "/"),
    row("chat.test", "/").from("https://ä.test"),
    row("chat.test", "ws://chat.test/room"),
    row("chat.test", "ws://other.test/room"),
    row("chat.test", "ftp://chat.test/room"),
];

async fn sent(gateway: &Running, listener: usize, row: &Row) -> Answer {
    let address = gateway.gateway.addresses()[listener].1;
    let mut client = Client::connect(address).await;
    client.send(&row.request().bytes()).await;
    client.answer().await
}

/// The lines of a head, sorted, as an explanation shows them: the client's key and what the file
/// sets are not.
fn as_explained(head: &str) -> Vec<(String, String)> {
    let lines = head.lines().skip(1).take_while(|line| !line.is_empty());
    let mut lines: Vec<(String, String)> = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            let name = name.trim_end_matches(':').to_owned();
            let value = match name.as_str() {
                "sec-websocket-key" => "(the client's)",
                "x-route" => "***",
                _ => value,
            };
            (name, value.to_owned())
        })
        .collect();
    lines.sort();
    lines
}

fn explained_headers(server: &Value) -> Vec<(String, String)> {
    let pairs = server["headers"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut pairs: Vec<_> = pairs.map(|p| (text(&p[0]), text(&p[1]))).collect();
    pairs.sort();
    pairs
}

fn check(row: &Row, said: &Said, answer: &Answer, heard: Option<&str>) {
    let name = row.name();
    let explained: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| {
        panic!("{name}: {} {}", said.out, said.err);
    });
    let Some(head) = heard else {
        assert_eq!(explained["refused"]["status"], answer.status, "{name}");
        let sentence = explained["refused"]["sentence"].as_str().unwrap();
        assert_eq!(answer.body, format!("{sentence}\n"), "{name}");
        assert_eq!((said.code, &explained["backend"]), (77, &Value::Null));
        assert!(said.err.starts_with("error: 4"), "{}", said.err);
        return;
    };
    assert_eq!(answer.status, 101, "{name}");
    assert_eq!(explained["refused"], Value::Null, "{name}");
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{name}");
    let route = head.lines().find_map(|l| l.strip_prefix("x-route: "));
    assert_eq!(explained["route"].as_str(), route, "{name}");
    let target = head.split(' ').nth(1);
    let server = &explained["servers"][0];
    assert_eq!(server["target"].as_str(), target, "{name}");
    assert_eq!(explained_headers(server), as_explained(head), "{name}");
}

/// Switches, and chooses the first subprotocol that it is offered.
async fn willing() -> Script {
    let chosen = |head: &str| {
        let lines = head.lines();
        let mut offers = lines.filter_map(|l| l.strip_prefix("sec-websocket-protocol: "));
        let first = offers.next()?.split(", ").find(|name| !name.is_empty())?;
        Some(format!("Sec-WebSocket-Protocol: {first}\r\n"))
    };
    let good = answer(move |head| good_101(head, &chosen(head).unwrap_or_default(), ""));
    backend(vec![Act::Head, good]).await
}

#[tokio::test]
async fn an_explanation_and_the_gateway_never_differ() {
    let backend = willing().await;
    let builder = gateway().section(&routes(&backend));
    let file = written(&builder);
    let gateway = builder.run();
    let mut taken = 0;
    for (listener, name) in [(0, "public"), (1, "inside")] {
        for row in TABLE {
            let answer = sent(&gateway, listener, row).await;
            let mut arguments = row.arguments();
            arguments.extend(["--listener", name]);
            let said = explain(&file, &arguments);
            let heard = (backend.connections() > taken).then(|| backend.heard(taken));
            taken = backend.connections();
            check(row, &said, &answer, heard.as_deref());
        }
    }
    assert!(
        taken > TABLE.len() / 2 && taken < TABLE.len() * 2,
        "{taken}"
    );
}

#[tokio::test]
async fn a_head_that_is_too_long_and_a_listener_with_tls_are_explained_as_they_are() {
    let backend = willing().await;
    let cert = dev_certificate(&["chat.test"]);
    let section = format!("{}[limits]\nhead_bytes = '1KiB'", routes(&backend));
    let builder = gateway().tls(&cert).section(&section);
    let file = written(&builder);
    let gateway = builder.run();
    let long: &'static str = format!("/{}", "a".repeat(1024)).leak();
    for row in [
        row("chat.test", "/room").from("https://chat.test"),
        row("chat.test", "/room").from("http://chat.test"),
        row("chat.test", long),
    ] {
        let mut client = Client::connect_tls(gateway.address, &cert).await;
        client.send(&row.request().bytes()).await;
        let answer = client.answer().await;
        let said = explain(&file, &row.arguments());
        let heard = (answer.status == 101).then(|| backend.heard(0));
        check(&row, &said, &answer, heard.as_deref());
    }
    assert_eq!(backend.connections(), 1);
}

/// Backends by every way there is.
const WAYS: &str = "
version = 1
[[listener]]
name = 'public'
bind = ['127.0.0.1:0']
trusted_proxies = ['10.0.0.0/8']
[[route]]
name = 'all'
backend = 'all'
set_headers = { Authorization = 'Bearer hunter-the-token' }
[backend.all]
servers = [
  { url = 'ws://chat.internal' }, { url = 'wss://10.1.2.3/base' },
  { url = 'ws://localhost:9000' }, { url = 'ws+unix:/run/chat.sock' }
]
egress = 'EGRESS'
[egress.corp]
no_proxy = ['example.com', '10.0.0.0/8:443']
warm = 2
[[egress.corp.hop]]
url = 'http://near.test:3128'
auth = { user = '${env:PROXY_USER}', password = '${file:secrets/proxy-password}' }
[[egress.corp.hop]]
url = 'https://far.test'
http = '2'
[egress.spare]
[[egress.spare.hop]]
url = 'http://spare.test:3128'
[egress.several]
via = ['corp', 'spare', 'direct']
";

fn ways(egress: &str, environment: &[(&str, &str)]) -> (Value, String) {
    let home = Home::new();
    home.write("throughway.toml", &WAYS.replace("EGRESS", egress));
    let run = |json: &[&str]| {
        let mut command = throughway();
        command.arg("explain").arg("-c");
        command.arg(home.path("throughway.toml"));
        command.args(["--host", "a.test", "--path", "/"]).args(json);
        command.env_clear().env("PROXY_USER", USER);
        command.envs(environment.iter().copied());
        let output = command.output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{err}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (json, text) = (run(&["--json"]), run(&[]));
    for secret in [USER, PASSWORD, "hunter"] {
        assert!(!json.contains(secret) && !text.contains(secret), "{text}");
    }
    assert!(text.contains("authorization: ***\n"), "{text}");
    (serde_json::from_str(&json).unwrap(), text)
}

/// What is said of each server's way.
fn check_ways(egress: &str, environment: &[(&str, &str)], expected: [(&str, &str); 4]) -> Value {
    let (json, text) = ways(egress, environment);
    let servers = json["servers"].as_array().unwrap();
    assert_eq!(servers.len(), expected.len());
    for (server, (way, why)) in servers.iter().zip(expected) {
        assert_eq!((&server["way"], &server["why"]), (&json!(way), &json!(why)));
        assert!(text.contains(&format!("  way     {why}\n")), "{text}");
    }
    json
}

const UNIX: (&str, &str) = ("direct", "direct: it is a socket on this machine");

#[test]
fn the_way_to_each_server_is_told_with_its_reason() {
    let asked = ("direct", "direct: its backend asks for no egress");
    check_ways("direct", &[], [asked, asked, asked, UNIX]);
    let corp = "http near.test:3128 with credentials, then https far.test:443 in HTTP/2; \
                2 tunnels kept warm";
    let near = "this machine or this link, without an entry";
    let through = format!("through corp: {corp}");
    let past = |egress: &str, by: &str| format!("direct: no_proxy of {egress} lets it: {by}");
    check_ways(
        "corp",
        &[],
        [
            ("egress", through.as_str()),
            ("direct", &past("corp", "10.0.0.0/8:443")),
            ("direct", &past("corp", near)),
            UNIX,
        ],
    );
    let several = "through several: the first of these that is usable";
    let near_several = past("several", near);
    let json = check_ways(
        "several",
        &[],
        [
            ("alternatives", several),
            ("alternatives", several),
            ("direct", &near_several),
            UNIX,
        ],
    );
    let chains = json!([
        { "egress": "several/corp", "hops": [
            "http near.test:3128 with credentials", "https far.test:443 in HTTP/2"], "warm": 2 },
        { "egress": "several/spare", "hops": ["http spare.test:3128"], "warm": 0 },
        { "egress": "several/direct", "hops": [], "warm": 0 },
    ]);
    assert_eq!(json["servers"][0]["chains"], chains);
    let environment = [("https_proxy", "http://u:hunter@env.test:3128")];
    check_ways(
        "env",
        &environment,
        [
            ("direct", "direct: no proxy is named for its scheme"),
            ("egress", "through env: http env.test:3128 with credentials"),
            ("direct", "direct: no proxy is named for its scheme"),
            UNIX,
        ],
    );
}

/// What is said of a request that offers these to a route with these keys.
fn check_offers(keys: &str, flags: &[&str], code: i32, expected: &[&str]) {
    let home = Home::new();
    let file = LEAST.replace("backend = \"b\"", &format!("backend = \"b\"\n{keys}"));
    home.write("throughway.toml", &file);
    let file = home.path("throughway.toml");
    let mut arguments = vec!["--host", "a.test", "--path", "/"];
    arguments.extend(flags);
    let said = explain(&file, &arguments);
    assert_eq!(said.code, code, "{}", said.err);
    let column = " ".repeat(10);
    let lines = format!(
        "offers    {}\nanswer",
        expected.join(&format!("\n{column}"))
    );
    match expected.is_empty() {
        true => assert!(!said.out.contains("offers"), "{}", said.out),
        false => assert!(
            said.out.contains(&lines),
            "{lines:?} is not in\n{}",
            said.out
        ),
    }
    arguments.push("--json");
    let json: Value = serde_json::from_str(&explain(&file, &arguments).out).unwrap();
    assert_eq!(json["offers"], json!(expected));
}

#[test]
fn what_becomes_of_the_offers_is_told_where_a_route_has_rules_for_them() {
    check_offers("", &["--subprotocol", "a"], 0, &[]);
    let rules = "subprotocols = { require = ['v2'], map = { v2 = 'v2.in' }, strip = ['debug'] }";
    let offered = &["--subprotocol", "debug", "--subprotocol", "v2"];
    let expected = &[
        "subprotocol debug does not go on",
        "subprotocol v2 goes on as v2.in",
        "the backend must choose one of v2.in",
    ];
    check_offers(rules, offered, 0, expected);
    check_offers(
        rules,
        &[],
        77,
        &["none of v2 is offered, and one is required"],
    );
    let off = "no offer of compression goes on";
    check_offers("compression = 'off'", &[], 0, &[off]);
}

#[test]
fn the_clients_address_goes_into_the_headers_as_from_a_real_one() {
    let home = Home::new();
    home.write("throughway.toml", &WAYS.replace("EGRESS", "direct"));
    let file = home.path("throughway.toml");
    let asked = ["--host", "a.test", "--path", "/", "--from", "2001:db8::1"];
    let said = explain(&file, &asked);
    assert!(
        said.out.contains("x-forwarded-for: 2001:db8::1\n"),
        "{}",
        said.out
    );
}

#[test]
fn the_exit_code_tells_a_refusal_from_a_mistake() {
    let home = Home::new();
    home.write("throughway.toml", &WAYS.replace("EGRESS", "direct"));
    home.write("faulty.toml", "version = 2");
    let (good, faulty) = (home.path("throughway.toml"), home.path("faulty.toml"));
    for (file, arguments, code, err) in [
        (&good, &["--host", "a.test", "--path", "/"][..], 0, ""),
        (
            &good,
            &[
                "--host",
                "a.test",
                "--path",
                "/",
                "--origin",
                "https://b.test",
            ],
            77,
            "error: 403 origin_refused: route all: origin https://b.test is not allowed\n",
        ),
        (
            &good,
            &["--host", "a.test", "--path", "/", "--listener", "no"],
            2,
            "error: --listener: there is none of this name; there are: public\n",
        ),
        (
            &good,
            &["--host", "a\r\nX: b", "--path", "/"],
            2,
            "error: --host: holds a control character\n",
        ),
    ] {
        let said = explain(file, arguments);
        assert_eq!((said.code, said.err.as_str()), (code, err), "{arguments:?}");
    }
    assert_eq!(explain(&good, &["--host", "a.test"]).code, 2);
    let said = explain(&faulty, &["--host", "a.test", "--path", "/"]);
    assert_eq!((said.code, said.out.as_str()), (78, ""), "{}", said.err);
}

/// The document shows what the program says of an example that is there.
#[test]
fn the_example_in_the_document_is_real() {
    let home = Home::new();
    home.write(
        "in-front-of-services.toml",
        include_str!("../../config/in-front-of-services.toml"),
    );
    let document = include_str!("../../docs/configuration.md");
    let (_, section) = document
        .split_once("## Why does this request go there?")
        .unwrap();
    let blocks = section.split("```text\n").skip(1);
    let blocks: Vec<&str> = blocks.map(|b| b.split("```").next().unwrap()).collect();
    let mut shown = 0;
    for block in blocks
        .into_iter()
        .filter(|b| b.starts_with("$ throughway explain"))
    {
        let (command, output) = block.split_once('\n').unwrap();
        let arguments: Vec<&str> = command.split_whitespace().skip(5).collect();
        let said = explain(&home.path("in-front-of-services.toml"), &arguments);
        assert_eq!(format!("{}{}", said.out, said.err), output, "{command}");
        shown += 1;
    }
    assert_eq!(shown, 2);
}
