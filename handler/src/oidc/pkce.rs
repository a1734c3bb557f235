//! Proof Key for Code Exchange (RFC 7636), method S256 only.

use sha2::{Digest, Sha256};

use crate::random;

/// A code verifier: 64 characters, within the 43 to 128 of RFC 7636 section 4.1.
pub(super) fn code_verifier() -> String {
    random::guid_pair()
}

/// The challenge `BASE64URL(SHA256(ASCII(code_verifier)))`, RFC 7636 section 4.2.
pub(super) fn code_challenge(code_verifier: &str) -> String {
    base64url(&Sha256::digest(code_verifier.as_bytes()))
}

pub(super) fn base64url_decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let challenge = code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");

        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
