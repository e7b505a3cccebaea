//! Many clients that want nothing good: they dribble, they do not read, they are more than there
//! are descriptors. Honest ones must not notice, and nothing may grow.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::support::backend::echo_backend;
use crate::support::certs::dev_certificate;
use crate::support::client::{Client, handshake, open};
use crate::support::ends::{Carried, Ends, Street, hear, last_words, say};
use crate::support::far::{Far, tcp};
use crate::support::gateway::gateway;
use crate::support::noise::Noise;
use crate::support::started::{started, started_with_descriptors};
use crate::support::{PATIENCE, eventually};

/// `limits.handshake` here, and what a busy machine may add to it.
const DEADLINE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(3);
const SLOW_CLIENTS: usize = 300;

/// How long an honest client may wait for its 101 meanwhile.
const PROMPT: Duration = Duration::from_secs(1);

/// Sends `bytes` one by one until the gateway ends the connection, and says how long that took
/// and what it answered.
async fn dribble(address: SocketAddr, bytes: &'static [u8]) -> (Duration, String) {
    let begun = Instant::now();
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let dribbling = async {
        for byte in bytes.iter().cycle() {
            // The answer, not this, says that it is over.
            drop(write.write_all(&[*byte]).await);
            sleep(Duration::from_millis(100)).await;
        }
    };
    let mut answer = Vec::new();
    let hearing = timeout(PATIENCE, read.read_to_end(&mut answer));
    tokio::select! {
        () = dribbling => unreachable!("it goes round"),
        heard = hearing => drop(heard.expect("a slow client is ended")),
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (begun.elapsed(), answer)
}

/// Runs all the slow clients while honest ones come and get their 101; returns what the slow
/// ones were told.
async fn dribble_while(
    address: SocketAddr,
    bytes: &'static [u8],
    honest: impl AsyncFn(),
) -> Vec<String> {
    let slow = join_all((0..SLOW_CLIENTS).map(|_| dribble(address, bytes)));
    let served = async {
        for _ in 0..10 {
            timeout(PROMPT, honest()).await.expect("a prompt 101");
            sleep(Duration::from_millis(100)).await;
        }
    };
    let (slow, ()) = tokio::join!(slow, served);
    let told = slow.into_iter().map(|(lasted, answer)| {
        // A byte came every 100 ms: a deadline per read would never have been reached.
        assert!(
            lasted >= DEADLINE - Duration::from_millis(200),
            "{lasted:?}"
        );
        assert!(lasted <= DEADLINE + SLACK, "{lasted:?}");
        answer
    });
    told.collect()
}

// A deadline per read keeps a slow client for as long as it likes to dribble.
#[tokio::test]
async fn g1_slow_request_heads_are_ended_and_hold_up_nobody() {
    let backend = echo_backend().await;
    let gateway = started(
        gateway()
            .section("[limits]\nhandshake = \"2s\"")
            .route("/", format!("ws://{}", backend.address)),
    );
    let address = gateway.address;
    let honest = async || drop(open(address, &handshake("/")).await);
    let head = b"GET / HTTP/1.1\r\nHost: chat.test\r\nX-Slow: it goes on and on and on and on";
    let told = dribble_while(address, head, honest).await;
    for answer in told {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[tokio::test]
async fn g1_slow_tls_hellos_are_ended_and_hold_up_nobody() {
    let backend = echo_backend().await;
    let cert = dev_certificate(&["chat.test"]);
    let gateway = started(
        gateway()
            .tls(&cert)
            .section("[limits]\nhandshake = \"2s\"")
            .route("/", format!("ws://{}", backend.address)),
    );
    let address = gateway.address;
    let honest = async || {
        let mut client = Client::connect_tls(address, &cert).await;
        client.send(&handshake("/").bytes()).await;
        assert_eq!(client.head().await.status, 101);
    };
    // The begin of a ClientHello of 16,000 bytes (RFC 8446 §5.1, §4): never whole in time.
    let hello = b"\x16\x03\x01\x3e\x84\x01\x00\x3e\x80\x03\x03";
    let told = dribble_while(address, hello, honest).await;
    assert_eq!(told.concat(), "", "there is nobody to speak HTTP to");
}

/// Sessions at once in which one side does not read.
const STALLED: usize = 50;
/// What the gateway may hold for one of them: 64 KiB a direction, and as much again for TLS,
/// tasks and the allocator.
const HELD_BYTES_MAX: u64 = 128 * 1024;
/// What the kernel may hold besides, in the sockets of both legs: its receive buffers grow to
/// `net.ipv4.tcp_rmem`'s last number, 32 MiB on generous machines. A gateway without a limit takes
/// more than this in a moment.
const UNDELIVERED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Of the test's own sockets, so that the kernel's share stays small. Less than two segments of
/// loopback would make every exchange wait for timers.
const SOCKET_BUFFER_BYTES: usize = 128 * 1024;

// tungstenite's default was to buffer without an end what the other side does not read.
#[tokio::test]
async fn g2_a_client_that_does_not_read_stops_its_backend_and_costs_little() {
    for carried in [Carried::Plain, Carried::Tls] {
        stalled(carried, |ends| (ends.backend, ends.client)).await;
    }
}

#[tokio::test]
async fn g2_a_backend_that_does_not_read_stops_its_client_and_costs_little() {
    for carried in [Carried::Plain, Carried::Tls] {
        stalled(carried, |ends| (ends.client, ends.backend)).await;
    }
}

/// Fifty sessions in which one side writes until nothing more is taken; then one in which both
/// do as they should; then the fifty get what is theirs. `sides` names the writer and the reader.
async fn stalled(carried: Carried, sides: impl Fn(Ends) -> (Far, Far)) {
    let street = Street::new(carried, Carried::Plain, "").await;
    let mut sessions = Vec::new();
    for _ in 0..STALLED {
        let (writer, reader) = sides(street.open().await);
        for end in [&writer, &reader] {
            let socket = SockRef::from(tcp(end));
            socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES).unwrap();
            socket.set_send_buffer_size(SOCKET_BUFFER_BYTES).unwrap();
        }
        sessions.push((writer, reader));
    }
    let before = street.gateway.resident_bytes();
    let pouring = sessions.iter_mut().map(|(w, _)| pour_until_blocked(w));
    let written = join_all(pouring).await;
    let grown = street.gateway.resident_bytes().saturating_sub(before);
    assert!(grown < STALLED as u64 * HELD_BYTES_MAX, "{grown} bytes");
    an_echo_is_prompt(&street).await;
    let reading = sessions.iter_mut().zip(written);
    join_all(reading.map(|((writer, reader), written)| async move {
        // What TLS has taken and the socket has not is written only now.
        let (flushed, ()) = tokio::join!(writer.flush(), expect_noise(reader, written));
        flushed.unwrap();
    }))
    .await;
}

/// Writes noise until nothing is taken for a while, and says how much was.
async fn pour_until_blocked(writer: &mut Far) -> usize {
    const A_WHILE: Duration = Duration::from_millis(700);
    let mut noise = Noise::seeded(0);
    let mut chunk = noise.next(8192);
    let mut written = 0;
    // A write that is given up has taken none of its bytes.
    while let Ok(taken) = timeout(A_WHILE, writer.write(chunk)).await {
        let taken = taken.unwrap();
        written += taken;
        assert!(written < UNDELIVERED_BYTES_MAX, "it is never stopped");
        chunk = match &chunk[taken..] {
            [] => noise.next(8192),
            rest => rest,
        };
    }
    written
}

async fn expect_noise(reader: &mut Far, bytes: usize) {
    Noise::seeded(0).expect(&hear(reader, bytes).await);
}

async fn an_echo_is_prompt(street: &Street) {
    let Ends {
        mut client,
        mut backend,
    } = timeout(PROMPT, street.open()).await.expect("a prompt 101");
    for n in 0..50 {
        let said = Noise::seeded(n).take(1000);
        let echoed = async {
            say(&mut client, &said).await;
            let heard = hear(&mut backend, said.len()).await;
            say(&mut backend, &heard).await;
            hear(&mut client, said.len()).await
        };
        let heard = timeout(PROMPT, echoed).await.expect("a prompt echo");
        assert!(heard == said);
    }
}

const DESCRIPTORS: usize = 64;

// Accept loops have spun at full speed on EMFILE, parked for ever on it, and panicked.
#[tokio::test]
async fn g4_more_clients_than_descriptors_neither_spin_nor_kill_the_accept_loop() {
    let backend = echo_backend().await;
    let mut gateway = started_with_descriptors(
        gateway()
            .threads(1)
            .section("[limits]\nhandshake = \"60s\"")
            .route("/", format!("ws://{}", backend.address)),
        DESCRIPTORS,
    );
    let address = gateway.address;
    let (mut early, _) = open(address, &handshake("/")).await;
    let crowd = join_all((0..2 * DESCRIPTORS).map(|_| Client::connect(address))).await;
    eventually("every descriptor is taken", || {
        gateway.descriptors() >= DESCRIPTORS - 1
    })
    .await;
    gateway.logs(1, "accept failed").await;
    let used = gateway.processor_ticks();
    let failures = gateway.lines_with("accept failed").len();
    sleep(Duration::from_secs(2)).await;
    // 200 ticks are two seconds of one processor.
    let used = gateway.processor_ticks() - used;
    assert!(used < 10, "{used} ticks in two seconds");
    let failures = gateway.lines_with("accept failed").len() - failures;
    assert!(failures <= 12, "{failures} lines in two seconds");
    // Who was there before goes on.
    early.send(b"still here").await;
    assert_eq!(early.exactly(10).await, b"still here");
    assert!(gateway.try_ended().is_none());
    drop(crowd);
    // Whoever comes when there is room again is served: a queue of the dead goes first, and while
    // it does, a dial may still find no descriptor.
    eventually("there is room again", || gateway.descriptors() < 20).await;
    let (mut late, _) = timeout(PATIENCE, open(address, &handshake("/")))
        .await
        .expect("it recovers");
    late.send(b"here again").await;
    assert_eq!(late.exactly(10).await, b"here again");
    drop((early, late));
    eventually("all is given back", || gateway.descriptors() < 20).await;
}

// What is beyond limits.connections is told so, and gives its descriptor back.
#[tokio::test]
async fn g4_a_flood_of_refused_clients_leaves_nothing_behind() {
    let backend = echo_backend().await;
    let gateway = started(
        gateway()
            .section("[limits]\nconnections = 1")
            .route("/", format!("ws://{}", backend.address)),
    );
    let before = gateway.descriptors();
    let address = gateway.address;
    let (first, _) = open(address, &handshake("/")).await;
    let refused = (0..200).map(|_| async move {
        let mut client = Client::connect(address).await;
        client.send(&handshake("/").bytes()).await;
        last_words(&mut client.stream).await
    });
    for answer in join_all(refused).await {
        assert!(answer.starts_with(b"HTTP/1.1 503 "));
    }
    assert_eq!(backend.connections(), 1);
    drop(first);
    eventually("all is given back", || gateway.descriptors() == before).await;
}
