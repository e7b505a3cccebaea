//! The open path: a ping and its round trip, silence and what ends it, and a close.
//!
//! Knows frames one at a time and no dial. What messages say is read past.

use std::fmt;
use std::io;
use std::time::Duration;

use aws_lc_rs::rand;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::net::Stream;
use crate::wire::ws::frame::{self, CONTROL_PAYLOAD_BYTES_MAX, Opcode};

/// A pong that takes longer than this is none.
const PONG: Duration = Duration::from_secs(10);
/// How long the other side's Close is waited for.
const CLOSE: Duration = Duration::from_secs(2);
/// Silence is never waited for longer: timers have an end.
const SILENCE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
const READ_BYTES: usize = 4096;
/// RFC 6455 §7.4.1: the purpose is fulfilled.
const NORMAL: u16 = 1000;

/// The path, after its 101.
pub(super) struct Path {
    stream: Stream,
    bytes: BytesMut,
    /// Payload of a message that is still to be read past.
    skip: u64,
}

/// Why the path is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// No pong in time.
    Silent,
    /// It was ended.
    Ended(How),
    /// What came is no frame of a server.
    Unreadable(String),
}

/// How a connection is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// A Close frame, with its code: the backend, or a gateway that speaks WebSocket.
    Close(Option<u16>),
    /// An end of the stream without one.
    Fin,
    /// A reset.
    Rst,
    /// Another error.
    Error(String),
}

/// What waiting in silence showed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// How long it lasted.
    pub(super) lasted: Duration,
    /// The longest stretch in which nothing came and nothing was sent.
    pub(super) longest: Duration,
    /// Frames that came all the same; pings among them were answered.
    pub(super) frames: usize,
    /// How it ended.
    pub(super) end: Result<Kept, Broken>,
}

/// The path held, and a last ping came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept;

/// A frame: its opcode, and the payload of a control frame.
struct Frame {
    opcode: Opcode,
    payload: Vec<u8>,
}

impl Path {
    /// `stream` with all that came glued to the 101 in front of it.
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            bytes: BytesMut::new(),
            skip: 0,
        }
    }

    /// Sends a ping and waits for its pong; the round trip.
    pub(super) async fn ping(&mut self) -> Result<Duration, Broken> {
        let mut mark = [0; 8];
        rand::fill(&mut mark).map_err(|_| no_randomness())?;
        let sent = Instant::now();
        self.send(Opcode::Ping, &mark).await?;
        let pong = async {
            loop {
                let frame = self.next().await?;
                if frame.opcode == Opcode::Pong && frame.payload == mark {
                    return Ok(sent.elapsed());
                }
                self.heed(&frame).await?;
            }
        };
        timeout(PONG, pong).await.unwrap_or(Err(Broken::Silent))
    }

    /// Says nothing for at most `most`, then pings once. A Close is answered, and so are pings,
    /// because a backend that pings ends whoever is silent.
    pub(super) async fn silence(&mut self, most: Duration) -> Silence {
        let began = Instant::now();
        let end = began + most.min(SILENCE_MAX);
        let mut last = began;
        let mut silence = Silence {
            lasted: Duration::ZERO,
            longest: Duration::ZERO,
            frames: 0,
            end: Ok(Kept),
        };
        loop {
            let next = timeout_at(end, self.next()).await;
            silence.lasted = began.elapsed();
            silence.longest = silence.longest.max(last.elapsed());
            last = Instant::now();
            let heeded = match next {
                Err(_) => {
                    silence.end = self.ping().await.map(|_| Kept);
                    return silence;
                }
                Ok(Ok(frame)) => self.heed(&frame).await,
                Ok(Err(broken)) => Err(broken),
            };
            if let Err(broken) = heeded {
                silence.end = Err(broken);
                return silence;
            }
            silence.frames += 1;
        }
    }

    /// Says goodbye. Nobody is told whether the other side did the same: the path has shown what
    /// it was asked for.
    pub(super) async fn close(mut self) {
        let closing = async {
            self.send(Opcode::Close, &NORMAL.to_be_bytes()).await?;
            while self.next().await?.opcode != Opcode::Close {}
            Ok::<_, Broken>(())
        };
        timeout(CLOSE, closing).await.ok();
        timeout(CLOSE, self.stream.shutdown()).await.ok();
    }

    // RFC 6455 §5.5: a ping is answered, a Close ends.
    async fn heed(&mut self, frame: &Frame) -> Result<(), Broken> {
        match frame.opcode {
            Opcode::Ping => self.send(Opcode::Pong, &frame.payload).await,
            Opcode::Close => {
                let code = frame.payload.first_chunk().copied().map(u16::from_be_bytes);
                self.send(Opcode::Close, &frame.payload).await.ok();
                Err(Broken::Ended(How::Close(code)))
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary | Opcode::Pong => Ok(()),
        }
    }

    async fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Broken> {
        let mut key = [0; 4];
        rand::fill(&mut key).map_err(|_| no_randomness())?;
        let mut bytes = Vec::new();
        frame::append(opcode, payload, Some(key), &mut bytes);
        let sent = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| ended(&error))
    }

    // May be dropped while it waits: what was read stays in `bytes` and `skip`.
    async fn next(&mut self) -> Result<Frame, Broken> {
        loop {
            let past = self
                .bytes
                .len()
                .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.bytes.advance(past);
            self.skip -= past as u64;
            if self.skip == 0
                && let Some(frame) = self.take()?
            {
                return Ok(frame);
            }
            self.bytes.reserve(READ_BYTES);
            match self.stream.read_buf(&mut self.bytes).await {
                Ok(0) => return Err(Broken::Ended(How::Fin)),
                Ok(_) => {}
                Err(error) => return Err(ended(&error)),
            }
        }
    }

    // The frame at the front, once what is wanted of it is there.
    fn take(&mut self) -> Result<Option<Frame>, Broken> {
        let parsed = frame::parse(&self.bytes);
        let parsed = parsed.map_err(|error| Broken::Unreadable(error.to_string()))?;
        let Some((header, used)) = parsed else {
            return Ok(None);
        };
        if header.mask.is_some() {
            return Err(Broken::Unreadable("a server's frame is masked".to_owned()));
        }
        if header.rsv != 0 {
            let text = "a frame uses an extension that was not agreed on";
            return Err(Broken::Unreadable(text.to_owned()));
        }
        let mut payload = Vec::new();
        if header.opcode.is_control() {
            let len = usize::try_from(header.len).unwrap_or(CONTROL_PAYLOAD_BYTES_MAX);
            let Some(bytes) = self.bytes.get(used..used + len) else {
                return Ok(None);
            };
            payload.extend_from_slice(bytes);
            self.bytes.advance(used + len);
        } else {
            self.bytes.advance(used);
            self.skip = header.len;
        }
        Ok(Some(Frame {
            opcode: header.opcode,
            payload,
        }))
    }
}

fn no_randomness() -> Broken {
    Broken::Ended(How::Error("no randomness to be had".to_owned()))
}

fn ended(error: &io::Error) -> Broken {
    Broken::Ended(match error.kind() {
        // TLS that ends without close_notify.
        io::ErrorKind::UnexpectedEof => How::Fin,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => How::Rst,
        kind => How::Error(kind.to_string()),
    })
}

impl How {
    /// The stable word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Close(_) => "close",
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Error(_) => "error",
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(Some(code)) => write!(f, "Close frame, code {code}"),
            Self::Close(None) => f.write_str("Close frame"),
            Self::Fin => f.write_str("FIN"),
            Self::Rst => f.write_str("RST"),
            Self::Error(words) => f.write_str(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    use super::*;
    use crate::wire::ws::frame::Header;

    const MOST: Duration = Duration::from_secs(600);

    fn pair() -> (Path, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (Path::new(Stream::Unix(near)), far)
    }

    /// The next frame that the probe sent, unmasked.
    async fn sent(far: &mut UnixStream) -> (Opcode, Vec<u8>) {
        let mut bytes = Vec::new();
        loop {
            bytes.push(far.read_u8().await.unwrap());
            let Some((header, _)) = frame::parse(&bytes).unwrap() else {
                continue;
            };
            let mut payload = vec![0; usize::try_from(header.len).unwrap()];
            far.read_exact(&mut payload).await.unwrap();
            frame::mask(header.mask.expect("a client masks"), 0, &mut payload);
            return (header.opcode, payload);
        }
    }

    async fn say(far: &mut UnixStream, opcode: Opcode, payload: &[u8]) {
        let header = Header {
            fin: true,
            rsv: 0,
            opcode,
            mask: None,
            len: payload.len() as u64,
        };
        let mut bytes = Vec::new();
        frame::encode(&header, &mut bytes);
        bytes.extend_from_slice(payload);
        far.write_all(&bytes).await.unwrap();
    }

    #[tokio::test]
    async fn a_ping_waits_for_its_own_pong_past_whatever_else_comes() {
        let (mut path, mut far) = pair();
        let far = async {
            let (opcode, mark) = sent(&mut far).await;
            assert_eq!((opcode, mark.len()), (Opcode::Ping, 8));
            say(&mut far, Opcode::Text, &[b'x'; 70_000]).await;
            say(&mut far, Opcode::Pong, b"another").await;
            say(&mut far, Opcode::Ping, b"you?").await;
            say(&mut far, Opcode::Pong, &mark).await;
            assert_eq!(sent(&mut far).await, (Opcode::Pong, b"you?".to_vec()));
        };
        let (round_trip, ()) = tokio::join!(path.ping(), far);
        round_trip.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_without_a_pong_is_silence() {
        let (mut path, _far) = pair();
        assert_eq!(path.ping().await, Err(Broken::Silent));
    }

    async fn check_unreadable(bytes: &[u8], expected: &str) {
        let (mut path, mut far) = pair();
        far.write_all(bytes).await.unwrap();
        let broken = path.ping().await.unwrap_err();
        assert_eq!(broken, Broken::Unreadable(expected.to_owned()));
    }

    #[tokio::test]
    async fn what_is_no_frame_of_a_server_is_said_to_be_none() {
        check_unreadable(b"HTTP/1.1 200 OK\r\n", "control frame without FIN").await;
        check_unreadable(&[0x83, 0], "reserved opcode 3").await;
        check_unreadable(&[0x81, 0x80, 1, 2, 3, 4], "a server's frame is masked").await;
        let text = "a frame uses an extension that was not agreed on";
        check_unreadable(&[0xc1, 0], text).await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_that_is_kept_ends_in_a_ping() {
        let (mut path, mut far) = pair();
        let far = async {
            let (opcode, mark) = sent(&mut far).await;
            assert_eq!(opcode, Opcode::Ping);
            say(&mut far, Opcode::Pong, &mark).await;
        };
        let (silence, ()) = tokio::join!(path.silence(MOST), far);
        assert_eq!(silence.end, Ok(Kept));
        assert_eq!(
            (silence.frames, silence.lasted, silence.longest),
            (0, MOST, MOST)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_that_was_cut_without_a_word_is_seen_by_the_last_ping() {
        let (mut path, _far) = pair();
        let silence = path.silence(MOST).await;
        assert_eq!(silence.end, Err(Broken::Silent));
        assert_eq!(silence.lasted, MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_tells_when_and_how_it_was_cut() {
        let minute = Duration::from_secs(60);
        for (payload, how) in [
            (Some(&1001_u16.to_be_bytes()[..]), How::Close(Some(1001))),
            (Some(&[]), How::Close(None)),
            (None, How::Fin),
        ] {
            let (mut path, mut far) = pair();
            let far = async {
                tokio::time::sleep(minute).await;
                if let Some(payload) = payload {
                    say(&mut far, Opcode::Close, payload).await;
                }
                drop(far);
            };
            let (silence, ()) = tokio::join!(path.silence(MOST), far);
            assert_eq!(silence.end, Err(Broken::Ended(how)));
            assert_eq!((silence.frames, silence.lasted), (0, minute));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_pings_is_answered_and_the_longest_silence_is_told() {
        let (mut path, mut far) = pair();
        let far = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                say(&mut far, Opcode::Ping, b"you?").await;
                assert_eq!(sent(&mut far).await.0, Opcode::Pong);
            }
            drop(far);
        };
        let (silence, ()) = tokio::join!(path.silence(MOST), far);
        assert_eq!(silence.frames, 3);
        assert_eq!(silence.longest, Duration::from_secs(20));
        assert_eq!(silence.end, Err(Broken::Ended(How::Fin)));
    }

    #[tokio::test]
    async fn a_path_is_closed_with_1000() {
        let (path, mut far) = pair();
        let far = async {
            let (opcode, payload) = sent(&mut far).await;
            assert_eq!(
                (opcode, payload),
                (Opcode::Close, NORMAL.to_be_bytes().to_vec())
            );
            say(&mut far, Opcode::Close, &NORMAL.to_be_bytes()).await;
        };
        tokio::join!(path.close(), far);
    }
}
