//! Ways that a PAC script decides: its answers and what becomes of them, scripts that do their
//! worst, scripts that change, and who is told credentials.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use throughway::egress::pac::{Pac, Params, Program, Source, Told, Url};
use throughway::egress::{
    Auth, Backend, Choice, Credentials, Fault, HopTimeouts, Secret, Server, Way,
};
use throughway::policy::auth_for::AuthFor;
use throughway::policy::no_proxy::NoProxy;
use throughway::wire::authority::Host;

use super::servers::nobody;
use crate::support::backend::echo_backend;
use crate::support::dialling::{
    PASSWORD, TOKEN, USER, assert_echoes, backend_by, failed, linked, server, server_at,
    server_inside,
};
use crate::support::proxy::{ASKS_AND_CLOSES, OK, proxy_by_turns, proxy_that_says, say};
use crate::support::script::{Act, Script};

/// A folder with scripts.
struct Home(TempDir);

fn home() -> Home {
    Home(TempDir::new().unwrap())
}

impl Home {
    /// The way that this script decides.
    fn holds(&self, script: &str) -> Params {
        std::fs::write(self.path(), script).unwrap();
        params(Source::File(self.path()))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("proxy.pac")
    }
}

fn params(source: Source) -> Params {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Params {
        name: "corp".to_owned(),
        no_proxy: NoProxy::default(),
        source,
        refresh: Duration::from_secs(600),
        cache: Duration::from_secs(300),
        retry_after: Duration::from_secs(30),
        told: None,
        tls: Arc::new(tls),
        timeouts: HopTimeouts::default(),
        evaluator: Program {
            path: PathBuf::from(env!("CARGO_BIN_EXE_throughway")),
            args: vec!["pac".into()],
            environment: Vec::new(),
        },
    }
}

fn way(params: Params) -> Way {
    Way::Pac(Arc::new(Pac::new(params)))
}

fn by(params: Params) -> Backend {
    backend_by(vec![server_inside()], way(params))
}

/// A script with this body.
fn finds(body: &str) -> String {
    format!("function FindProxyForURL(url, host) {{ {body} }}")
}

fn says(answer: &str) -> String {
    finds(&format!("return '{answer}';"))
}

/// Opens tunnels to an echo.
async fn good() -> (Script, Script) {
    let far = echo_backend().await;
    let proxy = proxy_that_says(OK, far.address).await;
    (proxy, far)
}

async fn goes_by(backend: &Backend, egress: &str) {
    let link = linked(backend).await;
    assert_eq!(link.egress, egress);
    assert_echoes(link).await;
}

fn label(proxy: SocketAddr) -> String {
    format!("corp/http://{proxy}")
}

#[tokio::test]
async fn a_session_goes_by_the_proxy_that_the_script_names() {
    let (proxy, _far) = good().await;
    let home = home();
    let params = home.holds(&says(&format!("PROXY {}", proxy.address)));
    let backend = by(params);
    goes_by(&backend, &label(proxy.address)).await;
    let head = proxy.heard(0);
    assert!(head.starts_with("CONNECT chat.internal:9000 "), "{head}");
}

#[tokio::test]
async fn the_script_learns_scheme_host_and_port_and_nothing_else() {
    let home = home();
    let (proxy, _far) = good().await;
    let body = format!(
        "return url === 'http://chat.internal:9000/' && host === 'chat.internal' \
         ? 'PROXY {}' : 'PROXY told.too.much:1';",
        proxy.address
    );
    let backend = by(home.holds(&finds(&body)));
    goes_by(&backend, &label(proxy.address)).await;
}

#[tokio::test]
async fn a_list_is_tried_in_its_order_and_what_is_known_of_a_proxy_is_shared() {
    let home = home();
    let ((b, _far), dead) = (good().await, nobody().await);
    let body = format!(
        "return host === 'chat.internal' ? 'PROXY {dead}; junk; PROXY {0}; DIRECT' \
         : 'PROXY {0}; PROXY {dead}';",
        b.address
    );
    let way = way(home.holds(&finds(&body)));
    let backend = backend_by(vec![server_inside()], way.clone());
    goes_by(&backend, &label(b.address)).await;
    goes_by(&backend, &label(b.address)).await;
    let other = backend_by(vec![server("other.internal", 1, None)], way);
    goes_by(&other, &label(b.address)).await;
    assert_eq!(b.connections(), 3);
}

#[tokio::test]
async fn direct_is_tried_where_it_stands() {
    let far = echo_backend().await;
    let dead = nobody().await;
    let check = async |answer: String, server: Server, egress: String| {
        let home = home();
        let params = home.holds(&says(&answer));
        let params = Params {
            // The addresses of the tests are loopback, which goes direct by itself.
            no_proxy: NoProxy::parse(&["<-loopback>"]).unwrap(),
            ..params
        };
        goes_by(&backend_by(vec![server], way(params)), &egress).await;
    };
    let direct = || "direct".to_owned();
    check("DIRECT".into(), server_at(far.address), direct()).await;
    check(String::new(), server_at(far.address), direct()).await;
    let last = format!("PROXY {dead}; DIRECT");
    check(last, server_at(far.address), direct()).await;
    let (proxy, _far) = good().await;
    let first = format!("DIRECT; PROXY {}", proxy.address);
    check(first.clone(), server_at(far.address), direct()).await;
    check(first, server_at(dead), label(proxy.address)).await;
}

#[tokio::test]
async fn no_proxy_goes_past_the_script() {
    let far = echo_backend().await;
    let home = home();
    let way = way(Params {
        no_proxy: NoProxy::parse(&[]).unwrap(),
        ..home.holds("for (;;) {}")
    });
    let backend = backend_by(vec![server_at(far.address)], way);
    goes_by(&backend, "direct").await;
}

#[tokio::test]
async fn an_answer_without_a_way_is_an_error_and_never_direct() {
    let home = home();
    for answer in ["SOCKS4 a:1", "junk", "PROXY"] {
        let error = failed(&by(home.holds(&says(answer)))).await;
        assert_eq!((error.fault(), error.reason()), (Fault::Backend, "pac"));
        let text = error.to_string();
        assert!(text.contains("PAC for chat.internal:9000"), "{text}");
        assert!(text.contains(answer), "{text}");
    }
}

/// A session of a script that does `worst` for one server fails soon and says `words`; another of
/// the same script goes its way.
async fn survives(worst: &str, words: &str) {
    let home = home();
    let (proxy, _far) = good().await;
    let body = format!(
        "if (host === 'chat.internal') {{ {worst} }} return 'PROXY {}';",
        proxy.address
    );
    let way = way(home.holds(&finds(&body)));
    let began = Instant::now();
    let error = failed(&backend_by(vec![server_inside()], way.clone())).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{worst}");
    assert!(error.to_string().contains(words), "{worst}: {error}");
    assert_eq!((error.fault(), error.reason()), (Fault::Backend, "pac"));
    let other = backend_by(vec![server("other.internal", 1, None)], way);
    goes_by(&other, &label(proxy.address)).await;
}

#[tokio::test]
async fn an_endless_loop_is_ended() {
    survives("for (;;) {}", "longer than").await;
}

#[tokio::test]
async fn a_regular_expression_without_an_end_is_ended() {
    survives("/^(a+)+$/.test('a'.repeat(40) + 'b');", "longer than").await;
}

#[tokio::test]
async fn a_deep_recursion_is_ended() {
    survives("return FindProxyForURL(url, host);", "stack").await;
    survives("eval('['.repeat(1e6));", "stack").await;
}

#[tokio::test]
async fn a_memory_bomb_is_ended() {
    let bomb = "var a = []; for (;;) a.push('x'.repeat(1e6) + a.length);";
    survives(bomb, "memory").await;
}

#[tokio::test]
async fn a_script_that_throws_or_says_too_much_is_told() {
    survives("throw new Error('broken');", "broken").await;
    survives("return 'PROXY ' + 'x'.repeat(1e6);", "longer than").await;
    survives("return {};", "no string").await;
}

#[tokio::test]
async fn a_script_that_cannot_be_read_is_told_to_each_session() {
    let home = home();
    let backend = by(home.holds("function FindProxyForURL( {"));
    for _ in 0..2 {
        let error = failed(&backend).await.to_string();
        assert!(
            error.contains("proxy.pac") && error.contains("invalid"),
            "{error}"
        );
    }
}

/// An evaluator made of a shell's script.
fn evaluator(script: &str) -> Program {
    Program {
        path: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        environment: Vec::new(),
    }
}

#[tokio::test]
async fn an_evaluator_that_hangs_dies_or_talks_nonsense_is_an_error() {
    let check = async |script: &str, words: &str| {
        let home = home();
        let params = home.holds(&says("DIRECT"));
        let backend = by(Params {
            evaluator: evaluator(script),
            ..params
        });
        let error = failed(&backend).await.to_string();
        assert!(error.contains(words), "{script}: {error}");
    };
    check("exec sleep 60", "in time").await;
    check("exit 1", "ended").await;
    check("read line; kill -9 $$", "ended").await;
    check("echo '{\"said\":7}'; exec sleep 60", "ended").await;
    check("exec yes", "ended").await;
    check("exec cat /dev/zero", "ended").await;
}

#[tokio::test]
async fn an_evaluator_that_was_killed_is_started_anew() {
    let (proxy, _far) = good().await;
    let home = home();
    let params = home.holds(&says(&format!("PROXY {}", proxy.address)));
    let counted = home.0.path().join("started");
    // Answers the script and one question, and is gone.
    let script = format!(
        "echo x >> {}; read l; echo '{{\"said\":\"\"}}'; read l; \
         echo '{{\"said\":\"PROXY {}\"}}'",
        counted.display(),
        proxy.address
    );
    let way = way(Params {
        evaluator: evaluator(&script),
        ..params
    });
    for name in ["a.internal", "b.internal", "c.internal"] {
        let backend = backend_by(vec![server(name, 1, None)], way.clone());
        goes_by(&backend, &label(proxy.address)).await;
    }
    assert_eq!(std::fs::read_to_string(counted).unwrap(), "x\nx\nx\n");
}

#[tokio::test]
async fn an_answer_holds_for_a_while() {
    let home = home();
    let ((a, _x), (b, _y)) = (good().await, good().await);
    let turns = format!(
        "var n = 0; {}",
        finds(&format!(
            "return n++ === 0 ? 'PROXY {}' : 'PROXY {}';",
            a.address, b.address
        ))
    );
    let kept = by(home.holds(&turns));
    goes_by(&kept, &label(a.address)).await;
    goes_by(&kept, &label(a.address)).await;
    let asked_anew = by(Params {
        cache: Duration::ZERO,
        ..home.holds(&turns)
    });
    goes_by(&asked_anew, &label(a.address)).await;
    goes_by(&asked_anew, &label(b.address)).await;
}

#[tokio::test]
async fn the_last_good_answer_stands_in_for_one_that_fails() {
    let home = home();
    let (a, _far) = good().await;
    let once = format!(
        "var n = 0; {}",
        finds(&format!(
            "if (n++) throw new Error('tired'); return 'PROXY {}';",
            a.address
        ))
    );
    let backend = by(Params {
        cache: Duration::ZERO,
        ..home.holds(&once)
    });
    for _ in 0..3 {
        goes_by(&backend, &label(a.address)).await;
    }
}

#[tokio::test]
async fn a_file_that_changed_is_read_again_and_one_that_broke_is_not_taken() {
    let ((a, _x), (b, _y)) = (good().await, good().await);
    let home = home();
    let params = home.holds(&says(&format!("PROXY {}", a.address)));
    let path = home.path();
    let backend = by(Params {
        refresh: Duration::ZERO,
        ..params
    });
    goes_by(&backend, &label(a.address)).await;
    std::fs::write(&path, "function (").unwrap();
    goes_by(&backend, &label(a.address)).await;
    std::fs::remove_file(&path).unwrap();
    goes_by(&backend, &label(a.address)).await;
    std::fs::write(&path, says(&format!("PROXY {}", b.address))).unwrap();
    goes_by(&backend, &label(b.address)).await;
}

fn served(at: SocketAddr) -> Params {
    params(Source::Url(Url {
        text: format!("http://{at}/proxy.pac"),
        host: Host::Ip(at.ip()),
        port: at.port(),
        tls: None,
        path: "/proxy.pac".to_owned(),
        host_header: at.to_string(),
    }))
}

fn page(head: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    let text = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {length}\r\n\r\n{body}");
    vec![Act::Head, say(&text)]
}

#[tokio::test]
async fn a_script_is_fetched_and_asked_for_again_by_its_mark() {
    let ((a, _x), (b, _y)) = (good().await, good().await);
    let (first, second) = (
        says(&format!("PROXY {}", a.address)),
        says(&format!("PROXY {}", b.address)),
    );
    let web = Script::play(
        vec![
            page("ETag: \"one\"\r\nLast-Modified: some day\r\n", &first),
            vec![Act::Head, say("HTTP/1.1 304 Not Modified\r\n\r\n")],
            page("", &second),
        ],
        None,
    )
    .await;
    let backend = by(Params {
        refresh: Duration::ZERO,
        ..served(web.address)
    });
    goes_by(&backend, &label(a.address)).await;
    goes_by(&backend, &label(a.address)).await;
    goes_by(&backend, &label(b.address)).await;
    let heads = [web.heard(0), web.heard(1)].map(|head| head.to_lowercase());
    assert!(
        heads[0].starts_with("get /proxy.pac http/1.1\r\n"),
        "{heads:?}"
    );
    assert!(!heads[0].contains("if-none-match"), "{heads:?}");
    assert!(heads[1].contains("if-none-match: \"one\"\r\n"), "{heads:?}");
    assert!(
        heads[1].contains("if-modified-since: some day\r\n"),
        "{heads:?}"
    );
}

#[tokio::test]
async fn what_is_no_script_is_not_taken_and_the_last_good_one_is_kept() {
    let (a, _far) = good().await;
    let script = says(&format!("PROXY {}", a.address));
    let bad: Vec<Vec<Act>> = vec![
        vec![
            Act::Head,
            say("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"),
        ],
        vec![
            Act::Head,
            say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        ],
        vec![Act::Head, say("SSH-2.0-x\r\n")],
        vec![Act::Head],
        vec![
            Act::Head,
            say("HTTP/1.1 200 OK\r\n\r\n"),
            Act::Repeat(vec![b' '; 65536]),
        ],
        vec![
            Act::Head,
            Act::Repeat(b"HTTP/1.1 103 Wait\r\n\r\n".to_vec()),
        ],
    ];
    for acts in bad {
        let alone = Script::play(vec![acts.clone()], None).await;
        let error = failed(&by(served(alone.address))).await.to_string();
        assert!(error.contains("/proxy.pac: "), "{error}");
        let web = Script::play(vec![page("", &script), acts], None).await;
        let backend = by(Params {
            refresh: Duration::ZERO,
            ..served(web.address)
        });
        goes_by(&backend, &label(a.address)).await;
        goes_by(&backend, &label(a.address)).await;
        assert_eq!(web.connections(), 2, "{error}");
    }
}

fn told(proxy: &str) -> Option<Told> {
    let mut only = AuthFor::default();
    assert!(only.add(proxy));
    Some(Told {
        credentials: Credentials {
            user: Secret::new(USER.to_owned()),
            password: Secret::new(PASSWORD.to_owned()),
        },
        auth: Auth::by(Choice::Auto),
        only,
    })
}

#[tokio::test]
async fn only_a_listed_proxy_is_told_credentials() {
    let home = home();
    let far = echo_backend().await;
    let asks = || async {
        let asked = vec![Act::Head, say(ASKS_AND_CLOSES)];
        let told = vec![Act::Head, say(OK), Act::Tunnel(far.address)];
        proxy_by_turns(vec![asked, told]).await
    };
    let (listed, other) = (asks().await, asks().await);
    let check = |at: SocketAddr| {
        by(Params {
            told: told(&listed.address.to_string()),
            ..home.holds(&says(&format!("PROXY {at}")))
        })
    };
    goes_by(&check(listed.address), &label(listed.address)).await;
    assert!(listed.heard_in_all().contains(TOKEN));
    let error = failed(&check(other.address)).await;
    assert_eq!(error.reason(), "proxy_auth");
    assert!(!other.heard_in_all().contains("Proxy-Authorization"));
}

#[tokio::test]
async fn many_sessions_at_once_ask_once() {
    let home = home();
    let (proxy, _far) = good().await;
    let body = format!(
        "if (n++) throw new Error('asked twice'); return 'PROXY {}';",
        proxy.address
    );
    let backend = Arc::new(by(home.holds(&format!("var n = 0; {}", finds(&body)))));
    let sessions = (0..20).map(|_| {
        let (backend, proxy) = (backend.clone(), label(proxy.address));
        tokio::spawn(async move { goes_by(&backend, &proxy).await })
    });
    for session in sessions.collect::<Vec<_>>() {
        session.await.unwrap();
    }
}
