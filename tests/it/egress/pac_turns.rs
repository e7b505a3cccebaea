//! Sessions that wait for one PAC script: who asks, who hears what another asked, and how long
//! anybody waits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use throughway::egress::pac::{Pac, Params, Program, Source, Url};
use throughway::egress::{Backend, HopTimeouts, Timeouts, Way};
use throughway::net::tls;
use throughway::policy::no_proxy::NoProxy;
use throughway::wire::authority::Host;
use tokio::task::yield_now;

use crate::support::backend::echo_backend;
use crate::support::dialling::{assert_echoes, backend_by, failed, linked, server};
use crate::support::eventually;
use crate::support::proxy::{OK, proxy_that_says, say};
use crate::support::script::{Act, Script};

/// A folder with a script and what its evaluator leaves there.
struct Home(TempDir);

fn home() -> Home {
    let home = Home(TempDir::new().unwrap());
    std::fs::write(home.path("proxy.pac"), "").unwrap();
    home
}

impl Home {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The way of an evaluator that is a shell's script, which runs in this folder.
    fn way(&self, shell: &str) -> Params {
        let script = format!("cd {}; {shell}", self.0.path().display());
        params(
            Source::File(self.path("proxy.pac")),
            Program {
                path: "/bin/sh".into(),
                args: vec!["-c".into(), script.into()],
                environment: Vec::new(),
            },
        )
    }

    /// How many questions came.
    fn asked(&self) -> usize {
        let asked = std::fs::read_to_string(self.path("asked"));
        asked.unwrap_or_default().lines().count()
    }
}

fn params(source: Source, evaluator: Program) -> Params {
    Params {
        name: "corp".to_owned(),
        no_proxy: NoProxy::default(),
        source,
        refresh: Duration::from_secs(600),
        cache: Duration::from_secs(300),
        retry_after: Duration::from_secs(30),
        told: None,
        tls: tls::client(rustls::RootCertStore::empty(), None).unwrap(),
        timeouts: HopTimeouts::default(),
        evaluator,
    }
}

fn way(params: Params) -> Way {
    Way::Pac(Arc::new(Pac::new(params)))
}

fn to(host: &str, way: &Way) -> Backend {
    backend_by(vec![server(host, 9000, None)], way.clone())
}

async fn good() -> (Script, Script) {
    let far = echo_backend().await;
    (proxy_that_says(OK, far.address).await, far)
}

#[tokio::test]
async fn whose_question_is_answered_does_not_wait_for_those_of_others() {
    let (proxy, _far) = good().await;
    let home = home();
    // Takes the script and answers the first question when it is let; the second one never.
    let shell = format!(
        "mkfifo go; read l; echo '{{\"said\":\"\"}}'; read l; echo x >> asked; read go < go; \
         echo '{{\"said\":\"PROXY {}\"}}'; read l; echo x >> asked; exec sleep 60",
        proxy.address
    );
    let way = way(home.way(&shell));
    let dial = |host: &str| {
        let backend = to(host, &way);
        tokio::spawn(async move { assert_echoes(linked(&backend).await).await })
    };
    let first = dial("a.internal");
    eventually("it is asked", || home.asked() == 1).await;
    let other = dial("b.internal");
    // Nothing that the second one waits for needs more than a few turns of this thread.
    for _ in 0..100 {
        yield_now().await;
    }
    let same = dial("a.internal");
    for _ in 0..100 {
        yield_now().await;
    }
    let go = home.path("go");
    let let_go = tokio::task::spawn_blocking(move || std::fs::write(go, "go\n"));
    let_go.await.unwrap().unwrap();
    first.await.unwrap();
    same.await.unwrap();
    assert!(!other.is_finished(), "the script still has its question");
    other.abort();
}

#[tokio::test]
async fn nobody_waits_for_his_turn_without_an_end() {
    let home = home();
    // Takes the script, and answers no question.
    let way =
        way(home.way("read l; echo '{\"said\":\"\"}'; read l; echo x >> asked; exec sleep 60"));
    let fails = |host: &str| {
        let backend = to(host, &way);
        tokio::spawn(async move { failed(&backend).await.to_string() })
    };
    let first = fails("a.internal");
    eventually("it is asked", || home.asked() == 1).await;
    let others = ["b.internal", "c.internal", "d.internal"].map(fails);
    for _ in 0..100 {
        yield_now().await;
    }
    // All that is waited for now are deadlines.
    tokio::time::pause();
    let error = first.await.unwrap();
    assert!(error.contains("did not answer in time"), "{error}");
    let mut errors = Vec::new();
    for other in others {
        errors.push(other.await.unwrap());
    }
    let busy = errors.iter().filter(|e| e.contains("no turn came in time"));
    assert!(busy.count() >= 1, "{errors:#?}");
}

#[tokio::test]
async fn a_session_that_ran_out_of_time_leaves_no_mark_on_the_script() {
    let (proxy, _far) = good().await;
    let home = home();
    // Hangs the first time that it is asked about `a`.
    let shell = format!(
        "read l; echo '{{\"said\":\"\"}}'; while read l; do case $l in *a.internal*) \
         [ -e again ] || {{ touch again; exec sleep 60; }};; esac; \
         echo '{{\"said\":\"PROXY {}\"}}'; done",
        proxy.address
    );
    let way = way(home.way(&shell));
    assert_echoes(linked(&to("b.internal", &way)).await).await;
    let short = Backend {
        timeouts: Timeouts {
            total: Duration::from_millis(500),
            ..Timeouts::default()
        },
        ..to("a.internal", &way)
    };
    let error = failed(&short).await.to_string();
    assert!(error.contains("no time was left for the script"), "{error}");
    assert_echoes(linked(&to("a.internal", &way)).await).await;
}

/// The script's server says it once, and then nothing.
async fn stalling(proxy: &Script) -> Script {
    let body = format!(
        "function FindProxyForURL() {{ return 'PROXY {}'; }}",
        proxy.address
    );
    let length = body.len();
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    let turns = vec![vec![Act::Head, say(&text)], vec![Act::Head, Act::Stall]];
    Script::play(turns, None).await
}

#[tokio::test]
async fn a_server_that_stalls_holds_one_session_and_that_not_for_long() {
    let (proxy, _far) = good().await;
    let web = stalling(&proxy).await;
    let source = Source::Url(Url {
        text: format!("http://{}/proxy.pac", web.address),
        host: Host::Ip(web.address.ip()),
        port: web.address.port(),
        tls: None,
        path: "/proxy.pac".to_owned(),
        host_header: web.address.to_string(),
    });
    let evaluator = Program {
        path: PathBuf::from(env!("CARGO_BIN_EXE_throughway")),
        args: vec!["pac".into()],
        environment: Vec::new(),
    };
    let long = Duration::from_secs(60);
    let way = way(Params {
        refresh: Duration::from_millis(1),
        timeouts: HopTimeouts {
            reply: long,
            ..HopTimeouts::default()
        },
        ..params(source, evaluator)
    });
    let backend = || Backend {
        timeouts: Timeouts {
            total: Duration::from_secs(15),
            ..Timeouts::default()
        },
        ..to("a.internal", &way)
    };
    assert_echoes(linked(&backend()).await).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    let held = backend();
    let held = tokio::spawn(async move { assert_echoes(linked(&held).await).await });
    eventually("it is looked at again", || web.connections() == 2).await;
    assert_echoes(linked(&backend()).await).await;
    assert!(!held.is_finished(), "it still looks");
    held.await.unwrap();
}
