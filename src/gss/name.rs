//! The name of a principal, as the library has it.
//!
//! Knows neither who it is nor whether there is one.

#![allow(unsafe_code, reason = "the room of the foreign interface")]

use std::fmt;
use std::ptr;

use libgssapi_sys::{gss_import_name, gss_name_t, gss_release_name};

use super::buffer::Lent;
use super::error::Error;
use super::mechanism;

/// Never null.
pub struct Name(gss_name_t);

// SAFETY: a name belongs to no thread. The library changes none after it is made, but for a lock
// of its own around what it computes late.
unsafe impl Send for Name {}

impl Name {
    /// As Kerberos writes it: `alice@CORP.EXAMPLE`, `HTTP/proxy.corp.example`; without a realm it
    /// is of the machine's default one.
    pub fn principal(text: &str) -> Result<Self, Error> {
        let (mut minor, mut name) = (0, ptr::null_mut());
        let (mut text, mut kind) = (Lent::new(text.as_bytes()), mechanism::principal());
        // SAFETY: all pointers are to live locals; the text and the OID are copied (RFC 2744
        // §5.16). A name that it made is owned by the value that is returned.
        let major = unsafe { gss_import_name(&mut minor, text.as_ptr(), &mut kind, &mut name) };
        Error::check(major, minor)?;
        Ok(Self(name))
    }

    /// For an argument that the library reads.
    pub(super) fn as_ptr(&self) -> gss_name_t {
        self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the name is the library's own, and this is the one place that gives it back.
        unsafe { gss_release_name(&mut minor, &mut self.0) };
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name")
    }
}
