//! What arrived at one side, told apart: what the other side said, and the gateway's own frames.
//!
//! Knows no reasons; whether a frame of the gateway's was due is not its business.

use std::ops::Range;

use super::far::is_mark;
use super::frames::{CLOSE, Frame, PING, PONG};
use super::socket::Wire;

/// One direction.
#[derive(Debug, Default)]
pub struct Passed {
    /// Bytes of the source's.
    pub bytes: usize,
    /// How far in what it said.
    pub upto: usize,
    /// They end within a frame.
    pub within: bool,
    /// The source's own Close arrived whole.
    pub closed: bool,
    pub own: Vec<Own>,
    /// A frame of the gateway's did not arrive whole.
    pub own_cut: bool,
    /// What of the source's was for the gateway.
    pub answers: Vec<Range<usize>>,
}

/// A frame of the gateway's.
#[derive(Debug)]
pub struct Own {
    pub at: usize,
    pub end: usize,
    pub opcode: u8,
    /// Of a Close.
    pub code: Option<u16>,
}

impl Passed {
    /// Bytes alone: they are what was said, from the beginning.
    pub fn bytes(from: &Wire, to: &Wire) -> Self {
        let taken = &to.writes.taken;
        let is_prefix = from.far.said.starts_with(taken);
        assert!(is_prefix, "what arrived is not what was said");
        Self {
            bytes: taken.len(),
            upto: taken.len(),
            ..Self::default()
        }
    }

    /// `counted` is what the outcome says of it, which settles whose a byte or two at the very end are.
    pub fn frames(from: &Wire, to: &Wire, counted: u64) -> Self {
        let (said, taken) = (&from.far.said, &to.writes.taken);
        let mut passed = Self {
            answers: answers(from, to),
            ..Self::default()
        };
        let mut pieces = passed.pieces(said).into_iter().peekable();
        let mut at = 0;
        while at < taken.len() {
            let rest = &taken[at..];
            let is_next = |piece: &Range<usize>| {
                let piece = &said[piece.clone()];
                let both = piece.len().min(rest.len());
                let is_whole = both == piece.len();
                let is_last = (passed.bytes + both) as u64 == counted;
                piece[..both] == rest[..both] && (is_whole || is_last)
            };
            match pieces.next_if(is_next) {
                Some(piece) => at += passed.pass(said, piece, rest.len()),
                None => at = passed.own(taken, at, !to.far.masks),
            }
        }
        passed
    }

    /// What was said, frame by frame, without what was for the gateway.
    fn pieces(&self, said: &[u8]) -> Vec<Range<usize>> {
        let frames = Frame::all(said);
        let end = frames.last().map_or(0, |last| last.end);
        let mut pieces: Vec<_> = frames.iter().map(|f| f.within(said.len())).collect();
        if end < said.len() {
            pieces.push(end..said.len());
        }
        pieces.retain(|piece| !self.answers.contains(piece));
        pieces
    }

    fn pass(&mut self, said: &[u8], piece: Range<usize>, most: usize) -> usize {
        assert!(
            self.own_close().is_none(),
            "bytes after the gateway's Close"
        );
        let taken = piece.len().min(most);
        self.bytes += taken;
        self.upto = piece.start + taken;
        let frame = Frame::at(said, piece.start);
        let is_whole = frame.as_ref().is_some_and(|f| f.end - f.start == taken);
        self.within = !is_whole;
        self.closed |= is_whole && frame.is_some_and(|f| f.opcode() == CLOSE);
        taken
    }

    /// A frame that the source did not say is the gateway's; where it ends.
    fn own(&mut self, taken: &[u8], at: usize, masked: bool) -> usize {
        assert!(
            !self.within,
            "a frame of the gateway's within another, at {at}"
        );
        assert!(
            !self.closed,
            "a frame of the gateway's after a Close, at {at}"
        );
        assert!(self.own_close().is_none(), "two Closes of the gateway's");
        let Some(frame) = Frame::at(taken, at).filter(|f| f.end <= taken.len()) else {
            self.own_cut = true;
            self.own.push(Own {
                at,
                end: taken.len(),
                opcode: 0,
                code: None,
            });
            return taken.len();
        };
        let payload = frame.text(taken).unwrap();
        let is_ours = match frame.opcode() {
            PING => is_mark(&payload),
            CLOSE => payload.len() > 2,
            _ => false,
        };
        assert!(
            is_ours,
            "nobody said this, at {at}: {frame:?} {payload:02x?}"
        );
        assert!(frame.is_last() && frame.first & 0x70 == 0, "{frame:?}");
        assert_eq!(frame.key.is_some(), masked, "the mask of {frame:?}");
        let code = || u16::from_be_bytes([payload[0], payload[1]]);
        self.own.push(Own {
            at,
            end: frame.end,
            opcode: frame.opcode(),
            code: (frame.opcode() == CLOSE).then(code),
        });
        frame.end
    }

    pub fn own_close(&self) -> Option<u16> {
        self.own.last().and_then(|own| own.code)
    }

    pub fn pings(&self) -> usize {
        self.own.iter().filter(|own| own.opcode == PING).count()
    }

    /// How many of the first bytes that the source said are for the other side.
    pub fn due(&self, said: usize) -> usize {
        let inside = |answer: &Range<usize>| answer.end.min(said).saturating_sub(answer.start);
        said - self.answers.iter().map(inside).sum::<usize>()
    }
}

/// Where in what `from` said its Pongs to the gateway's own Pings are, as far as they were read whole.
fn answers(from: &Wire, to: &Wire) -> Vec<Range<usize>> {
    let payloads = |stream: &[u8], opcode: u8| -> Vec<(Range<usize>, Vec<u8>)> {
        let frames = Frame::all(stream).into_iter();
        let ours = frames.filter(|frame| frame.opcode() == opcode);
        ours.filter_map(|f| Some((f.start..f.end, f.text(stream)?)))
            .filter(|(_, text)| is_mark(text))
            .collect()
    };
    // What looks like the gateway's Ping may be the other side's.
    let others = payloads(&to.far.said, PING);
    let mut marks = payloads(&from.writes.taken, PING);
    marks.retain(|(_, mark)| others.iter().all(|(_, other)| other != mark));
    let mut pongs = payloads(&from.far.said, PONG);
    pongs.retain(|(at, pong)| {
        at.end <= from.reads.given && marks.iter().any(|(_, mark)| mark == pong)
    });
    pongs.into_iter().map(|(at, _)| at).collect()
}
