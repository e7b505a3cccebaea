//! Every parser that a stranger can reach, fed thousands of damaged inputs: none panics, and what is
//! accepted keeps its invariants. Seeded, so that a failure repeats.

use throughway::wire::authority::Authority;
use throughway::wire::challenge::{self, Challenge};
use throughway::wire::connect::reply::{HeadEnd, Reply};
use throughway::wire::digest;
use throughway::wire::head::{Scanner, parse_request};
use throughway::wire::origin::Origin;
use throughway::wire::socks5::{self, Offer};
use throughway::wire::target::Target;
use throughway::wire::ws::{frame, handshake};

/// Damaged inputs for each corpus entry: a second in a debug build.
const ROUNDS: u64 = 100_000;

/// Bytes that mean something to one of the grammars.
const SPICE: &[u8] = b"\r\n\t\0 :,;=\"\\/%.@[]?#*-_aA0\x7f\x80\xff\x81\x7e";

/// A xorshift generator (Marsaglia 2003): even enough to place damage.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    /// `whole` with one to four bytes changed, put in, taken out or repeated.
    fn damage(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(bytes.len() + 1);
            let spice = SPICE[self.roll(SPICE.len())];
            match self.roll(4) {
                0 => bytes.insert(at, spice),
                1 if at < bytes.len() => bytes[at] = spice,
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes
    }
}

/// Runs `look` over damaged copies of each entry.
fn damaged(corpus: &[&str], mut look: impl FnMut(&[u8], &mut Dice)) {
    for (n, entry) in corpus.iter().enumerate() {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ n as u64);
        look(entry.as_bytes(), &mut dice);
        for _ in 0..ROUNDS {
            let bytes = dice.damage(entry.as_bytes());
            look(&bytes, &mut dice);
        }
    }
}

fn damaged_text(corpus: &[&str], mut look: impl FnMut(&str)) {
    damaged(corpus, |bytes, _| look(&String::from_utf8_lossy(bytes)));
}

const REQUESTS: &[&str] = &[
    "GET /chat?x=1 HTTP/1.1\r\nHost: a.example:8443\r\nUpgrade: h2c, websocket\r\n\
     Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://a.example\r\n\
     Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: x; y=\"z, w\"\r\n\r\ntail",
    "GET ws://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
];

#[test]
fn a_request_head_gets_the_same_verdict_in_one_piece_and_in_any_two() {
    damaged(REQUESTS, |bytes, dice| {
        let whole = Scanner::default().scan(bytes);
        let mut scanner = Scanner::default();
        let split = dice.roll(bytes.len() + 1);
        let in_two = match scanner.scan(&bytes[..split]) {
            Ok(None) => scanner.scan(bytes),
            verdict => verdict,
        };
        assert_eq!(
            whole,
            in_two,
            "{:?} at {split}",
            String::from_utf8_lossy(bytes)
        );
        let Ok(Some(end)) = whole else { return };
        let Ok(head) = parse_request(&bytes[..end]) else {
            return;
        };
        if let Ok(opening) = handshake::judge(head) {
            // What was let through cannot be read as anything else behind us.
            let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
            assert!(is_plain(&opening.target.path_and_query), "{opening:?}");
            assert!(is_plain(&opening.key), "{opening:?}");
            assert!(
                !opening.headers.contains_key("transfer-encoding"),
                "{opening:?}"
            );
        }
    });
}

#[test]
fn what_is_parsed_is_canonical() {
    damaged_text(
        &["chat.example.com:8443", "[2001:db8::1]:443", "10.0.0.1"],
        |text| {
            if let Ok(authority) = Authority::parse(text) {
                assert_eq!(
                    Authority::parse(&authority.to_string()),
                    Ok(authority),
                    "{text:?}"
                );
            }
        },
    );
    damaged_text(
        &["https://chat.example.com:8443", "null", "http://[::1]"],
        |text| {
            if let Ok(origin) = Origin::parse(text) {
                assert_eq!(Origin::parse(&origin.to_string()), Ok(origin), "{text:?}");
            }
        },
    );
    damaged_text(
        &["/a/b%20c/%2fd?e=f", "ws://a.example:1/x", "/a;b/..c/.d"],
        |text| {
            let Ok(target) = Target::parse(text) else {
                return;
            };
            assert!(target.path_and_query.starts_with('/'), "{text:?}");
            assert!(!target.path.split('/').any(|s| s == ".."), "{text:?}");
            assert_eq!(
                Target::parse(&target.path_and_query).map(|t| t.path),
                Ok(target.path)
            );
        },
    );
}

#[test]
fn a_proxy_can_say_what_it_likes() {
    let replies = [
        "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"a, b\", Digest nonce=\"x\"\r\n\r\nbody",
        "HTTP/1.0 200 Connection established\nVia: a\n b\n\ntail",
    ];
    damaged(&replies, |bytes, _| {
        let Ok(Some(end)) = HeadEnd::default().find(bytes) else {
            return;
        };
        assert!(end <= bytes.len());
        if let Ok(reply) = Reply::parse(&bytes[..end]) {
            assert!((100..=999).contains(&reply.status));
            drop(challenge::parse(reply.texts("proxy-authenticate")));
        }
    });
}

/// The same verdict in one piece and in any two, and never more taken than there is.
fn holds_at_every_split<T: PartialEq + std::fmt::Debug>(
    read: impl Fn(&[u8]) -> socks5::Read<T>,
    bytes: &[u8],
    split: usize,
) {
    let whole = read(bytes);
    let in_two = match read(&bytes[..split]) {
        Ok(None) => read(bytes),
        verdict => verdict,
    };
    assert_eq!(whole, in_two, "{bytes:02x?} at {split}");
    if let Ok(Some((_, used))) = whole {
        assert!(used <= bytes.len(), "{bytes:02x?}");
    }
}

#[test]
fn a_socks_proxy_can_say_what_it_likes() {
    let replies = [
        "\u{5}\0",
        "\u{1}\0",
        "\u{5}\0\0\u{1}\u{7f}\0\0\u{1}\u{4}8tail",
        "\u{5}\0\0\u{3}\u{9}chat.test\u{4}8tail",
        "\u{5}\0\0\u{4}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\u{1}\u{4}8tail",
    ];
    damaged(&replies, |bytes, dice| {
        let split = dice.roll(bytes.len() + 1);
        holds_at_every_split(|b| socks5::method(b, Offer::NoAuthOrPassword), bytes, split);
        holds_at_every_split(socks5::verdict, bytes, split);
        holds_at_every_split(socks5::answer, bytes, split);
    });
}

#[test]
fn a_digest_answer_stays_on_its_line_and_says_what_was_asked() {
    let offers = [
        "Digest realm=\"a \\\"b\\\", c\", nonce=\"n=,/\", opaque=\"o\", qop=\"auth-int,auth\", \
         algorithm=SHA-256-sess, userhash=true, stale=true, Basic realm=x",
        "Digest nonce=n, charset=UTF-8, Digest realm=\"\u{e9}\", nonce=\"m\", algorithm=SHA-512-256, \
         qop=auth",
    ];
    let request = digest::Request {
        method: "CONNECT",
        uri: "a:1",
        nc: 1,
        cnonce: "c",
    };
    damaged_text(&offers, |text| {
        let challenges = challenge::parse([text]);
        let Ok(asked) = digest::Asked::strongest(&challenges) else {
            return;
        };
        let answer = digest::answer(&asked, "J\u{e4} \"\\", "p", &request);
        assert!(
            !answer.value.contains(|c: char| c.is_ascii_control()),
            "{text:?}"
        );
        // An answer has the grammar of a challenge (RFC 9110 §11.4).
        let [given] = challenge::parse([answer.value.as_str()])
            .try_into()
            .unwrap();
        let is_asked = |c: &Challenge| {
            let same =
                |name| c.param(name).unwrap_or_default() == given.param(name).unwrap_or_default();
            ["realm", "nonce", "opaque", "algorithm"]
                .into_iter()
                .all(same)
        };
        assert!(challenges.iter().any(is_asked), "{text:?}: {given:?}");
        if let Some(nonce) = digest::next_nonce(text) {
            assert!(!nonce.is_empty());
        }
    });
}

#[test]
fn a_frame_header_is_never_read_past_its_end() {
    damaged(
        &[
            "\u{1}\u{7e}\u{1}\u{0}abcd",
            "\u{2}\u{7f}\u{0}\u{0}\u{0}\u{0}\u{0}\u{1}\u{0}\u{0}",
        ],
        |bytes, _| {
            if let Ok(Some((header, used))) = frame::parse(bytes) {
                assert!(used <= bytes.len());
                let mut again = Vec::new();
                frame::encode(&header, &mut again);
                // The shortest form is the only one that is accepted, so it comes out as it went in.
                assert_eq!(again, &bytes[..used]);
            }
        },
    );
}
