//! Checks shared by ID, logout and gateway tokens (RFC 7519): signature, `typ`, issuer, audience, times.
//!
//! Knows no rule of a single kind. A token's header only selects a key and an accepted algorithm.

use std::time::Duration;

use jsonwebtoken::{Algorithm, crypto};
use serde_json::{Map, Value};

use super::jws::Jws;
use super::{Claims, JwksError, VerificationKeys};
use crate::clock::Timestamp;

/// Accepted algorithms: asymmetric only, whatever a token or its key asks for (RFC 8725 3.1).
pub(super) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::RS384,
    Algorithm::PS384,
    Algorithm::ES384,
    Algorithm::RS512,
    Algorithm::PS512,
    Algorithm::EdDSA,
];

/// Tolerated difference between the Provider's clock and ours.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Reason why a signed token is refused.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// Not a signed token of the expected `typ`, or its payload is no JSON object.
    #[error("the token cannot be read")]
    Malformed,
    /// Signed by an algorithm that we never accept, or by none.
    #[error("the token is not signed by an accepted algorithm")]
    Algorithm,
    /// No known key of the issuer fits.
    #[error("the token's key is unknown")]
    Key(#[source] JwksError),
    /// The signature is invalid.
    #[error("the token's signature is not valid")]
    Signature,
    /// `iss` is another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// `aud` does not name us.
    #[error("the token is for another audience")]
    Audience,
    /// `aud` names, beside us, an audience that no setting trusts.
    #[error("the token has an audience beside us that TRUSTED_AUDIENCES does not name")]
    UntrustedAudience,
    /// `exp` is missing or past.
    #[error("the token has expired")]
    Expired,
    /// `iat` is missing or in the future, or `nbf` is.
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl JwtError {
    /// True if newer keys of the issuer may verify the token: after a rotation, or if an old `kid` has a new key.
    pub(super) const fn may_be_rotation(&self) -> bool {
        matches!(self, Self::Key(JwksError::UnknownKey) | Self::Signature)
    }
}

/// A token with a verified signature. Its claims are still unchecked.
pub struct VerifiedJwt {
    /// The signed claims.
    pub claims: Claims,
    /// The algorithm of the signature.
    pub(super) algorithm: Algorithm,
}

/// Verifies the signature with the issuer's keys. A `typ` that ends in `+jwt` must be `explicit_type`.
///
/// # Errors
/// See [`JwtError`].
pub fn verify_signature(
    token: &str,
    keys: &VerificationKeys,
    explicit_type: Option<&str>,
) -> Result<VerifiedJwt, JwtError> {
    let jws = Jws::parse(token).ok_or(JwtError::Malformed)?;
    let algorithm = accepted_algorithm(&jws.header, explicit_type)?;
    let kid = key_id(&jws.header)?;
    let keys = keys.candidates(kid, algorithm).map_err(JwtError::Key)?;
    let is_signed_by = |key| crypto::verify(jws.signature, jws.signed.as_bytes(), key, algorithm).unwrap_or(false);
    if !keys.iter().any(is_signed_by) {
        return Err(JwtError::Signature);
    }
    let claims = Claims::new(jws.payload().ok_or(JwtError::Malformed)?);
    Ok(VerifiedJwt { claims, algorithm })
}

/// Claims of a token with an unverified signature: only for refusing it early.
pub(super) fn unverified_claims(token: &str) -> Result<Claims, JwtError> {
    let jws = Jws::parse(token).ok_or(JwtError::Malformed)?;
    jws.payload().map(Claims::new).ok_or(JwtError::Malformed)
}

/// Algorithm of an acceptable header (RFC 8725 3.1). A key, or the URL of one, in the header is ignored.
fn accepted_algorithm(header: &Map<String, Value>, explicit_type: Option<&str>) -> Result<Algorithm, JwtError> {
    if header.contains_key("crit") {
        return Err(JwtError::Malformed); // RFC 7515 4.1.11: we understand no extension
    }
    // RFC 8725 3.11: a logout token or an access token of the same issuer is no ID token, even if well signed.
    let is_expected = |typ: &str| explicit_type.is_some_and(|expected| media_type(typ).eq_ignore_ascii_case(expected));
    let is_another = |typ: &str| typ.to_ascii_lowercase().ends_with("+jwt") && !is_expected(typ);
    let is_of_another_type = |typ: &Value| typ.as_str().is_none_or(is_another);
    if header.get("typ").is_some_and(is_of_another_type) {
        return Err(JwtError::Malformed);
    }
    let name = header.get("alg").and_then(Value::as_str).ok_or(JwtError::Algorithm)?;
    ALGORITHMS.into_iter().find(|accepted| format!("{accepted:?}") == name).ok_or(JwtError::Algorithm)
}

/// RFC 7515 4.1.9: `application/` may be omitted from a media type, or written.
fn media_type(typ: &str) -> &str {
    let prefix = "application/";
    match typ.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => &typ[prefix.len()..],
        _ => typ,
    }
}

/// The `kid` (RFC 7515 4.1.4). Of another type than text it is an error: as absent it would try every key.
fn key_id(header: &Map<String, Value>) -> Result<Option<&str>, JwtError> {
    header.get("kid").map(|kid| kid.as_str().ok_or(JwtError::Malformed)).transpose()
}

/// Checks `iss`, compared exactly.
pub(super) fn check_issuer(claims: &Claims, issuer: &str) -> Result<(), JwtError> {
    if claims.text("iss") == Some(issuer) { Ok(()) } else { Err(JwtError::Issuer) }
}

/// Checks that `aud` names us, alone or among others.
pub(super) fn check_audience(claims: &Claims, audience: &str) -> Result<(), JwtError> {
    if audiences(claims).contains(&audience) { Ok(()) } else { Err(JwtError::Audience) }
}

/// Checks that `aud` names us, and beside us only `trusted` ones (OIDC Core 3.1.3.7 step 3). Another recipient of the
/// same token could present it here.
pub(super) fn check_trusted_audience(claims: &Claims, client_id: &str, trusted: &[String]) -> Result<(), JwtError> {
    check_audience(claims, client_id)?;
    let is_known = |audience: &&str| *audience == client_id || trusted.iter().any(|trusted| trusted == audience);
    if audiences(claims).iter().all(is_known) { Ok(()) } else { Err(JwtError::UntrustedAudience) }
}

/// Values of `aud`, which is a text or a list (RFC 7519 4.1.3).
pub(super) fn audiences(claims: &Claims) -> Vec<&str> {
    match claims.as_map().get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().map(|one| one.as_str().unwrap_or_default()).collect(),
        _ => vec![],
    }
}

/// Checks `exp`, `iat` and `nbf`, with [`CLOCK_SKEW`].
pub(super) fn check_times(claims: &Claims, now: Timestamp) -> Result<(), JwtError> {
    check_expiry(claims, now)?;
    let issued_at = numeric_date(claims, "iat").ok_or(JwtError::NotYetValid)?;
    let not_before = match given(claims, "nbf") {
        Some(_) => numeric_date(claims, "nbf").ok_or(JwtError::NotYetValid)?,
        None => issued_at,
    };
    if issued_at.max(not_before) > now.plus(CLOCK_SKEW) {
        return Err(JwtError::NotYetValid);
    }
    Ok(())
}

/// Checks `exp`, with [`CLOCK_SKEW`].
pub(super) fn check_expiry(claims: &Claims, now: Timestamp) -> Result<(), JwtError> {
    let expires_at = numeric_date(claims, "exp").ok_or(JwtError::Expired)?;
    if now >= expires_at.plus(CLOCK_SKEW) { Err(JwtError::Expired) } else { Ok(()) }
}

/// Value of a claim; null counts as absent, because some Providers write it.
pub(super) fn given<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    claims.as_map().get(name).filter(|value| !value.is_null())
}

/// The date in a claim; see [`Timestamp::from_numeric_date`].
pub(super) fn numeric_date(claims: &Claims, name: &str) -> Option<Timestamp> {
    Timestamp::from_numeric_date(claims.as_map().get(name)?)
}
