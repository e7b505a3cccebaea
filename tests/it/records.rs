//! One session, one record; one refusal, one record: right in every field.

use tokio::io::AsyncWriteExt;

use crate::support::backend::{answer, backend, good_101};
use crate::support::client::{ask, handshake, open};
use crate::support::ends::{Carried, Ends, Street, hear, last_words, say};
use crate::support::gateway::gateway;
use crate::support::process::field;
use crate::support::proxy::{OK, proxy_that_says};
use crate::support::script::Act;
use crate::support::started::started;

const ENDED: &str = "\"session ended\"";

#[track_caller]
fn check(line: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(field(line, name), *value, "{name} in {line}");
    }
}

#[tokio::test]
async fn a_session_leaves_one_record_with_everything_about_it() {
    // 11 bytes glued to the 101 count, and 4 echoed ones.
    let greets = answer(|head| {
        let chosen = "Sec-WebSocket-Protocol: chat.v2\r\n";
        good_101(head, chosen, "first words")
    });
    let backend = backend(vec![Act::Head, greets, Act::Echo]).await;
    let proxy = proxy_that_says(OK, backend.address).await;
    let mut gateway = started(
        gateway()
            .via(proxy.address)
            .route("/*", "ws://chat.internal"),
    );
    let request = handshake("/room/7?token=secret")
        .with("Origin: https://chat.test")
        .with("Sec-WebSocket-Protocol: chat.v1, chat.v2");
    let (mut client, _) = open(gateway.address, &request).await;
    client.send(b"echo").await;
    assert_eq!(client.exactly(15).await, b"first wordsecho");
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, b"");
    let record = &gateway.logs(1, ENDED).await[0];
    check(
        record,
        &[
            ("level", "INFO"),
            ("listener", "public"),
            ("client", "127.0.0.1"),
            ("route", "backend0"),
            ("backend", "backend0"),
            ("server", "ws://chat.internal"),
            ("egress", "egress0"),
            ("host", "chat.test"),
            ("origin", "https://chat.test"),
            ("path", "/room/7"),
            ("subprotocol", "chat.v2"),
            ("bytes_to_backend", "4"),
            ("bytes_to_client", "15"),
            ("ended_by", "client"),
            ("why", "closed"),
        ],
    );
    assert!(!gateway.log().concat().contains("secret"), "the query");
    only(&gateway.whole_log().await, ENDED);
}

/// One line about a client, and it is this one.
#[track_caller]
fn only(log: &[String], message: &str) {
    let records: Vec<_> = log.iter().filter(|l| l.contains("\"client\":")).collect();
    assert_eq!(records.len(), 1, "{records:#?}");
    assert!(records[0].contains(message), "{records:#?}");
}

// Under TLS the bytes that count are the session's, not the records around them.
#[tokio::test]
async fn bytes_are_counted_each_way_as_the_other_side_gets_them() {
    for carried in [Carried::Plain, Carried::Tls] {
        let mut street = Street::new(carried, carried, "").await;
        let Ends {
            mut client,
            mut backend,
        } = street.open().await;
        say(&mut client, &[b'c'; 12_345]).await;
        hear(&mut backend, 12_345).await;
        say(&mut backend, &[b'b'; 67_890]).await;
        backend.shutdown().await.unwrap();
        assert_eq!(last_words(&mut client).await.len(), 67_890);
        client.shutdown().await.unwrap();
        let record = &street.gateway.logs(1, ENDED).await[0];
        check(
            record,
            &[
                ("bytes_to_backend", "12345"),
                ("bytes_to_client", "67890"),
                ("ended_by", "backend"),
                ("why", "closed"),
                ("egress", "direct"),
            ],
        );
        only(&street.gateway.whole_log().await, ENDED);
    }
}

#[tokio::test]
async fn a_refusal_leaves_one_record_with_its_reason() {
    let mut gateway = started(
        gateway()
            .keys("origins = [\"https://chat.test\"]")
            .route("/", "ws://127.0.0.1:9"),
    );
    let request = handshake("/?token=secret").with("Origin: https://evil.test");
    assert_eq!(ask(gateway.address, &request.bytes()).await.status, 403);
    let record = &gateway.logs(1, "\"request refused\"").await[0];
    check(
        record,
        &[
            ("level", "INFO"),
            ("status", "403"),
            ("reason", "origin_refused"),
            ("client", "127.0.0.1"),
            ("host", "chat.test"),
            ("origin", "https://evil.test"),
            ("path", "/"),
        ],
    );
    assert!(!gateway.log().concat().contains("secret"), "the query");
    only(&gateway.whole_log().await, "\"request refused\"");
}

#[tokio::test]
async fn an_answer_of_the_backend_that_is_handed_on_leaves_one_record() {
    let no = "HTTP/1.1 401 Who\r\nContent-Length: 2\r\n\r\nno";
    let declines = backend(vec![Act::Head, Act::Say(no.into())]).await;
    let server = format!("ws://{}", declines.address);
    let mut gateway = started(gateway().route("/", &server));
    let answer = ask(gateway.address, &handshake("/").bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (401, "no"));
    let message = "\"backend declined the upgrade\"";
    let record = &gateway.logs(1, message).await[0];
    let expected = [
        ("status", "401"),
        ("server", server.as_str()),
        ("truncated", "false"),
    ];
    check(record, &expected);
    only(&gateway.whole_log().await, message);
}
