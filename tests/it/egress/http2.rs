//! CONNECT over HTTP/2: the same dialogue as over HTTP/1.1, by streams instead of connections, and
//! HTTP/1.1 where HTTP/2 cannot be.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use h2::Reason;
use throughway::egress::{Backend, Choice, Fault, Hop, Http, Scheme, Versions};

use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::certs::dev_certificate;
use crate::support::dialling::{
    PASSWORD, TOKEN, USER, assert_echoes, by, failed, hop, hop_by, known_at, linked,
};
use crate::support::digest::lock;
use crate::support::http2::{Http2Proxy, Speaks, Turn};
use crate::support::ntlm::{Verifier, binding};
use crate::support::proxy::{OK, proxy_that_says, say};
use crate::support::script::{Act, Script};

/// A proxy of HTTP/2 alone.
async fn proxy(turns: Vec<Turn>) -> Http2Proxy {
    Http2Proxy::play(Speaks::Http2, turns, Vec::new()).await
}

fn tunnel(to: &Script) -> Turn {
    Turn::Tunnel(b"", to.address)
}

fn asks(challenge: &str) -> Turn {
    let headers = vec![("proxy-authenticate", challenge.to_owned())];
    Turn::Say(407, headers, "who??")
}

/// The server inside, by this hop in this HTTP.
fn by_in(http: Http, hop: Hop) -> Backend {
    let versions = Versions::by(http);
    by(vec![Hop { versions, ..hop }])
}

/// How the error of a dial by this hop ends.
async fn refuses(turn: Turn, expected: &str, reason: &str) {
    let proxy = proxy(vec![turn]).await;
    let error = failed(&by(vec![proxy.hop()])).await;
    let expected = format!(
        "hop 1 of 1 (https {}): CONNECT chat.internal:9000{expected}",
        proxy.address
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!((error.reason(), error.fault()), (reason, Fault::Hop(1)));
    assert!(error.retry_safe() && !error.timed_out());
    assert_eq!(proxy.agreed().len(), 1, "{expected} was tried again");
}

#[tokio::test]
async fn connect_is_a_stream_and_says_nothing_of_a_connection() {
    let backend = echo_backend().await;
    let proxy = proxy(vec![tunnel(&backend)]).await;
    assert_echoes(linked(&by(vec![proxy.hop()])).await).await;
    assert_eq!(proxy.agreed(), ["h2"]);
    let expected = format!(
        "CONNECT chat.internal:9000 HTTP/2\r\nuser-agent: throughway/{}\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(proxy.requests(0), [expected]);
}

#[tokio::test]
async fn a_proxy_that_takes_http1_alone_gets_it() {
    let backend = echo_backend().await;
    for speaks in [Speaks::Http1, Speaks::Untold] {
        let acts = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
        let proxy = Http2Proxy::play(speaks, Vec::new(), acts).await;
        assert_echoes(linked(&by(vec![proxy.hop()])).await).await;
    }
}

#[tokio::test]
async fn http_1_1_alone_is_offered_where_that_is_configured() {
    let backend = echo_backend().await;
    let acts = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
    let proxy = Http2Proxy::play(Speaks::Both, Vec::new(), acts).await;
    assert_echoes(linked(&by_in(Http::One, proxy.hop())).await).await;
    assert_eq!(proxy.agreed(), ["http/1.1"]);
}

#[tokio::test]
async fn http_2_alone_fails_at_a_proxy_that_does_not_take_it() {
    for speaks in [Speaks::Http1, Speaks::Untold] {
        let proxy = Http2Proxy::play(speaks, Vec::new(), vec![Act::Stall]).await;
        let error = failed(&by_in(Http::Two, proxy.hop())).await;
        let expected = format!(
            "hop 1 of 1 (https {}): TLS: speaks no version of HTTP that it was offered",
            proxy.address
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.reason(), "tls");
    }
}

#[tokio::test]
async fn a_407_is_answered_by_another_stream_and_then_at_once() {
    let backend = echo_backend().await;
    let first = Http2Proxy::play(
        Speaks::Http2,
        vec![
            Turn::Judge(Arc::new({
                let to = backend.address;
                move |head| match head.contains(&format!("Proxy-Authorization: Basic {TOKEN}\r\n"))
                {
                    true => Turn::Tunnel(b"", to),
                    false => asks("Basic realm=\"corp\""),
                }
            }));
            2
        ],
        Vec::new(),
    )
    .await;
    let by = by(vec![first.over(known_at(first.address))]);
    assert_echoes(linked(&by).await).await;
    assert_eq!((first.agreed().len(), first.requests(0).len()), (1, 2));
    assert!(!first.requests(0)[0].contains("Proxy-Authorization"));
    assert_echoes(linked(&by).await).await;
    assert_eq!((first.agreed().len(), first.requests(1).len()), (2, 1));
    assert!(!backend.heard_in_all().contains(TOKEN));
}

#[tokio::test]
async fn digest_is_told_over_http2_as_over_http1() {
    let backend = echo_backend().await;
    let lock = lock("nonce-1").by("SHA-256");
    let asked = lock.challenge();
    let judging = {
        let (lock, to) = (lock.clone(), backend.address);
        move |head: &str| match lock.judge(head) {
            Ok(()) => Turn::Tunnel(b"", to),
            Err(wrong) => Turn::Say(418, vec![("via", wrong)], ""),
        }
    };
    let proxy = proxy(vec![asks(&asked), Turn::Judge(Arc::new(judging))]).await;
    assert_echoes(linked(&by(vec![proxy.over(known_at(proxy.address))])).await).await;
    assert_eq!(proxy.agreed().len(), 1);
}

#[tokio::test]
async fn wrong_credentials_are_told_once() {
    let proxy = proxy(vec![
        asks("Basic realm=\"corp\""),
        asks("Basic realm=\"corp\""),
    ])
    .await;
    let error = failed(&by(vec![proxy.over(known_at(proxy.address))])).await;
    assert!(
        error.to_string().contains("credentials rejected by basic"),
        "{error}"
    );
    assert_eq!(proxy.agreed().len(), 1);
}

/// Asks for NTLM in HTTP/2, and lets in by it in HTTP/1.1.
async fn ntlm_proxy(backend: &Script) -> (Http2Proxy, Arc<Verifier>) {
    let cert = dev_certificate(&["127.0.0.1"]);
    // The certificate is signed with P-256 and SHA-256.
    let hash = digest(&SHA256, &cert.chain_der[0]);
    let verifier = Arc::new(Verifier {
        binding: binding(hash.as_ref()),
        ..Verifier::new(USER, PASSWORD)
    });
    let mut acts = verifier.legs();
    acts.push(Act::Tunnel(backend.address));
    let proxy = Http2Proxy::play_as(cert, Speaks::Both, vec![asks("NTLM")], acts);
    (proxy.await, verifier)
}

#[tokio::test]
async fn a_scheme_that_proves_a_connection_takes_the_proxy_to_http1() {
    let backend = echo_backend().await;
    let (proxy, verifier) = ntlm_proxy(&backend).await;
    let by = by(vec![proxy.over(known_at(proxy.address))]);
    assert_echoes(linked(&by).await).await;
    assert_eq!(proxy.agreed(), ["h2", "http/1.1"]);
    // It is remembered.
    assert_echoes(linked(&by).await).await;
    assert_eq!(proxy.agreed(), ["h2", "http/1.1", "http/1.1"]);
    assert_eq!(verifier.verdicts(), [Ok(()), Ok(())]);
}

#[tokio::test]
async fn a_hop_whose_scheme_proves_a_connection_is_offered_http1_alone() {
    let proxy = Http2Proxy::play(Speaks::Both, Vec::new(), vec![Act::Head, say(OK)]).await;
    let choice = Choice::Only(Scheme::Ntlm);
    failed(&by(vec![proxy.over(hop_by(proxy.address, choice))])).await;
    assert_eq!(proxy.agreed(), ["http/1.1"]);
}

#[tokio::test]
async fn such_a_scheme_is_passed_over_where_only_http2_may_be_spoken() {
    let backend = echo_backend().await;
    let both = asks("NTLM, Basic realm=\"corp\"");
    let first = proxy(vec![both, tunnel(&backend)]).await;
    let hop = first.over(known_at(first.address));
    assert_echoes(linked(&by_in(Http::Two, hop)).await).await;
    assert!(first.requests(0)[1].contains(TOKEN));

    let second = proxy(vec![asks("NTLM")]).await;
    let hop = second.over(known_at(second.address));
    let error = failed(&by_in(Http::Two, hop)).await;
    let expected = "asks for NTLM; HTTP/2 carries neither NTLM nor Negotiate";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(error.reason(), "proxy_auth");
}

#[tokio::test]
async fn a_proxy_that_wants_http1_for_connect_gets_it_from_then_on() {
    let backend = echo_backend().await;
    for turn in [
        Turn::Reset(Reason::HTTP_1_1_REQUIRED),
        Turn::GoAway(Reason::HTTP_1_1_REQUIRED),
    ] {
        let acts = vec![Act::Head, say(OK), Act::Tunnel(backend.address)];
        let proxy = Http2Proxy::play(Speaks::Both, vec![turn], acts).await;
        let by = by(vec![proxy.hop()]);
        assert_echoes(linked(&by).await).await;
        assert_echoes(linked(&by).await).await;
        assert_eq!(proxy.agreed(), ["h2", "http/1.1", "http/1.1"]);
    }
    let proxy = proxy(vec![Turn::Reset(Reason::HTTP_1_1_REQUIRED)]).await;
    let error = failed(&by_in(Http::Two, proxy.hop())).await;
    assert!(
        error
            .to_string()
            .ends_with("reset the request: HTTP_1_1_REQUIRED"),
        "{error}"
    );
    assert_eq!(proxy.agreed().len(), 1);
}

#[tokio::test]
async fn what_a_refusing_proxy_says_is_told_in_one_bounded_line() {
    let via = vec![("via", "2 squid".to_owned())];
    let expected = " refused: 403 (via: 2 squid; body: \"<b>not\\r\\nyou</b>\")";
    refuses(
        Turn::Say(403, via, "<b>not\r\nyou</b>"),
        expected,
        "proxy_refused",
    )
    .await;
    let nothing = Turn::Say(502, Vec::new(), "");
    let proxy = proxy(vec![nothing]).await;
    let error = failed(&by(vec![proxy.hop()])).await;
    assert!(error.to_string().ends_with("refused: 502"), "{error}");
}

#[tokio::test]
async fn a_request_that_gets_no_reply_names_the_code() {
    let reset = ": the proxy reset the request: REFUSED_STREAM";
    refuses(Turn::Reset(Reason::REFUSED_STREAM), reset, "proxy_reply").await;
    let unknown = ": the proxy reset the request: 0x2a";
    refuses(Turn::Reset(Reason::from(42)), unknown, "proxy_reply").await;
    let gone = ": the proxy ended the connection: ENHANCE_YOUR_CALM";
    refuses(Turn::GoAway(Reason::ENHANCE_YOUR_CALM), gone, "proxy_reply").await;
}

#[tokio::test]
async fn interim_answers_are_passed_over_and_have_an_end() {
    let backend = echo_backend().await;
    let few = Turn::Interim(103, 8, Box::new(tunnel(&backend)));
    let proxy = proxy(vec![few]).await;
    assert_echoes(linked(&by(vec![proxy.hop()])).await).await;
    let many = Turn::Interim(103, 1000, Box::new(tunnel(&backend)));
    refuses(many, ": too many interim replies", "proxy_reply").await;
    let switching = Turn::Interim(101, 1, Box::new(tunnel(&backend)));
    refuses(switching, ": 101 cannot answer CONNECT", "proxy_reply").await;
}

#[tokio::test]
async fn what_is_no_http2_is_named() {
    let cert = dev_certificate(&["127.0.0.1"]);
    let by_sni = throughway::net::tls::BySni::new(&[cert.certificate()]).unwrap();
    let config = throughway::net::tls::server(by_sni, Default::default(), None).unwrap();
    let mut config = (*config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let script = vec![say("HTTP/1.1 200 OK\r\n\r\n"), Act::Stall];
    let proxy = Script::play(vec![script], Some(acceptor)).await;
    let config = throughway::net::tls::client(cert.roots(), None).unwrap();
    let name = "127.0.0.1".try_into().unwrap();
    let tls = Some(throughway::egress::TlsTo { config, name });
    let hop = Hop {
        tls,
        ..hop(proxy.address)
    };
    let error = failed(&by(vec![hop])).await;
    assert!(
        error.to_string().contains("its HTTP/2 is not valid: "),
        "{error}"
    );
}

#[tokio::test]
async fn bytes_that_come_with_the_2xx_belong_to_the_tunnel() {
    // The beginning of the backend's answer rides with the 2xx; the rest comes once the request is
    // there.
    let rest = answer(|head| good_101(head, "", "tail").replacen("HTTP/1.1 101 Switch", "", 1));
    let backend = backend(vec![Act::Head, rest, Act::Echo]).await;
    let proxy = proxy(vec![Turn::Tunnel(b"HTTP/1.1 101 Switch", backend.address)]).await;
    let link = linked(&by(vec![proxy.hop()])).await;
    assert_eq!(&link.tail[..], b"tail");
    assert_echoes(link).await;
}

#[tokio::test]
async fn an_http2_hop_may_be_first_in_the_middle_and_last() {
    let backend = echo_backend().await;
    let last = proxy(vec![tunnel(&backend)]).await;
    let middle = proxy_that_says(OK, last.address).await;
    let second = proxy(vec![Turn::Tunnel(b"", middle.address)]).await;
    let first = proxy(vec![Turn::Tunnel(b"", second.address)]).await;
    let hops = vec![first.hop(), second.hop(), hop(middle.address), last.hop()];
    assert_echoes(linked(&by(hops)).await).await;
    for (proxy, next) in [(&first, second.address), (&second, middle.address)] {
        assert!(proxy.requests(0)[0].starts_with(&format!("CONNECT {next} HTTP/2\r\n")));
    }
    assert!(
        middle
            .heard(0)
            .starts_with(&format!("CONNECT {} HTTP/1.1\r\n", last.address))
    );
}
