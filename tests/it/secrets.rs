//! What must stay inside: the credentials of an egress (E3), line ends in values (E4), and what
//! came in clear before TLS (E5).

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::backend::echo_backend;
use crate::support::client::{ask, handshake, open};
use crate::support::gateway::{Builder, gateway};
use crate::support::http2::{Http2Proxy, Speaks, Turn};
use crate::support::process::{Process, field, throughway};
use crate::support::proxy::{ASKS_AND_CLOSES, ASKS_AND_STAYS, proxy, proxy_by_turns, say};
use crate::support::script::{Act, Script};
use crate::support::started::{Started, started, started_with, written};

// --- E3 ----------------------------------------------------------------------------------------

/// What an egress knows, and every shape in which it might get out.
struct Known {
    user: &'static str,
    password: &'static str,
}

const NEAR: Known = Known {
    user: "near-user-4711",
    password: "near password \"\u{e4}\" 0815",
};
const FAR: Known = Known {
    user: "far-user-1234",
    password: "far-password-5678",
};

impl Known {
    fn auth(&self) -> String {
        let Self { user, password } = self;
        format!("auth = {{ scheme = \"basic\", user = {user:?}, password = {password:?} }}")
    }

    fn basic(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.user, self.password))
    }

    /// Its parts, as themselves and as a log of JSON or of escapes would write them.
    fn shapes(&self) -> Vec<String> {
        let Self { user, password } = self;
        let plain = [user, password].map(|s| (*s).to_owned());
        let encoded = [user, password].map(|s| STANDARD.encode(s));
        let quoted = [user, password].map(|s| format!("{s:?}").trim_matches('"').to_owned());
        let escaped = [user, password].map(|s| s.escape_default().to_string());
        let bytes = format!("{:?}", password.as_bytes());
        let mut shapes = [plain, encoded, quoted, escaped].concat();
        shapes.extend([self.basic(), bytes]);
        shapes
    }

    #[track_caller]
    fn is_not_in(&self, place: &str, text: &str) {
        for shape in self.shapes() {
            assert!(!text.contains(&shape), "{shape} is in {place}:\n{text}");
        }
    }
}

/// The gateway with everything that a log can say.
fn talkative(builder: Builder) -> Started {
    started_with(builder, &[("THROUGHWAY_LOG", "trace")])
}

fn log_of(gateway: &Process) -> String {
    gateway.log().join("\n")
}

// Clients have sent the credentials of one proxy to the next, and logged them with the request.
#[tokio::test]
async fn e3_credentials_are_in_the_connect_to_their_proxy_and_nowhere_else() {
    for asks in [ASKS_AND_STAYS, ASKS_AND_CLOSES] {
        let backend = echo_backend().await;
        let opens = [
            Act::Head,
            say("HTTP/1.1 200 OK\r\n\r\n"),
            Act::Tunnel(backend.address),
        ];
        let scripts = match asks == ASKS_AND_STAYS {
            true => vec![
                [&[Act::Head, say(asks)][..], &opens].concat(),
                opens.to_vec(),
            ],
            false => vec![vec![Act::Head, say(asks)], opens.to_vec()],
        };
        let proxy = proxy_by_turns(scripts).await;
        let gateway = talkative(
            gateway()
                .via(proxy.address)
                .hop(&NEAR.auth())
                .route("/", "ws://chat.internal"),
        );
        let (mut client, answer) = open(gateway.address, &handshake("/")).await;
        client.send(b"echo").await;
        assert_eq!(client.exactly(4).await, b"echo");
        drop(client);
        gateway.logs(1, "\"session ended\"").await;
        let connects = proxy.heard_in_all().matches(&NEAR.basic()).count();
        assert_eq!(connects, 1, "the proxy got them, once");
        let log = log_of(&gateway);
        assert!(log.contains("\"level\":\"DEBUG\""), "it is talkative");
        NEAR.is_not_in("the log", &log);
        NEAR.is_not_in("the backend", &backend.heard_in_all());
        NEAR.is_not_in("the answer", &answer.head);
    }
}

#[tokio::test]
async fn e3_credentials_told_over_http2_are_in_no_log() {
    let backend = echo_backend().await;
    let asks = vec![("proxy-authenticate", "Basic realm=\"corp\"".to_owned())];
    let turns = vec![
        Turn::Say(407, asks, "who??"),
        Turn::Tunnel(b"", backend.address),
    ];
    let proxy = Http2Proxy::play(Speaks::Http2, turns, Vec::new()).await;
    let hop = format!(
        "[[egress.corp.hop]]\nurl = \"https://{}\"\ntls = {{ ca = \"ca.pem\" }}\n{}",
        proxy.address,
        NEAR.auth()
    );
    let server = ["ws://chat.internal".to_owned()];
    let builder = gateway().route_to("/", &server, "egress = \"corp\"");
    let builder = builder.section(&hop);
    proxy.cert.write_to(builder.dir());
    let gateway = talkative(builder);
    let (mut client, answer) = open(gateway.address, &handshake("/")).await;
    client.send(b"echo").await;
    assert_eq!(client.exactly(4).await, b"echo");
    drop(client);
    gateway.logs(1, "\"session ended\"").await;
    assert!(proxy.requests(0).concat().contains(&NEAR.basic()));
    let log = log_of(&gateway);
    assert!(log.contains("\"target\":\"h2::"), "it is talkative");
    NEAR.is_not_in("the log", &log);
    NEAR.is_not_in("the backend", &backend.heard_in_all());
    NEAR.is_not_in("the answer", &answer.head);
}

#[tokio::test]
async fn e3_credentials_that_were_rejected_are_not_told_on() {
    let again = proxy(vec![
        Act::Head,
        say(ASKS_AND_STAYS),
        Act::Head,
        say(ASKS_AND_STAYS),
        Act::Stall,
    ]);
    let told = failure_through(again.await).await;
    assert!(told.contains("credentials rejected"), "{told}");
}

// Error pages of proxies quote the request that they refuse.
#[tokio::test]
async fn e3_credentials_that_a_proxy_repeats_are_not_told_on() {
    let quote: Act = Act::Answer(Arc::new(|head| {
        let Known { user, password } = NEAR;
        let body = format!("you sent {head} and you are {user} with {password}");
        let length = body.len();
        let basic = NEAR.basic();
        format!(
            "HTTP/1.1 403 No {basic} {user}\r\nX-Reason: {password}\r\nContent-Length: {length}\r\n\
             \r\n{body}"
        )
        .into_bytes()
    }));
    let refuses = proxy(vec![Act::Head, say(ASKS_AND_STAYS), Act::Head, quote]).await;
    let told = failure_through(refuses).await;
    assert!(told.contains("refused: 403"), "{told}");
    // And where it is no reply at all.
    let garbage: Act = Act::Answer(Arc::new(|head| format!("{head}\r\n").into_bytes()));
    let quotes = proxy(vec![Act::Head, say(ASKS_AND_STAYS), Act::Head, garbage]).await;
    failure_through(quotes).await;
}

/// Asks through a proxy that ends in a 502, and returns what the log says of it.
async fn failure_through(proxy: Script) -> String {
    let gateway = talkative(
        gateway()
            .via(proxy.address)
            .hop(&NEAR.auth())
            .route("/", "ws://chat.internal"),
    );
    let answer = ask(gateway.address, &handshake("/").bytes()).await;
    assert_eq!(answer.status, 502);
    let record = gateway.logs(1, "\"request refused\"").await.remove(0);
    assert!(proxy.heard_in_all().contains(&NEAR.basic()));
    NEAR.is_not_in("the log", &log_of(&gateway));
    NEAR.is_not_in("the answer", &format!("{}{}", answer.head, answer.body));
    field(&record, "detail")
}

#[tokio::test]
async fn e3_each_hop_of_a_chain_gets_its_own_credentials_alone() {
    let backend = echo_backend().await;
    let wants = |to| {
        proxy_by_turns(vec![
            vec![Act::Head, say(ASKS_AND_CLOSES)],
            vec![Act::Head, say("HTTP/1.1 200 OK\r\n\r\n"), Act::Tunnel(to)],
        ])
    };
    let far = wants(backend.address).await;
    let near = wants(far.address).await;
    let far_url = format!("http://{}", far.address);
    let builder = gateway()
        .via(near.address)
        .hop(&NEAR.auth())
        .hop(&format!("[[egress.egress0.hop]]\nurl = \"{far_url}\""))
        .hop(&FAR.auth())
        .route("/", "ws://chat.internal");
    let gateway = talkative(builder);
    let (client, answer) = open(gateway.address, &handshake("/")).await;
    drop(client);
    gateway.logs(1, "\"session ended\"").await;
    assert!(near.heard_in_all().contains(&NEAR.basic()));
    assert!(far.heard_in_all().contains(&FAR.basic()));
    NEAR.is_not_in("the far proxy", &far.heard_in_all());
    for n in 0..near.connections() {
        // What follows its own CONNECT is the tunnel, in which the far proxy is told.
        let heard = near.heard(n);
        let own = heard.split_once("\r\n\r\n").unwrap().0;
        FAR.is_not_in("the CONNECT to the near proxy", own);
    }
    for known in [NEAR, FAR] {
        known.is_not_in("the log", &log_of(&gateway));
        known.is_not_in("the backend", &backend.heard_in_all());
        known.is_not_in("the answer", &answer.head);
    }
}

/// What the command says of a configuration, with its exit code.
fn check(path: &Path) -> (i32, String) {
    let output = throughway()
        .args(["check", "-c"])
        .arg(path)
        .env("EGRESS_USER", NEAR.user)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

#[test]
fn e3_check_shows_no_credentials_whether_the_file_is_sound_or_not() {
    let builder = gateway().via("proxy.corp.example:3128").hop(&NEAR.auth());
    let builder = builder.route("/", "ws://chat.internal");
    let path = written(&builder);
    let (code, said) = check(&path);
    assert_eq!(code, 0, "{said}");
    NEAR.is_not_in("the tables", &said);
    // Each breaks the file in another place: near the secret, around it, and its very syntax.
    let breaks: [(&str, &str); 8] = [
        ("scheme = ", "shceme = "),
        ("password = ", "pasword = "),
        ("user = ", "name = "),
        ("\"basic\"", "\"bearer\""),
        ("user = \"near", "user = \"${file:/nowhere/at/all}near"),
        ("user = \"near", "user = \"${env:NOBODY_SET_THIS}near"),
        ("password = ", "password = [1, "),
        ("0815\" }", "0815"),
    ];
    for (from, to) in breaks {
        let toml = builder.toml();
        let broken = toml.replace(from, to);
        assert_ne!(broken, toml, "{from}");
        std::fs::write(&path, broken).unwrap();
        let (code, said) = check(&path);
        assert_eq!(code, 78, "{to}: {said}");
        NEAR.is_not_in("the errors", &said);
    }
}

// --- E4 ----------------------------------------------------------------------------------------

// undici put a header's value on the line as it came, line ends and all.
#[test]
fn e4_a_line_end_in_a_configured_value_is_an_error_of_the_configuration() {
    let sound = r#"version = 1
[[listener]]
name = "public"
bind = ["127.0.0.1:0"]
[[route]]
name = "chat"
match = { host = "chat.test", path = "/chat/*", subprotocols = ["chat.v2"] }
origins = ["https://chat.test"]
strip_prefix = "/chat"
set_headers = { X-Set = "value" }
remove_headers = ["X-Removed"]
backend = "chat"
[backend.chat]
servers = [{ url = "ws://chat.internal:9000/base" }]
egress = "corp"
[egress.corp]
no_proxy = ["localhost.test"]
[[egress.corp.hop]]
url = "http://proxy.test:3128"
auth = { scheme = "basic", user = "usr", password = "pwd" }
"#;
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("throughway.toml");
    let said_of = |toml: &str| {
        std::fs::write(&path, toml).unwrap();
        check(&path)
    };
    assert_eq!(said_of(sound).0, 0);
    let places = [
        "chat.test\", path",
        "/chat/*",
        "chat.v2",
        "https://chat.test",
        "\"/chat\"",
        "value",
        "X-Removed",
        "chat.internal",
        ":9000/base",
        "localhost.test",
        "proxy.test",
        "usr",
        "pwd",
    ];
    for place in places {
        for end in [r"\r\n", r"\n", r"\r"] {
            // Behind the second character, so that it is inside whatever the value is.
            let (head, tail) = place.split_at(2);
            let toml = sound.replacen(place, &format!("{head}{end}X-Evil: 1{tail}"), 1);
            assert_ne!(toml, sound);
            let (code, said) = said_of(&toml);
            assert_eq!(code, 78, "{place} with {end}: {said}");
        }
    }
}

#[tokio::test]
async fn e4_a_line_end_from_a_client_never_gets_onto_a_line() {
    let backend = echo_backend().await;
    let gateway = gateway()
        .route("/", format!("ws://{}", backend.address))
        .run();
    let evil = [
        handshake("/").line("GET /a\rX-Evil: 1 HTTP/1.1"),
        handshake("/").line("GET /a\nX-Evil:1 HTTP/1.1"),
        handshake("/").with("X-Own: a\rX-Evil: 1"),
        handshake("/").with("X-Own: a\nX-Evil: 1"),
        handshake("/").with("X-Own: a\r\n X-Evil: 1"),
        handshake("/").with("Sec-WebSocket-Protocol: chat\rX-Evil: 1"),
        handshake("/").with("Sec-WebSocket-Protocol: chat\n\tX-Evil: 1"),
        handshake("/").with("Origin: https://a.test\rX-Evil: 1"),
        handshake("/").replacing("Host: chat.test\rX-Evil: 1"),
    ];
    for request in evil {
        let answer = ask(gateway.address, &request.bytes()).await;
        assert_eq!(answer.status, 400, "{request:?}");
        assert!(!answer.head.contains("X-Evil"), "{}", answer.head);
    }
    assert_eq!(backend.connections(), 0);
}

// What is encoded stays encoded: decoding is how it would become a line end.
#[tokio::test]
async fn e4_an_encoded_line_end_goes_on_as_it_is() {
    let backend = echo_backend().await;
    let gateway = gateway()
        .route("/*", format!("ws://{}", backend.address))
        .run();
    let path = "/a%0d%0aX-Evil:%201?b=%0D%0AX-Evil:%201";
    open(gateway.address, &handshake(path)).await;
    let heard = backend.heard(0);
    assert!(
        heard.starts_with(&format!("GET {path} HTTP/1.1\r\n")),
        "{heard}"
    );
    assert!(!heard.to_lowercase().contains("\nx-evil"), "{heard}");
}

// --- E5 ----------------------------------------------------------------------------------------

// nginx passed bytes that came before the TLS handshake with a backend on as that backend's data.
#[tokio::test]
async fn e5_bytes_in_clear_before_tls_to_the_backend_are_nobodys_data() {
    let glued = "HTTP/1.1 101 Switching Protocols\r\nX-Injected: 1\r\n\r\ninjected";
    let ok = format!("HTTP/1.1 200 OK\r\n\r\n{glued}");
    let injects = proxy(vec![Act::Head, say(&ok), Act::Stall]).await;
    let gateway = started(
        gateway()
            .via(injects.address)
            .route("/", "wss://chat.internal"),
    );
    let answer = ask(gateway.address, &handshake("/").bytes()).await;
    assert_eq!(answer.status, 502);
    let told = format!("{}{}", answer.head, answer.body).to_lowercase();
    assert!(!told.contains("injected"), "{told}");
    let record = &gateway.logs(1, "\"request refused\"").await[0];
    assert_eq!(field(record, "reason"), "tls");
    let detail = field(record, "detail");
    let sent = format!("sent {} bytes ahead of the TLS handshake", glued.len());
    assert!(detail.contains(&sent), "{detail}");
    // Nothing but the CONNECT went out, and no second attempt.
    assert_eq!(injects.connections(), 1);
    assert!(
        injects.heard(0).ends_with("\r\n\r\n"),
        "{}",
        injects.heard(0)
    );
}
