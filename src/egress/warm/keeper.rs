//! Who keeps tunnels warm: one keeper for each server that is reached through an egress that wants
//! it.
//!
//! A keeper opens one tunnel after the other and never two at once, so that no proxy is asked for
//! more than its sessions used up. Whoever runs it ends it by dropping it, and its tunnels with it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep_until;

use super::Target;
use super::shelf::{Next, Shelf};
use super::trust::Trust;
use crate::egress::budget::Budget;
use crate::egress::chain;
use crate::egress::outlook::Outlook;
use crate::egress::params::{Backend, Egress, Server, ServerAddress, Way};
use crate::egress::steps::Steps;
use crate::egress::stumble::Cause;
use crate::net::Stream;

/// Keeps the tunnels to one server.
#[derive(Debug)]
pub struct Keeper {
    egress: Arc<Egress>,
    target: Target,
    /// For opening one tunnel: what a session of the backend that brought it up would have.
    total: Duration,
    shelf: Arc<Shelf>,
    trust: Arc<Trust>,
}

/// One for each pair of an egress with `warm` and a server that is reached through it.
pub fn keepers(backends: &[Backend]) -> Vec<Keeper> {
    let servers = backends
        .iter()
        .flat_map(|backend| backend.servers.iter().map(move |server| (backend, server)));
    let all = servers.flat_map(|(backend, server)| {
        let chains = chains(server, &backend.way).into_iter();
        chains.filter_map(|egress| Keeper::of(egress, server, backend.timeouts.total))
    });
    all.collect()
}

/// Those that may be on the way to `server`, by the judgement that a session goes by.
fn chains(server: &Server, way: &Way) -> Vec<Arc<Egress>> {
    match (Outlook::of(server, way), way) {
        (Outlook::Through(_), Way::Through(egress)) => vec![egress.clone()],
        (Outlook::Among(several), _) => several.chains.clone(),
        // What the environment, a script or the system names has no section in which to ask for it.
        (
            Outlook::Through(_) | Outlook::ByScript(_) | Outlook::Unfound(_) | Outlook::Straight(_),
            _,
        ) => Vec::new(),
    }
}

impl Keeper {
    fn of(egress: Arc<Egress>, server: &Server, total: Duration) -> Option<Self> {
        let warm = egress.warm.as_ref()?;
        let ServerAddress::Tcp(host, port) = &server.address else {
            return None;
        };
        let target = Target {
            host: host.clone(),
            port: *port,
        };
        let shelf = warm.shelf(&egress.name, &target)?;
        let trust = warm.trust.clone();
        Some(Self {
            egress,
            target,
            total,
            shelf,
            trust,
        })
    }

    /// Goes on until it is dropped.
    pub async fn run(self) {
        keep(&self.shelf, || self.open()).await;
    }

    async fn open(&self) -> Result<Stream, String> {
        let _leave = self.trust.leave().await;
        let Target { host, port } = &self.target;
        let (budget, nobody) = (Budget::new(self.total), Steps::deaf());
        let opened = chain::through(&self.egress, host, *port, budget, &nobody).await;
        match &opened {
            Ok(_) => self.trust.gained(),
            Err((_, stumble)) if matches!(stumble.cause, Cause::Auth(_)) => self.trust.lost(),
            Err(_) => {}
        }
        opened.map_err(|(place, stumble)| format!("{place}: {stumble}"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shelf.clear();
    }
}

// In this order: a tunnel is watched from the moment it is put in.
async fn keep<O>(shelf: &Shelf, open: impl Fn() -> O) -> Infallible
where
    O: Future<Output = Result<Stream, String>>,
{
    tokio::select! {
        biased;
        never = fill(shelf, open) => never,
        never = poll_fn(|cx| shelf.poll_ends(cx)) => never,
    }
}

async fn fill<O>(shelf: &Shelf, open: impl Fn() -> O) -> Infallible
where
    O: Future<Output = Result<Stream, String>>,
{
    loop {
        match shelf.next() {
            Next::Wait(until) => tokio::select! {
                () = sleep_until(until) => {}
                () = shelf.changed() => {}
            },
            Next::Open => match open().await {
                Ok(stream) => shelf.put(stream),
                Err(why) => shelf.failed(&why),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    /// The far ends of tunnels, each with the second in which it was opened, and who ends them.
    struct Proxy {
        start: Instant,
        opened: RefCell<Vec<u64>>,
        open: RefCell<Vec<(Instant, UnixStream)>>,
        /// Tunnels of this age are cut.
        cuts: Cell<Option<Duration>>,
        refuses: Cell<bool>,
    }

    impl Proxy {
        fn new() -> Self {
            Self {
                start: Instant::now(),
                opened: RefCell::default(),
                open: RefCell::default(),
                cuts: Cell::new(None),
                refuses: Cell::new(false),
            }
        }

        async fn tunnel(&self) -> Result<Stream, String> {
            let second = self.start.elapsed().as_secs();
            self.opened.borrow_mut().push(second);
            if self.refuses.get() {
                return Err("refused".to_owned());
            }
            let (near, far) = UnixStream::pair().expect("a pair of sockets");
            self.open.borrow_mut().push((Instant::now(), far));
            Ok(Stream::Unix(near))
        }

        async fn cut(&self) {
            loop {
                sleep(Duration::from_millis(100)).await;
                let Some(age) = self.cuts.get() else { continue };
                self.open.borrow_mut().retain(|(at, _)| at.elapsed() < age);
            }
        }

        fn asked(&self) -> usize {
            self.opened.borrow().len()
        }
    }

    fn shelf(count: usize) -> Shelf {
        let age_max = Duration::from_secs(50);
        Shelf::new(
            "corp".to_owned(),
            "chat.test:443".to_owned(),
            count,
            age_max,
        )
    }

    /// The keeper at work for so many seconds.
    async fn pass(seconds: u64, shelf: &Shelf, proxy: &Proxy) {
        let keeping = keep(shelf, || proxy.tunnel());
        let all = async {
            tokio::select! {
                never = keeping => match never {},
                () = proxy.cut() => {}
            }
        };
        timeout(Duration::from_secs(seconds), all).await.ok();
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_kept_and_each_that_is_taken_is_replaced() {
        let (shelf, proxy) = (shelf(2), Proxy::new());
        pass(1, &shelf, &proxy).await;
        assert_eq!(proxy.asked(), 2);
        for taken in 1..5 {
            assert!(shelf.take().is_some());
            pass(1, &shelf, &proxy).await;
            assert_eq!(proxy.asked(), 2 + taken);
        }
        assert!(shelf.take().is_some() && shelf.take().is_some() && shelf.take().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_renewed_before_it_is_too_old_and_not_long_before() {
        let (shelf, proxy) = (shelf(1), Proxy::new());
        pass(10 * 60, &shelf, &proxy).await;
        let opened = proxy.opened.borrow().clone();
        for pair in opened.windows(2) {
            let age = pair[1] - pair[0];
            assert!((39..50).contains(&age), "{opened:?}");
        }
        assert!(opened.len() >= 12, "{opened:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_too_old_is_not_handed_out() {
        let (shelf, proxy) = (shelf(1), Proxy::new());
        pass(1, &shelf, &proxy).await;
        sleep(Duration::from_secs(49)).await;
        assert!(shelf.take().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ended_or_spoke_is_not_handed_out() {
        let (shelf, proxy) = (shelf(3), Proxy::new());
        pass(20, &shelf, &proxy).await;
        let (_, mut speaks) = proxy.open.borrow_mut().pop().expect("a tunnel");
        speaks.write_all(b"x").await.expect("written");
        drop(proxy.open.borrow_mut().pop());
        // The runtime hears of both.
        sleep(Duration::from_millis(1)).await;
        assert!(shelf.take().is_some());
        assert!(shelf.take().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_youngest_is_handed_out() {
        let (shelf, proxy) = (shelf(2), Proxy::new());
        pass(20, &shelf, &proxy).await;
        drop(proxy.open.borrow_mut().pop());
        pass(1, &shelf, &proxy).await;
        assert_eq!(proxy.asked(), 3);
        let mut taken = shelf.take().expect("a tunnel");
        taken.write_all(b"x").await.expect("written");
        let (_, mut last) = proxy.open.borrow_mut().pop().expect("the youngest");
        let heard = timeout(Duration::from_secs(1), last.read_u8()).await;
        assert_eq!(heard.expect("in time").expect("heard"), b'x');
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ended_is_replaced_before_anyone_asks() {
        let (shelf, proxy) = (shelf(1), Proxy::new());
        pass(20, &shelf, &proxy).await;
        proxy.open.borrow_mut().clear();
        pass(1, &shelf, &proxy).await;
        assert_eq!(proxy.asked(), 2);
        assert!(shelf.take().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_that_comes_again_at_the_same_age_is_forestalled_from_then_on() {
        let (shelf, proxy) = (shelf(1), Proxy::new());
        proxy.cuts.set(Some(Duration::from_secs(30)));
        pass(10 * 60, &shelf, &proxy).await;
        let opened = proxy.opened.borrow().clone();
        let ages: Vec<u64> = opened.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(ages[..2], [30, 30], "{ages:?}");
        for age in &ages[2..] {
            assert!((18..24).contains(age), "{ages:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_refuses_is_asked_less_and_less() {
        let (shelf, proxy) = (shelf(4), Proxy::new());
        proxy.refuses.set(true);
        pass(60 * 60, &shelf, &proxy).await;
        let asked = proxy.asked();
        assert!((15..45).contains(&asked), "{asked}");
        // Nor do sessions that find nothing make it ask.
        for _ in 0..100 {
            assert!(shelf.take().is_none());
            pass(1, &shelf, &proxy).await;
        }
        assert!(proxy.asked() <= asked + 2);
        proxy.refuses.set(false);
        pass(6 * 60, &shelf, &proxy).await;
        assert!(shelf.take().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_cuts_at_once_is_asked_less_and_less() {
        let (shelf, proxy) = (shelf(1), Proxy::new());
        proxy.cuts.set(Some(Duration::ZERO));
        pass(60 * 60, &shelf, &proxy).await;
        assert!((15..45).contains(&proxy.asked()), "{}", proxy.asked());
        proxy.cuts.set(None);
        pass(6 * 60, &shelf, &proxy).await;
        assert!(shelf.take().is_some());
    }
}
