//! Sealed value of a cookie, of a form kept in a page, or of claims in a URL: `1.<kid>.<base64url(salt || ciphertext || tag)>`.
//!
//! A fresh 16-byte salt makes a fresh key for every value, so a ring may seal any number of them.
//! The cookie's name and the public origin are authenticated: a value fits no other place.

use super::cipher::Cipher;
use super::encoding::length_prefixed;
use super::{KeyRing, OpenError, Plaintext, base64url, base64url_decode};
use crate::random;

const VERSION: &str = "1";
const SALT: usize = 16;

/// Purpose of a sealed value: it separates the derived keys, and limits the length before anything is decoded.
struct Purpose {
    info: &'static [u8],
    max_length: usize,
}

/// The longest value of cookies is a login whose return URL has 8 KiB.
const COOKIE: Purpose = Purpose { info: b"cookie/v1", max_length: 16 * 1024 };
const FORM: Purpose = Purpose { info: b"form/v1", max_length: 160 * 1024 };
const FORM_NAME: &str = "form";
const CLAIMS: Purpose = Purpose { info: b"claims/v1", max_length: 2 * 1024 };
const CLAIMS_NAME: &str = "claims";

/// Context of a sealed cookie; all of it is authenticated.
#[derive(Clone, Copy, Debug)]
pub struct CookieContext<'a> {
    /// The cookie's name.
    pub name: &'a str,
    /// The public origin, as `PUBLIC_BASE_URL` has it.
    pub origin: &'a str,
}

/// Seals `plaintext` for one cookie under the ring's first key.
///
/// ```
/// use oauth_proxy::crypto::{CookieContext, Key, KeyId, KeyRing, OpenError, open_cookie, seal_cookie};
///
/// let key = Key::from_bytes(&[7; 32]).unwrap(); // from the vault, in the product
/// let ring = KeyRing::new(vec![(KeyId::parse("k1").unwrap(), key)]).unwrap();
/// let session = CookieContext { name: "__Host-session", origin: "https://app.example" };
///
/// let value = seal_cookie(b"ticket", session, &ring);
///
/// assert_eq!(&*open_cookie(&value, session, &ring).unwrap(), b"ticket");
/// let another = CookieContext { name: "__Host-person", ..session };
/// assert!(matches!(open_cookie(&value, another, &ring), Err(OpenError::Invalid)));
/// ```
#[must_use]
pub fn seal_cookie(plaintext: &[u8], context: CookieContext<'_>, ring: &KeyRing) -> String {
    seal_with_salt(plaintext, context, ring, random::bytes(), &COOKIE)
}

/// Opens a value of [`seal_cookie`] with the same context.
///
/// # Errors
/// [`OpenError::UnknownKey`] if its key is not in the ring, [`OpenError::Invalid`] for all else.
pub fn open_cookie(value: &str, context: CookieContext<'_>, ring: &KeyRing) -> Result<Plaintext, OpenError> {
    open(value, context, ring, &COOKIE)
}

/// Seals a form of pages on `origin` under the ring's first key. No cookie opens as a form.
#[must_use]
pub fn seal_form(plaintext: &[u8], origin: &str, ring: &KeyRing) -> String {
    seal_with_salt(plaintext, CookieContext { name: FORM_NAME, origin }, ring, random::bytes(), &FORM)
}

/// Opens a value of [`seal_form`] with the same origin.
///
/// # Errors
/// As [`open_cookie`].
pub fn open_form(value: &str, origin: &str, ring: &KeyRing) -> Result<Plaintext, OpenError> {
    open(value, CookieContext { name: FORM_NAME, origin }, ring, &FORM)
}

/// Seals a claims request for URLs on `origin` under the ring's first key. No cookie and no form opens as one.
#[must_use]
pub fn seal_claims(plaintext: &[u8], origin: &str, ring: &KeyRing) -> String {
    seal_with_salt(plaintext, CookieContext { name: CLAIMS_NAME, origin }, ring, random::bytes(), &CLAIMS)
}

/// Opens a value of [`seal_claims`] with the same origin.
///
/// # Errors
/// As [`open_cookie`].
pub fn open_claims(value: &str, origin: &str, ring: &KeyRing) -> Result<Plaintext, OpenError> {
    open(value, CookieContext { name: CLAIMS_NAME, origin }, ring, &CLAIMS)
}

fn open(value: &str, context: CookieContext<'_>, ring: &KeyRing, purpose: &Purpose) -> Result<Plaintext, OpenError> {
    if value.len() > purpose.max_length {
        return Err(OpenError::Invalid);
    }
    let mut fields = value.splitn(3, '.');
    let (Some(VERSION), Some(kid), Some(body)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(OpenError::Invalid);
    };
    let body = base64url_decode(body).ok_or(OpenError::Invalid)?;
    let (salt, ciphertext) = body.split_first_chunk::<SALT>().ok_or(OpenError::Invalid)?;
    let (kid, key) = ring.find(kid).ok_or(OpenError::UnknownKey)?;

    let aad = associated_data(kid.as_str(), context);
    Cipher::derive(salt, key.as_bytes(), purpose.info).open(ciphertext, &aad).ok_or(OpenError::Invalid)
}

fn seal_with_salt(
    plaintext: &[u8],
    context: CookieContext<'_>,
    ring: &KeyRing,
    salt: [u8; SALT],
    purpose: &Purpose,
) -> String {
    let (kid, key) = ring.sealing();
    let aad = associated_data(kid.as_str(), context);
    let ciphertext = Cipher::derive(&salt, key.as_bytes(), purpose.info).seal(plaintext, &aad);

    let mut body = Vec::with_capacity(SALT + ciphertext.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&ciphertext);
    format!("{VERSION}.{}.{}", kid.as_str(), base64url(&body))
}

fn associated_data(kid: &str, context: CookieContext<'_>) -> Vec<u8> {
    length_prefixed(&[VERSION.as_bytes(), kid.as_bytes(), context.name.as_bytes(), context.origin.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Key, KeyId};

    const HERE: CookieContext<'_> = CookieContext { name: "__Host-session", origin: "https://app.example" };

    fn key(id: &str, byte: u8) -> (KeyId, Key) {
        (KeyId::parse(id).unwrap(), Key::from_bytes(&[byte; 32]).unwrap())
    }

    fn ring() -> KeyRing {
        KeyRing::new(vec![key("new", 1), key("old", 2)]).unwrap()
    }

    #[test]
    fn the_frozen_cookie_never_changes() {
        let sealed = seal_with_salt(b"frozen", HERE, &ring(), [9; SALT], &COOKIE);

        assert_eq!(sealed, "1.new.CQkJCQkJCQkJCQkJCQkJCRJP6KYOUOYo0smECDfK9chCnb6RfLI");
        assert_eq!(open_cookie(&sealed, HERE, &ring()).unwrap()[..], *b"frozen");
    }

    #[test]
    fn the_frozen_form_never_changes() {
        let context = CookieContext { name: FORM_NAME, ..HERE };
        let sealed = seal_with_salt(b"frozen", context, &ring(), [9; SALT], &FORM);

        assert_eq!(sealed, "1.new.CQkJCQkJCQkJCQkJCQkJCUlUfa-h7lyIerlRBngA48TMHuILJLw");
        assert_eq!(open_form(&sealed, HERE.origin, &ring()).unwrap()[..], *b"frozen");
    }

    #[test]
    fn the_frozen_claims_never_change() {
        let context = CookieContext { name: CLAIMS_NAME, ..HERE };
        let sealed = seal_with_salt(b"frozen", context, &ring(), [9; SALT], &CLAIMS);

        assert_eq!(sealed, "1.new.CQkJCQkJCQkJCQkJCQkJCaG5IGL2S3DNBJEQKC_eDjTP7bc0Apc");
        assert_eq!(open_claims(&sealed, HERE.origin, &ring()).unwrap()[..], *b"frozen");
        assert_eq!(open_form(&sealed, HERE.origin, &ring()).unwrap_err(), OpenError::Invalid);
    }

    #[test]
    fn a_form_is_no_cookie_and_belongs_to_its_origin() {
        let context = CookieContext { name: FORM_NAME, ..HERE };
        let form = seal_form(b"x", HERE.origin, &ring());
        let cookie = seal_cookie(b"x", context, &ring());

        assert_eq!(open_cookie(&form, context, &ring()).unwrap_err(), OpenError::Invalid);
        assert_eq!(open_form(&cookie, HERE.origin, &ring()).unwrap_err(), OpenError::Invalid);
        assert_eq!(open_form(&form, "https://evil.example", &ring()).unwrap_err(), OpenError::Invalid);
    }

    #[test]
    fn a_form_of_64_kib_opens_and_a_value_beyond_the_limit_costs_no_decoding() {
        let largest = vec![b'x'; 64 * 1024];

        let opened = open_form(&seal_form(&largest, HERE.origin, &ring()), HERE.origin, &ring()).unwrap();

        assert_eq!(opened[..], largest[..]);
        let beyond = seal_form(&vec![b'x'; FORM.max_length], HERE.origin, &ring());
        assert_eq!(open_form(&beyond, HERE.origin, &ring()).unwrap_err(), OpenError::Invalid);
    }

    #[test]
    fn a_value_longer_than_any_cookie_of_ours_is_not_even_decoded() {
        let sealed = |length: usize| seal_cookie(&vec![b'x'; length], HERE, &ring());
        let at_the_limit = (12_200..12_300).find(|length| sealed(*length).len() == COOKIE.max_length).unwrap();
        let longest = sealed(at_the_limit);
        let longer = sealed(at_the_limit + 1);

        assert!(open_cookie(&longest, HERE, &ring()).is_ok());
        assert_eq!(open_cookie(&longer, HERE, &ring()).unwrap_err(), OpenError::Invalid);
    }

    #[test]
    fn the_older_key_still_opens_and_the_newer_seals() {
        let old_only = KeyRing::new(vec![key("old", 2)]).unwrap();
        let before = seal_cookie(b"x", HERE, &old_only);

        assert_eq!(open_cookie(&before, HERE, &ring()).unwrap()[..], *b"x");
        assert!(seal_cookie(b"x", HERE, &ring()).starts_with("1.new."));
    }

    #[test]
    fn a_retired_key_is_told_apart_so_that_keys_can_be_reloaded() {
        let sealed = seal_cookie(b"x", HERE, &KeyRing::new(vec![key("retired", 3)]).unwrap());

        assert_eq!(open_cookie(&sealed, HERE, &ring()).unwrap_err(), OpenError::UnknownKey);
    }

    #[test]
    fn another_key_of_the_same_name_opens_nothing() {
        let sealed = seal_cookie(b"x", HERE, &KeyRing::new(vec![key("new", 3)]).unwrap());

        assert_eq!(open_cookie(&sealed, HERE, &ring()).unwrap_err(), OpenError::Invalid);
    }

    #[test]
    fn a_cookie_fits_no_other_name_and_no_other_origin() {
        let sealed = seal_cookie(b"x", HERE, &ring());

        for other in
            [CookieContext { name: "session", ..HERE }, CookieContext { origin: "https://evil.example", ..HERE }]
        {
            assert_eq!(open_cookie(&sealed, other, &ring()).unwrap_err(), OpenError::Invalid);
        }
    }

    #[test]
    fn any_changed_character_shuts_it() {
        let sealed = seal_cookie(b"the ticket", HERE, &ring());

        for position in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(open_cookie(&changed, HERE, &ring()).is_err(), "position {position}");
        }
    }

    #[test]
    fn what_is_no_sealed_value_is_refused() {
        let valid = seal_cookie(b"x", HERE, &ring());
        let table = [
            "",
            ".",
            "..",
            "1.new.",
            "1.new.AAAA",
            "2.new.AAAA",
            "1.new",
            &format!("{valid}A"),
            &valid[..valid.len() - 4],
            &"a".repeat(COOKIE.max_length + 1),
        ];
        for value in table {
            assert_eq!(open_cookie(value, HERE, &ring()).unwrap_err(), OpenError::Invalid, "{value:?}");
        }
    }

    #[test]
    fn two_seals_of_one_plaintext_share_nothing() {
        assert_ne!(seal_cookie(b"x", HERE, &ring()), seal_cookie(b"x", HERE, &ring()));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_sealed_opens_again(plaintext: Vec<u8>) {
            let plaintext = &plaintext[..plaintext.len().min(2000)];
            let sealed = seal_cookie(plaintext, HERE, &ring());
            let opened = open_cookie(&sealed, HERE, &ring()).unwrap();
            proptest::prop_assert_eq!(&opened[..], plaintext);
        }

        #[test]
        fn no_text_makes_it_panic(value: String) {
            proptest::prop_assert!(open_cookie(&value, HERE, &ring()).is_err());
        }
    }
}
