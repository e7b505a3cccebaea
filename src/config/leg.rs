//! TLS on a leg that the gateway opens: to a server, or to a proxy. Both have the same keys.
//!
//! Knows neither backends nor hops.

use std::ops::Range;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::egress::TlsTo;
use crate::net::tls;
use crate::wire::authority::Host;

use super::certificate::{self, Identity};
use super::context::Context;
use super::fault::Fault;
use super::reader::Section;

/// A certificate chain and its key.
type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What the legs to one backend or one proxy share.
pub(super) struct Leg {
    config: Arc<ClientConfig>,
    /// From `server_name`; otherwise each leg goes by its own host.
    name: Option<ServerName<'static>>,
}

impl Leg {
    /// From a `tls` section, or from none; then a fault is about what stands at `place`.
    pub(super) fn lower(
        cx: &Context<'_>,
        section: Option<Section<'_>>,
        place: Range<usize>,
    ) -> Option<Self> {
        let place = section.map_or(place, |s| s.span());
        let name = section.and_then(server_name);
        let identity = section.map(client_identity);
        let roots = roots(cx, section, &place)?;
        // A faulty identity has been reported; going on without one would mean something else.
        let identity = match identity {
            Some(Err(Reported)) => return None,
            Some(Ok(identity)) => identity.map(|i| (i.chain, i.private)),
            None => None,
        };
        Self::with(cx, roots, identity, name, place)
    }

    /// From a `tls` section that has `ca` and nothing else, or from none.
    pub(super) fn trusting(
        cx: &Context<'_>,
        section: Option<Section<'_>>,
        place: Range<usize>,
    ) -> Option<Self> {
        let place = section.map_or(place, |s| s.span());
        let roots = roots(cx, section, &place)?;
        Self::with(cx, roots, None, None, place)
    }

    /// By the OS store alone, even if that is empty: who uses it is not known yet, and may be nobody.
    pub(super) fn of_system(cx: &Context<'_>, place: Range<usize>) -> Option<Self> {
        let roots = cx.os_roots.get_or_init(os_roots).clone();
        Self::with(cx, roots, None, None, place)
    }

    fn with(
        cx: &Context<'_>,
        roots: RootCertStore,
        identity: Option<Shown>,
        name: Option<ServerName<'static>>,
        place: Range<usize>,
    ) -> Option<Self> {
        match tls::client(roots, identity) {
            Ok(config) => Some(Self { config, name }),
            Err(error) => {
                cx.report(Fault::at(place, format!("TLS cannot be set up: {error}")));
                None
            }
        }
    }

    /// What TLS to any host is made with.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// TLS to `host` on this leg.
    pub(super) fn to(&self, host: &Host) -> Option<TlsTo> {
        let name = self.name.clone().or_else(|| tls_name(host))?;
        Some(TlsTo {
            config: self.config.clone(),
            name,
        })
    }
}

/// A fault that is in the list already.
struct Reported;

fn client_identity(section: Section<'_>) -> Result<Option<Identity>, Reported> {
    let (cert, key) = ("client_cert", "client_key");
    let missing = match (section.field(cert), section.field(key)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let texts = (section.text(cert), section.text(key));
            let (Some(cert), Some(key)) = texts else {
                return Err(Reported);
            };
            let identity = certificate::identity(section.cx, &cert, &key);
            return identity.map(Some).ok_or(Reported);
        }
        (Some(present), None) => (present, cert, key),
        (None, Some(present)) => (present, key, cert),
    };
    let (present, has, lacks) = missing;
    let fault = Fault::at(present.span(), format!("`{has}` without `{lacks}`"));
    section
        .cx
        .report(fault.help("a client certificate takes both").may_follow());
    Err(Reported)
}

fn server_name(section: Section<'_>) -> Option<ServerName<'static>> {
    let text = section.text("server_name")?;
    let name = Host::parse(text.text).ok().and_then(|host| tls_name(&host));
    if name.is_none() {
        let fault = Fault::at(text.span.clone(), "`server_name` is not a host");
        let fault = fault
            .found(text.quoted())
            .expected("a name without scheme and port");
        section.cx.report(fault);
    }
    name
}

fn tls_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Ip(ip) => Some(ServerName::IpAddress((*ip).into())),
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
    }
}

/// The OS store and `ca`. `None` after a fault.
fn roots(
    cx: &Context<'_>,
    section: Option<Section<'_>>,
    place: &Range<usize>,
) -> Option<RootCertStore> {
    let mut roots = cx.os_roots.get_or_init(os_roots).clone();
    match section.and_then(|s| s.text("ca")) {
        Some(ca) => certificate::add_roots(cx, &mut roots, &ca),
        None if roots.is_empty() => {
            let message = "the OS store of certificates is empty, and there is no `ca`";
            let fault = Fault::at(place.clone(), message);
            let help = "install the system's CA certificates, or set tls = { ca = \"ca.pem\" }";
            cx.report(fault.help(help));
        }
        None => {}
    }
    (!roots.is_empty()).then_some(roots)
}

/// Single certificates that cannot be read are left out, as every TLS client does: stores carry
/// old ones.
fn os_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
