//! Steps of the dial that failed: names, connections and what ended early.
//!
//! What only a proxy can say is in `proxy`, what only TLS can in `tls`, and what is wrong with a 101
//! in `switch`.

use std::io;

use super::{Exit, Told, Verdict, told};
use crate::cli::way::scene::Scene;
use crate::egress::{Cause, Place, Step};

/// What a step of the dial failed of.
pub(in crate::cli) fn of_step(place: &Place, step: &Step, cause: &Cause, scene: &Scene) -> Verdict {
    let at = At { place, step, scene };
    let (exit, text, remedy) = match cause {
        Cause::Timeout => at.timeout(),
        Cause::Pac(words) => told(
            Exit::Unreachable,
            format!("the PAC script names no way: {words}"),
            "check `pac` of the egress: the address of the script, and what it answers",
        ),
        Cause::Resolve(words) => at.resolve(words),
        Cause::Connect(failures) => at.connect(failures.iter().map(|(_, error)| error.kind())),
        Cause::Unix(error) => at.connect(std::iter::once(error.kind())),
        Cause::Tls(fault) => at.tls(fault),
        Cause::Refused { status, .. } => at.refused(*status),
        Cause::SocksRefused(rep) => at.socks_refused(*rep),
        Cause::Auth(fault) => at.auth(fault),
        Cause::Reply(fault) => at.reply(fault),
        Cause::Answer(fault) => at.answer(fault),
        Cause::Lost(words) => at.lost(words),
        Cause::Shortage(lacking) => told(Exit::TryAgain, lacking.to_string(), lacking.remedy()),
        Cause::Ours(words) => told(
            Exit::Usage,
            format!("the request could not be made: {words}"),
            "check the URL and the flags",
        ),
    };
    Verdict {
        reason: cause.reason(),
        exit,
        cause: text,
        remedy,
    }
}

/// Where it failed, and on the way to what.
pub(super) struct At<'a> {
    pub(super) place: &'a Place,
    pub(super) step: &'a Step,
    pub(super) scene: &'a Scene,
}

impl At<'_> {
    pub(super) fn who(&self) -> &'static str {
        match self.place {
            Place::Hop { .. } => "the proxy",
            Place::Server => "the backend",
        }
    }

    /// Where its TLS is configured.
    pub(super) fn section(&self) -> &'static str {
        match self.place {
            Place::Hop { .. } => "the hop",
            Place::Server => "the backend",
        }
    }

    fn is_direct(&self) -> bool {
        matches!(self.place, Place::Server) && self.scene.hops.is_empty()
    }

    /// What CONNECT asks for.
    pub(super) fn target(&self) -> &str {
        match self.step {
            Step::Tunnel(target) => target,
            Step::Find
            | Step::Pac(_)
            | Step::Resolve(_)
            | Step::Connect(_)
            | Step::Tls
            | Step::Greeting
            | Step::Login
            | Step::Upgrade => "it",
        }
    }

    fn timeout(&self) -> Told {
        let who = self.who();
        let (cause, remedy) = match self.step {
            Step::Find => (
                "nothing said in time which proxies there are".to_owned(),
                "name the proxy by --egress or --proxy".to_owned(),
            ),
            Step::Pac(server) => (
                format!("the PAC script did not say in time how to reach {server}"),
                "look at the log: it says what the script did".to_owned(),
            ),
            Step::Resolve(name) => (
                format!("the resolver did not answer for {name} in time"),
                "check the resolver of this machine (/etc/resolv.conf)".to_owned(),
            ),
            Step::Connect(_) if self.is_direct() => (
                "no answer: something on the way drops the packets".to_owned(),
                "direct connections are probably filtered here: name the proxy by --egress or --proxy"
                    .to_owned(),
            ),
            Step::Connect(_) => (
                "no answer: the address is wrong or something on the way drops the packets"
                    .to_owned(),
                format!("check the address of {who} and the firewall before it"),
            ),
            Step::Tls => (
                format!("{who} did not answer the TLS handshake in time"),
                match self.place {
                    Place::Hop { .. } => {
                        "check that the proxy speaks TLS on this port; if it does not, write http:// \
                         for it"
                    }
                    Place::Server => "check that the backend speaks TLS on this port",
                }
                .to_owned(),
            ),
            Step::Greeting => (
                "the proxy did not answer in SOCKS5 in time".to_owned(),
                "it may be an HTTP proxy, which waits for a line that never comes: if so, write \
                 http:// or https:// for it"
                    .to_owned(),
            ),
            Step::Login => (
                "the proxy did not say in time whether user and password are good".to_owned(),
                "look at the proxy's log: it may be waiting for whoever judges them".to_owned(),
            ),
            Step::Tunnel(target) => (
                format!("the proxy did not answer CONNECT {target} in time"),
                "it may be waiting for a backend that does not answer it: check name and port, \
                 or raise timeouts.reply of the egress"
                    .to_owned(),
            ),
            Step::Upgrade => (
                "the backend did not answer the handshake in time".to_owned(),
                "check that a WebSocket server runs there, and look at its load".to_owned(),
            ),
        };
        told(Exit::TryAgain, cause, remedy)
    }

    fn resolve(&self, words: &str) -> Told {
        let name = match self.step {
            Step::Resolve(name) => name,
            _ => &self.scene.host,
        };
        let remedy = match self.is_direct() {
            true => {
                "check the name; where only a proxy can resolve it, name the proxy by --egress or \
                 --proxy"
            }
            false => "check the proxy's name and the resolver of this machine",
        };
        let cause = format!("{name} has no address here ({})", said(words));
        told(Exit::Unreachable, cause, remedy)
    }

    // The last address that was tried: all others failed before it.
    fn connect(&self, kinds: impl Iterator<Item = io::ErrorKind>) -> Told {
        let who = self.who();
        let cause = match kinds.last() {
            Some(io::ErrorKind::ConnectionRefused) => "nobody listens there: connection refused",
            Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
                "this machine has no way to that address"
            }
            Some(io::ErrorKind::PermissionDenied) => "this machine's own rules forbid it",
            _ => "no connection came about",
        };
        let remedy = match self.is_direct() {
            true => {
                "check host and port; where a proxy is the way out, name it by --egress or --proxy"
                    .to_owned()
            }
            false => format!("check host and port of {who}, and that it runs"),
        };
        told(Exit::Unreachable, cause, remedy)
    }

    fn lost(&self, words: &str) -> Told {
        let who = self.who();
        let remedy = match self.step {
            Step::Upgrade if !self.scene.is_secure => self.scene.unread().to_owned(),
            _ => format!("look at the log of {who} and of what stands before it"),
        };
        let cause = format!("the connection ended before {who} answered: {words}");
        told(Exit::Unreachable, cause, remedy)
    }
}

// `failed to lookup address information: Name or service not known`: the end is what is said.
fn said(words: &str) -> &str {
    words.rsplit(": ").next().unwrap_or(words)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use super::super::check::{check, hop, scene};
    use super::*;
    use crate::egress::Shortage;

    fn connect() -> Step {
        Step::Connect("10.1.2.3:3128".to_owned())
    }

    fn failed(kinds: &[io::ErrorKind]) -> Cause {
        let address = SocketAddr::from(([10, 1, 2, 3], 3128));
        let failure = |kind: &io::ErrorKind| (address, Arc::new(io::Error::from(*kind)));
        Cause::Connect(kinds.iter().map(failure).collect())
    }

    #[test]
    fn what_does_not_answer_may_answer_later() {
        let check = |place: &Place, step, cause: &str, remedy: &str| {
            check(place, step, Cause::Timeout, ("timeout", 75, cause, remedy));
        };
        let name = || Step::Resolve("proxy.corp".to_owned());
        check(
            &hop(),
            name(),
            "the resolver did not answer for proxy.corp in time",
            "check the resolver of this machine (/etc/resolv.conf)",
        );
        check(
            &Place::Server,
            connect(),
            "no answer: something on the way drops the packets",
            "direct connections are probably filtered here: name the proxy by --egress or --proxy",
        );
        check(
            &hop(),
            connect(),
            "no answer: the address is wrong or something on the way drops the packets",
            "check the address of the proxy and the firewall before it",
        );
        check(
            &hop(),
            Step::Tls,
            "the proxy did not answer the TLS handshake in time",
            "check that the proxy speaks TLS on this port; if it does not, write http:// for it",
        );
        check(
            &hop(),
            Step::Greeting,
            "the proxy did not answer in SOCKS5 in time",
            "it may be an HTTP proxy, which waits for a line that never comes: if so, write \
             http:// or https:// for it",
        );
        check(
            &hop(),
            Step::Login,
            "the proxy did not say in time whether user and password are good",
            "look at the proxy's log: it may be waiting for whoever judges them",
        );
        check(
            &Place::Server,
            Step::Upgrade,
            "the backend did not answer the handshake in time",
            "check that a WebSocket server runs there, and look at its load",
        );
    }

    #[test]
    fn a_name_without_an_address_is_told_by_its_last_words() {
        let cause = || Cause::Resolve("failed to look up: Name or service not known".to_owned());
        check(
            &Place::Server,
            Step::Resolve("chat.internal".to_owned()),
            cause(),
            (
                "dns",
                69,
                "chat.internal has no address here (Name or service not known)",
                "check the name; where only a proxy can resolve it, name the proxy by --egress or \
                 --proxy",
            ),
        );
        check(
            &hop(),
            Step::Resolve("proxy.corp".to_owned()),
            cause(),
            (
                "dns",
                69,
                "proxy.corp has no address here (Name or service not known)",
                "check the proxy's name and the resolver of this machine",
            ),
        );
    }

    #[test]
    fn of_several_addresses_the_last_one_counts() {
        use io::ErrorKind::{
            ConnectionRefused, HostUnreachable, NetworkUnreachable, Other, PermissionDenied,
        };
        let direct = "check host and port; where a proxy is the way out, name it by --egress or \
                      --proxy";
        let by_hop = "check host and port of the proxy, and that it runs";
        let unreachable = "this machine has no way to that address";
        for (kinds, cause) in [
            (
                &[HostUnreachable, ConnectionRefused][..],
                "nobody listens there: connection refused",
            ),
            (&[ConnectionRefused, HostUnreachable], unreachable),
            (&[NetworkUnreachable], unreachable),
            (&[PermissionDenied], "this machine's own rules forbid it"),
            (&[Other], "no connection came about"),
        ] {
            let expected = ("tcp", 69, cause, direct);
            check(&Place::Server, connect(), failed(kinds), expected);
            check(&hop(), connect(), failed(kinds), ("tcp", 69, cause, by_hop));
        }
        let unix = Cause::Unix(Arc::new(io::Error::from(PermissionDenied)));
        let expected = ("tcp", 69, "this machine's own rules forbid it", direct);
        check(&Place::Server, connect(), unix, expected);
    }

    #[test]
    fn what_this_machine_lacks_is_told_with_what_to_raise() {
        let check = |lacking, cause: &str, remedy: &str| {
            let expected = ("shortage", 75, cause, remedy);
            check(&hop(), connect(), Cause::Shortage(lacking), expected);
        };
        check(
            Shortage::Descriptors,
            "this process has no file descriptor left",
            "raise the limit of open files (LimitNOFILE in a unit, ulimit -n)",
        );
        check(
            Shortage::SystemDescriptors,
            "this machine has no file descriptor left",
            "raise fs.file-max",
        );
        check(
            Shortage::Ports,
            "this machine has no local port left for that address",
            "widen net.ipv4.ip_local_port_range",
        );
    }

    #[test]
    fn a_connection_that_ends_early_blames_what_is_between_only_where_it_can_read() {
        let lost = || Cause::Lost("reset".to_owned());
        let cause = "the connection ended before the backend answered: reset";
        let remedy = "use wss://: nobody between can take a header out of what he cannot read";
        let expected = ("lost", 69, cause, remedy);
        check(&Place::Server, Step::Upgrade, lost(), expected);
        let verdict = of_step(&Place::Server, &Step::Upgrade, &lost(), &scene(true, &[]));
        assert_eq!(
            verdict.remedy,
            "look at the log of the backend and of what stands before it"
        );
        check(
            &Place::Server,
            Step::Upgrade,
            Cause::Ours("path: invalid".to_owned()),
            (
                "request",
                2,
                "the request could not be made: path: invalid",
                "check the URL and the flags",
            ),
        );
    }
}
