//! What was read and could not be written, and the chunks of memory that hold such bytes, which
//! go round: a slow side takes them from its thread's pool, and they go back when it has caught up.
//!
//! Knows no streams.

use std::cell::RefCell;

use bytes::Bytes;

/// The sizes of chunks, each with how many of it a thread puts by: 2.5 MiB in all. What more slow
/// sides need at one time is allocated, and freed. No measurement behind the numbers yet.
const CLASSES: [(usize, usize); 3] = [(4 * 1024, 128), (16 * 1024, 64), (64 * 1024, 16)];

thread_local! {
    /// The chunks put by, by class.
    static POOL: RefCell<[Vec<Vec<u8>>; CLASSES.len()]> = const { RefCell::new([const { Vec::new() }; CLASSES.len()]) };
}

/// Bytes in the order in which they are to be written.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: Held,
    /// How many of them were written.
    written: usize,
    /// They are the gateway's, and nobody's of the two sides.
    own: bool,
}

#[derive(Debug)]
enum Held {
    /// Read too early, in a buffer of somebody's.
    Tail(Bytes),
    /// Copied from the scratch buffer to a chunk of the pool's.
    Chunk(Vec<u8>),
}

impl Kept {
    /// A handshake's tail; `None` when it is empty.
    pub(super) fn tail(tail: Bytes) -> Option<Self> {
        (!tail.is_empty()).then(|| Self::new(Held::Tail(tail)))
    }

    /// A copy of `bytes`.
    pub(super) fn copy(bytes: &[u8]) -> Self {
        let mut chunk = taken(bytes.len());
        chunk.extend_from_slice(bytes);
        Self::new(Held::Chunk(chunk))
    }

    /// As [`Kept::copy`]; `None` when there is nothing.
    pub(super) fn rest_of(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self::copy(bytes))
    }

    /// A frame of the gateway's.
    pub(super) fn own(frame: Vec<u8>) -> Self {
        let mut own = Self::new(Held::Chunk(frame));
        own.own = true;
        own
    }

    fn new(bytes: Held) -> Self {
        Self {
            bytes,
            written: 0,
            own: false,
        }
    }

    /// Whether these bytes came from neither side.
    pub(super) fn is_own(&self) -> bool {
        self.own
    }

    /// What is still to be written.
    pub(super) fn rest(&self) -> &[u8] {
        let bytes: &[u8] = match &self.bytes {
            Held::Tail(tail) => tail,
            Held::Chunk(chunk) => chunk,
        };
        bytes.get(self.written..).unwrap_or_default()
    }

    /// So many more were written.
    pub(super) fn advance(&mut self, written: usize) {
        self.written += written;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Held::Chunk(chunk) = &mut self.bytes {
            give_back(std::mem::take(chunk));
        }
    }
}

/// The smallest chunk that holds so many bytes.
fn taken(bytes: usize) -> Vec<u8> {
    let Some(class) = CLASSES.iter().position(|(size, _)| bytes <= *size) else {
        return Vec::with_capacity(bytes);
    };
    let pooled = POOL.with_borrow_mut(|pool| pool[class].pop());
    pooled.unwrap_or_else(|| Vec::with_capacity(CLASSES[class].0))
}

fn give_back(mut chunk: Vec<u8>) {
    let class = CLASSES
        .iter()
        .position(|(size, _)| chunk.capacity() == *size);
    let Some(class) = class else { return };
    chunk.clear();
    // A thread that is ending has no pool any more, and needs none.
    POOL.try_with(|pool| {
        let pooled = &mut pool.borrow_mut()[class];
        if pooled.len() < CLASSES[class].1 {
            pooled.push(chunk);
        }
    })
    .unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled() -> [usize; CLASSES.len()] {
        POOL.with_borrow(|pool| [pool[0].len(), pool[1].len(), pool[2].len()])
    }

    #[test]
    fn a_chunk_is_of_the_smallest_size_that_serves_and_goes_back() {
        for (bytes, capacity, after) in [
            (1, 4096, [1, 0, 0]),
            (4096, 4096, [1, 0, 0]),
            (4097, 16384, [1, 1, 0]),
            (65536, 65536, [1, 1, 1]),
            (65537, 65537, [1, 1, 1]),
        ] {
            let kept = Kept::copy(&vec![7; bytes]);
            let Held::Chunk(chunk) = &kept.bytes else {
                panic!("a copy is in a chunk");
            };
            assert_eq!((chunk.len(), chunk.capacity()), (bytes, capacity));
            drop(kept);
            assert_eq!(pooled(), after, "{bytes}");
        }
    }

    #[test]
    fn a_used_chunk_shows_nothing_of_its_last_use() {
        drop(Kept::copy(b"a secret of one session"));
        assert_eq!(Kept::copy(b"word").rest(), b"word");
    }

    #[test]
    fn the_pool_is_bounded() {
        let many: Vec<_> = (0..200).map(|_| Kept::copy(&[7; 60_000])).collect();
        drop(many);
        assert_eq!(pooled(), [0, 0, 16]);
    }

    #[test]
    fn what_is_written_is_gone_and_the_rest_stays_in_order() {
        let tail = Kept::tail(Bytes::from_static(b"in order"));
        for mut kept in [tail.unwrap(), Kept::copy(b"in order")] {
            kept.advance(3);
            assert_eq!(kept.rest(), b"order");
            kept.advance(5);
            assert_eq!(kept.rest(), b"");
        }
        assert!(Kept::tail(Bytes::new()).is_none());
    }
}
