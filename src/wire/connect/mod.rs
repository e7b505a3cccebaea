//! CONNECT as bytes and values (RFC 9110 §9.3.6): our request, the head of the proxy's reply, and
//! the body of a reply that refuses.

pub mod body;
pub mod reply;
pub mod request;

#[cfg(test)]
mod tests {
    use super::body::Skip;
    use super::reply::{HeadEnd, Reply};
    use crate::wire::challenge;

    /// What heads are made of, and what they must not be.
    const PIECES: [&[u8]; 20] = [
        b"HTTP/1.1 407 x",
        b"HTTP/1.0 200",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"=",
        b"\"",
        b"\\",
        b"\0",
        b"\xff",
        b"Transfer-Encoding: chunked",
        b"Content-Length: 7",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authenticate: Basic realm=",
        b"fF0",
    ];

    /// A repeatable sequence (Numerical Recipes' constants), so that a failure can be seen again.
    fn next(seed: &mut u32) -> usize {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 8) as usize
    }

    #[test]
    fn no_bytes_make_a_parser_panic_or_take_more_than_there_is() {
        let mut seed = 1;
        let mut skipped = 0;
        for _ in 0..20_000 {
            let mut bytes = PIECES[next(&mut seed) % 2].to_vec();
            for _ in 0..next(&mut seed) % 24 {
                bytes.extend_from_slice(PIECES[next(&mut seed) % PIECES.len()]);
            }
            if let Ok(Some(end)) = HeadEnd::default().find(&bytes) {
                assert!(end <= bytes.len());
            }
            let Ok(reply) = Reply::parse(&bytes) else {
                continue;
            };
            challenge::parse(reply.texts("proxy-authenticate"));
            if let Some(mut skip) = Skip::over(&reply) {
                let used = skip.feed(&bytes).unwrap_or_default();
                assert!(used <= bytes.len());
                skipped += 1;
            }
        }
        // Otherwise the pieces no longer make what they are meant to make.
        assert!(skipped > 100, "{skipped}");
    }
}
