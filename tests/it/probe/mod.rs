//! `throughway probe` as a process, against backends and proxies that do what they should, and
//! what they should not. Its sentences are checked word for word.

mod answers;
mod failures;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::backend::{answer, backend};
use crate::support::certs::{DevCert, dev_certificate};
use crate::support::dialling::{PASSWORD, TOKEN};
use crate::support::http2::{Http2Proxy, Speaks, Turn};
use crate::support::process::throughway;
use crate::support::proxy::{
    ASKS_AND_CLOSES, ASKS_AND_STAYS, OK, proxy_by_turns, proxy_that_refuses, proxy_that_says, say,
};
use crate::support::script::{Act, Script};
use crate::support::websocket::{End, websocket};

/// The password as a URL has it.
const PASSWORD_IN_URL: &str = "open%20sesame";

/// What a probe said and how it ended.
struct Probed {
    code: i32,
    out: String,
    err: String,
}

impl Probed {
    /// The lines of the steps: mark and label.
    fn marks(&self) -> Vec<String> {
        let lines = self.out.lines().filter_map(|line| line.strip_prefix("  "));
        let steps = lines.filter(|line| line.starts_with(['✓', '✗', '!']));
        let label = |line: &str| line.split("  ").next().unwrap().to_owned();
        steps.map(label).collect()
    }

    /// Cause and remedy of the step that failed.
    fn advice(&self) -> (String, String) {
        let lines = self
            .out
            .lines()
            .filter_map(|line| line.strip_prefix("      "));
        let lines: Vec<&str> = lines.collect();
        let [cause, remedy] = lines.as_slice() else {
            panic!("not one piece of advice: {}", self.out);
        };
        (
            (*cause).to_owned(),
            remedy.strip_prefix("→ ").unwrap().to_owned(),
        )
    }

    fn assert_says(&self, code: i32, cause: &str, remedy: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert_eq!(self.advice(), (cause.to_owned(), remedy.to_owned()));
    }
}

/// Runs the program; whatever it says holds no secret and nothing that a terminal obeys.
async fn probe(words: &[&str]) -> Probed {
    probe_with(words, &[]).await
}

async fn probe_with(words: &[&str], env: &[(&str, &Path)]) -> Probed {
    let mut command = throughway();
    command.arg("probe").args(words).envs(env.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let probed = Probed {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    let all = format!("{}{}", probed.out, probed.err);
    for secret in [PASSWORD, PASSWORD_IN_URL, TOKEN] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    assert!(!all.contains(['\x1b', '\r', '⠋']), "{all:?}");
    probed
}

/// A plain backend that answers each request so, and closes.
async fn answers(head: &str) -> String {
    let head = head.to_owned();
    let script = backend(vec![Act::Head, answer(move |_| head.clone())]).await;
    format!("ws://{}/chat", script.address)
}

fn proxy_url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn known_url(address: SocketAddr) -> String {
    format!("http://alice:{PASSWORD_IN_URL}@{address}")
}

/// A configuration file with these sections besides what each must have.
fn file(sections: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("throughway.toml");
    let least = "version = 1\n[[listener]]\nname = \"l\"\nbind = [\"127.0.0.1:0\"]\n\
                 [[route]]\nname = \"r\"\nbackend = \"feed\"\n";
    std::fs::write(&path, format!("{least}{sections}")).unwrap();
    (dir, path)
}

fn certificate() -> DevCert {
    dev_certificate(&["chat.internal", "127.0.0.1"])
}

/// The one that the machine knows, which signed nothing.
pub(crate) fn another_authority() -> tempfile::NamedTempFile {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let name = &mut params.distinguished_name;
    name.push(rcgen::DnType::CommonName, "another authority");
    let pem = params.self_signed(&key).unwrap().pem();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    file
}

// --- what goes well -----------------------------------------------------------------------------

#[tokio::test]
async fn a_straight_way_is_climbed_to_the_ping() {
    let address = websocket(None, End::Never).await;
    let url = format!("ws://{address}/chat?room=1");
    let probed = probe(&[&url, "--subprotocol", "chat.v2", "--subprotocol", "b"]).await;
    assert_eq!(probed.code, 0, "{}{}", probed.out, probed.err);
    let first = probed.out.lines().next().unwrap();
    assert_eq!(first, format!("{url}  direct: no proxy was named"));
    let tcp = format!("✓ TCP to {address}");
    assert_eq!(probed.marks(), [&tcp, "✓ WebSocket handshake", "✓ ping"]);
    assert!(
        probed.out.contains("101, subprotocol chat.v2"),
        "{}",
        probed.out
    );
    assert_eq!(probed.err, "");
}

#[tokio::test]
async fn a_proxy_that_asks_is_told_and_the_ladder_says_by_what() {
    let far = websocket(None, End::Never).await;
    for closes in [false, true] {
        let tunnel = [Act::Head, say(OK), Act::Tunnel(far)];
        let scripts = match closes {
            true => vec![vec![Act::Head, say(ASKS_AND_CLOSES)], tunnel.to_vec()],
            false => vec![[vec![Act::Head, say(ASKS_AND_STAYS)], tunnel.to_vec()].concat()],
        };
        let proxy = proxy_by_turns(scripts).await;
        let probed = probe(&[
            "ws://chat.internal:9000",
            "--proxy",
            &known_url(proxy.address),
        ])
        .await;
        assert_eq!(probed.code, 0, "{}{}", probed.out, probed.err);
        assert!(proxy.heard_in_all().contains(TOKEN));
        let said = match closes {
            true => ["407, offers Basic, connects anew", "200 to Basic"].as_slice(),
            false => &["407, offers Basic, 200 to Basic"],
        };
        for said in said {
            assert!(probed.out.contains(said), "{}", probed.out);
        }
        assert!(probed.out.contains("! the command line shows the password"));
        let way = "ws://chat.internal:9000  through --proxy of the command line";
        assert_eq!(probed.out.lines().next().unwrap(), way);
    }
}

#[tokio::test]
async fn hops_are_passed_in_order_and_tls_to_the_proxy_and_to_the_backend_is_told() {
    let cert = certificate();
    let far = websocket(Some(cert.acceptor()), End::Never).await;
    let second = proxy_that_says(OK, far).await;
    let script = vec![Act::Head, say(OK), Act::Tunnel(second.address)];
    let first = Script::play(vec![script], Some(cert.acceptor())).await;
    let (dir, file) = file(&format!(
        "[backend.feed]\nservers = [{{ url = \"wss://chat.internal:443\" }}]\n\
         tls = {{ ca = \"ca.pem\" }}\negress = \"corp\"\n[egress.corp]\n\
         [[egress.corp.hop]]\nurl = \"https://{}\"\ntls = {{ ca = \"ca.pem\" }}\n\
         [[egress.corp.hop]]\nurl = \"http://proxy-b.internal:3128\"\n",
        first.address
    ));
    cert.write_to(dir.path());
    let file = file.to_str().unwrap();
    let probed = probe(&["wss://chat.internal/stream", "-c", file]).await;
    assert_eq!(probed.code, 0, "{}{}", probed.out, probed.err);
    let way = format!("wss://chat.internal/stream  through egress corp of {file}");
    assert_eq!(probed.out.lines().next().unwrap(), way);
    assert_eq!(
        probed.marks(),
        [
            format!("✓ TCP to {}", first.address),
            format!("✓ TLS to {}", first.address),
            "✓ CONNECT proxy-b.internal:3128".to_owned(),
            "✓ CONNECT chat.internal:443".to_owned(),
            "✓ TLS to chat.internal".to_owned(),
            "✓ WebSocket handshake".to_owned(),
            "✓ ping".to_owned(),
        ]
    );
    let tls = probed.out.matches("TLS 1.3, by throughway test authority");
    assert_eq!(tls.count(), 2, "{}", probed.out);
}

#[tokio::test]
async fn connect_tells_the_http_that_the_proxy_chose() {
    let far = websocket(None, End::Never).await;
    let turns = vec![Turn::Tunnel(b"", far)];
    let acts = vec![Act::Head, say(OK), Act::Tunnel(far)];
    let proxy = Http2Proxy::play(Speaks::Both, turns, acts).await;
    for (http, remark) in [("auto", "HTTP/2, 200"), ("1.1", "HTTP/1.1, 200")] {
        let (dir, file) = file(&format!(
            "[backend.feed]\nservers = [{{ url = \"ws://chat.internal:80\" }}]\negress = \"corp\"\n\
             [[egress.corp.hop]]\nurl = \"https://{}\"\nhttp = \"{http}\"\n\
             tls = {{ ca = \"ca.pem\" }}\n",
            proxy.address
        ));
        proxy.cert.write_to(dir.path());
        let words = ["ws://chat.internal/", "-c", file.to_str().unwrap()];
        let probed = probe(&words).await;
        assert_eq!(probed.code, 0, "{}{}", probed.out, probed.err);
        let line = probed
            .out
            .lines()
            .find(|line| line.contains("CONNECT"))
            .unwrap();
        assert!(line.contains(&format!("  {remark}  ")), "{line}");
        let probed = probe(&[&words[..], &["--json"]].concat()).await;
        let steps = probed
            .out
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap());
        let told: Vec<_> = steps.filter(|step| step["step"] == "tunnel").collect();
        assert_eq!(told[0]["http"], remark[5..].trim_end_matches(", 200"));
    }
}

#[tokio::test]
async fn the_way_says_when_no_proxy_of_the_file_leads_past_the_proxy() {
    let far = websocket(None, End::Never).await;
    let (_dir, file) = file(&format!(
        "[backend.feed]\nservers = [{{ url = \"ws://{far}\" }}]\n\
         [[egress.corp.hop]]\nurl = \"http://proxy.corp.example:3128\"\n"
    ));
    let (url, file) = (format!("ws://{far}"), file.to_str().unwrap());
    let probed = probe(&[&url, "-c", file, "--egress", "corp"]).await;
    let way = format!("{url}  direct: no_proxy of egress corp of {file} lets it");
    assert_eq!(probed.out.lines().next().unwrap(), way);
    assert_eq!(probed.code, 0);
    let probed = probe(&[&url, "-c", file]).await;
    let way = format!("{url}  direct, as backend feed of {file}");
    assert_eq!(probed.out.lines().next().unwrap(), way);
}

#[tokio::test]
async fn the_way_of_the_environment_names_its_variable() {
    let far = websocket(None, End::Never).await;
    let proxy = proxy_that_says(OK, far).await;
    let proxy = known_url(proxy.address);
    let words = ["ws://chat.internal:9000", "--egress", "env"];
    let probed = probe_with(&words, &[("http_proxy", Path::new(&proxy))]).await;
    assert_eq!(probed.code, 0, "{}{}", probed.out, probed.err);
    let way = "ws://chat.internal:9000  through http_proxy of the environment";
    assert_eq!(probed.out.lines().next().unwrap(), way);
}

#[tokio::test]
async fn each_of_several_chains_that_is_tried_is_named() {
    let far = websocket(None, End::Never).await;
    let refusing = proxy_that_refuses("").await;
    let good = proxy_that_says(OK, far).await;
    let (_dir, file) = file(&format!(
        "[backend.feed]\nservers = [{{ url = \"ws://chat.internal:9000\" }}]\negress = \"corp\"\n\
         [egress.corp]\nvia = [\"a\", \"b\"]\n\
         [[egress.a.hop]]\nurl = \"http://{}\"\n[[egress.b.hop]]\nurl = \"http://{}\"\n",
        refusing.address, good.address
    ));
    let probed = probe(&["ws://chat.internal:9000", "-c", file.to_str().unwrap()]).await;
    assert_eq!(
        (probed.code, probed.err.as_str()),
        (0, ""),
        "{}",
        probed.out
    );
    let lines: Vec<&str> = probed.out.lines().map(str::trim).collect();
    let (first, second) = ("· by corp/a", "· by corp/b");
    let at = |line: &str| lines.iter().position(|l| *l == line).unwrap();
    assert!(at(first) < at(second), "{}", probed.out);
    let asked = "CONNECT chat.internal:9000".to_owned();
    let marks = probed.marks();
    assert_eq!(
        (&marks[1], &marks[3]),
        (&format!("✗ {asked}"), &format!("✓ {asked}"))
    );
}

#[tokio::test]
async fn an_authority_that_is_named_is_trusted_at_the_proxy_and_at_the_backend() {
    let theirs = certificate();
    let dir = TempDir::new().unwrap();
    let ca = theirs.write_to(dir.path()).ca;
    let known = another_authority();
    let env = [("SSL_CERT_FILE", known.path())];
    let far = websocket(Some(theirs.acceptor()), End::Never).await;
    let tunnel = vec![Act::Head, say(OK), Act::Tunnel(far)];
    let proxy = Script::play(vec![tunnel], Some(theirs.acceptor())).await;
    let proxy = format!("https://{}", proxy.address);
    let words = ["wss://chat.internal", "--proxy", &proxy, "--ca"];
    let probed = probe_with(&[&words[..], &[ca.to_str().unwrap()]].concat(), &env).await;
    assert_eq!(probed.code, 0, "{}{}", probed.out, probed.err);
    let trusted = "TLS 1.3, by throughway test authority";
    assert_eq!(probed.out.matches(trusted).count(), 2, "{}", probed.out);
}

// --- what is typed wrong ------------------------------------------------------------------------

#[tokio::test]
async fn what_is_typed_wrong_dials_nobody() {
    let check = async |words: &[&str], code: i32, expected: &str| {
        let probed = probe(words).await;
        assert_eq!((probed.code, probed.out.as_str()), (code, ""));
        assert!(probed.err.contains(expected), "{}", probed.err);
    };
    check(&["http://a.test"], 2, "did you mean ws://?").await;
    check(
        &["ws://alice:open%20sesame@a.test"],
        2,
        "a user or a password",
    )
    .await;
    check(
        &["ws://a.test", "--origin", "a.test"],
        2,
        "--origin: expected",
    )
    .await;
    check(
        &["ws://a.test", "--subprotocol", "a b"],
        2,
        "--subprotocol: ",
    )
    .await;
    let unfit = "http://alice:open%20sesame@a:1";
    check(&["ws://a.test", unfit], 2, "stands behind --proxy").await;
    let unfit = "alice:open%20sesame@a:1";
    check(&["ws://a.test", "--proxy", unfit], 2, "it has no scheme").await;
    let unfit = "gopher://alice:open%20sesame@a:1";
    check(&["ws://a.test", "--proxy", unfit], 78, "command line").await;
    let idle = ["ws://a.test", "--ca", "ca.pem"];
    check(&idle, 2, "--ca: neither the backend nor a --proxy").await;
    let absent = ["wss://a.test", "--ca", "no-such.pem"];
    check(&absent, 78, "/no-such.pem\" }  # --ca").await;
    let (_dir, file) = file("[backend.feed]\nservers = [{ url = \"ws://a.test\" }]\n");
    let file = file.to_str().unwrap();
    let words = ["ws://a.test", "-c", file, "--egress", "corp"];
    check(&words, 78, "egress = \"corp\"  # --egress").await;
}

// --- silence ------------------------------------------------------------------------------------

#[tokio::test]
async fn silence_is_told_with_when_and_how_it_was_cut() {
    let soon = Duration::from_millis(300);
    for (end, how) in [
        (End::Close(soon), "Close frame, code 1001"),
        (End::Fin(soon), "FIN"),
        (End::Reset(soon), "RST"),
    ] {
        let address = websocket(None, end).await;
        let probed = probe(&[&format!("ws://{address}"), "--idle"]).await;
        assert_eq!(
            (probed.code, probed.err.as_str()),
            (0, ""),
            "{}",
            probed.out
        );
        assert_eq!(probed.marks().last().unwrap(), "! idle");
        assert!(
            probed.out.contains(&format!(" ms by {how}")),
            "{}",
            probed.out
        );
        assert!(
            probed
                .advice()
                .1
                .starts_with("send pings more often than every ")
        );
    }
    let address = websocket(None, End::Never).await;
    let probed = probe(&[&format!("ws://{address}"), "--idle=300ms"]).await;
    assert_eq!(probed.code, 0);
    assert_eq!(probed.marks().last().unwrap(), "✓ idle");
    assert!(probed.out.contains("still open after 30"), "{}", probed.out);
}

// --- for programs -------------------------------------------------------------------------------

#[tokio::test]
async fn json_is_an_object_a_line_with_a_reason_at_the_end() {
    let far = websocket(None, End::Fin(Duration::from_millis(300))).await;
    let proxy = proxy_that_says(OK, far).await;
    let proxy = known_url(proxy.address);
    let words = [
        "ws://chat.internal:9000",
        "--proxy",
        &proxy,
        "--json",
        "--idle",
    ];
    let probed = probe(&words).await;
    let lines: Vec<Value> = probed
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["step"].as_str())
        .collect();
    assert_eq!(steps, ["connect", "tunnel", "upgrade", "ping", "idle"]);
    assert_eq!(lines[0]["event"], "way");
    assert_eq!(lines[0]["source"], "command_line");
    assert_eq!(lines[2]["statuses"], serde_json::json!([200]));
    assert_eq!(lines[5]["cut"], "fin");
    let end = lines.last().unwrap();
    assert_eq!(
        (end["event"].as_str(), end["reason"].as_str()),
        (Some("end"), Some("idle_cut"))
    );
    assert_eq!(
        (end["ok"].as_bool(), end["exit"].as_u64()),
        (Some(true), Some(0))
    );

    let refusing = proxy_that_refuses("HTTP/1.1 403 Forbidden\r\nVia: \x1b[1m\r\n\r\n").await;
    let proxy = known_url(refusing.address);
    let probed = probe(&["ws://chat.internal:9000", "--proxy", &proxy, "--json"]).await;
    let end: Value = serde_json::from_str(probed.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (end["reason"].as_str(), end["exit"].as_u64()),
        (Some("proxy_refused"), Some(77))
    );
    assert_eq!((end["ok"].as_bool(), probed.code), (Some(false), 77));
    assert!(
        end["error"]
            .as_str()
            .unwrap()
            .contains("CONNECT chat.internal:9000 refused: 403")
    );
}
