//! The echo of the demo's backend: frames in, the same frames out, unmasked.
//!
//! Works frame by frame and in pieces, so that a message of any size costs one buffer. Knows
//! nothing of the handshake, and does not judge whether a text is UTF-8.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::wire::ws::frame::{self, CONTROL_PAYLOAD_BYTES_MAX, Header, Opcode};

/// Longest frame it echoes: 16 times what the page sends; no measurement behind it.
const FRAME_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes read at once: what one TLS record of the gateway holds.
const BUFFER_BYTES: usize = 16 * 1024;
/// How long a client may take to close its end once it was told to.
const LINGER: Duration = Duration::from_secs(2);

/// RFC 6455 §7.4.1.
const CLOSE_PROTOCOL_ERROR: u16 = 1002;
const CLOSE_TOO_BIG: u16 = 1009;

/// Echoes until either side is done. An error is one of the transport: every offence of the
/// client is answered with a Close.
pub(super) async fn run(stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut echo = Echo {
        stream,
        buffer: Vec::with_capacity(BUFFER_BYTES),
        in_message: false,
    };
    while let Some(header) = echo.next_header().await? {
        if let Some(payload) = echo.frame(header).await? {
            return echo.close(&payload).await;
        }
    }
    Ok(())
}

struct Echo<S> {
    stream: S,
    /// Read and not yet used; at most `BUFFER_BYTES`.
    buffer: Vec<u8>,
    /// A message has begun and its last frame has not come.
    in_message: bool,
}

/// The payload of the Close that answers something.
type Closing = Vec<u8>;

impl<S: AsyncRead + AsyncWrite + Unpin> Echo<S> {
    /// The next header; `None` at the end of the stream. The inner error is a close code: what
    /// came is not a header.
    async fn next_header(&mut self) -> io::Result<Option<Result<Header, u16>>> {
        loop {
            match frame::parse(&self.buffer) {
                Ok(Some((header, used))) => {
                    self.buffer.drain(..used);
                    return Ok(Some(Ok(header)));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "the demo's backend got a bad frame");
                    return Ok(Some(Err(CLOSE_PROTOCOL_ERROR)));
                }
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Answers one frame; `Some` when the answer is a Close.
    async fn frame(&mut self, header: Result<Header, u16>) -> io::Result<Option<Closing>> {
        let (header, key) = match header.and_then(|header| self.check(header)) {
            Ok(checked) => checked,
            Err(code) => return Ok(Some(code.to_be_bytes().to_vec())),
        };
        match header.opcode {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                self.in_message = !header.fin;
                self.echo_payload(header, key).await?;
            }
            Opcode::Ping => {
                let payload = self.control_payload(header, key).await?;
                self.send(Opcode::Pong, &payload).await?;
            }
            // A pong that nobody asked for (RFC 6455 §5.5.3).
            Opcode::Pong => drop(self.control_payload(header, key).await?),
            Opcode::Close => {
                let payload = self.control_payload(header, key).await?;
                return Ok(Some(answer_to_close(payload)));
            }
        }
        Ok(None)
    }

    /// The header with its key, or the code that it is answered with.
    fn check(&self, header: Header) -> Result<(Header, [u8; 4]), u16> {
        // RFC 6455 §5.1: a client masks. §5.2: no extension was agreed on, so no RSV bit.
        let key = header.mask.ok_or(CLOSE_PROTOCOL_ERROR)?;
        // RFC 6455 §5.4: a message continues or a new one begins, never both.
        let continues = header.opcode == Opcode::Continuation;
        let in_order = header.opcode.is_control() || continues == self.in_message;
        if header.rsv != 0 || !in_order {
            return Err(CLOSE_PROTOCOL_ERROR);
        }
        if header.len > FRAME_BYTES_MAX {
            return Err(CLOSE_TOO_BIG);
        }
        Ok((header, key))
    }

    async fn echo_payload(&mut self, header: Header, key: [u8; 4]) -> io::Result<()> {
        // The header leaves with the first piece, in one write.
        let mut piece = Vec::with_capacity(frame::HEADER_BYTES_MAX + BUFFER_BYTES);
        frame::encode(
            &Header {
                mask: None,
                ..header
            },
            &mut piece,
        );
        let mut done = 0;
        loop {
            done += self.take(header.len - done, key, done, &mut piece);
            self.stream.write_all(&piece).await?;
            piece.clear();
            if done == header.len {
                return self.stream.flush().await;
            }
            self.fill_some().await?;
        }
    }

    /// The payload of a control frame, which is at most 125 bytes.
    async fn control_payload(&mut self, header: Header, key: [u8; 4]) -> io::Result<Vec<u8>> {
        let mut payload = Vec::with_capacity(CONTROL_PAYLOAD_BYTES_MAX);
        let mut done = 0;
        while done < header.len {
            if self.buffer.is_empty() {
                self.fill_some().await?;
            }
            done += self.take(header.len - done, key, done, &mut payload);
        }
        Ok(payload)
    }

    /// Moves up to `wanted` buffered bytes to the end of `out`, unmasked; `offset` is where they
    /// stand in their payload. Returns how many.
    fn take(&mut self, wanted: u64, key: [u8; 4], offset: u64, out: &mut Vec<u8>) -> u64 {
        let n = usize::try_from(wanted).map_or(self.buffer.len(), |n| n.min(self.buffer.len()));
        let from = out.len();
        out.extend(self.buffer.drain(..n));
        if let Some(fresh) = out.get_mut(from..) {
            frame::mask(key, offset, fresh);
        }
        n as u64
    }

    async fn send(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let header = Header {
            fin: true,
            rsv: 0,
            opcode,
            mask: None,
            len: payload.len() as u64,
        };
        let mut bytes = Vec::with_capacity(frame::HEADER_BYTES_MAX + payload.len());
        frame::encode(&header, &mut bytes);
        bytes.extend_from_slice(payload);
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    /// Sends the Close and ends this side. What the client still sends is read and dropped: with
    /// bytes unread, the kernel would reset the connection and the Close could be lost.
    async fn close(mut self, payload: &[u8]) -> io::Result<()> {
        self.send(Opcode::Close, payload).await?;
        self.stream.shutdown().await?;
        let mut nowhere = tokio::io::sink();
        let rest = tokio::io::copy(&mut self.stream, &mut nowhere);
        match tokio::time::timeout(LINGER, rest).await {
            Ok(read) => read.map(drop),
            // It was given its time.
            Err(_) => Ok(()),
        }
    }

    /// Reads what is there, at most up to the buffer's size; 0 at the end of the stream.
    async fn fill(&mut self) -> io::Result<usize> {
        let room = BUFFER_BYTES.saturating_sub(self.buffer.len()) as u64;
        (&mut self.stream)
            .take(room)
            .read_buf(&mut self.buffer)
            .await
    }

    /// Reads more of a frame that has begun.
    async fn fill_some(&mut self) -> io::Result<()> {
        match self.fill().await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The same code and reason (RFC 6455 §5.5.1). One byte is half a code.
fn answer_to_close(payload: Vec<u8>) -> Closing {
    if payload.len() == 1 {
        return CLOSE_PROTOCOL_ERROR.to_be_bytes().to_vec();
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use Opcode::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// A client's frame.
    fn masked(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let header = Header {
            fin,
            rsv: 0,
            opcode,
            mask: Some(KEY),
            len: payload.len() as u64,
        };
        let mut bytes = Vec::new();
        frame::encode(&header, &mut bytes);
        let from = bytes.len();
        bytes.extend_from_slice(payload);
        frame::mask(KEY, 0, &mut bytes[from..]);
        bytes
    }

    /// Writes `input` in pieces of `piece` bytes, ends, and returns all that came back.
    async fn answer_to(input: &[u8], piece: usize) -> Vec<u8> {
        let (near, far) = tokio::io::duplex(1024);
        let (mut from_echo, mut to_echo) = tokio::io::split(near);
        let client = async {
            for piece in input.chunks(piece) {
                // It may close before it has read all.
                if to_echo.write_all(piece).await.is_err() {
                    return;
                }
            }
            to_echo.shutdown().await.unwrap();
        };
        let mut output = Vec::new();
        let (ended, (), read) = tokio::join!(run(far), client, from_echo.read_to_end(&mut output));
        ended.unwrap();
        read.unwrap();
        output
    }

    /// Whole and one byte at a time, this comes back.
    async fn check(input: &[&[u8]], expected: &[u8]) {
        let input = input.concat();
        for piece in [input.len(), 1] {
            let output = answer_to(&input, piece).await;
            assert_eq!(output, expected, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn a_message_comes_back_unmasked() {
        check(&[&masked(true, Text, b"Hello")], b"\x81\x05Hello").await;
        check(&[&masked(true, Binary, b"")], b"\x82\x00").await;
    }

    #[tokio::test]
    async fn fragments_stay_fragments_with_a_pong_between() {
        let input: [&[u8]; 3] = [
            &masked(false, Text, b"Hel"),
            &masked(true, Ping, b"?"),
            &masked(true, Continuation, b"lo"),
        ];
        check(&input, b"\x01\x03Hel\x8a\x01?\x80\x02lo").await;
    }

    #[tokio::test]
    async fn a_close_is_answered_with_its_code_and_reason_and_ends_it() {
        let close = masked(true, Close, b"\x0f\xa1bye");
        let after = masked(true, Text, b"too late");
        check(&[&close, &after], b"\x88\x05\x0f\xa1bye").await;
        check(&[&masked(true, Close, b"")], b"\x88\x00").await;
    }

    #[tokio::test]
    async fn an_offence_is_answered_with_1002() {
        let mut compressed = masked(true, Text, b"x");
        compressed[0] |= 0x40;
        for offence in [
            b"\x81\x05Hello".to_vec(),
            b"\x83\x80\x00\x00\x00\x00".to_vec(),
            compressed,
            masked(true, Continuation, b"of nothing"),
            [masked(false, Text, b"a"), masked(true, Text, b"b")].concat(),
            masked(true, Close, b"\x03"),
        ] {
            let output = answer_to(&offence, offence.len()).await;
            assert!(output.ends_with(b"\x88\x02\x03\xea"), "{offence:02x?}");
        }
    }

    #[tokio::test]
    async fn a_frame_over_the_limit_is_answered_with_1009() {
        let header = Header {
            fin: true,
            rsv: 0,
            opcode: Binary,
            mask: Some(KEY),
            len: FRAME_BYTES_MAX + 1,
        };
        let mut input = Vec::new();
        frame::encode(&header, &mut input);
        check(&[&input], b"\x88\x02\x03\xf1").await;
    }

    #[tokio::test]
    async fn a_message_larger_than_every_buffer_comes_back_whole() {
        let payload: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        let output = answer_to(&masked(true, Binary, &payload), 7_001).await;
        let (header, used) = frame::parse(&output).unwrap().unwrap();
        assert_eq!((header.len, header.mask), (300_000, None));
        assert!(output[used..] == payload, "the payload changed on its way");
    }
}
