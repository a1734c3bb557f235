//! One sealed part of a session's record, which opens only with the secret in the browser's cookie.
//!
//! `W = HKDF-SHA256(ikm = token key || S, salt, info)` gives key and IV. Only the salt is stored,
//! fresh for every part written, so neither key nor IV repeats and neither is at rest anywhere.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::encoding::length_prefixed;
use super::{Key, KeyId, KeyRing, OpenError, Plaintext};
use crate::random;

const VERSION: &[u8] = b"2";

/// Part of a record: for every request, only for a refresh and a sign-out, or for the requests of some routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordPart {
    /// Access token and the claims that become headers.
    Request,
    /// Refresh token, ID token and all claims.
    Refresh,
    /// Access token for one target, named by this key.
    Route([u8; 16]),
}

impl RecordPart {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Request => b"request",
            Self::Refresh => b"refresh",
            Self::Route(_) => b"route",
        }
    }

    /// Key that tells parts of the same name apart.
    const fn key(&self) -> Option<&[u8; 16]> {
        match self {
            Self::Request | Self::Refresh => None,
            Self::Route(key) => Some(key),
        }
    }
}

/// A part in its stored form: no key, no IV, no secret of the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPart {
    /// Identifier of the sealing key.
    pub kid: String,
    /// 32 random bytes, fresh for this write.
    pub salt: [u8; 32],
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

/// Context of a sealed part; all of it is authenticated.
#[derive(Clone, Copy, Debug)]
pub struct PartContext {
    /// The part.
    pub part: RecordPart,
    /// The record's generation: one more after every refresh.
    pub generation: u64,
    /// The readable expiry of the access token that the part is about, in Unix seconds.
    pub access_token_expires_at: Option<i64>,
    /// The readable time of its next refresh, in Unix seconds.
    pub refresh_at: Option<i64>,
}

/// Seals and opens the parts of one session's record.
pub struct RecordCipher<'a> {
    /// The session's identifier.
    pub id: &'a [u8; 16],
    /// `S`: the session's secret, which only its cookie holds.
    pub secret: &'a [u8; 32],
    /// The Provider's issuer identifier.
    pub issuer: &'a str,
    /// Our client identifier there.
    pub client_id: &'a str,
}

impl RecordCipher<'_> {
    /// Seals one part under the ring's first key.
    #[must_use]
    pub fn seal(&self, plaintext: &[u8], context: PartContext, ring: &KeyRing) -> SealedPart {
        self.seal_with_salt(plaintext, context, ring, random::bytes())
    }

    /// Opens a value of [`Self::seal`] with the same session, part and generation.
    ///
    /// # Errors
    /// [`OpenError::UnknownKey`] if its key is not in the ring, [`OpenError::Invalid`] for all else.
    pub fn open(&self, sealed: &SealedPart, context: PartContext, ring: &KeyRing) -> Result<Plaintext, OpenError> {
        let (kid, key) = ring.find(&sealed.kid).ok_or(OpenError::UnknownKey)?;
        let aad = self.associated_data(kid, context);
        self.cipher(kid, key, &sealed.salt).open(&sealed.ciphertext, &aad).ok_or(OpenError::Invalid)
    }

    fn seal_with_salt(&self, plaintext: &[u8], context: PartContext, ring: &KeyRing, salt: [u8; 32]) -> SealedPart {
        let (kid, key) = ring.sealing();
        let aad = self.associated_data(kid, context);
        let ciphertext = self.cipher(kid, key, &salt).seal(plaintext, &aad);
        SealedPart { kid: kid.as_str().to_owned(), salt, ciphertext }
    }

    fn associated_data(&self, kid: &KeyId, context: PartContext) -> Vec<u8> {
        let generation = context.generation.to_be_bytes();
        let access_token_expires_at = context.access_token_expires_at.map(i64::to_be_bytes);
        let refresh_at = context.refresh_at.map(i64::to_be_bytes);
        let fields = [
            VERSION,
            context.part.name(),
            self.id,
            kid.as_str().as_bytes(),
            &generation,
            hint_bytes(&access_token_expires_at),
            hint_bytes(&refresh_at),
            self.issuer.as_bytes(),
            self.client_id.as_bytes(),
        ];
        match context.part.key() {
            None => length_prefixed(&fields),
            Some(key) => length_prefixed(&[&fields[..], &[key.as_slice()]].concat()),
        }
    }

    fn cipher(&self, kid: &KeyId, key: &Key, salt: &[u8; 32]) -> Cipher {
        let mut material = Zeroizing::new([0_u8; 64]);
        material[..32].copy_from_slice(key.as_bytes());
        material[32..].copy_from_slice(self.secret);
        let info = length_prefixed(&[b"record/v1", self.id, kid.as_str().as_bytes()]);
        Cipher::derive(salt, material.as_slice(), &info)
    }
}

/// The hint as eight bytes; empty if it is absent.
fn hint_bytes(hint: &Option<[u8; 8]>) -> &[u8] {
    hint.as_ref().map_or(&[], |bytes| bytes.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 16] = [4; 16];
    const SECRET: [u8; 32] = [5; 32];
    const REQUEST_1: PartContext = PartContext {
        part: RecordPart::Request,
        generation: 1,
        access_token_expires_at: Some(1_800_003_600),
        refresh_at: Some(1_800_002_880),
    };

    fn cipher() -> RecordCipher<'static> {
        RecordCipher { id: &ID, secret: &SECRET, issuer: "https://op.example", client_id: "client" }
    }

    fn ring() -> KeyRing {
        KeyRing::new(vec![(KeyId::parse("k1").unwrap(), Key::from_bytes(&[6; 32]).unwrap())]).unwrap()
    }

    #[test]
    fn the_frozen_request_part_never_changes() {
        let sealed = cipher().seal_with_salt(b"frozen", REQUEST_1, &ring(), [7; 32]);

        assert_eq!(crate::crypto::base64url(&sealed.ciphertext), "NuI_e6rKvRaMgxVXy11UJNXQkd9Skg");
        assert_eq!(cipher().open(&sealed, REQUEST_1, &ring()).unwrap()[..], *b"frozen");
    }

    #[test]
    fn the_frozen_refresh_part_never_changes() {
        let context =
            PartContext { part: RecordPart::Refresh, generation: 258, access_token_expires_at: None, refresh_at: None };

        let sealed = cipher().seal_with_salt(b"frozen", context, &ring(), [8; 32]);

        assert_eq!(crate::crypto::base64url(&sealed.ciphertext), "X4H0mYl095YbNPMIiBEi_EkNXbxA5w");
        assert_eq!(cipher().open(&sealed, context, &ring()).unwrap()[..], *b"frozen");
    }

    #[test]
    fn the_frozen_route_part_never_changes() {
        let context = PartContext { part: RecordPart::Route([9; 16]), ..REQUEST_1 };

        let sealed = cipher().seal_with_salt(b"frozen", context, &ring(), [9; 32]);

        assert_eq!(crate::crypto::base64url(&sealed.ciphertext), "kPb5glPEh-F3Z0O-Q6Zy63CJZEgh0A");
        assert_eq!(cipher().open(&sealed, context, &ring()).unwrap()[..], *b"frozen");
    }

    #[test]
    fn the_token_of_one_route_opens_for_no_other_target_or_part() {
        let context = |part| PartContext { part, ..REQUEST_1 };
        let sealed = cipher().seal(b"token", context(RecordPart::Route([9; 16])), &ring());

        for part in [RecordPart::Route([8; 16]), RecordPart::Request, RecordPart::Refresh] {
            assert_eq!(cipher().open(&sealed, context(part), &ring()).unwrap_err(), OpenError::Invalid, "{part:?}");
        }
    }

    #[test]
    fn the_key_and_the_database_without_the_cookie_open_nothing() {
        let sealed = cipher().seal(b"tokens", REQUEST_1, &ring());
        let without_cookie = RecordCipher { secret: &[0; 32], ..cipher() };

        assert_eq!(without_cookie.open(&sealed, REQUEST_1, &ring()).unwrap_err(), OpenError::Invalid);
    }

    #[test]
    fn a_part_fits_no_other_session_part_generation_hint_issuer_or_client() {
        let sealed = cipher().seal(b"tokens", REQUEST_1, &ring());
        let elsewhere = [
            (RecordCipher { id: &[0; 16], ..cipher() }, REQUEST_1),
            (RecordCipher { issuer: "https://other.example", ..cipher() }, REQUEST_1),
            (RecordCipher { client_id: "other", ..cipher() }, REQUEST_1),
            (cipher(), PartContext { part: RecordPart::Refresh, ..REQUEST_1 }),
            (cipher(), PartContext { generation: 2, ..REQUEST_1 }),
            (cipher(), PartContext { access_token_expires_at: Some(i64::MAX), ..REQUEST_1 }),
            (cipher(), PartContext { access_token_expires_at: None, ..REQUEST_1 }),
            (cipher(), PartContext { refresh_at: None, ..REQUEST_1 }),
            (
                cipher(),
                PartContext {
                    access_token_expires_at: REQUEST_1.refresh_at,
                    refresh_at: REQUEST_1.access_token_expires_at,
                    ..REQUEST_1
                },
            ),
        ];
        for (cipher, context) in elsewhere {
            assert_eq!(cipher.open(&sealed, context, &ring()).unwrap_err(), OpenError::Invalid, "{context:?}");
        }
    }

    #[test]
    fn any_flipped_bit_shuts_it() {
        let sealed = cipher().seal(b"tokens", REQUEST_1, &ring());

        for bit in 0..sealed.ciphertext.len() * 8 {
            let mut changed = sealed.clone();
            changed.ciphertext[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(cipher().open(&changed, REQUEST_1, &ring()).unwrap_err(), OpenError::Invalid);
        }
        for bit in 0..256 {
            let mut changed = sealed.clone();
            changed.salt[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(cipher().open(&changed, REQUEST_1, &ring()).unwrap_err(), OpenError::Invalid);
        }
    }

    #[test]
    fn a_retired_key_is_told_apart() {
        let mut sealed = cipher().seal(b"tokens", REQUEST_1, &ring());
        sealed.kid = "k0".to_owned();

        assert_eq!(cipher().open(&sealed, REQUEST_1, &ring()).unwrap_err(), OpenError::UnknownKey);
    }

    #[test]
    fn every_write_has_its_own_salt() {
        let (one, two) = (cipher().seal(b"x", REQUEST_1, &ring()), cipher().seal(b"x", REQUEST_1, &ring()));

        assert_ne!(one.salt, two.salt);
        assert_ne!(one.ciphertext, two.ciphertext);
    }
}
