//! NTLM's Type 2 message, and our Type 3 to it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use throughway::wire::ntlm::authenticate::{self, Fresh, Identity, Purpose};
use throughway::wire::ntlm::challenge::{CHALLENGE_BYTES_MAX, Challenge};
use throughway::wire::ntlm::{negotiate, token};

/// One who fits into every field.
const IDENTITY: Identity<'static> = Identity {
    user: "ann",
    password: "correct horse",
    domain: "CORP",
    workstation: "WS1",
};

/// Fields of a Type 3 ([MS-NLMP] §2.2.1.3).
const NT_AT: usize = 20;
const DOMAIN_AT: usize = 28;
const USER_AT: usize = 36;
const FLAGS_AT: usize = 60;
/// NTLMSSP_NEGOTIATE_UNICODE.
const UNICODE: u8 = 0x01;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        is_base64_or_none(text);
    }
    let Ok(challenge) = Challenge::parse(data) else {
        return;
    };
    assert!(data.starts_with(b"NTLMSSP\0\x02\0\0\0") && data.len() <= CHALLENGE_BYTES_MAX);
    let header = token::header(token::SCHEME, data);
    let again = header.strip_prefix("NTLM ").and_then(token::message);
    assert_eq!(again.as_deref(), Some(data));
    let purpose = Purpose {
        target: "HTTP/proxy.corp.example",
        binding: [7; 16],
    };
    let fresh = Fresh {
        nonce: [1; 8],
        session_key: [2; 16].into(),
        time: 0,
    };
    let negotiate = negotiate::message();
    let proof = authenticate::message(&negotiate, &challenge, &IDENTITY, &purpose, &fresh);
    proves(&proof.expect("all names are short and in ASCII"), data);
});

fn is_base64_or_none(text: &str) {
    let Some(message) = token::message(text) else {
        return;
    };
    assert!(message.len() <= CHALLENGE_BYTES_MAX + 2);
    let header = token::header(token::SCHEME, &message);
    let canonical = header.strip_prefix("NTLM ").expect("the scheme");
    assert_eq!(canonical.trim_end_matches('='), text.trim_end_matches('='));
}

/// A Type 3 is laid out as its fields say, and says who we are.
fn proves(proof: &[u8], challenge: &[u8]) {
    assert!(proof.starts_with(b"NTLMSSP\0\x03\0\0\0"));
    let is_unicode = proof[FLAGS_AT] & UNICODE != 0;
    assert_eq!(is_unicode, challenge[20] & UNICODE != 0);
    let encoded = |text: &str| match is_unicode {
        true => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        false => text.as_bytes().to_vec(),
    };
    assert_eq!(field(proof, DOMAIN_AT), encoded(IDENTITY.domain));
    assert_eq!(field(proof, USER_AT), encoded(IDENTITY.user));
    // NTProofStr, NTLMv2_CLIENT_CHALLENGE without attributes, their end, four reserved bytes.
    let response = field(proof, NT_AT);
    assert!(response.len() >= 16 + 28 + 4 + 4 && response[16..18] == [1, 1]);
    let password: Vec<u8> = IDENTITY
        .password
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let holds = |secret: &[u8]| proof.windows(secret.len()).any(|w| w == secret);
    let told = |secret: &[u8]| challenge.windows(secret.len()).any(|w| w == secret);
    for secret in [IDENTITY.password.as_bytes(), &password] {
        assert!(!holds(secret) || told(secret));
    }
}

fn field(message: &[u8], at: usize) -> &[u8] {
    let length = usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
    let offset = &message[at + 4..at + 8];
    let offset = u32::from_le_bytes(offset.try_into().expect("four bytes")) as usize;
    &message[offset..offset + length]
}
