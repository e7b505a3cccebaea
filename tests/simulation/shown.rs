//! What a wire looks like to whoever runs one seed again.

use std::fmt;

use tokio::time::Instant;

use super::frames::Frame;
use super::socket::Wire;

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reads, writes) = (&self.reads, &self.writes);
        let at = |list: &[(usize, Instant)]| {
            format!("{:?}", list.iter().rev().take(6).collect::<Vec<_>>())
        };
        let frames = |stream: &[u8]| -> Vec<String> {
            let frames = Frame::all(stream);
            frames
                .iter()
                .map(|f| format!("{:x} at {} of {}", f.first, f.start, f.len()))
                .collect()
        };
        f.debug_struct("Wire")
            .field("said", &frames(&self.far.said))
            .field("said_at", &at(&self.far.said_at))
            .field("barrier", &self.far.barrier)
            .field("given", &at(&reads.given_at))
            .field("ended", &reads.ended)
            .field("stalled until", &reads.until)
            .field("taken", &frames(&writes.taken))
            .field("taken_at", &at(&writes.taken_at))
            .field("asked", &self.far.asked)
            .field("flushed", &writes.flushed)
            .field("blocked until", &writes.until)
            .field("shut, failed", &(writes.shut, writes.failed))
            .finish()
    }
}
