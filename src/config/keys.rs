//! Where a hop's own keys and tickets for Kerberos are: `keytab` and `ccache`.
//!
//! Looks whether the file is there and is one at all; what is in it comes and goes while the gateway
//! runs.

use std::path::Path;

use super::context::Text;
use super::fault::Fault;
use super::field::Field;
use super::file;
use super::kerberos::{HOW_TO_BUILD, IS_BUILT};
use super::reader::Section;
use crate::egress::{Choice, Scheme};

/// What both kinds begin with, before the version of the format.
const MAGIC: u8 = 5;
/// Of either; a cache of a user in very many groups takes a hundredth of it.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A file's, and what may be written before it.
const FILE: &str = "FILE:";
/// Caches that are no file: in a folder, in the kernel, with a daemon.
const ELSEWHERE: [&str; 3] = ["DIR:", "KEYRING:", "KCM:"];

/// A hop's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keys {
    /// None: those of the process, or the password's.
    None,
    /// As in `FILE:/etc/alice.keytab`.
    Keytab(String),
    /// As in `FILE:/run/alice.cc`.
    Cache(String),
}

/// `None` after a fault.
pub(super) fn keys(section: Section<'_>, choice: Choice) -> Option<Keys> {
    let (keytab, cache) = (section.field("keytab"), section.field("ccache"));
    let Some(field) = keytab.or(cache) else {
        return Some(Keys::None);
    };
    let refuse = |message: String, help: &str| {
        let fault = Fault::at(field.key_span(), message);
        section.cx.report(fault.help(help));
        None
    };
    let key = field.key;
    if !IS_BUILT {
        return refuse(
            format!("`{key}`, and this build has no Kerberos"),
            HOW_TO_BUILD,
        );
    }
    if !matches!(choice, Choice::Auto | Choice::Only(Scheme::Negotiate)) {
        return refuse(
            format!("`{key}` is for Kerberos alone"),
            "leave it out, or write scheme = \"negotiate\" or \"auto\"",
        );
    }
    if keytab.is_some() && cache.is_some() {
        return refuse(
            "`keytab` and `ccache` in one `auth`".to_owned(),
            "tickets that a key gets are kept in memory; leave out `ccache`",
        );
    }
    if section.field("password").is_some() {
        return refuse(
            format!("`{key}` and `password` in one `auth`"),
            "one of them is enough, and says which tickets there are",
        );
    }
    if keytab.is_some() && section.field("user").is_none() {
        return refuse(
            "`keytab`, and no `user`".to_owned(),
            "write user = \"name@REALM\": whose key it is",
        );
    }
    match keytab {
        Some(field) => Some(Keys::Keytab(in_file(field, "a keytab")?)),
        None => Some(Keys::Cache(self::cache(field)?)),
    }
}

fn cache(field: Field<'_>) -> Option<String> {
    let text = field.text()?;
    let kind = text.text.split_once(':').map(|(kind, _)| kind);
    let is_kind = |kind: &str| !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_uppercase());
    if text.text.starts_with(FILE) || !kind.is_some_and(is_kind) {
        return in_file(field, "a ticket cache");
    }
    let is_known = ELSEWHERE.iter().any(|kind| text.text.starts_with(kind));
    if is_known && !text.text.contains(char::is_control) {
        return Some(text.text.to_owned());
    }
    let fault = Fault::at(text.span.clone(), "not the name of a ticket cache");
    let expected = "a file, FILE:/path, DIR:/path, KEYRING:name or KCM:name";
    field
        .cx
        .report(fault.found(text.quoted()).expected(expected));
    None
}

/// A path, with or without `FILE:`, as the library writes it.
fn in_file(field: Field<'_>, what: &str) -> Option<String> {
    let text = field.text()?;
    let path = text.text.strip_prefix(FILE).unwrap_or(text.text);
    let path = field.cx.resolve(path);
    match checked(&path) {
        Ok(path) => Some(format!("{FILE}{path}")),
        Err(reason) => {
            report(field, &text, &path, what, &reason);
            None
        }
    }
}

fn report(field: Field<'_>, text: &Text<'_>, path: &Path, what: &str, reason: &str) {
    let message = format!("`{}`: not {what}: {}: {reason}", field.key, path.display());
    let help = match field.key {
        "keytab" => "klist -k tells what is in one, and ktutil or kadmin makes it",
        _ => "kinit -c makes one; it must be there when the gateway starts",
    };
    field
        .cx
        .report(Fault::at(text.span.clone(), message).help(help));
}

// Both begin with the same byte and the version of their format, from 1 to 4.
fn checked(path: &Path) -> Result<&str, String> {
    let Some(text) = path
        .to_str()
        .filter(|text| !text.contains(char::is_control))
    else {
        return Err("its name cannot be told to the library".to_owned());
    };
    match file::read(path, FILE_BYTES_MAX)?.as_slice() {
        [MAGIC, 1..=4, ..] => Ok(text),
        _ => Err("it holds something else".to_owned()),
    }
}
