//! The ID token and its validation (OIDC Core 3.1.3.7, and 12.2 for a refreshed one).

use std::time::Duration;

use jsonwebtoken::{Algorithm, crypto};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::jws::Jws;
use super::pkce::base64url;
use super::{Claims, JwksError, PendingLogin, VerificationKeys};
use crate::clock::Timestamp;

/// What we accept: asymmetric signatures only, whatever a token or its key asks for (RFC 8725 3.1).
const ALGORITHMS: [Algorithm; 9] = [
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

/// How far the Provider's clock may be from ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

const LONGEST_SUBJECT: usize = 255;

/// Which rule an ID token breaks.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    /// Not a signed token, or its payload is no JSON object.
    #[error("the token cannot be read")]
    Malformed,
    /// Signed by an algorithm that we never accept, or by none.
    #[error("the token is not signed by an accepted algorithm")]
    Algorithm,
    /// The signature's key is not the Provider's, as far as we know.
    #[error("the token's key is unknown")]
    Key(#[source] JwksError),
    /// The signature is not the key's.
    #[error("the token's signature is not valid")]
    Signature,
    /// `iss` is another.
    #[error("the token is from another issuer")]
    Issuer,
    /// `sub` is missing or too long, or at a refresh another.
    #[error("the token is about another subject")]
    Subject,
    /// `aud` or `azp` names another client.
    #[error("the token is for another client")]
    Audience,
    /// `exp` is missing or past.
    #[error("the token has expired")]
    Expired,
    /// `iat` is missing or in the future, or `nbf` is.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `nonce` is not that of this sign-in.
    #[error("the token belongs to another sign-in")]
    Nonce,
    /// `at_hash` is not that of the access token.
    #[error("the token belongs to another access token")]
    AccessTokenHash,
    /// `auth_time` is missing or older than the asked `max_age`.
    #[error("the person signed in too long ago")]
    AuthenticationTime,
}

impl IdTokenError {
    /// A stable name for pages and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "id_token_malformed",
            Self::Algorithm => "id_token_algorithm",
            Self::Key(_) => "id_token_key",
            Self::Signature => "id_token_signature",
            Self::Issuer => "id_token_issuer",
            Self::Subject => "id_token_subject",
            Self::Audience => "id_token_audience",
            Self::Expired => "id_token_expired",
            Self::NotYetValid => "id_token_not_yet_valid",
            Self::Nonce => "id_token_nonce",
            Self::AccessTokenHash => "id_token_at_hash",
            Self::AuthenticationTime => "id_token_auth_time",
        }
    }

    /// True if newer keys of the Provider may turn the verdict: it rotates, or has given an old name to a new key.
    pub(super) const fn may_be_rotation(&self) -> bool {
        matches!(self, Self::Key(JwksError::UnknownKey) | Self::Signature)
    }
}

/// Verifies the ID tokens of one Provider for one client.
#[derive(Clone, Copy, Debug)]
pub struct IdTokenVerifier<'a> {
    /// The Provider's keys.
    pub keys: &'a VerificationKeys,
    /// The issuer, exactly.
    pub issuer: &'a str,
    /// Us.
    pub client_id: &'a str,
}

impl IdTokenVerifier<'_> {
    /// Accepts the ID token of a sign-in, or says which rule of OIDC Core 3.1.3.7 it breaks.
    ///
    /// # Errors
    /// See [`IdTokenError`].
    pub fn verify(
        &self,
        id_token: &str,
        access_token: &str,
        pending: &PendingLogin,
        now: Timestamp,
    ) -> Result<Claims, IdTokenError> {
        let claims = self.verify_token(id_token, access_token, now)?;
        check_nonce(&claims, pending.nonce())?; // 11
        check_authentication_time(&claims, pending.max_age(), now)?; // 13
        Ok(claims)
    }

    /// Accepts the ID token of a refresh, or says which rule of OIDC Core 12.2 it breaks.
    ///
    /// # Errors
    /// See [`IdTokenError`].
    pub fn verify_refreshed(
        &self,
        id_token: &str,
        access_token: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<Claims, IdTokenError> {
        let claims = self.verify_token(id_token, access_token, now)?;
        if claims.subject() != subject {
            return Err(IdTokenError::Subject);
        }
        Ok(claims)
    }

    fn verify_token(&self, id_token: &str, access_token: &str, now: Timestamp) -> Result<Claims, IdTokenError> {
        let (claims, algorithm) = signed_claims(id_token, self.keys, None)?; // 6-8
        self.check_issuer(&claims)?; // 2
        self.check_audience(&claims)?; // 3-5
        check_times(&claims, now)?; // 9-10
        check_access_token_hash(&claims, access_token, algorithm)?; // 3.1.3.8
        // OIDC Core 2: at most 255 characters; it becomes a header and a key of an index.
        if claims.subject().is_empty() || claims.subject().len() > LONGEST_SUBJECT {
            return Err(IdTokenError::Subject);
        }
        Ok(claims)
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), IdTokenError> {
        if claims.text("iss") == Some(self.issuer) { Ok(()) } else { Err(IdTokenError::Issuer) }
    }

    /// `aud` names us; with several audiences `azp` must, and if present it must.
    fn check_audience(&self, claims: &Claims) -> Result<(), IdTokenError> {
        let audiences = audiences(claims);
        let is_authorized = match claims.as_map().get("azp") {
            Some(azp) => azp.as_str() == Some(self.client_id),
            None => audiences.len() == 1,
        };
        if audiences.contains(&self.client_id) && is_authorized { Ok(()) } else { Err(IdTokenError::Audience) }
    }
}

/// The claims of a token whose signature is one of these keys', and its algorithm. `explicit_type` is the `typ` that
/// such a token may have besides none of its own.
pub(super) fn signed_claims(
    token: &str,
    keys: &VerificationKeys,
    explicit_type: Option<&str>,
) -> Result<(Claims, Algorithm), IdTokenError> {
    let jws = Jws::parse(token).ok_or(IdTokenError::Malformed)?;
    let algorithm = accepted_algorithm(&jws.header, explicit_type)?;
    let kid = key_id(&jws.header)?;
    let keys = keys.candidates(kid, algorithm).map_err(IdTokenError::Key)?;
    let is_signed_by = |key| crypto::verify(jws.signature, jws.signed.as_bytes(), key, algorithm).unwrap_or(false);
    if !keys.iter().any(is_signed_by) {
        return Err(IdTokenError::Signature);
    }
    Ok((Claims::new(jws.payload().ok_or(IdTokenError::Malformed)?), algorithm))
}

/// RFC 7519 4.1.3: one, or a list.
pub(super) fn audiences(claims: &Claims) -> Vec<&str> {
    match claims.as_map().get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().map(|one| one.as_str().unwrap_or_default()).collect(),
        _ => vec![],
    }
}

/// The header decides only what we let it (RFC 8725 3.1): it never brings a key, or the address of one.
fn accepted_algorithm(header: &Map<String, Value>, explicit_type: Option<&str>) -> Result<Algorithm, IdTokenError> {
    if header.contains_key("crit") {
        return Err(IdTokenError::Malformed); // RFC 7515 4.1.11: we understand no extension
    }
    // RFC 8725 3.11: a logout token or an access token of the same issuer is no ID token, however well signed.
    let is_expected = |typ: &str| explicit_type.is_some_and(|expected| typ.eq_ignore_ascii_case(expected));
    let is_another = |typ: &str| typ.to_ascii_lowercase().ends_with("+jwt") && !is_expected(typ);
    let is_of_another_type = |typ: &Value| typ.as_str().is_none_or(is_another);
    if header.get("typ").is_some_and(is_of_another_type) {
        return Err(IdTokenError::Malformed);
    }
    let name = header.get("alg").and_then(Value::as_str).ok_or(IdTokenError::Algorithm)?;
    ALGORITHMS.into_iter().find(|accepted| format!("{accepted:?}") == name).ok_or(IdTokenError::Algorithm)
}

/// RFC 7515 4.1.4: `kid` is text. Of another type it must not pass for absent, which would try every key.
fn key_id(header: &Map<String, Value>) -> Result<Option<&str>, IdTokenError> {
    header.get("kid").map(|kid| kid.as_str().ok_or(IdTokenError::Malformed)).transpose()
}

pub(super) fn check_times(claims: &Claims, now: Timestamp) -> Result<(), IdTokenError> {
    let expires_at = numeric_date(claims, "exp").ok_or(IdTokenError::Expired)?;
    if now >= expires_at.plus(CLOCK_SKEW) {
        return Err(IdTokenError::Expired);
    }
    let issued_at = numeric_date(claims, "iat").ok_or(IdTokenError::NotYetValid)?;
    let not_before = match claims.as_map().get("nbf") {
        Some(_) => numeric_date(claims, "nbf").ok_or(IdTokenError::NotYetValid)?,
        None => issued_at,
    };
    if issued_at.max(not_before) > now.plus(CLOCK_SKEW) {
        return Err(IdTokenError::NotYetValid);
    }
    Ok(())
}

fn check_nonce(claims: &Claims, expected: &str) -> Result<(), IdTokenError> {
    let given = claims.text("nonce").unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(expected.as_bytes())) { Ok(()) } else { Err(IdTokenError::Nonce) }
}

/// `at_hash`: the left half of the access token's hash, by the hash of the token's own algorithm.
fn check_access_token_hash(claims: &Claims, access_token: &str, algorithm: Algorithm) -> Result<(), IdTokenError> {
    let Some(at_hash) = claims.as_map().get("at_hash") else { return Ok(()) };
    let bytes = access_token.as_bytes();
    let digest = match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => Sha384::digest(bytes).to_vec(),
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => Sha512::digest(bytes).to_vec(),
        _ => Sha256::digest(bytes).to_vec(),
    };
    let expected = base64url(&digest[..digest.len() / 2]);
    if at_hash.as_str() == Some(&expected) { Ok(()) } else { Err(IdTokenError::AccessTokenHash) }
}

fn check_authentication_time(claims: &Claims, max_age: Option<u64>, now: Timestamp) -> Result<(), IdTokenError> {
    let Some(max_age) = max_age else { return Ok(()) };
    let auth_time = numeric_date(claims, "auth_time").ok_or(IdTokenError::AuthenticationTime)?;
    if now > auth_time.plus(Duration::from_secs(max_age)).plus(CLOCK_SKEW) {
        return Err(IdTokenError::AuthenticationTime);
    }
    Ok(())
}

/// RFC 7519 section 2: a NumericDate may have a fraction; we count whole seconds.
pub(super) fn numeric_date(claims: &Claims, name: &str) -> Option<Timestamp> {
    let value = claims.as_map().get(name)?;
    #[allow(clippy::cast_possible_truncation, reason = "a date beyond i64 saturates, and a fraction is dropped")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))?;
    Some(Timestamp::from_unix(seconds))
}

#[cfg(test)]
mod tests;
