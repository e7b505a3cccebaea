//! `egress = "auto"` as its user meets it: what the file may say, and what `run`, `check`,
//! `explain` and `probe` tell of what was found.
//!
//! Runs the binary beside a desktop of its own: where nothing is found on the machine, the network
//! would be asked.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use throughway::config;
use throughway::egress::Way;

use super::config::LEAST;
use crate::support::certs::dev_certificate;
use crate::support::desktop::{Desktop, desktop, settings};
use crate::support::process::{Process, field, throughway};
use crate::support::proxy::{OK, proxy_that_says, say};
use crate::support::script::{Act, Script};
use crate::support::websocket::{End, websocket};

const FILE: &str = "
version = 1
[[listener]]
name = 'public'
bind = ['127.0.0.1:0']
[[route]]
name = 'all'
backend = 'all'
[backend.all]
servers = [
  { url = 'ws://chat.internal' }, { url = 'wss://chat.internal' }, { url = 'ws://10.1.2.3' }
]
";

/// The program in this desktop's session, and nothing else of this machine.
fn inside(desktop: &Desktop, arguments: &[&str]) -> Command {
    let mut command = throughway();
    command.env_clear().env("PATH", desktop.search_path());
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    command.args(arguments);
    command
}

fn file(desktop: &Desktop, text: &str) -> PathBuf {
    let path = desktop.path().join("throughway.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    String::from_utf8(output.stdout).unwrap()
}

const MANUAL: [&str; 6] = [
    ".http host 'proxy.test'",
    ".http port 3128",
    ".http authentication-password 'hunter-the-password'",
    ".https host 'tls.test'",
    ".https port 3129",
    " ignore-hosts ['10.0.0.0/8']",
];

fn running(desktop: &Desktop, egress: &str, environment: &[(&str, &str)]) -> Process {
    let file = file(desktop, &format!("{FILE}egress = '{egress}'\n"));
    let mut command = inside(desktop, &["run", "-c", file.to_str().unwrap()]);
    command.envs(environment.iter().copied());
    Process::listening(command)
}

#[test]
fn the_log_says_once_where_the_proxies_come_from() {
    let desktop = desktop(&settings("manual", &MANUAL));
    let process = running(&desktop, "auto", &[]);
    let line = process.line_with("way out found");
    assert_eq!(field(&line, "egress"), "auto");
    assert_eq!(field(&line, "found_by"), "desktop");
    let way = "wss http tls.test:3129 from GNOME's settings, \
               ws http proxy.test:3128 from GNOME's settings";
    assert_eq!(field(&line, "way"), way);
    assert!(!process.log().concat().contains("hunter"));
    desktop.set(&settings("none", &[]));
    let process = running(&desktop, "auto", &[]);
    let line = process.line_with("way out found");
    assert_eq!(field(&line, "way"), "direct, as GNOME's settings say");
    let asked = desktop.asked().len();
    let variable = [("https_proxy", "http://u:hunter@env.test:3128")];
    let process = running(&desktop, "auto", &variable);
    let line = process.line_with("way out found");
    assert_eq!(field(&line, "found_by"), "environment");
    let way = "wss http env.test:3128 from https_proxy, ws direct";
    assert_eq!(field(&line, "way"), way);
    assert!(!process.log().concat().contains("hunter"));
    assert_eq!(desktop.asked().len(), asked, "the desktop was not asked");
}

#[tokio::test]
async fn nobody_is_asked_for_what_nobody_asked_for() {
    let desktop = desktop(&settings("manual", &MANUAL));
    for egress in ["direct", "env"] {
        let mut process = running(&desktop, egress, &[]);
        let log = process.whole_log().await.concat();
        assert!(!log.contains("way out found"), "{log}");
    }
    assert_eq!(desktop.asked(), Vec::<String>::new());
}

#[test]
fn explain_tells_what_the_machine_says_and_who_goes_past_it() {
    let explain = |desktop: &Desktop, environment: &[(&str, &str)]| {
        let file = file(desktop, &format!("{FILE}egress = 'auto'\n"));
        let asked = ["--host", "a.test", "--path", "/"];
        let explain = |more: &[&str]| {
            let mut command = inside(desktop, &["explain", "-c", file.to_str().unwrap()]);
            command.args(asked).args(more);
            said(command.envs(environment.iter().copied()))
        };
        let json: Value = serde_json::from_str(&explain(&["--json"])).unwrap();
        (explain(&[]), json)
    };
    let check = |text: &str, lines: &[&str]| {
        for line in lines {
            assert!(text.contains(&format!("  {line}\n")), "{line} in\n{text}");
        }
    };
    let gnome = desktop(&settings("manual", &MANUAL));
    let (text, json) = explain(&gnome, &[]);
    check(
        &text,
        &[
            "auto    found by GNOME's settings",
            "way     through auto: http proxy.test:3128",
            "way     through auto: http tls.test:3129",
            "way     direct: no_proxy of auto lets it: 10.0.0.0/8",
        ],
    );
    assert_eq!(json["found_by"], "GNOME's settings");
    assert_eq!(json["servers"][2]["way"], "direct");
    let environment = [
        ("ALL_PROXY", "http://env.test:1"),
        ("NO_PROXY", ".internal"),
    ];
    let (text, json) = explain(&gnome, &environment);
    check(
        &text,
        &[
            "auto    found by the environment",
            "way     direct: no_proxy of auto lets it: internal",
            "way     through auto: http env.test:1",
        ],
    );
    assert_eq!(json["found_by"], "the environment");
    gnome.set(&settings("none", &[]));
    let (text, _) = explain(&gnome, &[]);
    check(&text, &["way     direct: no proxy is named for its scheme"]);
    gnome.set(&settings("auto", &[" autoconfig-url 'http://pac.test/x'"]));
    let (text, _) = explain(&gnome, &[]);
    check(
        &text,
        &["way     through auto: as http://pac.test/x says when it is asked"],
    );
    // What only the network could say stays open.
    gnome.set(&settings("auto", &[]));
    let (text, json) = explain(&gnome, &[]);
    assert!(!text.contains("found by"), "{text}");
    assert_eq!(json["servers"][0]["way"], "auto");
    let why = json["servers"][0]["why"].as_str().unwrap();
    assert!(
        why.contains("else direct") || why.contains("no domain to ask"),
        "{why}"
    );
}

#[test]
fn check_says_what_would_be_asked_and_asks_nobody() {
    let desktop = desktop(&settings("manual", &MANUAL));
    let file = file(&desktop, &format!("{FILE}egress = 'auto'\n"));
    let mut command = inside(&desktop, &["check", "-c", file.to_str().unwrap()]);
    let text = said(&mut command);
    for words in [
        "through what auto finds",
        "found when it is needed",
        "then by GNOME's settings",
        "then by WPAD",
        "else direct",
    ] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    let text = said(command.env("all_proxy", "http://env.test:1"));
    assert!(
        text.contains("wss: http env.test:1, from all_proxy"),
        "{text}"
    );
    assert_eq!(desktop.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_probe_shows_where_the_proxy_comes_from() {
    let far = websocket(None, End::Never).await;
    let proxy = proxy_that_says(OK, far).await;
    let host = format!(".http host '{}'", proxy.address.ip());
    let port = format!(".http port {}", proxy.address.port());
    let desktop = desktop(&settings("manual", &[&host, &port]));
    let words = ["probe", "ws://chat.internal:9000", "--egress", "auto"];
    let mut command = inside(&desktop, &words);
    let (text, json) = tokio::task::spawn_blocking(move || {
        let text = said(&mut command);
        (text, said(command.arg("--json")))
    })
    .await
    .unwrap();
    let mut lines = text.lines();
    let way = "ws://chat.internal:9000  through what auto finds";
    assert_eq!(lines.next().unwrap(), way);
    let found = format!(
        "wss direct, ws http {} from GNOME's settings",
        proxy.address
    );
    let line = lines.next().unwrap();
    assert!(line.starts_with("  ✓ proxies by auto "), "{text}");
    assert!(line.contains(&found), "{text}");
    let events: Vec<Value> = json
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(events[0]["source"], "auto");
    assert_eq!(
        (&events[1]["step"], &events[1]["ok"]),
        (&"find".into(), &true.into())
    );
    assert_eq!(events[1]["found"], found);
}

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<throughway::plan::Plan, String> {
    let env = |name: &str| {
        let found = environment.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let parsed = config::parse(text, Path::new("x.toml"), &env);
    parsed.map_err(|faults| faults.to_string())
}

#[test]
fn whose_settings_are_asked_is_the_environments_to_say() {
    let check = |environment: &[(&str, &str)], expected: Option<&str>| {
        let plan = parse(&format!("{LEAST}egress = 'auto'\n"), environment).unwrap();
        let Way::Auto(auto) = &plan.backends[0].way else {
            panic!("{plan:?}");
        };
        assert_eq!(auto.desktop(), expected, "{environment:?}");
    };
    let bus = ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x");
    let kde = ("XDG_CURRENT_DESKTOP", "KDE");
    check(&[], None);
    check(&[("DBUS_SESSION_BUS_ADDRESS", "")], None);
    check(&[("XDG_RUNTIME_DIR", "/nowhere")], None);
    check(&[bus], Some("GNOME's settings"));
    check(
        &[bus, ("XDG_CURRENT_DESKTOP", "ubuntu:GNOME")],
        Some("GNOME's settings"),
    );
    check(&[bus, kde, ("HOME", "/home/x")], Some("KDE's settings"));
    check(&[kde, ("XDG_CONFIG_HOME", "/x")], Some("KDE's settings"));
    check(&[bus, kde], None);
}

#[test]
fn the_word_is_no_name_and_what_it_reads_may_be_faulty() {
    let fails = |text: &str, environment: &[(&str, &str)], words: &[&str]| {
        let printed = parse(text, environment).unwrap_err();
        for word in words.iter().chain(&["1 error in", "x.toml:"]) {
            assert!(printed.contains(word), "{word} in\n{printed}");
        }
        assert!(!printed.contains("hunter"), "{printed}");
    };
    let section = format!("{LEAST}egress = 'auto'\n[[egress.auto.hop]]\nurl = 'http://a:1'\n");
    fails(
        &section,
        &[],
        &["`auto` cannot be the name of an entry in `egress`"],
    );
    let via = format!("{LEAST}egress = 'a'\n[egress.a]\nvia = ['auto']\n");
    fails(&via, &[], &["no egress with hops has this name"]);
    let near = format!("{LEAST}egress = 'atuo'\n");
    fails(&near, &[], &["direct, env, auto", "did you mean `auto`?"]);
    let asked = format!("{LEAST}egress = 'auto'\n");
    let variable = [("HTTPS_PROXY", "http://u:hunter@a b")];
    fails(
        &asked,
        &variable,
        &["the environment variable HTTPS_PROXY is not the URL"],
    );
}

#[tokio::test]
async fn a_script_and_its_proxies_may_have_an_authority_of_their_own() {
    let cert = dev_certificate(&["localhost", "127.0.0.1"]);
    let far = websocket(None, End::Never).await;
    let tunnel = vec![Act::Head, say(OK), Act::Tunnel(far)];
    let proxy = Script::play(vec![tunnel], Some(cert.acceptor())).await;
    let body = format!(
        "function FindProxyForURL() {{ return 'HTTPS {}'; }}",
        proxy.address
    );
    let length = body.len();
    let page = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    let web = Script::play(vec![vec![Act::Head, say(&page)]], Some(cert.acceptor())).await;
    let desktop = desktop("");
    cert.write_to(desktop.path());
    let probe = |tls: &str| {
        let pac = format!(
            "[egress.corp]\npac = 'https://{}/proxy.pac'\n{tls}\n",
            web.address
        );
        let file = file(&desktop, &format!("{FILE}egress = 'corp'\n{pac}"));
        let file = file.to_str().unwrap();
        let words = [
            "probe",
            "ws://chat.internal",
            "--egress",
            "corp",
            "-c",
            file,
        ];
        let mut command = inside(&desktop, &words);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let output = probe("tls = { ca = 'ca.pem' }").await.unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}");
    assert!(
        out.contains("TLS 1.3, by throughway test authority"),
        "{out}"
    );
    let output = probe("").await.unwrap();
    assert_eq!(output.status.code(), Some(69));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("throughway test authority"), "{err}");
}
