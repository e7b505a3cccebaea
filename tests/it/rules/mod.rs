//! What a client of corporate proxies must do, rule by rule: one test a rule, named after it, over
//! scripted proxies. What goes beyond a rule has its tests in `egress`.
//!
//! | rule | what must hold | where it comes from |
//! |---|---|---|
//! | 1 | A reply is whole at its empty line, in whatever pieces it comes; its lines may end in LF alone, and values may be folded. | RFC 9112 §2.2, §5.2 |
//! | 2 | Any 2xx opens the tunnel. Nothing else does, whatever stands in a reason, a header or a body. | RFC 9110 §9.3.6 |
//! | 3 | A 2xx has no body, and its connection goes on, whatever its headers say of that. | RFC 9110 §9.3.6 |
//! | 4 | What is glued to a 2xx is the tunnel's: kept for a server in the clear, and a failure where a proxy or TLS comes next, who speak only when spoken to. | RFC 9110 §9.3.6 |
//! | 5 | Interim replies are passed over, but not without end; 101 answers no CONNECT. | RFC 9110 §15.2 |
//! | 6 | A reply is HTTP/1.0 or 1.1 with three digits and no NUL. Anything else is shown, 64 bytes of it, escaped. | RFC 9112 §4 |
//! | 7 | Everything a proxy sends has a limit: 64 KiB of heads, 256 KiB of a 407's body, one deadline that no byte starts again. | |
//! | 8 | An end instead of a reply is a failure at once. Only after a 407 is it a reason to begin anew, once. | RFC 9112 §9.3.1 |
//! | 9 | A redirection is a refusal and not followed. No page of a proxy's passes for the backend's. | RFC 9110 §15.4 |
//! | 10 | What a refusing proxy says of itself is in our log, on one bounded line. | RFC 9209 |
//! | 11 | CONNECT has host and port, `Host` the same, once; IPv6 in brackets, the port always, and what old proxies want. | RFC 9112 §3.2.3 |
//! | 12 | A name is the proxy's to resolve. | RFC 9110 §9.3.6 |
//! | 13 | No value gets off its line or out of its place: not from the file, not at run time. | RFC 9110 §5.5 |
//! | 14 | Nothing is sent into a tunnel before its 2xx. | RFC 9110 §9.3.6 |
//! | 15 | ws:// goes by CONNECT as well as wss://; the environment names a proxy for each. | RFC 6455 §4.1 |
//! | 16 | A 407 is answered on its connection where its body has an end and nothing is behind it, and on a new one otherwise. | RFC 9112 §6.3, §9.3 |
//! | 17 | Challenges come in several headers or in one, in any case of letters. The strongest is answered first, each once; a 407 without any is answered with nothing. | RFC 9110 §11.6.1 |
//! | 18 | NTLM is three legs on one connection; lost between them, it is begun anew once. | MS-NLMP §1.3.1 |
//! | 19 | Negotiate asks for the service that is configured, may take several legs, and checks the proof that comes back. | RFC 4559 §4 |
//! | 20 | Digest is computed over CONNECT and `host:port`, by each algorithm; a stale nonce is replaced once. | RFC 7616 §3.4 |
//! | 21 | Basic is UTF-8; an empty password is one. | RFC 7617 §2 |
//! | 22 | Each proxy gets its own credentials. No other proxy does, nor the backend. | RFC 9110 §11.7.2 |
//! | 23 | A client's `Proxy-*` headers end here; our credentials are in no log, even where a proxy prints them. | RFC 9110 §7.6.1 |
//! | 24 | The environment's proxies are taken only where the file asks for them, and `HTTP_PROXY` not from a CGI server. | |
//! | 25 | TLS to a proxy and to the backend are each their own, one inside the other; an unknown issuer is named. | RFC 8446 §4.4.2 |
//! | 26 | An answer in the clear inside the tunnel is called that. | RFC 8446 §5.1 |
//! | 27 | Each step has a deadline of its own, and all have one together. | |
//! | 28 | Who cannot be reached gives way to the next proxy; who refuses does not. | |
//! | 29 | 502, 503 and 504 are asked again, three times in all; any other refusal is not. | RFC 9110 §15.6 |
//! | 30 | A path lives on through silence by probes of less than a minute, and one that is cut ends for both sides. | RFC 9293 §3.8.4 |
//! | 31 | `no_proxy` is one table: names and what is below them, ranges for addresses only, ports, `*`, and this machine without saying. | |
//! | 32 | The end of one direction is not the end of the other. | RFC 9293 §3.6 |
//! | 33 | Any byte, in either direction, is a sign of life. | |
//!
//! Of rule 27, that a proxy's name is resolved anew for each dial, and of rule 33, that control
//! frames do not wait behind data, nothing is shown here: these proxies have no names, and the
//! splice makes no frames.

mod asked;
mod asking;
mod keeping;
mod lasting;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use throughway::egress::{Backend, Hop, HopTimeouts, Way};

use crate::support::dialling::{backend_by, egress, server_inside};

/// The server inside by these hops, whose replies must come within so long.
fn with_reply_in(hops: Vec<Hop>, reply: Duration) -> Backend {
    let timeouts = HopTimeouts {
        reply,
        ..HopTimeouts::default()
    };
    with_timeouts(hops, timeouts)
}

fn with_timeouts(hops: Vec<Hop>, timeouts: HopTimeouts) -> Backend {
    let mut egress = egress(hops);
    egress.timeouts = timeouts;
    backend_by(vec![server_inside()], Way::Through(Arc::new(egress)))
}
