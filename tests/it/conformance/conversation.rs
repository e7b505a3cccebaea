//! One conversation: a scripted end and a strict one, whichever is the client.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::Run;
use super::cases::Script;
use crate::support::PATIENCE;
use crate::support::ends::Ends;
use crate::support::far::Far;
use crate::support::frames::Seat;
use crate::support::strict::{Heard, Strict};

/// How what is said is cut into writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Not at all.
    AtOnce,
    /// A byte each, of what is long as many pieces as [`PIECES_MAX`]; and before what is wrong the
    /// answers to all that was right are waited for.
    Bytewise,
}

const PIECES_MAX: usize = 2048;

/// What each end heard.
#[derive(Debug)]
pub(super) struct Transcript {
    pub(super) strict: Heard,
    pub(super) scripted: Heard,
}

/// Has the case said by the one end and answered by the other.
pub(super) async fn hold(ends: Ends, run: Run<'_>) -> Result<Transcript, String> {
    hold_from(ends, run, &run.case.said_by(run.seat)).await
}

/// The same where only this is still to be said.
pub(super) async fn hold_from(
    ends: Ends,
    run: Run<'_>,
    script: &Script,
) -> Result<Transcript, String> {
    let (scripted, listening) = match run.seat {
        Seat::Client => (ends.client, ends.backend),
        Seat::Backend => (ends.backend, ends.client),
    };
    let strict = Strict::new(run.seat.other(), run.case.deflate);
    let both = async { tokio::join!(strict.converse(listening), play(scripted, script, run.way)) };
    match timeout(PATIENCE * 3, both).await {
        Ok((strict, scripted)) => Ok(Transcript { strict, scripted }),
        Err(_) => Err("it never ends".to_owned()),
    }
}

/// Says all of the script and listens to the end. It does not answer a Close: what it says is said
/// whatever it hears, and it ends after the other side.
async fn play(stream: Far, script: &Script, way: Way) -> Heard {
    let (read, mut write) = split(stream);
    let (heard, mut so_far) = watch::channel(0);
    let saying = async {
        match way {
            // Who is not listened to any more has said what it had to all the same.
            Way::AtOnce => drop(say(&mut write, &script.all(), usize::MAX).await),
            Way::Bytewise => {
                let piece = script.good.len().div_ceil(PIECES_MAX).max(1);
                drop(say(&mut write, &script.good, piece).await);
                let answered = so_far.wait_for(|heard| *heard >= script.answer.len());
                drop(answered.await);
                let piece = script.bad.len().div_ceil(PIECES_MAX).max(1);
                drop(say(&mut write, &script.bad, piece).await);
                drop(say(&mut write, &script.more, 1).await);
            }
        }
    };
    let ((), heard) = tokio::join!(saying, listen(read, heard));
    write.shutdown().await.ok();
    heard
}

async fn say(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    piece: usize,
) -> std::io::Result<()> {
    for part in bytes.chunks(piece.min(bytes.len()).max(1)) {
        to.write_all(part).await?;
        if piece < bytes.len() {
            yield_now().await;
        }
    }
    Ok(())
}

async fn listen(mut from: impl AsyncRead + Unpin, so_far: watch::Sender<usize>) -> Heard {
    let (mut bytes, mut room) = (Vec::new(), vec![0; 64 * 1024]);
    let end = loop {
        match from.read(&mut room).await {
            Ok(0) => break Ok(()),
            Ok(n) => bytes.extend_from_slice(&room[..n]),
            Err(error) => break Err(error.kind()),
        }
        so_far.send_replace(bytes.len());
    };
    Heard { bytes, end }
}
