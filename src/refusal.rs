//! THE status table: what went wrong, and what the client is told of it.
//!
//! Every failure before the 101 gets its status here and nowhere else. The matches are exhaustive,
//! so a new kind of failure does not compile until it has a number. A body is one sentence a
//! developer can act on; it tells nothing of the inside. The log has the rest.

use std::io;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::egress::{AnswerFault, Cause, DialError, ReplyFault, Step, TlsFault};
use crate::front::ReceiveError;
use crate::policy::origin::OriginDenied;
use crate::policy::{Denied, Unavailable};
use crate::wire::ws::handshake::HandshakeError;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Seconds after which a client that got a 503 may come again.
const RETRY_AFTER_SECONDS: &str = "5";

/// An answer instead of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// One stable word for the log.
    pub reason: &'static str,
    /// One sentence for the client.
    pub sentence: &'static str,
    /// Headers that the status asks for.
    pub extra: Vec<(HeaderName, &'static str)>,
}

impl Refusal {
    const fn new(status: StatusCode, reason: &'static str, sentence: &'static str) -> Self {
        Self {
            status,
            reason,
            sentence,
            extra: Vec::new(),
        }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.extra.push((name, value));
        self
    }

    /// The header fields of the answer.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in &self.extra {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }
}

/// RFC 9209 §2: what `Proxy-Status` says of a failed dial.
macro_rules! error {
    ($type:literal) => {
        concat!("throughway; error=", $type)
    };
}

const fn bad(reason: &'static str, sentence: &'static str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, reason, sentence)
}

/// No request head came. `None`: there is nobody left to answer.
pub fn of_receive(error: &ReceiveError) -> Option<Refusal> {
    Some(match error {
        ReceiveError::Timeout => Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "head_timeout",
            "The request head did not arrive in time.",
        ),
        ReceiveError::TooLarge => Refusal::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head_too_large",
            "The request head is too large; send fewer or shorter headers and cookies.",
        ),
        ReceiveError::TooEarly => bad(
            "early_bytes",
            "Wait for the 101 before sending WebSocket frames.",
        ),
        ReceiveError::Head(error) => return Some(of_head(*error)),
        ReceiveError::Closed { .. } | ReceiveError::Lost(_) => return None,
    })
}

fn of_head(error: crate::wire::head::HeadError) -> Refusal {
    use crate::wire::head::HeadError as E;
    match error {
        E::TooManyHeaders => Refusal::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "too_many_headers",
            "The request has too many headers; 100 are the limit.",
        ),
        E::BareLf | E::BareCr | E::Fold | E::EmptyLine => bad(
            "bad_line",
            "Every header line must stand on a line of its own that ends in CR LF.",
        ),
        E::Control => bad(
            "bad_byte",
            "The request holds a control byte; if this was meant as TLS, this port speaks plain HTTP.",
        ),
        E::RequestLine => bad(
            "bad_request_line",
            "The request line must read GET, a path and HTTP/1.1.",
        ),
        E::HeaderLine => bad("bad_header", "A header line must read name, colon, value."),
    }
}

/// The request is no WebSocket handshake as RFC 6455 wants it.
pub fn of_handshake(error: &HandshakeError) -> Refusal {
    use HandshakeError as E;
    match error {
        E::Method => Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "A WebSocket is opened with GET.",
        )
        .with(header::ALLOW, "GET"),
        E::Target(_) => bad(
            "bad_target",
            "The request target must be a plain path without dot segments.",
        ),
        E::HostMissing | E::HostTwice | E::HostInvalid => bad(
            "bad_host",
            "Send exactly one Host header that names a host.",
        ),
        E::HostDiffers => bad(
            "host_differs",
            "The Host header and the request target name different hosts.",
        ),
        E::Body => bad("body", "A WebSocket handshake must not announce a body."),
        E::ConnectionNames(_) => bad(
            "connection_names",
            "The Connection header names a header that the handshake needs.",
        ),
        E::NotAnUpgrade => Refusal::new(
            StatusCode::UPGRADE_REQUIRED,
            "not_an_upgrade",
            "This address speaks WebSocket: ask with Upgrade: websocket and Connection: Upgrade.",
        )
        .with(header::UPGRADE, "websocket"),
        E::Version => Refusal::new(
            StatusCode::UPGRADE_REQUIRED,
            "version",
            "Only WebSocket version 13 is spoken here.",
        )
        .with(header::SEC_WEBSOCKET_VERSION, "13"),
        E::Key => bad(
            "key",
            "Sec-WebSocket-Key must be one base64 text of 16 random bytes.",
        ),
        E::OriginTwice => bad("bad_origin", "Send at most one Origin header."),
        E::Subprotocol => bad(
            "subprotocol",
            "Sec-WebSocket-Protocol must be a list of tokens.",
        ),
    }
}

/// Policy says no.
pub fn of_denied(denied: &Denied) -> Refusal {
    match denied {
        Denied::NoRoute => Refusal::new(
            StatusCode::NOT_FOUND,
            "no_route",
            "Nothing is served at this host and path with these subprotocols.",
        ),
        Denied::Origin { why, .. } => {
            let reason = match why {
                OriginDenied::Missing => "origin_missing",
                OriginDenied::Malformed => "origin_malformed",
                OriginDenied::NotAllowed(_) => "origin_refused",
            };
            Refusal::new(
                StatusCode::FORBIDDEN,
                reason,
                "Pages from this origin may not open a WebSocket here.",
            )
        }
        // RFC 6455 §4.2.2 would let a server go on without one; the client can do better than to
        // find out later. 400 and not 403: another handshake of the same client is welcome.
        Denied::Subprotocol { .. } => bad(
            "subprotocol_required",
            "Offer a subprotocol that is spoken here in Sec-WebSocket-Protocol.",
        ),
    }
}

/// Not now, whatever the request.
pub fn of_unavailable(why: Unavailable) -> Refusal {
    let (reason, sentence) = match why {
        Unavailable::Full => (
            "full",
            "Too many connections are open; try again in a moment.",
        ),
        Unavailable::Draining => ("draining", "This gateway is shutting down; connect again."),
    };
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason, sentence)
        .with(header::RETRY_AFTER, RETRY_AFTER_SECONDS)
}

/// No backend server said a valid 101.
pub fn of_dial(error: &DialError) -> Refusal {
    if error.is_for_a_shortage() {
        let (reason, sentence) = (error.reason(), error.outside());
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason, sentence)
            .with(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    let status = match error.timed_out() {
        true => StatusCode::GATEWAY_TIMEOUT,
        false => StatusCode::BAD_GATEWAY,
    };
    Refusal::new(status, error.reason(), error.outside())
}

/// The same, with a `Proxy-Status` header: the kind of the failure, and nothing of where or why.
pub fn of_dial_told(error: &DialError) -> Refusal {
    let (step, cause) = error.failed();
    of_dial(error).with(PROXY_STATUS, proxy_status(step, cause))
}

// RFC 9209 §2.3 has the types. What a proxy of ours said is about our next hop, not its.
fn proxy_status(step: &Step, cause: &Cause) -> &'static str {
    match cause {
        Cause::Timeout => match step {
            Step::Find | Step::Pac(_) => error!("proxy_configuration_error"),
            Step::Resolve(_) => error!("dns_timeout"),
            Step::Connect(_) | Step::Tls | Step::Greeting | Step::Login | Step::Tunnel(_) => {
                error!("connection_timeout")
            }
            Step::Upgrade => error!("http_response_timeout"),
        },
        Cause::Pac(_) => error!("proxy_configuration_error"),
        Cause::Resolve(_) => error!("dns_error"),
        Cause::Connect(failures) => of_sockets(failures.iter().map(|(_, error)| error.kind())),
        Cause::Unix(error) => of_sockets([error.kind()].into_iter()),
        Cause::Tls(fault) => match fault {
            TlsFault::Ended => error!("connection_terminated"),
            TlsFault::UnknownIssuer { .. } | TlsFault::WrongName(_) | TlsFault::OutOfDate(_) => {
                error!("tls_certificate_error")
            }
            TlsFault::Ahead(_)
            | TlsFault::InClear { .. }
            | TlsFault::NoVersion
            | TlsFault::Other(_) => {
                error!("tls_protocol_error")
            }
        },
        Cause::Refused { .. } | Cause::SocksRefused(_) => error!("destination_unavailable"),
        Cause::Auth(_) => error!("proxy_configuration_error"),
        Cause::Reply(fault) => match fault {
            // What listens there is another kind of proxy.
            ReplyFault::NotSocks5 { .. } | ReplyFault::WrongKind { .. } => {
                error!("proxy_configuration_error")
            }
            ReplyFault::Ended(_) | ReplyFault::Reset(_) | ReplyFault::GoneAway(_) => {
                error!("connection_terminated")
            }
            ReplyFault::Ahead(_)
            | ReplyFault::Unreadable { .. }
            | ReplyFault::NotHttp2(_)
            | ReplyFault::Switching
            | ReplyFault::TooManyInterim => error!("http_protocol_error"),
        },
        Cause::Answer(fault) => match fault {
            AnswerFault::Invalid(_) => error!("http_upgrade_failed"),
            AnswerFault::Unreadable(_) => error!("http_protocol_error"),
        },
        Cause::Lost(_) => match step {
            Step::Upgrade => error!("http_response_incomplete"),
            Step::Find
            | Step::Pac(_)
            | Step::Resolve(_)
            | Step::Connect(_)
            | Step::Tls
            | Step::Greeting
            | Step::Login
            | Step::Tunnel(_) => {
                error!("connection_terminated")
            }
        },
        Cause::Ours(_) | Cause::Shortage(_) => error!("proxy_internal_error"),
    }
}

// Where the addresses of a name failed in several ways, no one of them is the reason.
fn of_sockets(mut kinds: impl Iterator<Item = io::ErrorKind>) -> &'static str {
    let first = kinds.next();
    match first.filter(|first| kinds.all(|kind| kind == *first)) {
        Some(io::ErrorKind::ConnectionRefused) => error!("connection_refused"),
        Some(io::ErrorKind::TimedOut) => error!("connection_timeout"),
        Some(io::ErrorKind::ConnectionReset) => error!("connection_terminated"),
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            error!("destination_ip_unroutable")
        }
        _ => error!("destination_unavailable"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::egress::{AuthFault, Shortage};

    fn check(step: Step, cause: Cause, expected: &str) {
        let said = proxy_status(&step, &cause);
        assert_eq!(said, format!("throughway; error={expected}"), "{cause:?}");
        // RFC 9209 §2, RFC 8941 §3: a token and a parameter that is one.
        HeaderValue::from_static(said);
    }

    fn sockets(kinds: &[io::ErrorKind]) -> Cause {
        let address = ([127, 0, 0, 1], 9).into();
        let errors = kinds.iter().map(|k| (address, Arc::new((*k).into())));
        Cause::Connect(errors.collect())
    }

    #[test]
    fn a_proxy_status_tells_the_kind_of_a_failure_and_nothing_of_the_inside() {
        use io::ErrorKind as K;
        let (text, tunnel) = (|| "10.0.0.11".to_owned(), || Step::Tunnel("a:1".to_owned()));
        let connect = || Step::Connect("10.0.0.11:9000".to_owned());
        check(Step::Resolve(text()), Cause::Timeout, "dns_timeout");
        for step in [connect(), Step::Tls, tunnel()] {
            check(step.clone(), Cause::Timeout, "connection_timeout");
            check(step, Cause::Lost(text()), "connection_terminated");
        }
        check(Step::Upgrade, Cause::Timeout, "http_response_timeout");
        check(
            Step::Upgrade,
            Cause::Lost(text()),
            "http_response_incomplete",
        );
        check(Step::Resolve(text()), Cause::Resolve(text()), "dns_error");
        for (kinds, expected) in [
            (&[K::ConnectionRefused][..], "connection_refused"),
            (&[K::ConnectionRefused; 2], "connection_refused"),
            (
                &[K::ConnectionRefused, K::TimedOut],
                "destination_unavailable",
            ),
            (&[K::TimedOut], "connection_timeout"),
            (&[K::ConnectionReset], "connection_terminated"),
            (&[K::NetworkUnreachable], "destination_ip_unroutable"),
            (&[K::HostUnreachable], "destination_ip_unroutable"),
            (&[K::PermissionDenied], "destination_unavailable"),
            (&[], "destination_unavailable"),
        ] {
            check(connect(), sockets(kinds), expected);
        }
        let missing = Cause::Unix(Arc::new(K::NotFound.into()));
        check(connect(), missing, "destination_unavailable");
        let issuer = text();
        let unknown = TlsFault::UnknownIssuer {
            issuer,
            tunnelled: true,
        };
        check(Step::Tls, Cause::Tls(unknown), "tls_certificate_error");
        let clear = TlsFault::InClear { tunnelled: true };
        check(Step::Tls, Cause::Tls(clear), "tls_protocol_error");
        let (status, reply) = (403, text());
        let refused = Cause::Refused { status, reply };
        check(tunnel(), refused, "destination_unavailable");
        let offered = text();
        let auth = Cause::Auth(AuthFault::NoCredentials { offered });
        check(tunnel(), auth, "proxy_configuration_error");
        let ended = Cause::Reply(ReplyFault::Ended(0));
        check(tunnel(), ended, "connection_terminated");
        let switching = Cause::Reply(ReplyFault::Switching);
        check(tunnel(), switching, "http_protocol_error");
        let unreadable = Cause::Answer(AnswerFault::Unreadable(text()));
        check(Step::Upgrade, unreadable, "http_protocol_error");
        check(Step::Upgrade, Cause::Ours(text()), "proxy_internal_error");
        let short = Cause::Shortage(Shortage::Descriptors);
        check(connect(), short, "proxy_internal_error");
    }
}
