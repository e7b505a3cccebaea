//! SOCKS5 as bytes and values (RFC 1928, and RFC 1929 for user and password): our three messages,
//! and what a proxy answers to each.
//!
//! A reader takes all bytes so far and returns a value with how many of them it took, or `None`
//! while there are too few; what is left is the caller's to judge. Knows neither hops nor secrets:
//! it wipes what it built of credentials, and never prints it.

use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::wire::authority::Host;

/// Longest user, password and name: each has one byte for its length.
pub const TEXT_BYTES_MAX: usize = 255;

/// RFC 1928 §3.
const VERSION: u8 = 0x05;
/// RFC 1929 §2: the negotiation has a version of its own.
const AUTH_VERSION: u8 = 0x01;
const AUTH_SUCCESS: u8 = 0x00;

const NO_AUTHENTICATION_REQUIRED: u8 = 0x00;
const USERNAME_PASSWORD: u8 = 0x02;
const NO_ACCEPTABLE_METHODS: u8 = 0xff;

const CONNECT: u8 = 0x01;
const RSV: u8 = 0x00;
const ATYP_IPV4: u8 = 0x01;
const ATYP_DOMAINNAME: u8 = 0x03;
const ATYP_IPV6: u8 = 0x04;
const PORT_BYTES: usize = 2;

/// Which methods we offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// No authentication alone.
    NoAuth,
    /// No authentication, or user and password.
    NoAuthOrPassword,
}

/// What the proxy chose of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// It wants to know nothing.
    NoAuth,
    /// It wants user and password.
    Password,
    /// It takes none of those offered.
    NoneAcceptable,
}

/// What the proxy thinks of user and password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// They are good.
    Accepted,
    /// They are not.
    Rejected,
}

/// What came of CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What follows is the tunnel's.
    Granted,
    /// There is no tunnel.
    Refused(Rep),
}

/// Why there is none (RFC 1928 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rep {
    /// 01.
    GeneralFailure,
    /// 02.
    NotAllowed,
    /// 03.
    NetworkUnreachable,
    /// 04.
    HostUnreachable,
    /// 05.
    ConnectionRefused,
    /// 06.
    TtlExpired,
    /// 07.
    CommandNotSupported,
    /// 08.
    AddressTypeNotSupported,
    /// Any other: no document gives it a meaning.
    Unassigned(u8),
}

/// A value that one of our messages cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsendable {
    /// The user is empty or over 255 bytes.
    User,
    /// The password is empty or over 255 bytes.
    Password,
    /// The name is empty or over 255 bytes.
    Name,
}

/// Bytes that no SOCKS5 proxy sends at this point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The first byte is not the version.
    NotSocks5,
    /// The answer to user and password has another version than 1.
    AuthVersion(u8),
    /// It chose a method that was not offered.
    MethodNotOffered(u8),
    /// The reserved byte of a reply is not zero.
    Reserved(u8),
    /// The type of the bound address is unknown, so the reply has no end.
    AddressType(u8),
}

/// A value and how many bytes it took; `None` while there are too few.
pub type Read<T> = Result<Option<(T, usize)>, Malformed>;

// --- ours --------------------------------------------------------------------------------------

/// RFC 1928 §3: VER, NMETHODS, METHODS.
pub fn greeting(offer: Offer) -> &'static [u8] {
    match offer {
        Offer::NoAuth => &[VERSION, 1, NO_AUTHENTICATION_REQUIRED],
        Offer::NoAuthOrPassword => &[VERSION, 2, NO_AUTHENTICATION_REQUIRED, USERNAME_PASSWORD],
    }
}

/// RFC 1929 §2: VER, ULEN, UNAME, PLEN, PASSWD; both 1 to 255 bytes.
pub fn login(user: &str, password: &str) -> Result<Zeroizing<Vec<u8>>, Unsendable> {
    // At once as long as it gets: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(3 + user.len() + password.len()));
    bytes.push(AUTH_VERSION);
    put_text(&mut bytes, user).ok_or(Unsendable::User)?;
    put_text(&mut bytes, password).ok_or(Unsendable::Password)?;
    Ok(bytes)
}

/// RFC 1928 §4: VER, CMD, RSV, ATYP, DST.ADDR, DST.PORT in network order. A name goes as a name,
/// for the proxy to resolve.
pub fn connect(host: &Host, port: u16) -> Result<Vec<u8>, Unsendable> {
    let mut bytes = vec![VERSION, CONNECT, RSV];
    match host {
        Host::Ip(IpAddr::V4(ip)) => {
            bytes.push(ATYP_IPV4);
            bytes.extend(ip.octets());
        }
        Host::Ip(IpAddr::V6(ip)) => {
            bytes.push(ATYP_IPV6);
            bytes.extend(ip.octets());
        }
        Host::Name(name) => {
            bytes.push(ATYP_DOMAINNAME);
            put_text(&mut bytes, name).ok_or(Unsendable::Name)?;
        }
    }
    bytes.extend(port.to_be_bytes());
    Ok(bytes)
}

/// Whether user, password or name have a length that can be sent.
pub fn fits(text: &str) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&text.len())
}

fn put_text(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    let length = u8::try_from(text.len()).ok().filter(|n| *n > 0)?;
    bytes.push(length);
    bytes.extend_from_slice(text.as_bytes());
    Some(())
}

// --- the proxy's -------------------------------------------------------------------------------

/// RFC 1928 §3, the answer to [`greeting`]: VER, METHOD.
pub fn method(bytes: &[u8], offer: Offer) -> Read<Method> {
    version(bytes)?;
    let Some(&chosen) = bytes.get(1) else {
        return Ok(None);
    };
    let method = match (chosen, offer) {
        (NO_AUTHENTICATION_REQUIRED, _) => Method::NoAuth,
        (USERNAME_PASSWORD, Offer::NoAuthOrPassword) => Method::Password,
        (NO_ACCEPTABLE_METHODS, _) => Method::NoneAcceptable,
        (other, _) => return Err(Malformed::MethodNotOffered(other)),
    };
    Ok(Some((method, 2)))
}

/// RFC 1929 §2, the answer to [`login`]: VER, STATUS, where anything but zero is a failure.
pub fn verdict(bytes: &[u8]) -> Read<Login> {
    match *bytes {
        [] | [AUTH_VERSION] => Ok(None),
        [AUTH_VERSION, AUTH_SUCCESS, ..] => Ok(Some((Login::Accepted, 2))),
        [AUTH_VERSION, ..] => Ok(Some((Login::Rejected, 2))),
        [other, ..] => Err(Malformed::AuthVersion(other)),
    }
}

/// RFC 1928 §6, the answer to [`connect`]: VER, REP, RSV, ATYP, BND.ADDR, BND.PORT. The bound
/// address is the proxy's affair and is passed over. A failure is whole with its REP: nothing may
/// follow it, and some proxies leave out the rest.
pub fn answer(bytes: &[u8]) -> Read<Answer> {
    version(bytes)?;
    match bytes.get(1).map(|&code| Rep::of(code)) {
        None => return Ok(None),
        Some(Some(rep)) => return Ok(Some((Answer::Refused(rep), 2))),
        Some(None) => {}
    }
    if let Some(&reserved) = bytes.get(2).filter(|b| **b != RSV) {
        return Err(Malformed::Reserved(reserved));
    }
    let address_bytes = match (bytes.get(3), bytes.get(4)) {
        (Some(&ATYP_IPV4), _) => 4,
        (Some(&ATYP_IPV6), _) => 16,
        (Some(&ATYP_DOMAINNAME), Some(&length)) => 1 + usize::from(length),
        (Some(&ATYP_DOMAINNAME), None) | (None, _) => return Ok(None),
        (Some(&other), _) => return Err(Malformed::AddressType(other)),
    };
    let end = 4 + address_bytes + PORT_BYTES;
    Ok((bytes.len() >= end).then_some((Answer::Granted, end)))
}

// Told by the first byte alone: what speaks another protocol may wait for us after it.
fn version(bytes: &[u8]) -> Result<(), Malformed> {
    match bytes.first() {
        None | Some(&VERSION) => Ok(()),
        Some(_) => Err(Malformed::NotSocks5),
    }
}

impl Rep {
    /// `None` for 00, success.
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            0x00 => return None,
            0x01 => Self::GeneralFailure,
            0x02 => Self::NotAllowed,
            0x03 => Self::NetworkUnreachable,
            0x04 => Self::HostUnreachable,
            0x05 => Self::ConnectionRefused,
            0x06 => Self::TtlExpired,
            0x07 => Self::CommandNotSupported,
            0x08 => Self::AddressTypeNotSupported,
            other => Self::Unassigned(other),
        })
    }
}

impl fmt::Display for Rep {
    /// In the words of RFC 1928 §6.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GeneralFailure => f.write_str("general SOCKS server failure"),
            Self::NotAllowed => f.write_str("connection not allowed by ruleset"),
            Self::NetworkUnreachable => f.write_str("network unreachable"),
            Self::HostUnreachable => f.write_str("host unreachable"),
            Self::ConnectionRefused => f.write_str("connection refused"),
            Self::TtlExpired => f.write_str("TTL expired"),
            Self::CommandNotSupported => f.write_str("command not supported"),
            Self::AddressTypeNotSupported => f.write_str("address type not supported"),
            Self::Unassigned(code) => write!(f, "unassigned reply code 0x{code:02x}"),
        }
    }
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::User => "user",
            Self::Password => "password",
            Self::Name => "name",
        };
        write!(f, "SOCKS5 cannot carry a {what} that is not 1 to 255 bytes")
    }
}

impl std::error::Error for Unsendable {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSocks5 => f.write_str("not a SOCKS5 proxy"),
            Self::AuthVersion(b) => {
                write!(f, "its answer to the credentials has version {b}, not 1")
            }
            Self::MethodNotOffered(b) => {
                write!(f, "it chose method 0x{b:02x}, which was not offered")
            }
            Self::Reserved(b) => write!(f, "the reserved byte of its reply is 0x{b:02x}, not 0"),
            Self::AddressType(b) => write!(f, "its reply has the unknown address type 0x{b:02x}"),
        }
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    /// `bytes`, with a tail or without, read at every split: nothing before the end, the same at
    /// and after it.
    fn check<T: fmt::Debug + Copy + PartialEq>(
        read: impl Fn(&[u8]) -> Read<T>,
        bytes: &[u8],
        expected: Result<T, Malformed>,
    ) {
        let whole = [bytes, b"\x05\x00tail"].concat();
        for upto in 0..bytes.len() {
            assert_eq!(read(&whole[..upto]), Ok(None), "{upto} of {bytes:02x?}");
        }
        let expected = expected.map(|value| Some((value, bytes.len())));
        for upto in bytes.len()..=whole.len() {
            assert_eq!(read(&whole[..upto]), expected, "{upto} of {whole:02x?}");
        }
    }

    #[test]
    fn our_messages_are_as_the_rfcs_draw_them() {
        assert_eq!(greeting(Offer::NoAuth), [5, 1, 0]);
        assert_eq!(greeting(Offer::NoAuthOrPassword), [5, 2, 0, 2]);
        let sent = login("alice", "open sesame").expect("sendable");
        assert_eq!(&sent[..], b"\x01\x05alice\x0bopen sesame");
        assert_eq!(sent.capacity(), sent.len());
        let table: [(&str, &[u8]); 3] = [
            ("10.0.0.1", b"\x05\x01\x00\x01\x0a\x00\x00\x01\x01\xbb"),
            (
                "[2001:db8::1]",
                b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb",
            ),
            ("chat.test", b"\x05\x01\x00\x03\x09chat.test\x01\xbb"),
        ];
        for (host, expected) in table {
            let host = Host::parse(host).expect("a host");
            assert_eq!(connect(&host, 443).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn every_text_has_1_to_255_bytes() {
        let check = |text: &str, expected: bool| {
            assert_eq!(fits(text), expected, "{}", text.len());
            assert_eq!(login(text, "x").err().is_none(), expected);
            assert_eq!(login("x", text).err().is_none(), expected);
            assert_eq!(connect(&Host::Name(text.to_owned()), 1).is_ok(), expected);
        };
        check("", false);
        check("x", true);
        check(&"x".repeat(255), true);
        check(&"x".repeat(256), false);
        // Bytes, not characters.
        check(&"\u{e9}".repeat(128), false);
        assert_eq!(login("", "").err(), Some(Unsendable::User));
        assert_eq!(login("u", "").err(), Some(Unsendable::Password));
    }

    #[test]
    fn a_chosen_method_must_have_been_offered() {
        let both = |bytes: &[u8]| method(bytes, Offer::NoAuthOrPassword);
        let none = |bytes: &[u8]| method(bytes, Offer::NoAuth);
        check(both, &[5, 0], Ok(Method::NoAuth));
        check(both, &[5, 2], Ok(Method::Password));
        check(both, &[5, 0xff], Ok(Method::NoneAcceptable));
        check(none, &[5, 0], Ok(Method::NoAuth));
        check(none, &[5, 0xff], Ok(Method::NoneAcceptable));
        check(none, &[5, 2], Err(Malformed::MethodNotOffered(2)));
        check(both, &[5, 1], Err(Malformed::MethodNotOffered(1)));
        check(both, &[5, 0x80], Err(Malformed::MethodNotOffered(0x80)));
    }

    #[test]
    fn another_protocol_is_known_by_its_first_byte() {
        for byte in [0, 1, 4, b'H', b'S', 0xff] {
            let method = |bytes: &[u8]| method(bytes, Offer::NoAuth);
            check(method, &[byte], Err(Malformed::NotSocks5));
            check(answer, &[byte], Err(Malformed::NotSocks5));
        }
        for byte in [0, 2, 5, b'H'] {
            check(verdict, &[byte], Err(Malformed::AuthVersion(byte)));
        }
    }

    #[test]
    fn any_status_but_zero_rejects() {
        check(verdict, &[1, 0], Ok(Login::Accepted));
        for status in [1, 2, 5, 0xff] {
            check(verdict, &[1, status], Ok(Login::Rejected));
        }
    }

    #[test]
    fn a_granted_reply_ends_behind_the_bound_port() {
        check(answer, b"\x05\0\0\x01\0\0\0\0\0\0", Ok(Answer::Granted));
        let v6 = [&b"\x05\0\0\x04"[..], &[0xff; 16], b"\xff\xff"].concat();
        check(answer, &v6, Ok(Answer::Granted));
        check(answer, b"\x05\0\0\x03\x00\0\0", Ok(Answer::Granted));
        check(answer, b"\x05\0\0\x03\x04a.it\x04\x38", Ok(Answer::Granted));
        let longest = [&b"\x05\0\0\x03\xff"[..], &[b'x'; 255], b"\0\0"].concat();
        check(answer, &longest, Ok(Answer::Granted));
        check(answer, b"\x05\0\x01", Err(Malformed::Reserved(1)));
        for kind in [0, 2, 5, 0xff] {
            let expected = Err(Malformed::AddressType(kind));
            check(answer, &[5, 0, 0, kind], expected);
        }
    }

    #[test]
    fn every_reply_code_has_words() {
        let table = [
            (1, "general SOCKS server failure"),
            (2, "connection not allowed by ruleset"),
            (3, "network unreachable"),
            (4, "host unreachable"),
            (5, "connection refused"),
            (6, "TTL expired"),
            (7, "command not supported"),
            (8, "address type not supported"),
            (9, "unassigned reply code 0x09"),
            (0xf0, "unassigned reply code 0xf0"),
        ];
        for (code, words) in table {
            let rep = Rep::of(code).expect("no success");
            assert_eq!(rep.to_string(), words);
            // Whole with its code, whatever follows or does not.
            check(answer, &[5, code], Ok(Answer::Refused(rep)));
        }
        assert_eq!(Rep::of(0), None);
    }
}
