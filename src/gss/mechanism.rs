//! Object identifiers: of the mechanisms, and of the one kind of name that we use.
//!
//! Knows no objects of the library.

use libgssapi_sys::{gss_OID_desc, gss_OID_set_desc};

/// What makes the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4178: what a proxy's Negotiate is.
    Spnego,
    /// RFC 4121: what is inside of it, and says more when it fails.
    Kerberos,
}

/// 1.3.6.1.5.5.2.
const SPNEGO: &[u8] = b"\x2b\x06\x01\x05\x05\x02";
/// 1.2.840.113554.1.2.2.
const KERBEROS: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// 1.2.840.113554.1.2.2.1, GSS_KRB5_NT_PRINCIPAL_NAME: a principal as Kerberos writes it (RFC 1964
/// §2.1.1).
const PRINCIPAL: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01";

impl Mechanism {
    pub(super) fn oid(self) -> gss_OID_desc {
        oid(match self {
            Self::Spnego => SPNEGO,
            Self::Kerberos => KERBEROS,
        })
    }
}

pub(super) fn principal() -> gss_OID_desc {
    oid(PRINCIPAL)
}

/// Lives no longer than `only`.
pub(super) fn set(only: &mut gss_OID_desc) -> gss_OID_set_desc {
    gss_OID_set_desc {
        count: 1,
        elements: only,
    }
}

// The library declares what it only reads as if it wrote.
fn oid(bytes: &'static [u8]) -> gss_OID_desc {
    gss_OID_desc {
        // Ten bytes at most.
        length: bytes.len() as u32,
        elements: bytes.as_ptr().cast_mut().cast(),
    }
}
