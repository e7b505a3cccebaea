//! Basic (RFC 7617): user and password in UTF-8, base64. Knows no proxy.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::method::Spoken;
use crate::egress::params::Credentials;

/// The scheme's name, compared without regard to case.
pub(super) const SCHEME: &str = "Basic";

/// The value of `Proxy-Authorization`. The password may be empty; then the colon stays.
pub(super) fn speak(credentials: &Credentials) -> Spoken {
    let user = credentials.user.reveal();
    let password = credentials.password.reveal();
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let token = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    Spoken {
        value: Zeroizing::new(format!("{SCHEME} {}", token.as_str())),
        secrets: vec![token],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::params::Secret;

    fn check(user: &str, password: &str, expected: &str) {
        let credentials = Credentials {
            user: Secret::new(user.to_owned()),
            password: Secret::new(password.to_owned()),
        };
        assert_eq!(speak(&credentials).value.as_str(), expected);
    }

    #[test]
    fn user_and_password_as_the_rfc_has_them() {
        // RFC 7617 §2 and §2.1.
        check(
            "Aladdin",
            "open sesame",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        );
        check("test", "123\u{a3}", "Basic dGVzdDoxMjPCow==");
        check("user", "", "Basic dXNlcjo=");
        check("", "", "Basic Og==");
        check("DOMAIN\\user", "a:b", "Basic RE9NQUlOXHVzZXI6YTpi");
    }
}
