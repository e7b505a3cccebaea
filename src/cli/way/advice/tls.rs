//! TLS that came to nothing, with a proxy or with the backend.
//!
//! Knows no certificates, only what was wrong with them.

use super::step::At;
use super::{Exit, Told, told};
use crate::egress::{Place, TlsFault};

impl At<'_> {
    pub(super) fn tls(&self, fault: &TlsFault) -> Told {
        let (who, section) = (self.who(), self.section());
        let trust = match self.place {
            Place::Hop { .. } => format!("tls.ca of {section} in the file"),
            Place::Server => format!("tls.ca of {section} in the file, or --ca"),
        };
        let (cause, remedy) = match fault {
            TlsFault::Ahead(bytes) => (
                format!(
                    "{bytes} bytes came ahead of the TLS handshake, and nobody vouches for them"
                ),
                "look at what the proxy says after its 2xx: it does not open a clean tunnel"
                    .to_owned(),
            ),
            TlsFault::InClear { .. } => (
                format!("{who} does not speak TLS on this port"),
                match self.place {
                    Place::Hop { .. } => {
                        "write http:// or socks5h:// for the proxy, or use its TLS port"
                    }
                    Place::Server => "use ws://, or the backend's TLS port",
                }
                .to_owned(),
            ),
            TlsFault::Ended => (
                format!("{who} ended the connection in the middle of the TLS handshake"),
                match self.place {
                    Place::Hop { .. } => {
                        "if it does not speak TLS on this port, write http:// or socks5h:// for it"
                    }
                    Place::Server => "if it does not speak TLS on this port, use ws://",
                }
                .to_owned(),
            ),
            TlsFault::UnknownIssuer {
                issuer,
                tunnelled: true,
            } => (
                format!(
                    "intercepted by {issuer}, unless that is {who}'s own CA: no root known here \
                     vouches for it"
                ),
                format!("if it is your company's, trust it: {trust}"),
            ),
            TlsFault::UnknownIssuer {
                issuer,
                tunnelled: false,
            } => (
                format!("{who}'s certificate is by {issuer}, for whom no root known here vouches"),
                format!("if that CA is yours, trust it: {trust}"),
            ),
            TlsFault::NoVersion => (
                format!("{who} takes no HTTP that it was offered in TLS"),
                match self.place {
                    Place::Hop { .. } => "set http of the hop to auto in the file",
                    Place::Server => "ask whoever runs the backend for HTTP/1.1 on this port",
                }
                .to_owned(),
            ),
            TlsFault::WrongName(words) => (
                format!("the certificate is another host's: {words}"),
                format!("check the host, or set tls.server_name of {section} in the file"),
            ),
            TlsFault::OutOfDate(words) => (
                format!("the certificate is out of date: {words}"),
                format!("renew the certificate of {who}, or set this machine's clock"),
            ),
            TlsFault::Other(words) => (
                format!("the TLS handshake failed: {words}"),
                format!("check what {who} speaks on this port: TLS 1.2 or 1.3 is needed"),
            ),
        };
        told(Exit::Unreachable, cause, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, hop};
    use super::*;
    use crate::egress::{Cause, Step};

    #[test]
    fn tls_that_fails_says_whose_it_is() {
        let check = |place: &Place, fault, cause: &str, remedy: &str| {
            let expected = ("tls", 69, cause, remedy);
            check(place, Step::Tls, Cause::Tls(fault), expected);
        };
        let issuer = || "O=Corp, CN=Inspector".to_owned();
        check(
            &Place::Server,
            TlsFault::UnknownIssuer {
                issuer: issuer(),
                tunnelled: true,
            },
            "intercepted by O=Corp, CN=Inspector, unless that is the backend's own CA: no root \
             known here vouches for it",
            "if it is your company's, trust it: tls.ca of the backend in the file, or --ca",
        );
        check(
            &hop(),
            TlsFault::UnknownIssuer {
                issuer: issuer(),
                tunnelled: false,
            },
            "the proxy's certificate is by O=Corp, CN=Inspector, for whom no root known here \
             vouches",
            "if that CA is yours, trust it: tls.ca of the hop in the file",
        );
        check(
            &hop(),
            TlsFault::InClear { tunnelled: false },
            "the proxy does not speak TLS on this port",
            "write http:// or socks5h:// for the proxy, or use its TLS port",
        );
        check(
            &hop(),
            TlsFault::Ended,
            "the proxy ended the connection in the middle of the TLS handshake",
            "if it does not speak TLS on this port, write http:// or socks5h:// for it",
        );
        check(
            &Place::Server,
            TlsFault::Ended,
            "the backend ended the connection in the middle of the TLS handshake",
            "if it does not speak TLS on this port, use ws://",
        );
        check(
            &Place::Server,
            TlsFault::InClear { tunnelled: true },
            "the backend does not speak TLS on this port",
            "use ws://, or the backend's TLS port",
        );
        check(
            &hop(),
            TlsFault::NoVersion,
            "the proxy takes no HTTP that it was offered in TLS",
            "set http of the hop to auto in the file",
        );
        check(
            &Place::Server,
            TlsFault::NoVersion,
            "the backend takes no HTTP that it was offered in TLS",
            "ask whoever runs the backend for HTTP/1.1 on this port",
        );
        check(
            &Place::Server,
            TlsFault::WrongName("for b only".to_owned()),
            "the certificate is another host's: for b only",
            "check the host, or set tls.server_name of the backend in the file",
        );
        check(
            &Place::Server,
            TlsFault::OutOfDate("expired".to_owned()),
            "the certificate is out of date: expired",
            "renew the certificate of the backend, or set this machine's clock",
        );
        check(
            &hop(),
            TlsFault::Other("alert 40".to_owned()),
            "the TLS handshake failed: alert 40",
            "check what the proxy speaks on this port: TLS 1.2 or 1.3 is needed",
        );
        check(
            &Place::Server,
            TlsFault::Ahead(7),
            "7 bytes came ahead of the TLS handshake, and nobody vouches for them",
            "look at what the proxy says after its 2xx: it does not open a clean tunnel",
        );
    }
}
