//! What the library says when something fails: two codes, and the words for both.
//!
//! Knows not what any of them means to a proxy.

#![allow(unsafe_code, reason = "the room of the foreign interface")]

use std::fmt;
use std::ptr;

use libgssapi_sys::{GSS_C_GSS_CODE, GSS_C_MECH_CODE, gss_display_status};

use super::buffer::Buffer;

/// A code has one text, or a few; more than this is an error of its own.
const TEXTS_MAX: usize = 4;
/// The upper half of a major code: what makes it a failure (RFC 2744 §3.9.1).
const FAILURE_MASK: u32 = 0xffff_0000;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// GSSAPI's code (RFC 2744 §3.9.1).
    pub major: u32,
    /// The mechanism's code.
    pub minor: u32,
    /// What GSSAPI's code says: in general.
    pub general: String,
    /// What the mechanism's code says: in this case. Empty if it says nothing.
    pub case: String,
}

impl Error {
    /// Of a call that has just returned these codes on this thread: the library keeps its words
    /// for the thread that it failed on.
    pub(super) fn check(major: u32, minor: u32) -> Result<u32, Self> {
        if major & FAILURE_MASK == 0 {
            return Ok(major);
        }
        let case = match minor {
            0 => String::new(),
            minor => words(minor, GSS_C_MECH_CODE),
        };
        Err(Self {
            major,
            minor,
            general: words(major, GSS_C_GSS_CODE),
            case,
        })
    }

    /// Of a call that is not made at all.
    pub(super) fn ours(why: &str) -> Self {
        Self {
            major: 0,
            minor: 0,
            general: why.to_owned(),
            case: String::new(),
        }
    }

    /// The case, or what there is in its place.
    pub fn words(&self) -> &str {
        match self.case.as_str() {
            "" => &self.general,
            case => case,
        }
    }
}

fn words(code: u32, of: u32) -> String {
    let mut texts = Vec::new();
    let mut more = 0;
    while texts.len() < TEXTS_MAX {
        let (mut minor, mut text) = (0, Buffer::empty());
        // SAFETY: the pointers are to live locals, the buffer is empty; no mechanism (a null OID) is
        // the default one, and the library itself knows which mechanism a minor code is of.
        let major = unsafe {
            gss_display_status(
                &mut minor,
                code,
                // 1 or 2.
                of as i32,
                ptr::null_mut(),
                &mut more,
                text.as_out(),
            )
        };
        if major & FAILURE_MASK != 0 {
            break;
        }
        // Some of its texts end in a NUL.
        texts.push(String::from_utf8_lossy(text.bytes()).replace('\0', ""));
        if more == 0 {
            break;
        }
    }
    texts.join("; ")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.general)?;
        match self.case.as_str() {
            "" => Ok(()),
            case => write!(f, " ({case})"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gss::{Credential, Mechanism, Store};
    use libgssapi_sys::{_GSS_S_BAD_NAME, GSS_S_CONTINUE_NEEDED};

    #[test]
    fn a_failure_has_the_words_of_both_codes() {
        assert_eq!(Error::check(0, 7), Ok(0));
        let goes_on = GSS_S_CONTINUE_NEEDED;
        assert_eq!(Error::check(goes_on, 0), Ok(goes_on));
        let error = Error::check(_GSS_S_BAD_NAME, 0).expect_err("a failure");
        assert_eq!(error.to_string(), "An invalid name was supplied");
        assert_eq!(error.words(), error.general);
    }

    #[test]
    fn a_case_has_words_of_its_own() {
        let store = Store::cache("FILE:/nowhere").expect("a store");
        let error = Credential::acquire(None, Mechanism::Kerberos, &store).expect_err("no cache");
        assert!(error.general.starts_with("No credentials"), "{error:?}");
        assert!(error.words() == error.case && error.case.contains("/nowhere"));
        let both = format!("{} ({})", error.general, error.case);
        assert_eq!(error.to_string(), both);
    }
}
