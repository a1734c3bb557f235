//! Access tokens of API clients: JWTs by the profile of RFC 9068, verified with the keys of their issuer.
//!
//! Knows no header and no route. A verified token is remembered for a minute, so that a client's calls cost one signature.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::jws::Jws;
use super::jwt::{self, JwtError, numeric_date};
use super::provider_cache::RefetchCause;
use super::{Claims, Issuer, ProviderCache, ProviderError};
use crate::clock::Timestamp;
use crate::egress::Egress;

/// An issuer whose access tokens pass, and the tokens of it that do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiIssuer {
    /// The issuer, exactly as `iss` names it.
    pub issuer: String,
    /// Audiences (`aud`), of which a token names one.
    pub audiences: Vec<String>,
    /// The type of its access tokens.
    pub token_type: AccessTokenType,
}

/// The `typ` of an issuer's access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessTokenType {
    /// `at+jwt` (RFC 9068 2.1): no other token of the issuer can be taken for one.
    #[default]
    AtJwt,
    /// `JWT` or none. An ID token is told by its claims.
    Jwt,
}

/// Caches of the issuers that all workers share: metadata, keys, and the tokens verified last.
pub struct AccessTokenCaches {
    issuers: Vec<Arc<ProviderCache>>,
    verified: Cache<[u8; 32], (Arc<VerifiedAccessToken>, Timestamp)>,
}

/// An access token that grants access: its claims, and the issuer whose keys verified it.
#[derive(Debug)]
pub struct VerifiedAccessToken {
    /// The issuer, as `API_ISSUERS` names it and as `iss` does.
    pub issuer: String,
    /// The claims, without an address that the issuer calls unverified.
    pub claims: Claims,
}

/// One worker's verifier of access tokens.
pub struct AccessTokenVerifier {
    issuers: Vec<(ApiIssuer, Issuer)>,
    caches: Arc<AccessTokenCaches>,
}

/// The rule that an access token breaks.
#[derive(Debug, thiserror::Error)]
pub enum AccessTokenError {
    /// A rule of all signed tokens.
    #[error(transparent)]
    Invalid(#[from] JwtError),
    /// `iss` is none of those whose tokens pass.
    #[error("the token is of an issuer that API_ISSUERS does not name")]
    UnknownIssuer,
    /// It is an ID token or another token that grants no access.
    #[error("the token is no access token")]
    NotAnAccessToken,
    /// It is bound to a key of its client (`cnf`), and a bearer proves none.
    #[error("the token is bound to a key of its client")]
    KeyBound,
    /// No `sub`.
    #[error("the token has no subject")]
    Subject,
    /// The issuer's keys cannot be had.
    #[error("the keys of the token's issuer cannot be had")]
    Unavailable(#[from] ProviderError),
}

impl AccessTokenCaches {
    /// Empty caches for so many issuers.
    #[must_use]
    pub fn new(issuers: usize) -> Self {
        let issuers = (0..issuers).map(|_| Arc::default()).collect();
        Self { issuers, verified: Cache::new(MAX_REMEMBERED) }
    }
}

impl AccessTokenVerifier {
    /// The verifier of one more worker. `caches` are made for as many issuers.
    #[must_use]
    pub fn new(issuers: &[ApiIssuer], caches: Arc<AccessTokenCaches>, egress: &Egress) -> Self {
        let connected = issuers.iter().zip(&caches.issuers);
        let connected =
            connected.map(|(api, cache)| (api.clone(), Issuer::new(&api.issuer, Arc::clone(cache), egress)));
        Self { issuers: connected.collect(), caches }
    }

    /// Verifies a token that grants access.
    ///
    /// # Errors
    /// See [`AccessTokenError`].
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<VerifiedAccessToken>, AccessTokenError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some((verified, until)) = self.caches.verified.get(&digest)
            && now < until
        {
            return Ok(verified);
        }
        let verified = Arc::new(self.verify_anew(token, now).await?);
        let expires_at = numeric_date(&verified.claims, "exp").unwrap_or(now);
        self.caches.verified.insert(digest, (Arc::clone(&verified), expires_at.min(now.plus(REMEMBERED))));
        Ok(verified)
    }

    async fn verify_anew(&self, token: &str, now: Timestamp) -> Result<VerifiedAccessToken, AccessTokenError> {
        let (api, issuer) = self.issuer_of(token)?;
        let metadata = issuer.metadata(now).await?;
        let explicit_type = Some("at+jwt"); // RFC 9068 4
        let verified =
            issuer.verify_with_current_keys(token, explicit_type, RefetchCause::Request, &metadata, now).await??;
        jwt::check_issuer(&verified.claims, issuer.name())?;
        check_audience(&verified.claims, &api.audiences)?;
        jwt::check_times(&verified.claims, now)?;
        // RFC 7800 3.1: whoever has only copied such a token must not pass (RFC 8705, RFC 9449).
        if jwt::given(&verified.claims, "cnf").is_some() {
            return Err(AccessTokenError::KeyBound);
        }
        if verified.claims.subject().is_empty() {
            return Err(AccessTokenError::Subject);
        }
        let claims = verified.claims.without_unverified();
        Ok(VerifiedAccessToken { issuer: issuer.name().to_owned(), claims })
    }

    /// The issuer that the token claims to be of, before its signature is verified with that issuer's keys.
    fn issuer_of(&self, token: &str) -> Result<(&ApiIssuer, &Issuer), AccessTokenError> {
        let jws = Jws::parse(token).ok_or(JwtError::Malformed)?;
        let claims = Claims::new(jws.payload().ok_or(JwtError::Malformed)?);
        let named = claims.text("iss").ok_or(JwtError::Issuer)?;
        let found = self.issuers.iter().find(|(api, _)| api.issuer == named);
        let (api, issuer) = found.ok_or(AccessTokenError::UnknownIssuer)?;
        let typ = jws.header.get("typ").and_then(serde_json::Value::as_str).unwrap_or_default();
        let is_access_token = match api.token_type {
            AccessTokenType::AtJwt => is_at_jwt(typ),
            AccessTokenType::Jwt => is_at_jwt(typ) || grants_access(&claims),
        };
        if is_access_token { Ok((api, issuer)) } else { Err(AccessTokenError::NotAnAccessToken) }
    }
}

/// RFC 9068 2.1 and 4: with or without `application/` (RFC 7515 4.1.9).
fn is_at_jwt(typ: &str) -> bool {
    let name = typ.to_ascii_lowercase();
    name.strip_prefix("application/").unwrap_or(&name) == "at+jwt"
}

/// RFC 8725 3.12: without a type of its own, an access token is told by claims that an ID or a logout token has not, and
/// by the absence of theirs.
fn grants_access(claims: &Claims) -> bool {
    let has = |name: &&str| claims.as_map().contains_key(*name);
    let is_foreign = ["nonce", "at_hash", "c_hash", "s_hash", "events"].iter().any(&has);
    let names_client = ["client_id", "azp", "appid", "cid"].iter().any(&has);
    let grants = ["scope", "scp", "roles"].iter().any(has);
    // The kind in the payload: `Bearer`, `ID`, `Refresh` or `Logout` of Keycloak, `access` or `id` of Amazon Cognito.
    let is_kind = |name: &str, kind: &str| {
        let given = claims.as_map().get(name);
        given.is_none_or(|given| given.as_str().is_some_and(|given| given.eq_ignore_ascii_case(kind)))
    };
    !is_foreign && names_client && grants && is_kind("typ", "bearer") && is_kind("token_use", "access")
}

/// RFC 9068 4: `aud` names a resource of ours.
fn check_audience(claims: &Claims, audiences: &[String]) -> Result<(), JwtError> {
    let is_named = |audience: &String| jwt::check_audience(claims, audience).is_ok();
    if audiences.iter().any(is_named) { Ok(()) } else { Err(JwtError::Audience) }
}

/// Tokens remembered by a process: some hundred bytes of claims each.
const MAX_REMEMBERED: usize = 1024;

/// The time for which a verified token is remembered: also that of a key that its issuer has withdrawn.
const REMEMBERED: Duration = Duration::from_secs(60);

impl std::fmt::Debug for AccessTokenCaches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessTokenCaches(..)")
    }
}

#[cfg(test)]
mod tests;
