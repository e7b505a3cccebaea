//! A splice between two far ends on a paused clock, so that hours pass at once.
//!
//! Knows no gateway: what a route says is given as the splice is told it.

use bytes::Bytes;
use throughway::splice::{self, Leg, Outcome, Pair, Params, Watch};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_util::sync::CancellationToken;

use crate::support::frames::Seat;

/// What waits on the way to a far end that does not read.
const ROOM_BYTES: usize = 4096;

/// A client and a backend, and what ends their session from outside.
pub(super) struct Between {
    pub(super) client: DuplexStream,
    pub(super) backend: DuplexStream,
    pub(super) watch: Watch,
    pub(super) cut: CancellationToken,
}

/// Runs a session while `far` does what it does with both far ends.
pub(super) async fn between(params: Params, far: impl AsyncFnOnce(Between)) -> Outcome {
    let (client, near_client) = duplex(ROOM_BYTES);
    let (backend, near_backend) = duplex(ROOM_BYTES);
    let (watch, cut) = (Watch::default(), CancellationToken::new());
    let pair = Pair {
        client: leg(near_client),
        backend: leg(near_backend),
    };
    let session = splice::run(pair, params, &watch);
    let far = far(Between {
        client,
        backend,
        watch: watch.clone(),
        cut: cut.clone(),
    });
    let watching = async {
        watch.run(cut).await;
        std::future::pending().await
    };
    tokio::select! {
        (outcome, ()) = async { tokio::join!(session, far) } => outcome,
        () = watching => unreachable!("it never ends"),
    }
}

fn leg(stream: DuplexStream) -> Leg<DuplexStream> {
    let tail = Bytes::new();
    Leg { stream, tail }
}

impl Between {
    /// The far end in this seat, and the one across.
    pub(super) fn ends(&mut self, seat: Seat) -> (&mut DuplexStream, &mut DuplexStream) {
        match seat {
            Seat::Client => (&mut self.client, &mut self.backend),
            Seat::Backend => (&mut self.backend, &mut self.client),
        }
    }
}

/// Exactly `bytes` come.
pub(super) async fn hears(stream: &mut DuplexStream, bytes: &[u8]) {
    let mut heard = vec![0; bytes.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, bytes);
}

/// `bytes` go through from one end to the other.
pub(super) async fn passes(from: &mut DuplexStream, to: &mut DuplexStream, bytes: &[u8]) {
    let saying = async { from.write_all(bytes).await.unwrap() };
    tokio::join!(saying, hears(to, bytes));
}

/// Everything to the end.
pub(super) async fn last_words(stream: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}
