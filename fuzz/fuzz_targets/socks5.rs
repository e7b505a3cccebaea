//! What a SOCKS5 proxy answers to each of our messages.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use throughway::wire::socks5::{self, Answer, Login, Method, Offer, Read};
use throughway_fuzz::at_every_split;

/// VER, REP, RSV, ATYP, the longest name there is with its length, the port.
const ANSWER_BYTES_MAX: usize = 4 + 1 + 255 + 2;

fuzz_target!(|data: &[u8]| {
    for offer in [Offer::NoAuth, Offer::NoAuthOrPassword] {
        let method = check(data, 2, |bytes| socks5::method(bytes, offer));
        if method == Some((Method::Password, 2)) {
            assert_eq!(
                offer,
                Offer::NoAuthOrPassword,
                "chosen without being offered"
            );
        }
    }
    if let Some((login, _)) = check(data, 2, socks5::verdict) {
        assert_eq!(login == Login::Accepted, data[1] == 0);
    }
    if let Some((answer, used)) = check(data, ANSWER_BYTES_MAX, socks5::answer) {
        assert_eq!(answer == Answer::Granted, data[1] == 0);
        assert!(answer != Answer::Granted || used == granted_bytes(data));
    }
});

/// One verdict at every split, by the last byte of the longest message, and of the bytes that it
/// took alone.
fn check<T: PartialEq + Debug + Copy>(
    data: &[u8],
    bytes_max: usize,
    read: impl Fn(&[u8]) -> Read<T> + Copy,
) -> Option<(T, usize)> {
    let verdict = at_every_split(data, || |bytes: &[u8]| read(bytes).transpose());
    assert!(verdict.is_some() || data.len() < bytes_max);
    let (value, used) = verdict?.ok()?;
    assert!(used <= bytes_max);
    assert_eq!(read(&data[..used]), Ok(Some((value, used))));
    Some((value, used))
}

/// RFC 1928 §6.
fn granted_bytes(data: &[u8]) -> usize {
    let address = match data[3] {
        1 => 4,
        3 => 1 + usize::from(data[4]),
        _ => 16,
    };
    4 + address + 2
}
