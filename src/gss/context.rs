//! One security context from the side that begins it: tokens out, tokens in.
//!
//! Knows not how they travel.

#![allow(unsafe_code, reason = "the room of the foreign interface")]

use std::fmt;
use std::ptr;
use std::sync::Arc;

use libgssapi_sys::{
    _GSS_C_INDEFINITE, GSS_C_AF_UNSPEC, GSS_C_MUTUAL_FLAG, GSS_S_CONTINUE_NEEDED,
    gss_channel_bindings_struct, gss_channel_bindings_t, gss_ctx_id_t, gss_delete_sec_context,
    gss_init_sec_context,
};

use super::buffer::{Buffer, Lent, descriptor};
use super::credential::Credential;
use super::error::Error;
use super::mechanism::Mechanism;
use super::name::Name;

/// Towards one service, by SPNEGO. The service has to prove itself too.
pub struct Context {
    /// Null before the first step and after a step that failed.
    handle: gss_ctx_id_t,
    stage: Stage,
    credential: Arc<Credential>,
    service: Name,
    binding: Option<Vec<u8>>,
}

/// What may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Our first token.
    Silent,
    /// Their next one.
    Asking,
    /// Nothing: both sides are satisfied, or a step failed.
    Over,
}

// SAFETY: a context belongs to no thread, and `step`, which alone changes it, wants it exclusively.
unsafe impl Send for Context {}

impl Context {
    /// Says nothing yet. `binding` is the application's data of the channel that the tokens will
    /// travel in (RFC 2744 §3.11), as in RFC 5929.
    pub fn new(credential: Arc<Credential>, service: Name, binding: Option<Vec<u8>>) -> Self {
        Self {
            handle: ptr::null_mut(),
            stage: Stage::Silent,
            credential,
            service,
            binding,
        }
    }

    /// The next token, after the other side has said `heard`, which is nothing at first and
    /// something ever after; empty if nothing is left to say. Asks a KDC if there is no ticket
    /// for the service yet.
    pub fn step(&mut self, heard: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        match (self.stage, heard) {
            (Stage::Silent, None) | (Stage::Asking, Some(_)) => {}
            (Stage::Silent, Some(_)) => return Err(Error::ours("a token before the first")),
            (Stage::Asking, None) => return Err(Error::ours("no token where one must be")),
            (Stage::Over, _) => return Err(Error::ours("a token after the last")),
        }
        self.stage = Stage::Over;
        let mut said = Buffer::empty();
        let (major, minor) = self.call(heard, &mut said);
        match Error::check(major, minor) {
            Ok(major) => {
                if major & GSS_S_CONTINUE_NEEDED != 0 {
                    self.stage = Stage::Asking;
                }
                Ok(said.bytes().to_vec())
            }
            Err(error) => {
                self.delete();
                Err(error)
            }
        }
    }

    fn call(&mut self, heard: Option<&[u8]>, said: &mut Buffer) -> (u32, u32) {
        let mut heard = heard.map(Lent::new);
        let heard = heard.as_mut().map_or(ptr::null_mut(), Lent::as_ptr);
        let mut binding = self.binding.as_deref().map(bindings);
        let binding: gss_channel_bindings_t = match &mut binding {
            Some(binding) => binding,
            None => ptr::null_mut(),
        };
        let (mut minor, mut oid) = (0, Mechanism::Spnego.oid());
        // SAFETY: the handle is null or this context's own, as the library left it; credential and
        // service live as long as `self`; `heard`, the bindings and the OID live until the end of
        // this function, and the library copies what it keeps. `said` is empty.
        let major = unsafe {
            gss_init_sec_context(
                &mut minor,
                self.credential.as_ptr(),
                &mut self.handle,
                self.service.as_ptr(),
                &mut oid,
                GSS_C_MUTUAL_FLAG,
                _GSS_C_INDEFINITE,
                binding,
                heard,
                ptr::null_mut(),
                said.as_out(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        (major, minor)
    }

    fn delete(&mut self) {
        if self.handle.is_null() {
            return;
        }
        let mut minor = 0;
        // SAFETY: the handle is this context's own, and set to null by the call; no token about the
        // end is asked for (RFC 2744 §5.9).
        unsafe { gss_delete_sec_context(&mut minor, &mut self.handle, ptr::null_mut()) };
    }
}

/// Good while `data` is.
fn bindings(data: &[u8]) -> gss_channel_bindings_struct {
    gss_channel_bindings_struct {
        initiator_addrtype: GSS_C_AF_UNSPEC,
        initiator_address: descriptor(&[]),
        acceptor_addrtype: GSS_C_AF_UNSPEC,
        acceptor_address: descriptor(&[]),
        application_data: descriptor(data),
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.delete();
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Context");
        shown.field("stage", &self.stage).finish_non_exhaustive()
    }
}
