//! The splice over good, bad, real and encrypted sockets.

mod bad_sockets;
mod bulk;
pub(crate) mod limits;
mod real;

use bytes::Bytes;
use throughway::net::pipe::Plain;
use throughway::splice::{self, Leg, Limits, Outcome, Pair, Params, Watch};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// The most that the splice may hold in one direction.
const HELD_BYTES_MAX: u64 = 64 * 1024;

fn leg<S>(stream: S) -> Leg<S> {
    let tail = Bytes::new();
    Leg { stream, tail }
}

fn pair<C, B>(client: C, backend: B) -> Pair<C, B> {
    Pair {
        client: leg(client),
        backend: leg(backend),
    }
}

/// A splice under a watch of its own.
async fn run<C, B>(pair: Pair<C, B>, limits: Limits, cut: CancellationToken) -> Outcome
where
    C: AsyncRead + AsyncWrite + Plain + Unpin,
    B: AsyncRead + AsyncWrite + Plain + Unpin,
{
    let watch = Watch::default();
    let watching = async {
        watch.run(cut).await;
        std::future::pending().await
    };
    tokio::select! {
        outcome = splice::run(pair, Params::opaque(limits), &watch) => outcome,
        () = watching => unreachable!("it never ends"),
    }
}

/// A splice that nothing but its sides can end.
async fn splice<C, B>(client: C, backend: B) -> Outcome
where
    C: AsyncRead + AsyncWrite + Plain + Unpin,
    B: AsyncRead + AsyncWrite + Plain + Unpin,
{
    let pair = pair(client, backend);
    run(pair, Limits::default(), CancellationToken::new()).await
}
