//! A right to tokens in someone's name, and where it comes from.
//!
//! Knows no services: a credential is for any of them.

#![allow(unsafe_code, reason = "the room of the foreign interface")]

use std::ffi::{CStr, CString};
use std::fmt;
use std::ptr;
use std::time::Duration;

use libgssapi_sys::{
    _GSS_C_INDEFINITE, GSS_C_INITIATE, gss_acquire_cred_from, gss_acquire_cred_with_password,
    gss_cred_id_t, gss_cred_usage_t, gss_inquire_cred, gss_key_value_element_desc,
    gss_key_value_set_desc, gss_name_t, gss_release_cred,
};

use super::buffer::Lent;
use super::error::Error;
use super::mechanism::{self, Mechanism};
use super::name::Name;

const CACHE: &CStr = c"ccache";
const KEYTAB: &CStr = c"client_keytab";
/// A keytab that nobody has filled, so that the process's own plays no part beside a cache.
const NO_KEYTAB: &CStr = c"MEMORY:none";

/// Never null. Freed with what the library holds for it: the tickets of a password.
pub struct Credential(gss_cred_id_t);

// SAFETY: a credential belongs to no thread, and nothing but `drop` changes it here. Where the
// library changes one that is used (what it finds out late), it holds the credential's own lock.
unsafe impl Send for Credential {}
// SAFETY: as above; several contexts of several threads may be made of one.
unsafe impl Sync for Credential {}

/// Where keys and tickets are.
#[derive(Debug, Clone, Default)]
pub struct Store(Vec<(&'static CStr, CString)>);

impl Store {
    /// Where the process has them: `KRB5CCNAME`, `KRB5_CLIENT_KTNAME`, `krb5.conf`.
    pub fn of_process() -> Self {
        Self::default()
    }

    /// In this ticket cache, as in `FILE:/run/alice.cc`, and nowhere else.
    pub fn cache(cache: &str) -> Result<Self, Error> {
        let keytab = NO_KEYTAB.to_owned();
        Ok(Self(vec![(CACHE, text(cache)?), (KEYTAB, keytab)]))
    }

    /// In this keytab, as in `FILE:/etc/alice.keytab`; its tickets are put into `cache`.
    pub fn keytab(keytab: &str, cache: &str) -> Result<Self, Error> {
        Ok(Self(vec![(CACHE, text(cache)?), (KEYTAB, text(keytab)?)]))
    }
}

impl Credential {
    /// Of `name`, or of whoever `store` is about. Asks a KDC if tickets have to be got by a key.
    pub fn acquire(
        name: Option<&Name>,
        mechanism: Mechanism,
        store: &Store,
    ) -> Result<Self, Error> {
        let element = |(key, value): &(&CStr, CString)| gss_key_value_element_desc {
            key: key.as_ptr(),
            value: value.as_ptr(),
        };
        let mut elements: Vec<_> = store.0.iter().map(element).collect();
        let set = gss_key_value_set_desc {
            // Two at most.
            count: elements.len() as u32,
            elements: elements.as_mut_ptr(),
        };
        let set = match elements.is_empty() {
            true => ptr::null(),
            false => &raw const set,
        };
        let mut oid = mechanism.oid();
        let (mut minor, mut credential) = (0, ptr::null_mut());
        // SAFETY: all pointers are null where that is allowed, or to what lives until the end of
        // this function (`store` and `name` are borrowed); the library copies what it keeps. A
        // credential that it made is owned by the value that is returned.
        let major = unsafe {
            gss_acquire_cred_from(
                &mut minor,
                pointer(name),
                _GSS_C_INDEFINITE,
                &mut mechanism::set(&mut oid),
                INITIATE,
                set,
                &mut credential,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        Error::check(major, minor)?;
        Ok(Self(credential))
    }

    /// Of `name`, by what the KDC gives for `password`. The tickets are kept in memory.
    pub fn by_password(name: &Name, password: &str, mechanism: Mechanism) -> Result<Self, Error> {
        let mut oid = mechanism.oid();
        let mut password = Lent::new(password.as_bytes());
        let (mut minor, mut credential) = (0, ptr::null_mut());
        // SAFETY: as in `acquire`; the password is copied, and wiped with the credential.
        let major = unsafe {
            gss_acquire_cred_with_password(
                &mut minor,
                pointer(Some(name)),
                password.as_ptr(),
                _GSS_C_INDEFINITE,
                &mut mechanism::set(&mut oid),
                INITIATE,
                &mut credential,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        Error::check(major, minor)?;
        Ok(Self(credential))
    }

    /// How long it is good from now on; nothing if it has ended.
    pub fn left(&self) -> Duration {
        let (mut minor, mut seconds) = (0, 0);
        // SAFETY: the credential is ours and alive, and the pointers are to live locals, or null
        // for what is not asked (RFC 2744 §5.21).
        let major = unsafe {
            gss_inquire_cred(
                &mut minor,
                self.0,
                ptr::null_mut(),
                &mut seconds,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        match Error::check(major, minor) {
            Ok(_) => Duration::from_secs(u64::from(seconds)),
            Err(_) => Duration::ZERO,
        }
    }

    /// For an argument that the library reads.
    pub(super) fn as_ptr(&self) -> gss_cred_id_t {
        self.0
    }
}

/// The C header has it as a number without a sign, and the parameter as one with.
const INITIATE: gss_cred_usage_t = GSS_C_INITIATE as gss_cred_usage_t;

fn pointer(name: Option<&Name>) -> gss_name_t {
    name.map_or(ptr::null_mut(), Name::as_ptr)
}

fn text(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::ours("the name of a keytab or a cache holds a NUL"))
}

impl Drop for Credential {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the credential is the library's own, and this is the one place that gives it
        // back; a context that uses it holds it alive.
        unsafe { gss_release_cred(&mut minor, &mut self.0) };
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_is_not_there_is_said_to_be() {
        let store = Store::cache("FILE:/nowhere/alice.cc").expect("a store");
        let error = Credential::acquire(None, Mechanism::Kerberos, &store);
        let words = error.expect_err("no tickets").to_string();
        assert!(words.contains("/nowhere/alice.cc"), "{words}");
    }

    #[test]
    fn a_nul_ends_nothing() {
        for store in [Store::cache("FILE:/a\0b"), Store::keytab("FILE:/a\0b", "")] {
            let error = store.expect_err("no store");
            assert!(error.words().contains("NUL"), "{error}");
        }
    }
}
