//! The splice between two simulated sockets on a simulated clock: whatever the sides say, the sockets
//! do and the gateway is told, the bytes are right, each side gets one Close at most, and it ends.
//!
//! Everything is drawn from one number. A failure prints it, with the command that runs it again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test may fail loudly, and reads its environment"
)]

mod dice;
mod ends;
mod far;
mod found;
mod frames;
mod leg;
mod oracle;
mod passed;
mod probe;
mod scene;
mod seen;
mod shown;
mod side;
mod socket;
mod speech;
mod tallied;
mod told;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use throughway::splice::{self, Leg, Pair, Watch};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use oracle::Trial;
use probe::Probe;
use scene::{Cut, Scene, Shared};
use seen::Seen;
use socket::Socket;

/// In simulated time.
const PATIENCE: Duration = Duration::from_secs(2_000);

/// One seed, from the drawing to the judgement.
fn run(seed: u64) -> Seen {
    let clock = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    clock.block_on(async {
        let scene = Scene::drawn(seed);
        let (facts, client, backend) = (scene.facts, scene.client, scene.backend);
        let pair = Pair {
            client: leg(&client, scene.tails.0),
            backend: leg(&backend, scene.tails.1),
        };
        let (watch, cut) = (Watch::default(), CancellationToken::new());
        let watching = watch.clone();
        let token = cut.clone();
        tokio::spawn(async move { watching.run(token).await });
        let splice = splice::run(pair, scene.params, &watch);
        if let Some((after, how)) = facts.cut {
            let watch = watch.clone();
            tokio::spawn(async move {
                sleep(after).await;
                match how {
                    Cut::All => cut.cancel(),
                    Cut::Drain => watch.drain(Duration::ZERO),
                }
            });
        }
        let probe = Probe::on(splice, facts, client.clone(), backend.clone());
        // Long after the far ends have given up: without it, nothing would move the clock.
        let (outcome, polls) = timeout(PATIENCE, probe).await.expect("it ends");
        let (client, backend) = (&client.borrow(), &backend.borrow());
        if number("SIMULATION_SEED").is_some() {
            println!("{facts:?}\n{outcome:?}\n{client:#?}\n{backend:#?}");
        }
        Trial::new(facts, outcome, polls, client, backend).judge()
    })
}

fn leg(wire: &Shared, tail: usize) -> Leg<Socket> {
    let tail = Bytes::copy_from_slice(&wire.borrow().far.said[..tail]);
    Leg {
        stream: Socket { wire: wire.clone() },
        tail,
    }
}

/// Runs these seeds, and tells what happened in them; fails with the first that went wrong.
fn run_all(seeds: impl Iterator<Item = u64>) -> Seen {
    let mut seen = Seen::default();
    let mut failed = Vec::new();
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok(one) => seen.add(&one),
            Err(why) => {
                let why = text(&*why);
                eprintln!(
                    "seed {seed}: {why}\nagain: SIMULATION_SEED={seed} cargo test --test simulation"
                );
                failed.push(seed);
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} seeds went wrong: {failed:?}",
        failed.len()
    );
    seen
}

fn text(why: &(dyn Any + Send)) -> &str {
    let text = why.downcast_ref::<String>().map(String::as_str);
    text.or(why.downcast_ref::<&str>().copied()).unwrap_or("?")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// `SIMULATION_SEED` runs that one alone, `SIMULATION_SEEDS` so many instead of a thousand, from
/// `SIMULATION_FIRST` on.
#[test]
fn whatever_happens_the_bytes_are_right_each_side_gets_one_close_and_it_ends() {
    if let Some(seed) = number("SIMULATION_SEED") {
        println!("{:#?}", run(seed));
        return;
    }
    let seeds = number("SIMULATION_SEEDS").unwrap_or(1_000);
    let first = number("SIMULATION_FIRST").unwrap_or(0);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let seen = std::thread::scope(|scope| {
        let share = |thread| {
            scope.spawn(move || run_all((first + thread..first + seeds).step_by(threads as usize)))
        };
        let shares: Vec<_> = (0..threads).map(share).collect();
        let mut seen = Seen::default();
        let mut all_right = true;
        for share in shares {
            match share.join() {
                Ok(one) => seen.add(&one),
                Err(why) => {
                    eprintln!("{}", text(&*why));
                    all_right = false;
                }
            }
        }
        assert!(all_right, "some seeds went wrong; each is named above");
        seen
    });
    println!("{seen:#?}");
    seen.assert_everything_happened();
}
