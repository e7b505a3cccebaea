//! What came, on standard output: a message as a line, or as its bytes.
//!
//! Written by a thread of its own, so that a reader who is slow stops the reading of the socket and
//! neither pings nor Ctrl-C. Knows no frames.

use std::io::{self, IsTerminal, Write};
use std::thread;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::input::Shape;
use super::voice::{Voice, for_terminal};

/// Bytes of a message that are shown where the message is not.
const EXCERPT_BYTES: usize = 16;

/// Standard output.
pub(super) struct Output {
    pub(super) to: Sender<Vec<u8>>,
    /// How the writing ended; it ends when `to` is dropped, or before that.
    pub(super) ended: oneshot::Receiver<io::Result<()>>,
}

/// What messages look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    shape: Shape,
    is_terminal: bool,
}

/// Begins to write. One piece waits and no more.
pub(super) fn start() -> io::Result<Output> {
    let (to, pieces) = channel(1);
    let (tell, ended) = oneshot::channel();
    let write = move || {
        // Whoever no longer asks has been told to leave.
        tell.send(write_all(pieces)).ok();
    };
    thread::Builder::new()
        .name("stdout".to_owned())
        .spawn(write)?;
    Ok(Output { to, ended })
}

fn write_all(mut pieces: Receiver<Vec<u8>>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    while let Some(piece) = pieces.blocking_recv() {
        stdout.write_all(&piece)?;
        stdout.flush()?;
    }
    Ok(())
}

impl Look {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            is_terminal: io::stdout().is_terminal(),
        }
    }

    /// Of a standard output that is no terminal.
    #[cfg(test)]
    pub(super) const fn piped(shape: Shape) -> Self {
        Self {
            shape,
            is_terminal: false,
        }
    }

    /// A text message behind what is to be written.
    pub(super) fn text(self, text: &str, out: &mut Vec<u8>) {
        match self.is_terminal {
            true => out.extend_from_slice(for_terminal(text).as_bytes()),
            false => out.extend_from_slice(text.as_bytes()),
        }
        if self.shape == Shape::Text {
            out.push(b'\n');
        }
    }

    /// A binary message; among lines, and on a terminal, it is no more than spoken of.
    pub(super) fn binary(self, bytes: &[u8], out: &mut Vec<u8>, voice: Voice) {
        match (self.shape, self.is_terminal) {
            (Shape::Binary, false) => out.extend_from_slice(bytes),
            (Shape::Binary, true) => {
                voice.say(|| format!("{}; a terminal is not for that: pipe it", described(bytes)))
            }
            (Shape::Text, _) => {
                voice.say(|| format!("{}; --binary writes it", described(bytes)));
            }
        }
    }
}

fn described(bytes: &[u8]) -> String {
    let shown = bytes.get(..EXCERPT_BYTES).unwrap_or(bytes);
    let hex: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let more = if shown.len() < bytes.len() {
        " ..."
    } else {
        ""
    };
    format!(
        "binary message of {} bytes not shown: {}{more}",
        bytes.len(),
        hex.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_line_or_its_bytes() {
        let check = |shape, is_terminal, expected: &[u8]| {
            let look = Look { shape, is_terminal };
            let mut out = Vec::new();
            look.text("a\x1bb", &mut out);
            look.binary(&[0xff, 0], &mut out, Voice::Quiet);
            assert_eq!(out, expected);
        };
        check(Shape::Text, false, b"a\x1bb\n");
        check(Shape::Text, true, b"a\\u{1b}b\n");
        check(Shape::Binary, false, b"a\x1bb\xff\0");
        check(Shape::Binary, true, b"a\\u{1b}b");
    }

    #[test]
    fn a_message_that_is_not_shown_is_described() {
        assert_eq!(
            described(&[0xff, 0]),
            "binary message of 2 bytes not shown: ff 00"
        );
        let long = described(&[1; 17]);
        assert!(long.ends_with("01 01 ..."), "{long}");
    }
}
