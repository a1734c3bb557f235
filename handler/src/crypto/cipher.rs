//! Derivation of a fresh cipher for each sealed value: HKDF gives key and IV, so neither is ever stored.

use aes_gcm::aead::KeyInit;
use aes_gcm::aead::consts::U12;
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// AES-256-GCM under the first 32 of 44 bytes of HKDF-SHA256 (RFC 5869), and the other 12 as its IV.
pub(super) fn derive(salt: &[u8], material: &[u8], info: &[u8]) -> (Aes256Gcm, Nonce<U12>) {
    let mut derived = Zeroizing::new([0_u8; 44]);
    Hkdf::<Sha256>::new(Some(salt), material)
        .expand(info, derived.as_mut_slice())
        .expect("44 bytes are within HKDF's reach");
    let (key, iv) = derived.split_at(32);
    let cipher = Aes256Gcm::new_from_slice(key).expect("32 bytes are an AES-256 key");
    (cipher, Nonce::try_from(iv).expect("12 bytes are a GCM nonce"))
}
