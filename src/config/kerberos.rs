//! Kerberos towards a proxy: `spn`, and whose ticket it is.
//!
//! Without the feature `gssapi` there is none, and every key of it is a fault that says so. Asks no
//! KDC and looks at no ticket.

use crate::egress::{Choice, Kerberos, Scheme, Secret};

use super::context::Text;
use super::fault::Fault;
use super::field::Field;
use super::keys::Keys;
use super::reader::Section;

/// Whether this build can speak it.
pub(super) const IS_BUILT: bool = cfg!(feature = "gssapi");
/// How it comes to.
pub(super) const HOW_TO_BUILD: &str = "build with `cargo build --release --features gssapi`, which \
    needs the packages libkrb5-dev and libclang-dev";
/// A principal longer than this is a mistake.
const SPN_CHARS_MAX: usize = 512;

/// `None` after a fault; `Some(None)` where Kerberos plays no part.
pub(super) fn kerberos(
    section: Section<'_>,
    choice: Choice,
    user: &Secret,
    password: &Secret,
    keys: Keys,
) -> Option<Option<Kerberos>> {
    let spn = match section.field("spn") {
        Some(field) => Some(spn(field)?),
        None => None,
    };
    let is_told = match choice {
        Choice::Auto => IS_BUILT && is_ours(user, password),
        Choice::Only(scheme) => scheme == Scheme::Negotiate,
    };
    if !is_told {
        return no_use(section, choice).then_some(None);
    }
    if choice != Choice::Auto && !is_identity(section, user, password) {
        return None;
    }
    Some(build(spn, user, password, keys))
}

/// In `auto`, a user with a realm is one that Kerberos knows. A realm has capital letters; what has
/// small ones is an address, which NTLM is told as it is.
fn is_ours(user: &Secret, password: &Secret) -> bool {
    let realm = realm(user).filter(|realm| !realm.chars().any(char::is_lowercase));
    realm.is_some() && !password.reveal().is_empty()
}

fn realm(user: &Secret) -> Option<&str> {
    let (_, realm) = user.reveal().rsplit_once('@')?;
    (!realm.is_empty()).then_some(realm)
}

// Whether `spn` is not there, where it would mean nothing.
fn no_use(section: Section<'_>, choice: Choice) -> bool {
    let Some(field) = section.field("spn") else {
        return true;
    };
    let (message, help) = match choice {
        _ if !IS_BUILT => ("`spn`, and this build has no Kerberos", HOW_TO_BUILD),
        Choice::Auto => (
            "`spn`, and no user whom Kerberos knows",
            "write user = \"name@REALM\" and a password, or scheme = \"negotiate\"",
        ),
        Choice::Only(_) => (
            "`spn` is for Kerberos alone",
            "leave it out, or write scheme = \"negotiate\" or \"auto\"",
        ),
    };
    let fault = Fault::at(field.key_span(), message);
    section.cx.report(fault.help(help));
    false
}

fn is_identity(section: Section<'_>, user: &Secret, password: &Secret) -> bool {
    let Some(field) = section.field("password") else {
        return true;
    };
    let (message, help) = if user.reveal().is_empty() {
        ("`password`, and no `user`", "write user = \"name@REALM\"")
    } else if password.reveal().is_empty() {
        (
            "`password` is empty, and Kerberos takes none that is",
            "leave it out to use the user's ticket or a keytab",
        )
    } else {
        return true;
    };
    let fault = Fault::at(field.span(), message);
    section.cx.report(fault.help(help));
    false
}

/// `service/host`, with a realm if wanted.
fn spn(field: Field<'_>) -> Option<String> {
    let text = field.text()?;
    if is_spn(&text) {
        return Some(text.text.to_owned());
    }
    let fault = Fault::at(text.span.clone(), "not the name of a service").found(text.quoted());
    let expected = "service/host, as in \"HTTP/proxy.corp.example\", with @REALM if wanted";
    field.cx.report(fault.expected(expected));
    None
}

fn is_spn(text: &Text<'_>) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
    let name = match text.text.split_once('@') {
        Some((_, "")) => return false,
        Some((name, _)) => name,
        None => text.text,
    };
    let Some((service, host)) = name.split_once('/') else {
        return false;
    };
    let is_short = text.text.len() <= SPN_CHARS_MAX;
    is_short && !service.is_empty() && !host.is_empty() && text.text.chars().all(is_plain)
}

#[cfg(feature = "gssapi")]
fn build(spn: Option<String>, user: &Secret, password: &Secret, keys: Keys) -> Option<Kerberos> {
    use std::sync::Arc;

    use crate::egress::system::{Identity, System};

    let text = |secret: &Secret| secret.reveal().to_owned();
    let principal = Some(text(user)).filter(|name| !name.is_empty());
    let identity = match (keys, principal, password.reveal()) {
        (Keys::Cache(cache), principal, _) => Identity::Cache { principal, cache },
        (Keys::Keytab(keytab), Some(principal), _) => Identity::Keytab { principal, keytab },
        // An empty `user` was a fault with a keytab, and is one with a password.
        (Keys::Keytab(_), None, _) => return None,
        (Keys::None, Some(principal), password) if !password.is_empty() => Identity::Password {
            principal,
            password: Secret::new(password.to_owned()),
        },
        (Keys::None, principal, _) => Identity::Held(principal),
    };
    let realm = realm(user).map(str::to_owned);
    Some(Kerberos::by(Arc::new(System::new(identity)), spn, realm))
}

// Never reached: `scheme`, `spn` and the keys are faults before.
#[cfg(not(feature = "gssapi"))]
fn build(_: Option<String>, _: &Secret, _: &Secret, _: Keys) -> Option<Kerberos> {
    None
}
