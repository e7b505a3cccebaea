//! What one side of a WebSocket may send, frame after frame (RFC 6455 §5, §7.4, §8.1; RFC 7692 §6).
//!
//! Reads payloads as they stand on the wire, keeps none and changes none. Does not know the other
//! side, nor how much of anything is too much: limits are not the protocol's.

use super::close::CloseCode;
use super::frame::{self, Header, Opcode};
use super::layout::Layout;
use super::utf8::{NotUtf8, Utf8};
use super::violation::Violation;

/// RSV1 in [`Layout::rsv`]: the message is compressed (RFC 7692 §6).
const RSV1: u8 = 0b100;

/// How much is unmasked at once, on the stack. With half of it long texts are read a quarter slower;
/// four times as much gains them little, and costs short ones the time to clear it.
const BLOCK_BYTES: usize = 512;

/// Whose frames they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Masks every frame.
    Client,
    /// Masks none.
    Server,
}

/// Where one side is in the protocol. After a violation it is nowhere, and is not to be asked again.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    sender: Sender,
    /// permessage-deflate was agreed on.
    deflate: bool,
    /// A Close has passed.
    closed: bool,
    /// The message that the next continuation is of.
    message: Message,
    /// What the frame's next byte of payload is.
    expects: Expects,
    /// The text ends with the frame.
    is_last: bool,
    /// The text that is being read: a message's, or a Close's reason, after which no message goes on.
    utf8: Utf8,
    /// The mask of the frame's next byte and the three after it.
    key: [u8; 4],
    /// Bytes of the frame's payload that have not come.
    left: u64,
}

/// A message that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    None,
    /// A text that can be read.
    Text,
    /// Binary, or compressed.
    Unread,
}

/// What payload is, byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// Nothing that can be wrong.
    Anything,
    /// The text of a message.
    Text,
    /// The first byte of a Close's code.
    Code,
    /// The second byte; the first is this.
    CodeEnd(u8),
    /// A Close's reason.
    Reason,
}

impl Rules {
    /// A side that has sent nothing yet. `deflate`: permessage-deflate was agreed on.
    pub fn new(sender: Sender, deflate: bool) -> Self {
        Self {
            sender,
            deflate,
            closed: false,
            message: Message::None,
            expects: Expects::Anything,
            is_last: false,
            utf8: Utf8::default(),
            key: [0; 4],
            left: 0,
        }
    }

    /// The header of the next frame, after all payload of the one before.
    pub fn header(&mut self, layout: &Layout) -> Result<(), Violation> {
        let header = frame::judge(layout)?;
        self.key = self.key_of(&header)?;
        self.check_rsv(&header)?;
        if self.closed && !matches!(header.opcode, Opcode::Ping | Opcode::Pong) {
            return Err(Violation::AfterClose(header.opcode));
        }
        self.left = header.len;
        self.is_last = header.fin;
        self.expects = match header.opcode {
            Opcode::Text | Opcode::Binary => self.begin(&header)?,
            Opcode::Continuation => self.go_on(&header)?,
            Opcode::Close => self.close(&header)?,
            Opcode::Ping | Opcode::Pong => Expects::Anything,
        };
        self.check_end()
    }

    /// What comes next of that frame's payload, as it stands on the wire: in any parts, and never
    /// more than the frame has.
    pub fn payload(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.left = self.left.saturating_sub(bytes.len() as u64);
        if self.expects == Expects::Anything {
            return Ok(());
        }
        match self.sender {
            Sender::Server => self.plain(bytes)?,
            Sender::Client => {
                let mut block = [0; BLOCK_BYTES];
                for part in bytes.chunks(BLOCK_BYTES) {
                    let plain = &mut block[..part.len()];
                    plain.copy_from_slice(part);
                    frame::mask(self.key, 0, plain);
                    self.plain(plain)?;
                    self.key.rotate_left(part.len() % 4);
                }
            }
        }
        self.check_end()
    }

    // RFC 6455 §5.1: a client masks every frame, a server none.
    fn key_of(&self, header: &Header) -> Result<[u8; 4], Violation> {
        match (self.sender, header.mask) {
            (Sender::Client, Some(key)) => Ok(key),
            (Sender::Client, None) => Err(Violation::Unmasked),
            (Sender::Server, None) => Ok([0; 4]),
            (Sender::Server, Some(_)) => Err(Violation::Masked),
        }
    }

    // RFC 7692 §6: RSV1 is of a message, on the first of its frames alone.
    fn check_rsv(&self, header: &Header) -> Result<(), Violation> {
        let begins = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        match header.rsv {
            0 => Ok(()),
            RSV1 if self.deflate && begins => Ok(()),
            bits => Err(Violation::Rsv(bits)),
        }
    }

    fn begin(&mut self, header: &Header) -> Result<Expects, Violation> {
        if self.message != Message::None {
            return Err(Violation::MessageInMessage(header.opcode));
        }
        self.message = match header.opcode {
            Opcode::Text if header.rsv == 0 => Message::Text,
            _ => Message::Unread,
        };
        self.go_on(header)
    }

    fn go_on(&mut self, header: &Header) -> Result<Expects, Violation> {
        let expects = match self.message {
            Message::None => return Err(Violation::StrayContinuation),
            Message::Text => Expects::Text,
            Message::Unread => Expects::Anything,
        };
        if header.fin {
            self.message = Message::None;
        }
        Ok(expects)
    }

    // RFC 6455 §5.5.1: nothing at all, or a code and perhaps a reason.
    fn close(&mut self, header: &Header) -> Result<Expects, Violation> {
        self.closed = true;
        self.utf8 = Utf8::default();
        match header.len {
            0 => Ok(Expects::Anything),
            1 => Err(Violation::HalfCloseCode),
            _ => Ok(Expects::Code),
        }
    }

    /// Payload without its mask.
    fn plain(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        while let Some((&first, rest)) = bytes.split_first() {
            self.expects = match self.expects {
                Expects::Anything => return Ok(()),
                Expects::Text => return self.text(bytes, Violation::TextNotUtf8),
                Expects::Reason => return self.text(bytes, Violation::ReasonNotUtf8),
                Expects::Code => Expects::CodeEnd(first),
                Expects::CodeEnd(high) => {
                    let code = CloseCode(u16::from_be_bytes([high, first]));
                    if !code.may_be_sent() {
                        return Err(Violation::BadCloseCode(code));
                    }
                    Expects::Reason
                }
            };
            bytes = rest;
        }
        Ok(())
    }

    fn text(&mut self, bytes: &[u8], otherwise: Violation) -> Result<(), Violation> {
        self.utf8.take(bytes).map_err(|NotUtf8| otherwise)
    }

    // RFC 6455 §8.1: a text may be cut anywhere into frames, but must not end within a code point.
    fn check_end(&self) -> Result<(), Violation> {
        if self.left > 0 || !self.is_last || self.utf8.is_whole() {
            return Ok(());
        }
        match self.expects {
            Expects::Text => Err(Violation::TextNotUtf8),
            Expects::Reason => Err(Violation::ReasonNotUtf8),
            Expects::Anything | Expects::Code | Expects::CodeEnd(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ws::frame::FrameError;
    use Violation::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    const SENDERS: [Sender; 2] = [Sender::Client, Sender::Server];

    /// What a pump does: headers come whole, payload in any parts.
    struct Reader {
        rules: Rules,
        held: Vec<u8>,
        left: u64,
    }

    impl Reader {
        fn new(rules: Rules) -> Self {
            Self {
                rules,
                held: Vec::new(),
                left: 0,
            }
        }

        fn read(&mut self, bytes: &[u8]) -> Result<(), Violation> {
            self.held.extend_from_slice(bytes);
            loop {
                let n = self.held.len().min(usize::try_from(self.left).unwrap());
                if n > 0 {
                    let payload: Vec<u8> = self.held.drain(..n).collect();
                    self.left -= n as u64;
                    self.rules.payload(&payload)?;
                }
                let Some((layout, used)) = Layout::read(&self.held) else {
                    return Ok(());
                };
                if self.left > 0 {
                    return Ok(());
                }
                self.held.drain(..used);
                self.rules.header(&layout)?;
                self.left = layout.len;
            }
        }
    }

    /// A server's frame as a client sends it; its payload may be cut short.
    fn masked(frame: &[u8]) -> Vec<u8> {
        let (layout, used) = Layout::read(frame).expect("a header");
        assert_eq!(layout.mask, None);
        let (head, payload) = frame.split_at(used);
        let mut bytes = [head, &KEY, payload].concat();
        bytes[1] |= 0x80;
        frame::mask(KEY, 0, &mut bytes[used + KEY.len()..]);
        bytes
    }

    /// At once, byte by byte and in any two parts: the frames are in order, or else the very last
    /// byte of them breaks it.
    fn check_one(rules: Rules, bytes: &[u8], expected: Result<(), Violation>) {
        let mut by_byte = Reader::new(rules);
        for (at, byte) in bytes.iter().enumerate() {
            let is_last = at + 1 == bytes.len();
            let expected = if is_last { expected } else { Ok(()) };
            let found = by_byte.read(&[*byte]);
            assert_eq!(found, expected, "byte {at} of {bytes:02x?}");
        }
        for split in 0..=bytes.len() {
            let (left, right) = bytes.split_at(split);
            let mut in_two = Reader::new(rules);
            let found = in_two.read(left).and_then(|()| in_two.read(right));
            assert_eq!(found, expected, "{bytes:02x?} at {split}");
        }
    }

    /// The frames from either side, written as a server's.
    fn check_with(deflate: bool, frames: &[&[u8]], expected: Result<(), Violation>) {
        check_one(
            Rules::new(Sender::Server, deflate),
            &frames.concat(),
            expected,
        );
        let masked: Vec<Vec<u8>> = frames.iter().map(|frame| masked(frame)).collect();
        check_one(
            Rules::new(Sender::Client, deflate),
            &masked.concat(),
            expected,
        );
    }

    fn check(frames: &[&[u8]], expected: Result<(), Violation>) {
        check_with(false, frames, expected);
        check_with(true, frames, expected);
    }

    fn bad(frame: FrameError) -> Result<(), Violation> {
        Err(Frame(frame))
    }

    #[test]
    fn messages_whole_and_in_fragments_with_control_frames_between() {
        check(&[], Ok(()));
        check(
            &[b"\x81\x05Hello", b"\x82\x02\xff\xfe", b"\x81\x00"],
            Ok(()),
        );
        check(
            &[b"\x82\x00", b"\x02\x00", b"\x00\x00", b"\x80\x00"],
            Ok(()),
        );
        check(
            &[
                b"\x01\x03Hel",
                b"\x89\x01?",
                b"\x8a\x02\xff!",
                b"\x80\x02lo",
            ],
            Ok(()),
        );
        check(
            &[b"\x01\x01a", b"\x80\x01b", b"\x01\x01a", b"\x80\x01b"],
            Ok(()),
        );
        let longest = [b"\x89\x7d", &[0xff; 125][..]].concat();
        check(&[&longest, b"\x8a\x00"], Ok(()));
        let long = [b"\x82\x7e\x01\x00", &[0xff; 256][..]].concat();
        check(&[&long, b"\x89\x00"], Ok(()));
    }

    #[test]
    fn a_client_masks_and_a_server_does_not() {
        let plain = b"\x81\x05";
        check_one(Rules::new(Sender::Client, false), plain, Err(Unmasked));
        let masked = &masked(plain);
        check_one(Rules::new(Sender::Server, false), masked, Err(Masked));
        check_one(
            Rules::new(Sender::Server, false),
            b"\x88\x80\0\0\0\0",
            Err(Masked),
        );
    }

    #[test]
    fn what_no_frame_may_be() {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            let expected = bad(FrameError::ReservedOpcode(opcode));
            check(&[&[0x80 | opcode, 0]], expected);
            check(&[b"\x01\x01a", &[opcode, 5]], expected);
        }
        for control in [0x08, 0x09, 0x0a] {
            check(&[&[control, 0]], bad(FrameError::FragmentedControl));
            check(
                &[&[0x80 | control, 126, 0, 126]],
                bad(FrameError::LongControl),
            );
        }
        let not_minimal = bad(FrameError::LengthNotMinimal);
        check(&[b"\x82\x7e\x00\x7d"], not_minimal);
        check(&[b"\x82\x7f\0\0\0\0\0\0\xff\xff"], not_minimal);
        let too_big = bad(FrameError::LengthTooBig);
        check(&[b"\x82\x7f\x80\0\0\0\0\0\0\0"], too_big);
        check(&[b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"], Ok(()));
    }

    #[test]
    fn rsv1_begins_a_message_where_deflate_was_agreed_on() {
        for first in [0xc1, 0xc2, 0x41, 0x42] {
            check_with(false, &[&[first, 5]], Err(Rsv(4)));
            // Compressed, so not to be read as text.
            check_with(true, &[&[first, 2, 0xff, 0xff]], Ok(()));
        }
        let fragments: [&[u8]; 4] = [
            b"\x41\x01\xff",
            b"\x89\x00",
            b"\x80\x01\xff",
            b"\x81\x01\xff",
        ];
        check_with(true, &fragments, Err(TextNotUtf8));
        for deflate in [false, true] {
            check_with(deflate, &[b"\x01\x01a", &[0xc0, 0]], Err(Rsv(4)));
            check_with(deflate, &[&[0xc8, 0]], Err(Rsv(4)));
            check_with(deflate, &[&[0xc9, 0]], Err(Rsv(4)));
            check_with(deflate, &[&[0xca, 0]], Err(Rsv(4)));
            for rsv in [1, 2, 3, 5, 6, 7] {
                let first = 0x81 | rsv << 4;
                check_with(deflate, &[&[first, 0]], Err(Rsv(rsv)));
            }
        }
    }

    #[test]
    fn a_message_ends_before_the_next_begins() {
        check(&[b"\x80\x01"], Err(StrayContinuation));
        check(&[b"\x00\x01"], Err(StrayContinuation));
        check(&[b"\x81\x01a", b"\x00\x01"], Err(StrayContinuation));
        check(
            &[b"\x01\x01a", b"\x80\x01b", b"\x80\x01"],
            Err(StrayContinuation),
        );
        check(&[b"\x8a\x00", b"\x80\x00"], Err(StrayContinuation));
        let text = Err(MessageInMessage(Opcode::Text));
        check(&[b"\x01\x01a", b"\x81\x01"], text);
        check(&[b"\x02\x00", b"\x89\x00", b"\x01\x01"], text);
        let binary = Err(MessageInMessage(Opcode::Binary));
        check(&[b"\x01\x01a", b"\x00\x01b", b"\x02\x01"], binary);
    }

    #[test]
    fn behind_a_close_comes_no_data() {
        let close: &[u8] = b"\x88\x05\x03\xe9bye";
        check(&[close], Ok(()));
        check(&[close, b"\x81\x01"], Err(AfterClose(Opcode::Text)));
        check(&[close, b"\x82\x01"], Err(AfterClose(Opcode::Binary)));
        check(&[close, b"\x88\x00"], Err(AfterClose(Opcode::Close)));
        // Within a message, the message does not go on.
        let continued = Err(AfterClose(Opcode::Continuation));
        check(&[b"\x01\x01\xc3", close, b"\x80\x01"], continued);
        // A side that closed answers pings until it has the other's Close (RFC 6455 §5.5.2).
        check(&[close, b"\x8a\x01?", b"\x89\x00"], Ok(()));
    }

    #[test]
    fn a_close_has_a_code_that_may_be_sent_and_a_reason_in_utf8() {
        check(&[b"\x88\x00"], Ok(()));
        check(&[b"\x88\x01"], Err(HalfCloseCode));
        for code in [
            1000, 1001, 1002, 1003, 1007, 1010, 1014, 3000, 3999, 4000, 4999_u16,
        ] {
            let [high, low] = code.to_be_bytes();
            check(&[&[0x88, 2, high, low]], Ok(()));
        }
        for code in [
            0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535_u16,
        ] {
            let [high, low] = code.to_be_bytes();
            let expected = Err(BadCloseCode(CloseCode(code)));
            check(&[&[0x88, 2, high, low]], expected);
            check(&[&[0x88, 9, high, low]], expected);
        }
        let longest = [b"\x88\x7d\x03\xe8", &[b'x'; 123][..]].concat();
        check(&[&longest], Ok(()));
        check(&[b"\x88\x05\x03\xe8\xe2\x82\xac"], Ok(()));
        check(&[b"\x88\x04\x03\xe8\xe2\x82"], Err(ReasonNotUtf8));
        check(&[b"\x88\x09\x03\xe8ok\xff"], Err(ReasonNotUtf8));
        // Behind half a code point of a text, which the reason does not complete.
        check(
            &[b"\x01\x01\xe2", b"\x88\x04\x03\xe8\x82"],
            Err(ReasonNotUtf8),
        );
    }

    #[test]
    fn a_text_is_utf8_however_it_is_cut_into_frames() {
        let text = "\u{3ba}\u{1f79}\u{1f310}!".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let frame = |first: u8, part: &[u8]| [&[first, part.len() as u8], part].concat();
                let frames = [
                    frame(0x01, &text[..first]),
                    frame(0x89, b"\xff"),
                    frame(0x00, &text[first..second]),
                    frame(0x80, &text[second..]),
                ];
                check(&frames.each_ref().map(|frame| &frame[..]), Ok(()));
            }
        }
        let not_utf8 = Err(TextNotUtf8);
        // Overlong, a surrogate, past U+10FFFF: each with the first byte that nothing can mend.
        check(&[b"\x81\x03a\xc0"], not_utf8);
        check(&[b"\x81\x05\xe0\x80"], not_utf8);
        check(&[b"\x01\x01\xed", b"\x00\x01\xa0"], not_utf8);
        check(&[b"\x81\x04\xf4\x90"], not_utf8);
        check(&[b"\x81\x04\xf5"], not_utf8);
        check(&[b"\x01\x02a\x80"], not_utf8);
        // It ends within a code point: with its last byte, or with the header of an empty frame.
        check(&[b"\x81\x02\xe2\x82"], not_utf8);
        check(
            &[b"\x01\x02\xe2\x82", b"\x8a\x00", b"\x00\x00", b"\x80\x00"],
            not_utf8,
        );
        // Nobody reads these as text.
        check(
            &[b"\x82\x02\xe2\x82", b"\x02\x01\xff", b"\x80\x01\xff"],
            Ok(()),
        );
    }

    #[test]
    fn a_long_text_is_read_across_the_blocks_that_it_is_unmasked_in() {
        let text = "x\u{20ac}".repeat(BLOCK_BYTES);
        for sender in SENDERS {
            for cut in [1, 2, 3, 5, 511, 512, 513, 4096] {
                for bad_at in [None, Some(0), Some(511), Some(512), Some(2044)] {
                    let mut payload = text.clone().into_bytes();
                    if let Some(at) = bad_at {
                        payload[at] = 0xff;
                    }
                    let mask = (sender == Sender::Client).then_some(KEY);
                    frame::mask(mask.unwrap_or_default(), 0, &mut payload);
                    let mut bytes = Vec::new();
                    let header = Header {
                        fin: true,
                        rsv: 0,
                        opcode: Opcode::Text,
                        mask,
                        len: payload.len() as u64,
                    };
                    frame::encode(&header, &mut bytes);
                    let mut reader = Reader::new(Rules::new(sender, false));
                    reader.read(&bytes).unwrap();
                    let failed = payload
                        .chunks(cut)
                        .position(|part| reader.read(part).is_err());
                    assert_eq!(
                        failed,
                        bad_at.map(|at| at / cut),
                        "{sender:?} {cut} {bad_at:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_session_has_room_for_two() {
        assert!(size_of::<Rules>() <= 32, "{}", size_of::<Rules>());
    }
}
