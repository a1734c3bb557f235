//! Derivation of a session's identifier and secret from the random bytes of one sign-in.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::encoding::length_prefixed;

/// Derives 48 bytes (16 of identifier, 32 of secret) from `seed` and `code`; both are needed.
#[must_use]
pub fn derive_session(seed: &[u8; 32], code: &[u8]) -> Zeroizing<[u8; 48]> {
    let info = length_prefixed(&[b"session/v1", code]);
    let mut derived = Zeroizing::new([0; 48]);
    Hkdf::<Sha256>::new(None, seed).expand(&info, derived.as_mut_slice()).expect("48 bytes are within HKDF's reach");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::base64url;

    #[test]
    fn the_frozen_session_never_changes() {
        let derived = derive_session(&[3; 32], b"frozen");

        assert_eq!(base64url(derived.as_slice()), "w5Y8_O6OM9tdGgHhCGPBaKtC89RRaq3okF4X9Hymzgm4U4ZtXOfPXG80ukn5d8vk");
    }
}
