//! Rules 27 to 33: time, other ways, and what becomes of an open tunnel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use throughway::egress::{Fault, Hop, HopTimeouts, Way};
use throughway::policy::no_proxy::NoProxy;
use throughway::splice::SpliceEnd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::sleep;

use super::with_timeouts;
use crate::egress::alternatives::{by as among, corp, good, to, way};
use crate::egress::servers::{blackhole, nobody};
use crate::egress::tls::trusting_nobody;
use crate::splice::limits::{IDLE, assert_ended, between, both_end, limits};
use crate::support::backend::{answer, backend, echo_backend, good_101};
use crate::support::client::{handshake, open};
use crate::support::dialling::{
    assert_echoes, attempt, backend_by, by, egress, failed, hop, linked, server,
};
use crate::support::gateway::gateway;
use crate::support::proxy::{
    ASKS_AND_CLOSES, OK, proxy, proxy_by_turns, proxy_that_refuses, proxy_that_says, say,
};
use crate::support::script::Act;

#[tokio::test]
async fn rule_27_each_step_has_a_deadline_of_its_own_and_all_have_one_together() {
    let (hole, silent) = (blackhole().await, proxy(vec![Act::Stall]).await);
    let short = Duration::from_millis(200);
    let usual = HopTimeouts::default;
    let over_tls = Hop {
        tls: Some(trusting_nobody("proxy.test")),
        ..hop(silent.address)
    };
    let (connect, tls, reply) = (
        HopTimeouts {
            connect: short,
            ..usual()
        },
        HopTimeouts {
            tls: short,
            ..usual()
        },
        HopTimeouts {
            reply: short,
            ..usual()
        },
    );
    for (hop, timeouts, step) in [
        (
            hop(hole.address),
            connect,
            format!("connect to {}", hole.address),
        ),
        (over_tls, tls, "TLS".to_owned()),
        (
            hop(silent.address),
            reply,
            "CONNECT chat.internal:9000".to_owned(),
        ),
    ] {
        let expected = format!("hop 1 of 1 ({hop}): {step}: timed out");
        let begun = Instant::now();
        let error = failed(&with_timeouts(vec![hop], timeouts)).await;
        assert_eq!(error.to_string(), expected);
        assert!(error.timed_out());
        assert!(begun.elapsed() < Duration::from_secs(3), "{expected}");
    }
    let mut backend = by(vec![hop(silent.address)]);
    backend.timeouts.total = short;
    let begun = Instant::now();
    assert!(failed(&backend).await.timed_out());
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn rule_28_who_cannot_be_reached_gives_way_to_the_next_and_who_refuses_does_not() {
    let (b, _far) = good().await;
    let dead = nobody().await;
    let backend = among(corp(vec![to("a", dead), to("b", b.address)]));
    assert_eq!(way(&backend).await, "corp/b");
    for reply in [
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "HTTP/1.1 405 Not Allowed\r\n\r\n",
        "HTTP/1.1 404 No\r\n\r\n",
        "HTTP/1.1 500 Oops\r\n\r\n",
        ASKS_AND_CLOSES,
    ] {
        let (a, (b, _far)) = (proxy_that_refuses(reply).await, good().await);
        let backend = among(corp(vec![to("a", a.address), to("b", b.address)]));
        for _ in 0..2 {
            let error = failed(&backend).await;
            assert_eq!(error.fault(), Fault::Hop(1));
            let expected = format!("corp/a, hop 1 of 1 (http {}): ", a.address);
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        assert_eq!((a.connections(), b.connections()), (2, 0), "{reply}");
    }
}

#[tokio::test]
async fn rule_29_a_proxy_in_trouble_is_asked_three_times_and_one_that_may_not_once() {
    let far = echo_backend().await;
    for (status, asked) in [(502, 2), (503, 2), (504, 2), (403, 1), (405, 1), (500, 1)] {
        let refusal = format!("HTTP/1.1 {status} No\r\n\r\n");
        let proxy = proxy_by_turns(vec![
            vec![Act::Head, say(&refusal)],
            vec![Act::Head, say(OK), Act::Tunnel(far.address)],
        ])
        .await;
        let reached = attempt(&by(vec![hop(proxy.address)])).await;
        assert_eq!(reached.is_ok(), asked == 2, "{status}");
        assert_eq!(proxy.connections(), asked, "{status}");
    }
    let busy = proxy_that_refuses("HTTP/1.1 503 Busy\r\n\r\n").await;
    let error = failed(&by(vec![hop(busy.address)])).await;
    assert_eq!(error.reason(), "proxy_refused");
    assert_eq!(busy.connections(), 3);
}

#[tokio::test]
async fn rule_30_silence_is_probed_before_a_minute_is_over_and_a_cut_ends_both_sides() {
    let far = echo_backend().await;
    let near = proxy_that_says(OK, far.address).await;
    let link = linked(&by(vec![hop(near.address)])).await;
    let socket = SockRef::from(link.stream.tcp().unwrap());
    assert!(socket.keepalive().unwrap());
    assert!(socket.tcp_keepalive_time().unwrap() <= Duration::from_secs(60));

    // The proxy is done with the tunnel, for whatever reason of its own.
    let good = answer(|head| good_101(head, "", ""));
    let cuts = proxy(vec![Act::Head, say(OK), Act::Head, good, Act::Read(4)]).await;
    let gateway = gateway()
        .via(cuts.address)
        .route("/", "ws://chat.internal")
        .run();
    let (mut client, _) = open(gateway.address, &handshake("/")).await;
    client.send(b"last").await;
    let told = b"\x88\x18\x03\xf3the other side is gone";
    assert_eq!(client.rest().await, told);
}

#[tokio::test]
async fn rule_31_no_proxy_is_one_table_of_names_ranges_ports_and_this_machine() {
    let far = echo_backend().await;
    let near = proxy_that_says(OK, far.address).await;
    let port = far.address.port();
    let this_port = format!("127.0.0.1:{port}");
    // The list, the server's host, and whether it goes past the proxy.
    let table: [(&[&str], &str, bool); 12] = [
        (&[], "127.0.0.1", true),
        (&[], "localhost", true),
        (&["<-loopback>"], "127.0.0.1", false),
        (&["<-loopback>", "*"], "127.0.0.1", true),
        (&["<-loopback>", "127.0.0.0/8"], "127.0.0.1", true),
        (&["<-loopback>", "10.0.0.0/8"], "127.0.0.1", false),
        (&["<-loopback>", &this_port], "127.0.0.1", true),
        (&["<-loopback>", "127.0.0.1:1"], "127.0.0.1", false),
        (&["<-loopback>", ".localhost"], "localhost", true),
        (&["<-loopback>", "localhost"], "localhost", true),
        (&["<-loopback>", "host"], "localhost", false),
        // A range is for addresses: a name is never resolved to find out.
        (&["<-loopback>", "127.0.0.0/8"], "localhost", false),
    ];
    for (list, host, past) in table {
        let mut egress = egress(vec![hop(near.address)]);
        egress.no_proxy = NoProxy::parse(list).unwrap();
        let to = vec![server(host, port, None)];
        let link = linked(&backend_by(to, Way::Through(Arc::new(egress)))).await;
        let expected = if past { "direct" } else { "corp" };
        assert_eq!(link.egress, expected, "{list:?} {host}");
        assert_echoes(link).await;
    }
}

#[tokio::test]
async fn rule_32_the_end_of_one_direction_is_not_the_end_of_the_other() {
    let good = answer(|head| good_101(head, "", ""));
    // Reads to the end of what it is sent, and has a last word then.
    let far = backend(vec![Act::Head, good, Act::Stall, say("answer")]).await;
    let near = proxy_that_says(OK, far.address).await;
    let gateway = gateway()
        .via(near.address)
        .route("/", "ws://chat.internal")
        .run();
    let (mut client, _) = open(gateway.address, &handshake("/")).await;
    client.send(b"question").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, b"answer");
    assert!(far.heard(0).ends_with("question"));
}

#[tokio::test(start_paused = true)]
async fn rule_33_a_byte_in_either_direction_is_a_sign_of_life() {
    let far = async |mut client: DuplexStream, mut backend: DuplexStream| {
        for _ in 0..3 {
            sleep(IDLE - Duration::from_secs(1)).await;
            client.write_all(b"a").await.unwrap();
            assert_eq!(backend.read_u8().await.unwrap(), b'a');
            sleep(IDLE - Duration::from_secs(1)).await;
            backend.write_all(b"b").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'b');
        }
        both_end(client, backend).await;
    };
    let outcome = between(limits(Some(IDLE), None), far).await;
    let expected = 6 * (IDLE - Duration::from_secs(1)) + IDLE;
    assert_ended(&outcome, SpliceEnd::Idle, expected);
}
