//! NTLM towards a proxy ([MS-NLMP]): the three messages, NTLMv2 alone.
//!
//! The client's Type 1 offers, the proxy's Type 2 challenges, the client's Type 3 proves that it
//! knows the password. NTLMv1 and LM responses do not exist here, whatever a challenge asks for.
//! Knows no time and no randomness: both come in as [`authenticate::Fresh`].

pub mod authenticate;
mod av;
pub mod binding;
pub mod challenge;
mod crypto;
mod flags;
mod layout;
pub mod negotiate;
pub mod token;
