//! Whole sessions over plain and TLS legs: how they end, what a half-close carries, which limit
//! reaps them, and that many at once do not meet.
//!
//! The gateway is a process, so that its descriptors and its records can be looked at.

use std::future::Future;
use std::time::Duration;

use crate::support::far::Far;
use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::backend::echo_backend;
use crate::support::client::{Client, handshake};
use crate::support::ends::{Carried, Ends, Street, hear, last_words, reset, say};
use crate::support::gateway::gateway;
use crate::support::noise::Noise;
use crate::support::process::field;
use crate::support::started::started;
use crate::support::{PATIENCE, eventually};

const LEGS: [(Carried, Carried); 4] = [
    (Carried::Plain, Carried::Plain),
    (Carried::Tls, Carried::Plain),
    (Carried::Plain, Carried::Tls),
    (Carried::Tls, Carried::Tls),
];

const ENDED: &str = "\"session ended\"";

/// Runs `end`, which must bring its session to an end, on every kind of legs, and holds the
/// gateway to one record and to having closed both sockets.
async fn ends_on_every_leg(legs: &[(Carried, Carried)], end: impl AsyncFn(Ends), why: &[&str]) {
    join_all(legs.iter().map(|&legs| ends(legs, &end, why))).await;
}

async fn ends(legs: (Carried, Carried), end: &impl AsyncFn(Ends), why: &[&str]) {
    let mut street = Street::new(legs.0, legs.1, "").await;
    let before = street.gateway.descriptors();
    end(street.open().await).await;
    let record = &street.gateway.logs(1, ENDED).await[0];
    let end = format!("{} {}", field(record, "ended_by"), field(record, "why"));
    assert!(why.contains(&end.as_str()), "{end} on {legs:?}");
    eventually("both sockets are closed", || {
        street.gateway.descriptors() == before
    })
    .await;
    let log = street.gateway.whole_log().await;
    assert_eq!(log.iter().filter(|line| line.contains(ENDED)).count(), 1);
}

// Envoy once forgot what was still in its buffers when both sides closed in the same moment.
#[tokio::test]
async fn i1_closing_from_both_sides_at_once_loses_no_last_word() {
    let end = async |Ends {
                         mut client,
                         mut backend,
                     }| {
        let ours = part(&mut client, b"from the client");
        let theirs = part(&mut backend, b"from the backend");
        let (to_client, to_backend) = tokio::join!(ours, theirs);
        assert_eq!(to_client, b"from the backend");
        assert_eq!(to_backend, b"from the client");
    };
    ends_on_every_leg(&LEGS, end, &["client closed", "backend closed"]).await;
}

/// Says the last words, ends, and hears out the other side.
async fn part(stream: &mut Far, words: &[u8]) -> Vec<u8> {
    say(stream, words).await;
    stream.shutdown().await.unwrap();
    last_words(stream).await
}

#[tokio::test]
async fn i1_data_after_a_close_still_arrives() {
    const BYTES: usize = 300_000;
    let end = async |Ends {
                         mut client,
                         mut backend,
                     }| {
        client.shutdown().await.unwrap();
        assert_eq!(last_words(&mut backend).await, b"");
        let answer = async {
            Noise::seeded(1).pour(&mut backend, BYTES as u64).await;
            backend.shutdown().await.unwrap();
        };
        let ((), heard) = tokio::join!(answer, last_words(&mut client));
        assert_eq!(heard.len(), BYTES);
        Noise::seeded(1).expect(&heard);
    };
    ends_on_every_leg(&LEGS, end, &["client closed"]).await;
}

// A proxy that handled the data after it handled the reset wrote into freed memory.
#[tokio::test]
async fn i1_a_reset_after_a_close_ends_both_sides() {
    let end = async |Ends {
                         mut client,
                         mut backend,
                     }| {
        say(&mut client, b"last").await;
        client.shutdown().await.unwrap();
        assert_eq!(last_words(&mut backend).await, b"last");
        reset(&client);
        drop(client);
        // Whoever writes on into the void is told so.
        let writing = async {
            while backend.write_all(&[0; 4096]).await.is_ok() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, writing).await.expect("the end gets here");
    };
    ends_on_every_leg(&LEGS, end, &["client reset"]).await;
}

#[tokio::test]
async fn i1_an_end_without_a_close_frame_is_an_end_after_the_last_byte() {
    // The first half of a text frame, and then nothing.
    let half = b"\x81\x7e\x01\x00half a message";
    let end = async |Ends {
                         mut client,
                         mut backend,
                     }| {
        say(&mut backend, half).await;
        backend.shutdown().await.unwrap();
        assert_eq!(last_words(&mut client).await, half, "and nothing made up");
        client.shutdown().await.unwrap();
        assert_eq!(last_words(&mut backend).await, b"");
    };
    ends_on_every_leg(&LEGS, end, &["backend closed"]).await;
}

#[tokio::test]
async fn i1_tls_left_without_close_notify_delivers_what_it_said() {
    let client_leaves = async |Ends {
                                   mut client,
                                   mut backend,
                               }| {
        say(&mut client, b"gone").await;
        drop(client);
        assert_eq!(last_words(&mut backend).await, b"gone");
    };
    let legs = [LEGS[1], LEGS[3]];
    ends_on_every_leg(&legs, client_leaves, &["client truncated"]).await;
    let backend_leaves = async |Ends {
                                    mut client,
                                    mut backend,
                                }| {
        say(&mut backend, b"gone").await;
        drop(backend);
        assert_eq!(last_words(&mut client).await, b"gone");
    };
    let legs = [LEGS[2], LEGS[3]];
    ends_on_every_leg(&legs, backend_leaves, &["backend truncated"]).await;
}

// tokio's own copying once kept a half-closed side in CLOSE_WAIT for ever; others cut the side
// that still had something to say.
#[tokio::test]
async fn i2_a_half_close_leaves_the_other_side_all_its_time() {
    const BYTES: u64 = 64 * 1024 * 1024;
    for (client_carried, backend_carried) in [LEGS[0], LEGS[3]] {
        let street = Street::new(client_carried, backend_carried, "").await;
        for client_ends_first in [true, false] {
            let Ends { client, backend } = street.open().await;
            let (first, second) = match client_ends_first {
                true => (client, backend),
                false => (backend, client),
            };
            half_close(first, second, BYTES).await;
        }
        let records = street.gateway.logs(2, ENDED).await;
        assert_eq!(field(&records[0], "ended_by"), "client");
        assert_eq!(field(&records[0], "bytes_to_client"), BYTES.to_string());
        assert_eq!(field(&records[1], "ended_by"), "backend");
        assert_eq!(field(&records[1], "bytes_to_backend"), BYTES.to_string());
    }
}

/// `first` ends; `second` hears of it, and only then says all it has to say.
async fn half_close(mut first: Far, mut second: Far, bytes: u64) {
    first.shutdown().await.unwrap();
    assert_eq!(last_words(&mut second).await, b"");
    let saying = async {
        Noise::seeded(7).pour(&mut second, bytes).await;
        second.shutdown().await.unwrap();
    };
    let mut noise = Noise::seeded(7);
    let ((), heard) = tokio::join!(saying, noise.drain(&mut first));
    assert_eq!(heard, (bytes, None));
}

#[tokio::test]
async fn i2_a_half_open_session_is_reaped_when_it_is_idle() {
    let keys = "limits = { idle = \"300ms\" }";
    for (client, backend) in LEGS {
        let street = Street::new(client, backend, keys).await;
        let before = street.gateway.descriptors();
        let Ends {
            mut client,
            mut backend,
        } = street.open().await;
        client.shutdown().await.unwrap();
        assert_eq!(last_words(&mut backend).await, b"");
        // The backend neither speaks nor ends from here on.
        assert_eq!(last_words(&mut client).await, b"");
        let record = &street.gateway.logs(1, ENDED).await[0];
        assert_eq!(field(record, "ended_by"), "gateway");
        assert_eq!(field(record, "why"), "idle");
        eventually("reaped", || street.gateway.descriptors() == before).await;
    }
}

#[tokio::test]
async fn a_silent_session_ends_at_its_idle_limit_and_both_sides_are_told() {
    let keys = "limits = { idle = \"300ms\" }";
    for (client, backend) in LEGS {
        let street = Street::new(client, backend, keys).await;
        let Ends {
            mut client,
            mut backend,
        } = street.open().await;
        say(&mut client, b"last words").await;
        assert_eq!(last_words(&mut backend).await, b"last words");
        assert_eq!(last_words(&mut client).await, b"");
        let record = &street.gateway.logs(1, ENDED).await[0];
        assert_eq!(field(record, "ended_by"), "gateway");
        assert_eq!(field(record, "why"), "idle");
        assert!(field(record, "duration_ms").parse::<u64>().unwrap() >= 300);
    }
}

#[tokio::test]
async fn a_session_ends_at_the_limit_of_its_age_however_busy_it_is() {
    let keys = "limits = { idle = \"10s\", session = \"500ms\" }";
    let street = Street::new(Carried::Tls, Carried::Plain, keys).await;
    let Ends {
        mut client,
        mut backend,
    } = street.open().await;
    let begun = Instant::now();
    let talking = async {
        while client.write_all(b"more").await.is_ok() && client.flush().await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let (_, heard) = tokio::join!(timeout(PATIENCE, talking), last_words(&mut backend));
    assert!(!heard.is_empty() && begun.elapsed() >= Duration::from_millis(400));
    let record = &street.gateway.logs(1, ENDED).await[0];
    assert_eq!(field(record, "ended_by"), "gateway");
    assert_eq!(field(record, "why"), "session_age");
    assert!(field(record, "duration_ms").parse::<u64>().unwrap() >= 500);
}

// A buffer handed back to the wrong session is the worst that a gateway can do to its users.
#[tokio::test]
async fn two_thousand_sessions_at_once_each_hear_their_own_bytes() {
    const SESSIONS: usize = 2000;
    const ROUNDS: usize = 3;
    allow_descriptors(2 * SESSIONS as u64 + 1000);
    let backend = echo_backend().await;
    let gateway = started(
        gateway()
            .opaque()
            .route("/", format!("ws://{}", backend.address)),
    );
    let before = gateway.descriptors();
    let address = gateway.address;
    // The backend is in this process and its backlog is short, so they come in waves.
    let clients = all((0..SESSIONS).map(|_| opened(address)), 100).await;
    assert_eq!(backend.connections(), SESSIONS);
    let talking = clients
        .into_iter()
        .enumerate()
        .map(|(n, client)| talk(n, client, ROUNDS));
    // Not one has ended when the last one begins.
    let clients = all(talking, SESSIONS).await;
    assert!(gateway.lines_with(ENDED).is_empty());
    assert!(gateway.descriptors() >= before + 2 * SESSIONS);
    drop(clients);
    eventually("all are closed", || gateway.descriptors() == before).await;
    gateway.logs(SESSIONS, ENDED).await;
}

fn allow_descriptors(needed: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|n| n < needed) {
        let current = maximum.map_or(Some(needed), |max| Some(needed.min(max)));
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }
}

async fn opened(address: std::net::SocketAddr) -> Client {
    let mut client = Client::connect(address).await;
    client.send(&handshake("/").bytes()).await;
    assert_eq!(client.head().await.status, 101);
    client
}

/// Says its own noise and holds the echo against it.
async fn talk(n: usize, mut client: Client, rounds: usize) -> Client {
    let mut noise = Noise::seeded(n);
    for _ in 0..rounds {
        let said = noise.take(1000 + n % 1000);
        client.send(&said).await;
        assert!(hear(&mut client.stream, said.len()).await == said, "{n}");
    }
    client
}

/// What all of `futures` come to, at most so many of them at a time.
async fn all<F>(futures: impl Iterator<Item = F>, at_once_max: usize) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    for future in futures {
        if running.len() == at_once_max {
            done.push(running.join_next().await.unwrap().unwrap());
        }
        running.spawn(future);
    }
    done.extend(running.join_all().await);
    done
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte_of_a_fast_writer() {
    const BYTES: u64 = 16 * 1024 * 1024;
    for (client, backend) in LEGS {
        let street = Street::new(client, backend, "").await;
        let Ends {
            mut client,
            mut backend,
        } = street.open().await;
        let writing = async {
            Noise::seeded(3).pour(&mut backend, BYTES).await;
            backend.shutdown().await.unwrap();
        };
        let ((), heard) = tokio::join!(writing, read_slowly(&mut client));
        assert_eq!(heard, BYTES, "{:?}", street.legs());
    }
}

/// Rests after every 64 KiB.
async fn read_slowly(stream: &mut Far) -> u64 {
    let mut noise = Noise::seeded(3);
    let mut bytes = vec![0; 64 * 1024];
    let mut heard = 0;
    loop {
        let n = stream.read(&mut bytes).await.unwrap();
        if n == 0 {
            return heard;
        }
        noise.expect(&bytes[..n]);
        heard += n as u64;
        sleep(Duration::from_millis(1)).await;
    }
}
