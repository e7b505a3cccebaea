//! Bytes that look random, are the same every time, and are cheap to make and to compare, so
//! that a gibibyte of them can be checked byte by byte in a debug build.
//!
//! Knows no sockets but to write to and read from.

use std::sync::LazyLock;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A prime: no two reads or writes of a round size meet the same place in the block, so a chunk
/// that is lost, doubled or moved does not go unseen.
const BLOCK_BYTES: usize = 1_048_573;

/// What one write offers and one read asks for.
const CHUNK_BYTES_MAX: usize = 256 * 1024;

static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // xorshift64 (Marsaglia); the seed is arbitrary.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..BLOCK_BYTES).map(|_| next()).collect()
});

/// An endless stream of noise: the block over and over, from a place that the seed decides.
#[derive(Debug, Clone)]
pub struct Noise {
    at: usize,
}

impl Noise {
    /// Streams with different seeds differ.
    pub fn seeded(seed: usize) -> Self {
        Self {
            at: seed.wrapping_mul(7919) % BLOCK_BYTES,
        }
    }

    /// The next bytes: at least one and at most `max` (not 0).
    pub fn next(&mut self, max: usize) -> &'static [u8] {
        let end = (self.at + max).min(BLOCK_BYTES);
        let bytes = &BLOCK[self.at..end];
        self.at = end % BLOCK_BYTES;
        bytes
    }

    /// The next `n` bytes in one piece.
    pub fn take(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(n);
        while bytes.len() < n {
            bytes.extend_from_slice(self.next(n - bytes.len()));
        }
        bytes
    }

    /// Fails unless `bytes` are exactly the next ones.
    pub fn expect(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = self.next(bytes.len());
            let (now, later) = bytes.split_at(expected.len());
            assert!(now == expected, "the bytes differ");
            bytes = later;
        }
    }

    /// Writes `total` bytes to `sink`, without flushing or shutting it down.
    pub async fn pour(&mut self, sink: &mut (impl AsyncWrite + Unpin), total: u64) {
        let mut left = total;
        while left > 0 {
            let bytes = self.next(left.min(CHUNK_BYTES_MAX as u64) as usize);
            sink.write_all(bytes).await.expect("the sink takes it all");
            left -= bytes.len() as u64;
        }
    }

    /// Reads `source` to its end or its failure, holds each byte against the noise, and returns
    /// how many there were and the failure, if it was one.
    pub async fn drain(
        &mut self,
        source: &mut (impl AsyncRead + Unpin),
    ) -> (u64, Option<std::io::ErrorKind>) {
        let mut buf = vec![0; CHUNK_BYTES_MAX];
        let mut total = 0;
        loop {
            let n = match source.read(&mut buf).await {
                Ok(0) => return (total, None),
                Ok(n) => n,
                Err(error) => return (total, Some(error.kind())),
            };
            self.expect(&buf[..n]);
            total += n as u64;
        }
    }
}
