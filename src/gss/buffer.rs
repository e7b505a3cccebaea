//! Bytes that cross the border: ours, lent for one call, and the library's, given back.
//!
//! Knows not what they mean.

#![allow(unsafe_code, reason = "the room of the foreign interface")]

use std::marker::PhantomData;
use std::ptr;

use libgssapi_sys::{gss_buffer_desc, gss_buffer_t, gss_release_buffer};

/// Ours, for as long as they are borrowed.
pub(super) struct Lent<'a> {
    descriptor: gss_buffer_desc,
    bytes: PhantomData<&'a [u8]>,
}

/// The library's, freed by it when dropped. Empty until a call has filled it.
pub(super) struct Buffer(gss_buffer_desc);

impl<'a> Lent<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            descriptor: descriptor(bytes),
            bytes: PhantomData,
        }
    }

    /// For an argument that the library reads: it takes no pointer to const, and writes nothing.
    pub(super) fn as_ptr(&mut self) -> gss_buffer_t {
        &mut self.descriptor
    }
}

impl Buffer {
    pub(super) fn empty() -> Self {
        Self(descriptor(&[]))
    }

    /// For an argument that the library fills.
    pub(super) fn as_out(&mut self) -> gss_buffer_t {
        &mut self.0
    }

    pub(super) fn bytes(&self) -> &[u8] {
        if self.0.value.is_null() || self.0.length == 0 {
            return &[];
        }
        // SAFETY: the library filled in the address of `length` bytes of its own, which it leaves
        // alone until `gss_release_buffer`; that is called by `drop` alone, and `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.0.value.cast(), self.0.length) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the descriptor is empty or as the library filled it, and this is the one place
        // that gives it back. An empty one is left alone (RFC 2744 §5.28).
        unsafe { gss_release_buffer(&mut minor, &mut self.0) };
    }
}

/// The descriptor of `bytes`, good while they are.
pub(super) fn descriptor(bytes: &[u8]) -> gss_buffer_desc {
    gss_buffer_desc {
        length: bytes.len(),
        value: match bytes {
            [] => ptr::null_mut(),
            some => some.as_ptr().cast_mut().cast(),
        },
    }
}
