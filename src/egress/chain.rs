//! The way through an egress: its hops folded over one stream, again from the start where a proxy
//! asks for credentials and closes.
//!
//! Knows which hop it is at, and tells each only of itself and of the next address.

use tokio::time::Instant;
use tracing::debug;

use super::auth::Dialogue;
use super::budget::Budget;
use super::error::Place;
use super::hop::connect::{self, Ask, Asked};
use super::hop::socks5::{self, Addresses};
use super::hop::tcp;
use super::hop::tls::{self, Between};
use super::params::{Egress, Hop, Protocol};
use super::steps::Steps;
use super::stumble::{Cause, Step, Stumble};
use crate::net::Stream;
use crate::wire::authority::Host;

/// How a walk along the hops ended, if not in an error.
enum Walk {
    Arrived(Stream),
    /// A hop asked for credentials, which it will be told next time, and its connection is gone.
    AgainFromStart,
    /// A SOCKS proxy cannot reach the address it was asked for, and next time it is another.
    NextAddress,
}

/// A tunnel to `host:port` through all hops of `egress`.
pub(super) async fn through(
    egress: &Egress,
    host: &Host,
    port: u16,
    budget: Budget,
    steps: &Steps,
) -> Result<Stream, (Place, Stumble)> {
    let mut addresses = vec![Addresses::default(); egress.hops.len()];
    let mut dialogues: Vec<Dialogue<'_>> = egress.hops.iter().map(Dialogue::with).collect();
    // It ends: who sends us back has said 407, and a dialogue takes only so many of them, or has
    // refused an address, and a name has only so many of those.
    loop {
        match walk(
            egress,
            &mut dialogues,
            &mut addresses,
            host,
            port,
            budget,
            steps,
        )
        .await?
        {
            Walk::Arrived(stream) => return Ok(stream),
            Walk::AgainFromStart | Walk::NextAddress => {}
        }
    }
}

async fn walk(
    egress: &Egress,
    dialogues: &mut [Dialogue<'_>],
    addresses: &mut [Addresses],
    host: &Host,
    port: u16,
    budget: Budget,
    steps: &Steps,
) -> Result<Walk, (Place, Stumble)> {
    let mut stream = first(egress, budget, steps).await?;
    let hops = egress.hops.iter().zip(dialogues).zip(addresses);
    let mut hops = hops.enumerate().peekable();
    while let Some((n, ((hop, dialogue), addresses))) = hops.next() {
        let at = |stumble| (place(egress, n + 1), stumble);
        let steps = &steps.at(n + 1, || place(egress, n + 1));
        let deadline = budget.step(egress.timeouts.tls);
        stream = secured(stream, hop, n, deadline, steps).await.map_err(at)?;
        let (host, port) = match hops.peek() {
            Some((_, ((next, _), _))) => (&next.host, next.port),
            None => (host, port),
        };
        if let Protocol::Socks5(resolves) = hop.protocol {
            let ask = socks5::Ask {
                hop,
                host,
                port,
                resolves,
                timeouts: &egress.timeouts,
                steps,
            };
            let asked = socks5::tunnel(stream, &ask, addresses, budget).await;
            stream = match asked.map_err(at)? {
                socks5::Asked::Open(stream) => stream,
                socks5::Asked::NextAddress => return Ok(Walk::NextAddress),
            };
            continue;
        }
        let ask = Ask {
            hop,
            host,
            port,
            reply: egress.timeouts.reply,
            steps,
        };
        let asked = connect::tunnel(stream, &ask, dialogue, budget).await;
        stream = match asked.map_err(at)? {
            Asked::Open(stream) => stream,
            Asked::AgainFromStart => {
                debug!(%hop, "proxy asks for credentials and closes");
                return Ok(Walk::AgainFromStart);
            }
        };
    }
    Ok(Walk::Arrived(stream))
}

// The proxy's name is resolved for each dial: its address may have changed.
async fn first(egress: &Egress, budget: Budget, steps: &Steps) -> Result<Stream, (Place, Stumble)> {
    let at = |stumble| (place(egress, 1), stumble);
    let Some(hop) = egress.hops.first() else {
        let cause = Cause::Ours("the egress has no hop".to_owned());
        return Err(at(Stumble::new(Step::Connect(egress.name.clone()), cause)));
    };
    let target = tcp::Target {
        host: &hop.host,
        port: hop.port,
        resolve: egress.timeouts.resolve,
        connect: egress.timeouts.connect,
    };
    let steps = steps.at(1, || place(egress, 1));
    tcp::connect(&target, budget, &steps).await.map_err(at)
}

async fn secured(
    stream: Stream,
    hop: &Hop,
    index: usize,
    deadline: Instant,
    steps: &Steps,
) -> Result<Stream, Stumble> {
    let between = match index {
        0 => Between::Nothing,
        _ => Between::Tunnel,
    };
    match &hop.tls {
        None => Ok(stream),
        Some(to) => tls::secure_proxy(stream, to, hop.offer(), between, deadline, steps).await,
    }
}

fn place(egress: &Egress, number: usize) -> Place {
    let hop = egress.hops.get(number.wrapping_sub(1));
    Place::Hop {
        number,
        of: egress.hops.len(),
        name: hop.map(Hop::to_string).unwrap_or_default(),
    }
}
