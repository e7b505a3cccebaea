//! What a proxy said, or failed to say, to CONNECT.
//!
//! Knows no other step.

use super::step::At;
use super::{Exit, Told, told};
use crate::egress::{AuthFault, Choice, Code, Lack, NegotiateFault, NtlmFault, ReplyFault};
use crate::wire::socks5::Rep;
use crate::wire::speaks::Speaks;

impl At<'_> {
    pub(super) fn refused(&self, status: u16) -> Told {
        let target = self.target();
        let port = match target.ends_with(":443") {
            true => "",
            false => "; many proxies open port 443 only",
        };
        match status {
            502..=504 => told(
                Exit::TryAgain,
                format!("the proxy could not reach {target} ({status})"),
                "check the backend's name and port as the proxy sees them, and try again",
            ),
            300..=399 | 511 => told(
                Exit::Refused,
                format!("the proxy sends to a page instead of opening a tunnel ({status})"),
                "log in where it sends a browser to, or ask for a rule without a login",
            ),
            400 | 404 => told(
                Exit::Refused,
                format!("what answers there does not take CONNECT for what it is ({status})"),
                "check that host, port and scheme are the forward proxy's and not a web server's",
            ),
            405 | 501 => told(
                Exit::Refused,
                format!("the proxy does not do CONNECT to {target} ({status})"),
                format!("ask whoever runs the proxy to allow CONNECT to {target}{port}"),
            ),
            500..=599 => told(
                Exit::Unreachable,
                format!("the proxy failed to open a tunnel to {target} ({status})"),
                format!(
                    "look at the proxy's log: it may not reach {target}, or be in trouble itself"
                ),
            ),
            status => told(
                Exit::Refused,
                format!("the proxy's policy refuses {target} ({status})"),
                format!("ask whoever runs the proxy to allow {target}{port}"),
            ),
        }
    }

    pub(super) fn socks_refused(&self, rep: Rep) -> Told {
        let target = self.target();
        match rep {
            Rep::GeneralFailure
            | Rep::NetworkUnreachable
            | Rep::HostUnreachable
            | Rep::ConnectionRefused
            | Rep::TtlExpired => told(
                Exit::TryAgain,
                format!("the proxy could not reach {target} ({rep})"),
                "check the backend's name and port as the proxy sees them, and try again",
            ),
            Rep::NotAllowed => told(
                Exit::Refused,
                format!("the proxy's policy refuses {target} ({rep})"),
                format!("ask whoever runs the proxy to allow {target}"),
            ),
            Rep::CommandNotSupported | Rep::AddressTypeNotSupported | Rep::Unassigned(_) => told(
                Exit::Refused,
                format!("the proxy does not do CONNECT to {target} ({rep})"),
                "try socks5 instead of socks5h, or the other way round: it may not take names",
            ),
        }
    }

    pub(super) fn auth(&self, fault: &AuthFault) -> Told {
        let (cause, remedy) = match fault {
            AuthFault::NoCredentials { .. } => (
                format!("the proxy {fault}"),
                "set auth of the hop in the file and use --egress",
            ),
            AuthFault::NotOffered {
                choice: Choice::Auto,
                ..
            } => (
                format!("the proxy {fault}"),
                "none that it asks for is spoken here: ask whoever runs it for one that is",
            ),
            AuthFault::NotOffered { .. } => (
                format!("the proxy {fault}"),
                "set auth.scheme of the hop to one that it asks for, or to auto",
            ),
            AuthFault::Unanswerable { .. } => (
                format!("the proxy {fault}"),
                "set auth.scheme of the hop to another that it asks for, or look at its settings",
            ),
            AuthFault::NeedsHttp1 { .. } => (
                format!("the proxy {fault}"),
                "set http of the hop to auto in the file: what it asks for needs HTTP/1.1",
            ),
            AuthFault::Ntlm {
                why: NtlmFault::KerberosAlone,
                ..
            } => (
                format!("the proxy {fault}"),
                "set auth.scheme of the hop to negotiate, in a build with the feature gssapi",
            ),
            AuthFault::Ntlm { .. } => (
                format!("the proxy {fault}"),
                "check user, password and domain of the hop, or set auth.scheme to another that \
                 it asks for",
            ),
            AuthFault::Negotiate { why, .. } => (format!("the proxy {fault}"), by_ticket(why)),
            AuthFault::Unproven(_) => (
                format!("the proxy is not who it should be: {fault}"),
                "check host and auth.spn of the hop: something else may answer there",
            ),
            AuthFault::NoMethod { knows: false } => (
                format!("the proxy {fault}"),
                "set auth of the hop in the file and use --egress",
            ),
            AuthFault::NoMethod { knows: true } => (
                format!("the proxy {fault}"),
                "user and password are all that is spoken here: ask whoever runs it to take them",
            ),
            AuthFault::LoginRejected | AuthFault::Unanswered => (
                format!("the proxy says no: {fault}"),
                "check user and password of the hop before trying again: proxies lock accounts",
            ),
            AuthFault::Rejected { .. } => (
                format!("the proxy says no: {fault}"),
                "check user and password of the hop before trying again: proxies lock accounts",
            ),
        };
        told(Exit::Refused, cause, remedy)
    }

    pub(super) fn reply(&self, fault: &ReplyFault) -> Told {
        let not_one = "check that host, port and scheme are the proxy's";
        let (cause, remedy) = match fault {
            ReplyFault::Ahead(bytes) => (
                format!("{bytes} bytes came before anything was asked"),
                not_one,
            ),
            ReplyFault::Unreadable { error, begins } => (
                format!("{error}: the reply begins with \"{begins}\""),
                not_one,
            ),
            ReplyFault::NotSocks5 { error, begins } => (
                format!("{error}: the reply begins with \"{begins}\""),
                not_one,
            ),
            ReplyFault::WrongKind { asked, speaks, .. } => of_another_kind(*asked, *speaks),
            ReplyFault::Ended(0) => (
                "the proxy closed the connection without a reply".to_owned(),
                "check the proxy's scheme (http, https or socks5h) and whether it lets this machine in",
            ),
            ReplyFault::Ended(bytes) => (
                format!("the proxy closed the connection {bytes} bytes into its reply"),
                "look at the proxy's log",
            ),
            ReplyFault::Reset(Code::HTTP_1_1_REQUIRED)
            | ReplyFault::GoneAway(Code::HTTP_1_1_REQUIRED) => (
                "the proxy does CONNECT in HTTP/1.1 alone".to_owned(),
                "set http of the hop to auto in the file",
            ),
            ReplyFault::Reset(Code::REFUSED_STREAM) => (
                "the proxy takes no request just now (REFUSED_STREAM)".to_owned(),
                "try again, and look at the proxy's load and its log",
            ),
            ReplyFault::Reset(Code::CONNECT_ERROR) => (
                format!(
                    "the proxy lost its connection to {} (CONNECT_ERROR)",
                    self.target()
                ),
                "check the backend's name and port as the proxy sees them, and try again",
            ),
            ReplyFault::Reset(code) => (
                format!("the proxy ended the request without a reply ({code})"),
                "look at the proxy's log, or set http of the hop to 1.1 in the file",
            ),
            ReplyFault::GoneAway(code) => (
                format!("the proxy ended its HTTP/2 connection without a reply ({code})"),
                "look at the proxy's log, or set http of the hop to 1.1 in the file",
            ),
            ReplyFault::NotHttp2(code) => (
                format!("the proxy chose HTTP/2 and what it sends is not valid ({code})"),
                "set http of the hop to 1.1 in the file, and tell whoever runs the proxy",
            ),
            ReplyFault::Switching => ("101 cannot answer CONNECT".to_owned(), not_one),
            ReplyFault::TooManyInterim => (
                "the proxy sends interim replies without an end".to_owned(),
                not_one,
            ),
        };
        told(Exit::Unreachable, cause, remedy)
    }
}

fn of_another_kind(asked: Speaks, speaks: Speaks) -> (String, &'static str) {
    let remedy = match (asked, speaks) {
        (Speaks::Http, Speaks::Tls) => "write https:// for the proxy, or use its port without TLS",
        (_, Speaks::Tls) => {
            "write https:// if it is an HTTP proxy; SOCKS5 inside TLS is not spoken here"
        }
        (_, Speaks::Http) => "write http:// for the proxy, or use its SOCKS5 port",
        (_, Speaks::Socks5) => "write socks5h:// for the proxy, or use its HTTP port",
        (_, Speaks::Socks4) => "SOCKS4 is not spoken here: ask whoever runs it for SOCKS5 or HTTP",
    };
    let cause = format!("what answers there speaks {speaks}, not {asked}");
    (cause, remedy)
}

fn by_ticket(why: &NegotiateFault) -> &'static str {
    match why {
        NegotiateFault::NoToken { why, .. } => by_lack(why.lack),
        NegotiateFault::TimedOut => by_lack(Lack::Kdc),
        _ => "set auth.scheme of the hop to another that it asks for, or look at its settings",
    }
}

fn by_lack(lack: Lack) -> &'static str {
    match lack {
        Lack::Ticket => {
            "get a ticket by kinit, and have k5start or cron renew it; klist -c tells what a cache \
             holds"
        }
        Lack::Key => "check user and auth.keytab of the hop: klist -k tells whose keys are in it",
        Lack::Password => {
            "check user and password of the hop before trying again: KDCs lock accounts"
        }
        Lack::User => "check user of the hop: name@REALM, as the KDC has it",
        Lack::Service => {
            "set auth.spn of the hop to the name that the proxy has in Kerberos: HTTP/ and its own \
             host, which may not be the one in url"
        }
        Lack::Kdc => "check krb5.conf and the way to the KDC: port 88, TCP and UDP",
        Lack::Clock => "set this machine's clock, or the KDC's: five minutes apart is too much",
        Lack::Other => "check user and auth.spn of the hop, the ticket (klist) and krb5.conf",
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, hop};
    use super::*;
    use crate::egress::{Cause, NoToken, Scheme, Step};
    use crate::wire::connect::reply::ReplyError;

    fn check_tunnel(target: &str, cause: Cause, expected: (&str, u8, &str, &str)) {
        check(&hop(), Step::Tunnel(target.to_owned()), cause, expected);
    }

    #[test]
    fn a_refusal_is_told_by_its_status() {
        let check = |target, status, code, cause: &str, remedy: &str| {
            let reply = String::new();
            let refused = Cause::Refused { status, reply };
            check_tunnel(target, refused, ("proxy_refused", code, cause, remedy));
        };
        check(
            "a:443",
            403,
            77,
            "the proxy's policy refuses a:443 (403)",
            "ask whoever runs the proxy to allow a:443",
        );
        check(
            "a:80",
            451,
            77,
            "the proxy's policy refuses a:80 (451)",
            "ask whoever runs the proxy to allow a:80; many proxies open port 443 only",
        );
        check(
            "a:443",
            501,
            77,
            "the proxy does not do CONNECT to a:443 (501)",
            "ask whoever runs the proxy to allow CONNECT to a:443",
        );
        check(
            "a:443",
            404,
            77,
            "what answers there does not take CONNECT for what it is (404)",
            "check that host, port and scheme are the forward proxy's and not a web server's",
        );
        check(
            "a:443",
            511,
            77,
            "the proxy sends to a page instead of opening a tunnel (511)",
            "log in where it sends a browser to, or ask for a rule without a login",
        );
        check(
            "a:443",
            500,
            69,
            "the proxy failed to open a tunnel to a:443 (500)",
            "look at the proxy's log: it may not reach a:443, or be in trouble itself",
        );
        check(
            "a:443",
            504,
            75,
            "the proxy could not reach a:443 (504)",
            "check the backend's name and port as the proxy sees them, and try again",
        );
    }

    #[test]
    fn authentication_that_failed_names_what_is_asked_for() {
        let check = |fault, cause: &str, remedy: &str| {
            check_tunnel(
                "a:443",
                Cause::Auth(fault),
                ("proxy_auth", 77, cause, remedy),
            );
        };
        let offered = || "Negotiate, NTLM".to_owned();
        check(
            AuthFault::NoCredentials { offered: offered() },
            "the proxy asks for Negotiate, NTLM; no credentials are configured",
            "set auth of the hop in the file and use --egress",
        );
        check(
            AuthFault::NotOffered {
                offered: offered(),
                choice: Choice::Only(Scheme::Basic),
            },
            "the proxy asks for Negotiate, NTLM; credentials are configured for basic",
            "set auth.scheme of the hop to one that it asks for, or to auto",
        );
        check(
            AuthFault::NotOffered {
                offered: offered(),
                choice: Choice::Auto,
            },
            "the proxy asks for Negotiate, NTLM; credentials are configured for auto (digest, \
             ntlm or basic)",
            "none that it asks for is spoken here: ask whoever runs it for one that is",
        );
        check(
            AuthFault::NeedsHttp1 { offered: offered() },
            "the proxy asks for Negotiate, NTLM; HTTP/2 carries neither NTLM nor Negotiate",
            "set http of the hop to auto in the file: what it asks for needs HTTP/1.1",
        );
        check(
            AuthFault::Ntlm {
                offered: "Negotiate".to_owned(),
                why: NtlmFault::KerberosAlone,
            },
            "the proxy asks for Negotiate; it takes a ticket of Kerberos and no NTLM there",
            "set auth.scheme of the hop to negotiate, in a build with the feature gssapi",
        );
        let ticket = |why| AuthFault::Negotiate {
            offered: offered(),
            why,
        };
        check(
            ticket(NegotiateFault::TimedOut),
            "the proxy asks for Negotiate, NTLM; no Kerberos token in time: no KDC answered",
            "check krb5.conf and the way to the KDC: port 88, TCP and UDP",
        );
        let lacks = |lack| {
            let why = "no".to_owned();
            ticket(NegotiateFault::NoToken {
                service: "HTTP/p".to_owned(),
                why: NoToken { lack, why },
            })
        };
        for (lack, remedy) in [
            (Lack::Ticket, "get a ticket by kinit"),
            (Lack::Key, "check user and auth.keytab"),
            (Lack::Password, "check user and password"),
            (Lack::User, "check user of the hop: name@REALM"),
            (Lack::Service, "set auth.spn of the hop"),
            (Lack::Kdc, "check krb5.conf"),
            (Lack::Clock, "set this machine's clock"),
            (Lack::Other, "check user and auth.spn"),
        ] {
            assert!(by_lack(lack).starts_with(remedy), "{lack:?}");
            check(
                lacks(lack),
                "the proxy asks for Negotiate, NTLM; no Kerberos token for HTTP/p: no",
                by_lack(lack),
            );
        }
        check(
            ticket(NegotiateFault::NotAToken),
            "the proxy asks for Negotiate, NTLM; its Negotiate token is not one",
            "set auth.scheme of the hop to another that it asks for, or look at its settings",
        );
        check(
            AuthFault::Unproven(NegotiateFault::Unproven("no".to_owned())),
            "the proxy is not who it should be: its proof of who it is does not hold: no",
            "check host and auth.spn of the hop: something else may answer there",
        );
        check(
            AuthFault::Rejected {
                offered: offered(),
                by: vec![Scheme::Digest, Scheme::Basic],
            },
            "the proxy says no: credentials rejected by digest, then basic; asks for Negotiate, \
             NTLM",
            "check user and password of the hop before trying again: proxies lock accounts",
        );
    }

    #[test]
    fn what_a_socks_proxy_says_has_its_own_words() {
        let check = |cause, reason: &str, exit, text: &str, remedy: &str| {
            check_tunnel("a:443", cause, (reason, exit, text, remedy));
        };
        check(
            Cause::SocksRefused(Rep::HostUnreachable),
            "proxy_refused",
            75,
            "the proxy could not reach a:443 (host unreachable)",
            "check the backend's name and port as the proxy sees them, and try again",
        );
        check(
            Cause::SocksRefused(Rep::NotAllowed),
            "proxy_refused",
            77,
            "the proxy's policy refuses a:443 (connection not allowed by ruleset)",
            "ask whoever runs the proxy to allow a:443",
        );
        check(
            Cause::SocksRefused(Rep::AddressTypeNotSupported),
            "proxy_refused",
            77,
            "the proxy does not do CONNECT to a:443 (address type not supported)",
            "try socks5 instead of socks5h, or the other way round: it may not take names",
        );
        check(
            Cause::Auth(AuthFault::LoginRejected),
            "proxy_auth",
            77,
            "the proxy says no: credentials rejected",
            "check user and password of the hop before trying again: proxies lock accounts",
        );
    }

    #[test]
    fn a_proxy_of_another_kind_is_told_as_what_it_is() {
        let check = |asked, speaks, cause: &str, remedy: &str| {
            let begins = String::new();
            let fault = ReplyFault::WrongKind {
                asked,
                speaks,
                begins,
            };
            let expected = ("proxy_reply", 69, cause, remedy);
            check_tunnel("a:443", Cause::Reply(fault), expected);
        };
        check(
            Speaks::Http,
            Speaks::Tls,
            "what answers there speaks TLS, not HTTP",
            "write https:// for the proxy, or use its port without TLS",
        );
        check(
            Speaks::Http,
            Speaks::Socks5,
            "what answers there speaks SOCKS5, not HTTP",
            "write socks5h:// for the proxy, or use its HTTP port",
        );
        check(
            Speaks::Http,
            Speaks::Socks4,
            "what answers there speaks SOCKS4, not HTTP",
            "SOCKS4 is not spoken here: ask whoever runs it for SOCKS5 or HTTP",
        );
        check(
            Speaks::Socks5,
            Speaks::Http,
            "what answers there speaks HTTP, not SOCKS5",
            "write http:// for the proxy, or use its SOCKS5 port",
        );
        check(
            Speaks::Socks5,
            Speaks::Tls,
            "what answers there speaks TLS, not SOCKS5",
            "write https:// if it is an HTTP proxy; SOCKS5 inside TLS is not spoken here",
        );
    }

    #[test]
    fn a_reply_that_is_none_says_why() {
        let check = |fault, cause: &str, remedy: &str| {
            check_tunnel(
                "a:443",
                Cause::Reply(fault),
                ("proxy_reply", 69, cause, remedy),
            );
        };
        let not_one = "check that host, port and scheme are the proxy's";
        check(
            ReplyFault::Ahead(3),
            "3 bytes came before anything was asked",
            not_one,
        );
        check(
            ReplyFault::Unreadable {
                error: ReplyError::TooLong,
                begins: "HTTP".to_owned(),
            },
            "its reply head is over 65536 bytes: the reply begins with \"HTTP\"",
            not_one,
        );
        check(
            ReplyFault::Ended(0),
            "the proxy closed the connection without a reply",
            "check the proxy's scheme (http, https or socks5h) and whether it lets this machine in",
        );
        check(
            ReplyFault::Ended(12),
            "the proxy closed the connection 12 bytes into its reply",
            "look at the proxy's log",
        );
        check(ReplyFault::Switching, "101 cannot answer CONNECT", not_one);
        check(
            ReplyFault::GoneAway(Code::HTTP_1_1_REQUIRED),
            "the proxy does CONNECT in HTTP/1.1 alone",
            "set http of the hop to auto in the file",
        );
        check(
            ReplyFault::Reset(Code::REFUSED_STREAM),
            "the proxy takes no request just now (REFUSED_STREAM)",
            "try again, and look at the proxy's load and its log",
        );
        check(
            ReplyFault::Reset(Code::CONNECT_ERROR),
            "the proxy lost its connection to a:443 (CONNECT_ERROR)",
            "check the backend's name and port as the proxy sees them, and try again",
        );
        let or_one = "look at the proxy's log, or set http of the hop to 1.1 in the file";
        check(
            ReplyFault::Reset(Code(2)),
            "the proxy ended the request without a reply (INTERNAL_ERROR)",
            or_one,
        );
        check(
            ReplyFault::GoneAway(Code::NO_ERROR),
            "the proxy ended its HTTP/2 connection without a reply (NO_ERROR)",
            or_one,
        );
        check(
            ReplyFault::NotHttp2(Code(1)),
            "the proxy chose HTTP/2 and what it sends is not valid (PROTOCOL_ERROR)",
            "set http of the hop to 1.1 in the file, and tell whoever runs the proxy",
        );
        check(
            ReplyFault::TooManyInterim,
            "the proxy sends interim replies without an end",
            not_one,
        );
    }
}
