//! How a server is going to be reached, told without reaching it.
//!
//! The dial goes by the same judgement, so the two cannot differ. Knows no sockets, and nothing of
//! what became of earlier dials.

use http::HeaderMap;

use super::alternatives::Alternatives;
use super::auto::Auto;
use super::error::{DialError, Failure, Place};
use super::pac::Pac;
use super::params::{Egress, Server, ServerAddress, Way};
use super::request::{Addressed, Request};
use crate::policy::no_proxy::{Bypass, NoProxy};
use crate::wire::authority::Host;

/// How one server is going to be reached.
#[derive(Debug)]
pub enum Outlook<'a> {
    /// Without a proxy.
    Straight(Straight<'a>),
    /// Through the hops of one chain.
    Through(&'a Egress),
    /// Through one of several chains.
    Among(&'a Alternatives),
    /// As a PAC script says once it is asked.
    ByScript(&'a Pac),
    /// As is found once it is looked.
    Unfound(&'a Auto),
}

/// Why no proxy is on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Straight<'a> {
    /// None is asked for.
    Asked,
    /// The server is a socket on this machine.
    Unix,
    /// Whoever was asked names none for the server's scheme.
    NoneNamed,
    /// An egress lets it go past its proxies.
    Bypass {
        /// The egress.
        egress: &'a str,
        /// What in its `no_proxy` does.
        by: Bypass<'a>,
    },
}

/// A request as one server gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Path and query.
    pub target: String,
    /// All of it, `Host` first.
    pub headers: HeaderMap,
}

impl<'a> Outlook<'a> {
    /// The way to `server`.
    pub fn of(server: &Server, way: &'a Way) -> Self {
        let ServerAddress::Tcp(host, port) = &server.address else {
            return Self::Straight(Straight::Unix);
        };
        match way {
            Way::Direct => Self::Straight(Straight::Asked),
            Way::Through(egress) => Self::through(egress, host, *port),
            Way::Among(several) => {
                past(&several.name, &several.no_proxy, host, *port).unwrap_or(Self::Among(several))
            }
            Way::Pac(script) => {
                past(&script.name, &script.no_proxy, host, *port).unwrap_or(Self::ByScript(script))
            }
            Way::ByScheme(ways) => match ways.egress(server.tls.is_some()) {
                Some(egress) => Self::through(egress, host, *port),
                None => Self::Straight(Straight::NoneNamed),
            },
            Way::Auto(auto) => Self::Unfound(auto),
        }
    }

    fn through(egress: &'a Egress, host: &Host, port: u16) -> Self {
        past(&egress.name, &egress.no_proxy, host, port).unwrap_or(Self::Through(egress))
    }
}

fn past<'a>(egress: &'a str, no_proxy: &'a NoProxy, host: &Host, port: u16) -> Option<Outlook<'a>> {
    let by = no_proxy.why(host, port)?;
    Some(Outlook::Straight(Straight::Bypass { egress, by }))
}

impl Request {
    /// What `server` is sent; an error where no such request can be written.
    pub fn outgoing(&self, server: &Server) -> Result<Outgoing, DialError> {
        let unwritten = |stumble| {
            let failure = Failure {
                place: Place::Server,
                server: server.url.clone(),
                chain: None,
                stumble,
            };
            DialError::new(Vec::new(), failure)
        };
        let addressed = Addressed::to(server, self).map_err(unwritten)?;
        let fields = addressed.fields();
        Ok(Outgoing {
            target: addressed.target().to_owned(),
            headers: fields.map(|(n, v)| (n.clone(), v.clone())).collect(),
        })
    }
}
