//! The splice over good, bad, real and encrypted sockets.

mod bad_sockets;
mod bulk;
pub(crate) mod limits;
mod real;

use bytes::Bytes;
use throughway::splice::{Leg, Limits, Outcome, Pair, run};
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

/// A splice that nothing but its sides can end.
async fn splice<C, B>(client: C, backend: B) -> Outcome
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let pair = pair(client, backend);
    run(pair, Limits::default(), CancellationToken::new()).await
}
