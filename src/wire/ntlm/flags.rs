//! The negotiate flags that we know ([MS-NLMP] §2.2.2.5). Knows no message.

/// Names are in UTF-16LE.
pub(super) const UNICODE: u32 = 0x0000_0001;
/// Names are in the code page of the machine; for us that is ASCII.
pub(super) const OEM: u32 = 0x0000_0002;
/// The challenge shall name who asks.
pub(super) const REQUEST_TARGET: u32 = 0x0000_0004;
/// Messages after the handshake are signed.
pub(super) const SIGN: u32 = 0x0000_0010;
/// Messages after the handshake are encrypted.
pub(super) const SEAL: u32 = 0x0000_0020;
/// NTLM at all.
pub(super) const NTLM: u32 = 0x0000_0200;
/// A session key is made even when nothing is signed.
pub(super) const ALWAYS_SIGN: u32 = 0x0000_8000;
/// What NTLMv2 session security was called when it was extended.
pub(super) const EXTENDED_SESSIONSECURITY: u32 = 0x0008_0000;
/// The challenge holds attributes of who asks.
pub(super) const TARGET_INFO: u32 = 0x0080_0000;
/// 128-bit session keys; some servers refuse whoever does not offer them.
pub(super) const KEY_128: u32 = 0x2000_0000;
/// The client chooses the session key and sends it encrypted.
pub(super) const KEY_EXCH: u32 = 0x4000_0000;
/// 56-bit session keys.
pub(super) const KEY_56: u32 = 0x8000_0000;

/// What our Type 1 offers: what browsers do towards a proxy. Nothing follows the handshake that
/// could be signed or sealed, so neither is asked for. Nor are attributes: whoever has some sends
/// them unasked, and squid's ntlm_fake_auth claims to whatever it is asked for.
pub(super) const OFFERED: u32 = UNICODE
    | OEM
    | REQUEST_TARGET
    | NTLM
    | ALWAYS_SIGN
    | EXTENDED_SESSIONSECURITY
    | KEY_128
    | KEY_56;

/// What our Type 3 agrees to where the challenge has it, offered or not: a proxy that wants a key
/// exchange gets one.
pub(super) const AGREED: u32 = OFFERED | TARGET_INFO | SIGN | SEAL | KEY_EXCH;
