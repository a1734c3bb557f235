//! ID token validation (OIDC Core 3.1.3.7, and 12.2 after a refresh).

use std::time::Duration;

use jsonwebtoken::Algorithm;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::jwt::{self, CLOCK_SKEW, JwtError, VerifiedJwt, given, numeric_date};
use super::pkce::base64url;
use super::{Claims, PendingLogin};
use crate::clock::Timestamp;

const MAX_SUBJECT_LENGTH: usize = 255;

/// Reason why an ID token is refused.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    /// A rule shared with logout and gateway tokens.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// `sub` is missing or too long, or after a refresh another.
    #[error("the token is about another subject")]
    Subject,
    /// `azp` names another client, or several audiences come without one.
    #[error("the token is for another client")]
    AuthorizedParty,
    /// `nonce` of another sign-in, or after a refresh not the original's.
    #[error("the token belongs to another sign-in")]
    Nonce,
    /// `at_hash` does not match the access token.
    #[error("the token belongs to another access token")]
    AccessTokenHash,
    /// `auth_time` is missing or older than the requested `max_age`, or after a refresh not the original's.
    #[error("the time of authentication is not accepted")]
    AuthenticationTime,
}

impl IdTokenError {
    /// Stable code for pages and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Token(JwtError::Malformed) => "id_token_malformed",
            Self::Token(JwtError::Algorithm) => "id_token_algorithm",
            Self::Token(JwtError::Key(_)) => "id_token_key",
            Self::Token(JwtError::Signature) => "id_token_signature",
            Self::Token(JwtError::Issuer) => "id_token_issuer",
            Self::Token(JwtError::Audience | JwtError::UntrustedAudience) | Self::AuthorizedParty => {
                "id_token_audience"
            }
            Self::Token(JwtError::Expired) => "id_token_expired",
            Self::Token(JwtError::NotYetValid) => "id_token_not_yet_valid",
            Self::Subject => "id_token_subject",
            Self::Nonce => "id_token_nonce",
            Self::AccessTokenHash => "id_token_at_hash",
            Self::AuthenticationTime => "id_token_auth_time",
        }
    }
}

/// Validates the claims of one Provider's ID tokens for one client, after the signature.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdTokenVerifier<'a> {
    /// The issuer identifier, compared as text.
    pub(super) issuer: &'a str,
    /// Our client identifier.
    pub(super) client_id: &'a str,
    /// Accepted audiences beside us.
    pub(super) trusted_audiences: &'a [String],
}

impl IdTokenVerifier<'_> {
    /// Validates the ID token of a sign-in by OIDC Core 3.1.3.7.
    pub(super) fn verify(
        &self,
        id_token: VerifiedJwt, // 6-8
        access_token: &str,
        pending: &PendingLogin,
        now: Timestamp,
    ) -> Result<Claims, IdTokenError> {
        let claims = self.verify_claims(id_token, access_token, now)?;
        check_nonce(&claims, pending.nonce())?; // 11
        check_authentication_time(&claims, pending.max_age(), now)?; // 13
        Ok(claims)
    }

    /// Validates the ID token of a refresh by OIDC Core 12.2.
    pub(super) fn verify_refreshed(
        &self,
        id_token: VerifiedJwt,
        access_token: &str,
        original: &Claims,
        now: Timestamp,
    ) -> Result<Claims, IdTokenError> {
        let claims = self.verify_claims(id_token, access_token, now)?;
        if claims.subject() != original.subject() {
            return Err(IdTokenError::Subject);
        }
        check_repeated_nonce(&claims, original)?;
        check_repeated_authentication_time(&claims, original)?;
        Ok(claims)
    }

    fn verify_claims(&self, id_token: VerifiedJwt, access_token: &str, now: Timestamp) -> Result<Claims, IdTokenError> {
        let VerifiedJwt { claims, algorithm } = id_token;
        jwt::check_issuer(&claims, self.issuer)?; // 2
        jwt::check_trusted_audience(&claims, self.client_id, self.trusted_audiences)?; // 3
        self.check_authorized_party(&claims)?; // 4-5
        jwt::check_times(&claims, now)?; // 9-10
        check_access_token_hash(&claims, access_token, algorithm)?; // 3.1.3.8
        // OIDC Core 2: at most 255 characters; `sub` becomes a header and an index key.
        if claims.subject().is_empty() || claims.subject().len() > MAX_SUBJECT_LENGTH {
            return Err(IdTokenError::Subject);
        }
        Ok(claims)
    }

    /// Checks `azp`: if present it is us; with audiences beside us it must be present.
    fn check_authorized_party(&self, claims: &Claims) -> Result<(), IdTokenError> {
        let is_authorized = match given(claims, "azp") {
            Some(azp) => azp.as_str() == Some(self.client_id),
            None => jwt::audiences(claims).iter().all(|audience| *audience == self.client_id),
        };
        if is_authorized { Ok(()) } else { Err(IdTokenError::AuthorizedParty) }
    }
}

fn check_nonce(claims: &Claims, expected: &str) -> Result<(), IdTokenError> {
    let given = claims.text("nonce").unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(expected.as_bytes())) { Ok(()) } else { Err(IdTokenError::Nonce) }
}

/// Checks `nonce` after a refresh (OIDC Core 12.2): it should be absent, and otherwise the original's.
fn check_repeated_nonce(claims: &Claims, original: &Claims) -> Result<(), IdTokenError> {
    if given(claims, "nonce").is_none() {
        return Ok(());
    }
    check_nonce(claims, original.text("nonce").ok_or(IdTokenError::Nonce)?)
}

/// Checks `auth_time` after a refresh (OIDC Core 12.2): the original's, if both tokens have one.
fn check_repeated_authentication_time(claims: &Claims, original: &Claims) -> Result<(), IdTokenError> {
    let name = "auth_time";
    let (Some(repeated), Some(before)) = (given(claims, name), given(original, name)) else { return Ok(()) };
    let is_same_date = || numeric_date(claims, name).is_some_and(|date| numeric_date(original, name) == Some(date));
    if repeated == before || is_same_date() { Ok(()) } else { Err(IdTokenError::AuthenticationTime) }
}

/// Checks `at_hash`: the left half of the access token's hash, by the hash of the token's own algorithm.
fn check_access_token_hash(claims: &Claims, access_token: &str, algorithm: Algorithm) -> Result<(), IdTokenError> {
    let Some(at_hash) = given(claims, "at_hash") else { return Ok(()) };
    let bytes = access_token.as_bytes();
    let digest = match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => Sha384::digest(bytes).to_vec(),
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => Sha512::digest(bytes).to_vec(),
        _ => Sha256::digest(bytes).to_vec(),
    };
    let expected = base64url(&digest[..digest.len() / 2]);
    if at_hash.as_str().map(|text| text.trim_end_matches('=')) == Some(&expected) {
        Ok(())
    } else {
        Err(IdTokenError::AccessTokenHash)
    }
}

fn check_authentication_time(claims: &Claims, max_age: Option<u64>, now: Timestamp) -> Result<(), IdTokenError> {
    let Some(max_age) = max_age else { return Ok(()) };
    let auth_time = numeric_date(claims, "auth_time").ok_or(IdTokenError::AuthenticationTime)?;
    let is_too_old = now > auth_time.plus(Duration::from_secs(max_age)).plus(CLOCK_SKEW);
    // A future time would count as recent until it comes.
    if is_too_old || auth_time > now.plus(CLOCK_SKEW) {
        return Err(IdTokenError::AuthenticationTime);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
