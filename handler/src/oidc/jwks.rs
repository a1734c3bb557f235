//! Verification keys of the Provider (RFC 7517): selection by key identifier, type and algorithm.
//!
//! The library verifies the signatures.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json;
use super::pkce::base64url;

/// Members of a key that we read; a malformed certificate chain does no harm.
const MEMBERS: [&str; 10] = ["kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y"];

/// Maximum keys tried for one token. A Provider has two or three; a set of hundreds must not cost a second.
const MAX_CANDIDATES: usize = 16;

/// Accepted RSA key sizes (RFC 7518 3.3 and 3.5: at least 2048 bits); the library takes no more than 8192.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// Accepted RSA exponents (RFC 8017 3.1: at least 3, since with 1 every text is its own signature); the library takes
/// no more than 33 bits.
const RSA_EXPONENTS: Range<u64> = 3..1 << 33;

/// Lenient base64url decoder. RFC 7515 2 has no padding and no other alphabet; accepting them does no harm.
const FORGIVING_BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Usable keys of a JWKS document.
#[derive(Clone, Debug, Default)]
pub struct VerificationKeys(Vec<Jwk>);

/// Reason why no key fits a token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JwksError {
    /// Not a JWK Set.
    #[error("the provider's keys cannot be read")]
    Malformed(#[source] Arc<serde_json::Error>),
    /// A JWK Set without a usable key.
    #[error("the provider's key set has no key that can verify a signature")]
    NoUsableKey,
    /// No key of this identifier and algorithm: the Provider may have rotated, a refetch may help.
    #[error("the provider has no key for this token")]
    UnknownKey,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

impl VerificationKeys {
    /// Parses a JWK Set and keeps the usable keys.
    ///
    /// RFC 7517 section 5: keys of unknown types, or with missing members, are ignored. Also ignored is a key with
    /// which no signature could ever be verified; it must not count as a candidate.
    ///
    /// # Errors
    /// If the document as a whole is no JWK Set.
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        let set: JwkSet = json::parse(document).map_err(|error| JwksError::Malformed(Arc::new(error)))?;
        Ok(Self(set.keys.into_iter().filter_map(key).filter(is_for_verification).collect()))
    }

    /// Refuses a set without a usable key.
    pub(super) fn check_usable(&self) -> Result<(), JwksError> {
        if self.0.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(()) }
    }

    /// Candidate keys for a token: those with its `kid`, or all of its algorithm if it names none.
    ///
    /// Two keys may share a `kid`, and a rotating Provider may have two without one (OIDC Core 10.1 forbids that, but
    /// it happens). All of them are the Provider's, so trying each is safe.
    pub(super) fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<DecodingKey>, JwksError> {
        let is_named = |key: &&Jwk| kid.is_none() || key.common.key_id.as_deref() == kid;
        let fitting = self.0.iter().filter(is_named).filter(|key| can_verify(key, algorithm));
        let keys: Vec<_> = fitting.filter_map(|key| DecodingKey::from_jwk(key).ok()).take(MAX_CANDIDATES).collect();
        if keys.is_empty() { Err(JwksError::UnknownKey) } else { Ok(keys) }
    }
}

fn key(key: Value) -> Option<Jwk> {
    let Value::Object(members) = key else { return None };
    let is_given = |value: &Value| !matches!(value, Value::Null) && *value != "" && *value != Value::Array(vec![]);
    let decides = |(name, value): &(String, Value)| MEMBERS.contains(&name.as_str()) && is_given(value);
    let mut members: Map<_, _> = members.into_iter().filter(decides).collect();
    normalize(&mut members)?;
    serde_json::from_value(Value::Object(members)).ok()
}

/// Normalises a key's numbers to the form of RFC 7518 6; `None` for a key that can verify nothing.
fn normalize(members: &mut Map<String, Value>) -> Option<()> {
    match (members.get("kty")?.as_str()?, members.get("crv").and_then(Value::as_str)) {
        ("RSA", _) => normalize_rsa(members),
        ("EC", Some("P-256")) => normalize_ec(members, 32),
        ("EC", Some("P-384")) => normalize_ec(members, 48),
        ("OKP", Some("Ed25519")) => normalize_ed25519(members),
        _ => None,
    }
}

/// Normalises an RSA key (RFC 7518 6.3.1): shortest octets; a leading zero octet is a common fault.
fn normalize_rsa(members: &mut Map<String, Value>) -> Option<()> {
    let n = shortest(&octets(members, "n")?).to_vec();
    let e = shortest(&octets(members, "e")?).to_vec();
    let unused_bits = n.first().map_or(0, |first| first.leading_zeros() as usize);
    let exponent = e.iter().try_fold(0_u64, |number, octet| Some((number.checked_mul(256)?) | u64::from(*octet)))?;
    let is_exponent = exponent % 2 == 1 && RSA_EXPONENTS.contains(&exponent);
    if !RSA_BITS.contains(&(n.len() * 8 - unused_bits)) || !is_exponent {
        return None;
    }
    RsaPublicKeyComponents { n: &n, e: &e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
    members.insert("n".to_owned(), base64url(&n).into());
    members.insert("e".to_owned(), base64url(&e).into());
    Some(())
}

/// Normalises an EC key (RFC 7518 6.2.1.2): as many octets as the curve's field; some writers omit leading zeros, or
/// add one.
fn normalize_ec(members: &mut Map<String, Value>, size: usize) -> Option<()> {
    let x = padded(&octets(members, "x")?, size)?;
    let y = padded(&octets(members, "y")?, size)?;
    let point = [&[UNCOMPRESSED], &x[..], &y[..]].concat();
    let algorithm = if size == 32 { &ECDSA_P256_SHA256_FIXED } else { &ECDSA_P384_SHA384_FIXED };
    ParsedPublicKey::new(algorithm, point).ok()?; // on the curve
    members.insert("x".to_owned(), base64url(&x).into());
    members.insert("y".to_owned(), base64url(&y).into());
    Some(())
}

/// Checks an Ed25519 key (RFC 8037 2): octets, not a number, so its zeros stay.
fn normalize_ed25519(members: &mut Map<String, Value>) -> Option<()> {
    let x = octets(members, "x")?;
    ParsedPublicKey::new(&ED25519, &x).ok()?;
    members.insert("x".to_owned(), base64url(&x).into());
    Some(())
}

/// Octets of a member, also with padding or in plain base64.
fn octets(members: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    let text = members.get(name)?.as_str()?.trim().replace('+', "-").replace('/', "_");
    FORGIVING_BASE64URL.decode(text).ok()
}

/// A number without its leading zero octets.
fn shortest(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    &number[zeros..]
}

/// A number in `size` octets, if it fits.
fn padded(number: &[u8], size: usize) -> Option<Vec<u8>> {
    let number = shortest(number);
    let zeros = size.checked_sub(number.len())?;
    Some([&vec![0; zeros][..], number].concat())
}

/// SEC 1 2.3.3: the first octet of a point that is both its coordinates.
const UNCOMPRESSED: u8 = 4;

/// True if `use` and `key_ops`, both optional, allow verification (RFC 7517 4.2 and 4.3).
fn is_for_verification(key: &Jwk) -> bool {
    let has_use = key.common.public_key_use.as_ref().is_none_or(|given| *given == PublicKeyUse::Signature);
    let operations = key.common.key_operations.as_ref();
    has_use && operations.is_none_or(|given| given.contains(&KeyOperations::Verify))
}

/// True if the key's type and its `alg`, if present, fit the token's algorithm (RFC 8725 3.1).
fn can_verify(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let fits_type = match &key.algorithm {
        AlgorithmParameters::RSA(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => algorithm == ES256,
            EllipticCurve::P384 => algorithm == ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(pair) => pair.curve == EllipticCurve::Ed25519 && algorithm == EdDSA,
        _ => false,
    };
    let declared = key.common.key_algorithm.map(|declared| declared.to_string());
    fits_type && declared.is_none_or(|declared| declared == format!("{algorithm:?}"))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use serde_json::json;

    use super::*;
    use crate::oidc::jwt::verify_signature;
    use crate::testing::scripted_provider::SigningKey;

    static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rs256("k"));

    fn count(keys: &Value, kid: Option<&str>, algorithm: Algorithm) -> usize {
        let keys = VerificationKeys::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        keys.candidates(kid, algorithm).map_or(0, |candidates| candidates.len())
    }

    fn with(key: &Value, change: Value) -> Value {
        let mut key = key.clone();
        key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        key
    }

    fn rsa(change: Value) -> Value {
        with(&RSA.jwk, change)
    }

    /// True if a set with an unusable key before `jwk` verifies a token of `key`.
    fn verifies(key: &SigningKey, jwk: &Value) -> bool {
        let set = json!({ "keys": [rsa(json!({"n": "AQAB"})), jwk] });
        let keys = VerificationKeys::parse(set.to_string().as_bytes()).unwrap();
        verify_signature(&key.sign(&json!({"sub": "ada"})), &keys, None).is_ok()
    }

    fn member(key: &SigningKey, name: &str) -> Vec<u8> {
        octets(key.jwk.as_object().unwrap(), name).unwrap()
    }

    #[test]
    fn a_key_serves_what_it_declares_and_nothing_else() {
        let table = [
            (rsa(json!({})), Algorithm::RS256, 1, "nothing declared"),
            (rsa(json!({"use": "sig", "alg": "RS256"})), Algorithm::RS256, 1, "both declared"),
            (rsa(json!({"key_ops": ["verify"]})), Algorithm::RS256, 1, "verification among the operations"),
            (rsa(json!({"x5c": 5, "x5t": [], "extra": {}})), Algorithm::RS256, 1, "certificates that can't be read"),
            (rsa(json!({"use": null, "alg": null, "key_ops": null})), Algorithm::RS256, 1, "null is not declared"),
            (rsa(json!({"use": "", "alg": "", "key_ops": []})), Algorithm::RS256, 1, "nor is what is empty"),
            (rsa(json!({"alg": "RS256"})), Algorithm::PS256, 0, "another algorithm"),
            (rsa(json!({"alg": "unknown"})), Algorithm::RS256, 0, "an unknown algorithm"),
            (rsa(json!({"use": "enc"})), Algorithm::RS256, 0, "for encryption"),
            (rsa(json!({"use": "other"})), Algorithm::RS256, 0, "for something else"),
            (rsa(json!({"key_ops": ["encrypt"]})), Algorithm::RS256, 0, "no verification among the operations"),
            (rsa(json!({})), Algorithm::ES256, 0, "RSA is no elliptic curve"),
            (rsa(json!({})), Algorithm::HS256, 0, "a public key is no shared secret"),
            (rsa(json!({"n": 5})), Algorithm::RS256, 0, "a modulus of another type"),
            (rsa(json!({"kid": 5})), Algorithm::RS256, 0, "a name of another type"),
            (json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0"}), Algorithm::HS256, 0, "a shared secret in the open"),
            (json!({"kty": "OKP", "kid": "k", "crv": "X25519", "x": "AA"}), Algorithm::EdDSA, 0, "for key agreement"),
            (
                json!({"kty": "EC", "kid": "k", "crv": "P-521", "x": "AA", "y": "AA"}),
                Algorithm::ES256,
                0,
                "other curve",
            ),
            (json!({"kty": "AKP", "kid": "k", "alg": "ML-DSA-44"}), Algorithm::RS256, 0, "a type of the future"),
            (json!("text"), Algorithm::RS256, 0, "no object"),
        ];
        for (key, algorithm, expected, reason) in table {
            // An unusable key must not affect the others.
            let keys = json!([key, rsa(json!({"kid": "other"}))]);
            assert_eq!(count(&keys, Some("k"), algorithm), expected, "{reason}");
            assert_eq!(count(&keys, Some("other"), Algorithm::RS256), 1, "{reason}");
        }
    }

    #[test]
    fn an_rsa_key_is_met_in_every_harmless_spelling() {
        let n = member(&RSA, "n");
        let e = member(&RSA, "e");
        let standard = |octets: &[u8]| base64::engine::general_purpose::STANDARD.encode(octets);
        let spaced = |octets: &[u8]| format!(" {}\n", base64url(octets));
        let zero = |octets: &[u8], count: usize| [&vec![0; count][..], octets].concat();
        let table = [
            (json!({}), "as specified"),
            (json!({"n": base64url(&zero(&n, 1))}), "a leading zero octet: RFC 7518 6.3.1.1 names the fault"),
            (json!({"n": base64url(&zero(&n, 3))}), "several of them"),
            (json!({"e": base64url(&zero(&e, 1))}), "the same of the exponent"),
            (json!({"e": "AAEAAQ"}), "the exponent as a word of four octets"),
            (json!({"n": format!("{}==", base64url(&n))}), "padding"),
            (json!({"n": standard(&n), "e": standard(&e)}), "plain base64"),
            (json!({"n": spaced(&n)}), "a line end around it"),
        ];
        for (change, reason) in table {
            assert!(verifies(&RSA, &rsa(change)), "{reason}");
        }
    }

    #[test]
    fn a_coordinate_without_its_leading_zeros_or_with_one_more_is_the_same_point() {
        let has_short = |key: &SigningKey| member(key, "x")[0] == 0 || member(key, "y")[0] == 0;
        let key = std::iter::repeat_with(|| SigningKey::es256("k")).find(has_short).unwrap();
        let x = member(&key, "x");
        let y = member(&key, "y");
        let zero = |octets: &[u8]| [&[0], octets].concat();
        let table = [
            (base64url(&x), base64url(&y), "as specified"),
            (base64url(shortest(&x)), base64url(shortest(&y)), "leading zeros left out"),
            (base64url(&zero(&x)), base64url(&zero(&y)), "one more, as a signed number has"),
            (format!("{}=", base64url(&x)), base64url(&y), "padding"),
        ];
        for (x, y, reason) in table {
            assert!(verifies(&key, &with(&key.jwk, json!({"x": x, "y": y}))), "{reason}");
        }
    }

    #[test]
    fn a_zero_at_the_start_of_an_ed25519_key_belongs_to_it() {
        let starts_with_zero = |key: &SigningKey| member(key, "x")[0] == 0;
        let key = std::iter::repeat_with(|| SigningKey::ed25519("k")).find(starts_with_zero).unwrap();
        let x = key.jwk["x"].as_str().unwrap().to_owned();

        assert!(verifies(&key, &key.jwk) && verifies(&key, &with(&key.jwk, json!({"x": format!("{x}=")}))));
        let short = base64url(&member(&key, "x")[1..]);
        assert!(!verifies(&key, &with(&key.jwk, json!({ "x": short }))));
    }

    #[test]
    fn a_key_with_which_no_signature_can_be_verified_is_ignored_and_so_is_a_set_of_them() {
        let ec = SigningKey::es256("k").jwk;
        let ed = SigningKey::ed25519("k").jwk;
        let bits = |bits: usize| base64url(&[&[0x80], &vec![1; bits / 8 - 1][..]].concat());
        let table = [
            (rsa(json!({"n": "AQAB"})), "a modulus of three octets"),
            (rsa(json!({"n": bits(1024)})), "1024 bits"),
            (rsa(json!({"n": base64url(&member(&RSA, "n")[1..])})), "a modulus that lost an octet"),
            (rsa(json!({"n": bits(16384)})), "16384 bits"),
            (rsa(json!({"n": "A"})), "no base64url"),
            (rsa(json!({"n": ""})), "an empty modulus"),
            (rsa(json!({"e": "AQ"})), "the exponent 1, with which every text is a signature"),
            (rsa(json!({"e": "AA"})), "the exponent 0"),
            (rsa(json!({"e": "Ag"})), "an even exponent"),
            (rsa(json!({"e": base64url(&[1; 8])})), "an exponent of 57 bits"),
            (rsa(json!({"e": base64url(&[1; 40])})), "an exponent of hundreds"),
            (rsa(json!({"e": null})), "no exponent"),
            (with(&ec, json!({"x": "AA"})), "a point beside the curve"),
            (with(&ec, json!({"x": "", "y": ""})), "no point"),
            (with(&ec, json!({"x": "AA", "y": "AA"})), "the point at the origin"),
            (with(&ec, json!({"x": base64url(&[1; 33])})), "a coordinate that is longer than the curve's"),
            (with(&ec, json!({"crv": "P-384"})), "the wrong curve"),
            (with(&ec, json!({"crv": null})), "no curve"),
            (with(&ed, json!({"x": "AA"})), "too short for Ed25519"),
        ];
        for (key, reason) in table {
            let keys = VerificationKeys::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
            assert!(matches!(keys.check_usable(), Err(JwksError::NoUsableKey)), "{reason}");
        }
        for key in [&RSA.jwk, &ec, &ed] {
            let keys = VerificationKeys::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
            assert!(keys.check_usable().is_ok(), "{key}");
        }
    }

    #[test]
    fn keys_of_one_name_are_all_candidates_and_so_are_all_for_a_token_without_a_name() {
        let keys = json!([rsa(json!({})), rsa(json!({})), rsa(json!({"kid": "other"})), rsa(json!({"kid": null}))]);

        assert_eq!(count(&keys, Some("k"), Algorithm::RS256), 2);
        assert_eq!(count(&keys, None, Algorithm::RS256), 4);
        assert_eq!(count(&keys, Some("unknown"), Algorithm::RS256), 0);
    }

    #[test]
    fn a_set_of_hundreds_is_not_tried_to_its_end_and_keys_without_use_take_no_place() {
        let keys = Value::Array(vec![rsa(json!({})); 300]);
        let late = [vec![rsa(json!({"n": "AQAB"})); 300], vec![rsa(json!({}))]].concat();

        assert_eq!(count(&keys, None, Algorithm::RS256), MAX_CANDIDATES);
        assert_eq!(count(&Value::Array(late), None, Algorithm::RS256), 1);
    }

    #[test]
    fn a_document_that_is_no_jwk_set_is_refused() {
        for document in ["", "<html>", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(matches!(VerificationKeys::parse(document.as_bytes()), Err(JwksError::Malformed(_))), "{document}");
        }
    }
}
