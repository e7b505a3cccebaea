//! The first step: a name becomes addresses, an address a connected socket.
//!
//! The only place that connects a TCP socket. Knows nothing of what will be said on it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, sleep, timeout_at};

use crate::egress::budget::Budget;
use crate::egress::shortage::Shortage;
use crate::egress::steps::{Detail, Steps};
use crate::egress::stumble::{Cause, Step, Stumble, io_words};
use crate::net::{Stream, sockopt};
use crate::observe::phases::Phase;
use crate::wire::authority::Host;

/// How long an address is tried alone before the next joins it (RFC 8305 §5, "Connection Attempt
/// Delay": 250 ms recommended).
const STAGGER: Duration = Duration::from_millis(250);
/// More addresses than this of one name are not tried.
const ADDRESSES_MAX: usize = 16;

/// Where to, and how long each step may take.
pub(in crate::egress) struct Target<'a> {
    pub(in crate::egress) host: &'a Host,
    pub(in crate::egress) port: u16,
    pub(in crate::egress) resolve: Duration,
    pub(in crate::egress) connect: Duration,
}

type Failures = Vec<(SocketAddr, Arc<io::Error>)>;
type Attempt = Pin<Box<dyn Future<Output = (SocketAddr, io::Result<TcpStream>)> + Send>>;

/// A TCP connection to `target`, with the options that every leg gets.
pub(in crate::egress) async fn connect(
    target: &Target<'_>,
    budget: Budget,
    steps: &Steps,
) -> Result<Stream, Stumble> {
    let deadline = budget.step(target.resolve);
    let addresses = resolve(target.host, target.port, deadline, steps).await?;
    let step = || Step::Connect(format!("{}:{}", target.host, target.port));
    let deadline = budget.step(target.connect);
    steps
        .run(Phase::Connect, step, first_of(addresses, deadline, steps))
        .await
}

/// A connection to a socket of this machine.
pub(in crate::egress) async fn connect_unix(
    path: &Path,
    deadline: Instant,
    steps: &Steps,
) -> Result<Stream, Stumble> {
    let connecting = async {
        match timeout_at(deadline, UnixStream::connect(path)).await {
            Err(_) => Err(Cause::Timeout),
            Ok(Err(error)) => Err(match Shortage::of(&error) {
                Some(lacking) => Cause::Shortage(lacking),
                None => Cause::Unix(Arc::new(error)),
            }),
            Ok(Ok(unix)) => Ok(Stream::Unix(unix)),
        }
    };
    let step = || Step::Connect(format!("unix:{}", path.display()));
    steps.run(Phase::Connect, step, connecting).await
}

/// The addresses of `host`, in the order in which they are worth trying; never none.
pub(in crate::egress) async fn resolve(
    host: &Host,
    port: u16,
    deadline: Instant,
    steps: &Steps,
) -> Result<Vec<SocketAddr>, Stumble> {
    match host {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Name(name) => {
            let step = || Step::Resolve(name.clone());
            let looking = look_up(name, port, deadline, steps);
            steps.run(Phase::Resolve, step, looking).await
        }
    }
}

async fn look_up(
    name: &str,
    port: u16,
    deadline: Instant,
    steps: &Steps,
) -> Result<Vec<SocketAddr>, Cause> {
    let found = match timeout_at(deadline, lookup_host((name, port))).await {
        Err(_) => return Err(Cause::Timeout),
        Ok(Err(error)) => {
            return Err(match Shortage::of(&error) {
                Some(lacking) => Cause::Shortage(lacking),
                None => Cause::Resolve(io_words(&error)),
            });
        }
        Ok(Ok(found)) => found,
    };
    let addresses = in_turns(found.collect());
    if addresses.is_empty() {
        return Err(Cause::Resolve("no address".to_owned()));
    }
    steps.learned(|| Detail::Addresses(addresses.clone()));
    Ok(addresses)
}

async fn first_of(
    addresses: Vec<SocketAddr>,
    deadline: Instant,
    steps: &Steps,
) -> Result<Stream, Cause> {
    match timeout_at(deadline, race(addresses)).await {
        Err(_) => Err(Cause::Timeout),
        Ok(Err(failures)) => Err(match shortage(&failures) {
            Some(lacking) => Cause::Shortage(lacking),
            None => Cause::Connect(failures),
        }),
        Ok(Ok((address, tcp))) => {
            steps.learned(|| Detail::Connected(address));
            Ok(Stream::Tcp(tcp))
        }
    }
}

// An address that could not be tried for our own sake might have answered, so one is enough.
fn shortage(failures: &Failures) -> Option<Shortage> {
    let mut lacking = failures.iter().filter_map(|(address, error)| {
        let lacking = Shortage::of(error)?;
        // EADDRNOTAVAIL has another reason, too: no address of this machine's is of that family.
        let is_one = lacking != Shortage::Ports || has_source(*address);
        is_one.then_some(lacking)
    });
    lacking.next()
}

// Whether this machine has an address to dial `to` from. Connecting a UDP socket chooses one and
// sends nothing.
fn has_source(to: SocketAddr) -> bool {
    let any = match to {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    UdpSocket::bind((any, 0)).is_ok_and(|udp| udp.connect(to).is_ok())
}

// RFC 8305 §4: the families in turns, the resolver's first choice first, each family in the
// resolver's order.
fn in_turns(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (a, b): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|address| matches!(address.ip(), IpAddr::V6(_)) == first_is_v6);
    let mut b = b.into_iter();
    let mut turns = Vec::with_capacity(ADDRESSES_MAX);
    for address in a {
        turns.push(address);
        turns.extend(b.next());
    }
    turns.extend(b);
    turns.truncate(ADDRESSES_MAX);
    turns
}

// The next address starts when the one before has failed or has had its 250 ms, and those before
// go on: a dead address costs a quarter of a second, a slow one is not given up.
async fn race(addresses: Vec<SocketAddr>) -> Result<(SocketAddr, TcpStream), Failures> {
    let mut waiting = addresses.into_iter();
    let mut running: Vec<Attempt> = Vec::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            running.push(Box::pin(attempt(address)));
        }
        if running.is_empty() {
            return Err(failures);
        }
        tokio::select! {
            (address, result) = first_done(&mut running) => match result {
                Ok(tcp) => return Ok((address, tcp)),
                Err(error) => failures.push((address, Arc::new(error))),
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that connects TCP sockets"
)]
async fn attempt(address: SocketAddr) -> (SocketAddr, io::Result<TcpStream>) {
    let result = TcpStream::connect(address).await.and_then(|tcp| {
        sockopt::prepare(SockRef::from(&tcp))?;
        Ok(tcp)
    });
    (address, result)
}

// The first attempt that ends, taken out of `running`.
async fn first_done(running: &mut Vec<Attempt>) -> (SocketAddr, io::Result<TcpStream>) {
    std::future::poll_fn(|cx| {
        for n in 0..running.len() {
            if let Poll::Ready(done) = running[n].as_mut().poll(cx) {
                drop(running.swap_remove(n));
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn check(found: &[&str], expected: &[&str]) {
        let parse = |texts: &[&str]| -> Vec<SocketAddr> {
            texts
                .iter()
                .map(|t| t.parse().expect("an address"))
                .collect()
        };
        assert_eq!(in_turns(parse(found)), parse(expected));
    }

    #[test]
    fn the_families_take_turns() {
        check(&[], &[]);
        check(&["1.1.1.1:1"], &["1.1.1.1:1"]);
        check(
            &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"],
            &["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"],
        );
        check(
            &["1.1.1.1:1", "[::1]:1", "[::2]:1"],
            &["1.1.1.1:1", "[::1]:1", "[::2]:1"],
        );
    }

    #[test]
    fn what_this_machine_lacks_is_told_from_what_is_wrong_on_the_way() {
        let check = |failures: &[(&str, Errno)], expected| {
            let failed = failures.iter().map(|(address, errno)| {
                let error = Arc::new(io::Error::from(*errno));
                (address.parse().expect("an address"), error)
            });
            assert_eq!(shortage(&failed.collect()), expected, "{failures:?}");
        };
        let near = "127.0.0.1:9";
        check(&[(near, Errno::CONNREFUSED)], None);
        check(
            &[(near, Errno::CONNREFUSED), (near, Errno::MFILE)],
            Some(Shortage::Descriptors),
        );
        check(&[(near, Errno::ADDRNOTAVAIL)], Some(Shortage::Ports));
        // A link-local address without its link: nothing on this machine could reach it.
        check(&[("[fe80::1]:9", Errno::ADDRNOTAVAIL)], None);
    }

    #[tokio::test]
    async fn a_dead_address_does_not_stand_before_a_living_one() {
        let alive = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let refused = dead.local_addr().expect("bound");
        drop(dead);
        let alive = alive.local_addr().expect("bound");
        let (_, tcp) = race(vec![refused, alive]).await.expect("one is alive");
        assert_eq!(tcp.peer_addr().expect("connected"), alive);
        let failures = race(vec![refused, refused])
            .await
            .expect_err("both are dead");
        assert_eq!(failures.len(), 2);
    }
    /// An address whose SYNs vanish: a listener that accepts nobody and whose queue is full.
    async fn blackhole() -> (SocketAddr, socket2::Socket, Vec<TcpStream>) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a port");
        socket.listen(0).expect("listening");
        let bound = socket.local_addr().expect("bound").as_socket();
        let address = bound.expect("an internet address");
        let mut queued = Vec::new();
        let patience = Duration::from_millis(100);
        // As many as the queue takes, which is the kernel's to say.
        while let Ok((_, tcp)) = tokio::time::timeout(patience, attempt(address)).await {
            queued.push(tcp.expect("the queue has room"));
        }
        (address, socket, queued)
    }

    #[tokio::test]
    async fn a_silent_address_costs_a_quarter_of_a_second_and_not_the_deadline() {
        let (silent, _socket, _queued) = blackhole().await;
        let alive = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let alive = alive.expect("a port");
        let address = alive.local_addr().expect("bound");
        let patience = Duration::from_secs(5);
        let racing = tokio::time::timeout(patience, race(vec![silent, silent, address]));
        let (_, tcp) = racing
            .await
            .expect("no wait for the silent")
            .expect("one is alive");
        assert_eq!(tcp.peer_addr().expect("connected"), address);
    }
}
