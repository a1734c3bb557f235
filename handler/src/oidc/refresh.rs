//! Refresh (RFC 6749 6, OIDC Core 12): exchanges a refresh token for the next access token.
//!
//! Every error says if the session is over, lives until its access token lapses, or may have lost its refresh token.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::group_overage::request_groups;
use super::http::MAX_SEND_TIME;
use super::jwt::verify_signature;
use super::provider_cache::RefetchCause;
use super::token_request_error::TokenRequestError;
use super::{
    Claims, IdTokenError, OAuthError, PersonClaims, ProviderError, ProviderMetadata, RefreshToken, RefusalReason,
    RelyingParty, Scope, TokenError, TokenResponse, TokenResponseError, UserInfoError,
};
use crate::clock::Timestamp;

/// Maximum duration of a refresh, without the client assertion: metadata, the token endpoint, and its claims.
pub const MAX_REFRESH_TIME: Duration =
    Duration::from_secs(MAX_SEND_TIME.as_secs() + MAX_SEND_TIME.as_secs() + CLAIMS_TIMEOUT.as_secs());

/// Timeout for keys and UserInfo after the token endpoint has responded. The rotated token is not stored yet, and the
/// known claims are good enough.
const CLAIMS_TIMEOUT: Duration = Duration::from_secs(5);

/// Result of a refresh.
#[derive(Debug)]
pub struct CompletedRefresh {
    /// The tokens; only the access token is always present. An ID token here has been verified.
    pub tokens: TokenResponse,
    /// The known claims, each source renewed if the Provider renewed it.
    pub claims: PersonClaims,
}

/// Error of a refresh.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The Provider refused the grant (`invalid_grant`, or an interaction error of OIDC Core 3.1.2.6): the
    /// session is over.
    #[error("the provider refuses the refresh token ({error})")]
    Refused {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// The Provider refused our client (`invalid_client`, `unauthorized_client`): every refresh fails until an operator
    /// fixes the registration or the secret. The access token is good until it lapses.
    #[error("the provider refuses this client ({error})")]
    ClientRefused {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// The Provider refused the refresh with another OAuth error, and would refuse a retry. The access token is good
    /// until it lapses.
    #[error("the provider refuses the refresh ({error})")]
    RequestRefused {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// The response breaks a rule: the session is over.
    #[error("the provider's response to a refresh breaks a rule ({code})")]
    Invalid {
        /// The rule's stable name.
        code: &'static str,
        /// The token to revoke: the new one, or the old one if there is none.
        refresh_token: Option<RefreshToken>,
    },
    /// No usable response: the session lives on.
    #[error("the provider does not refresh now")]
    Unavailable {
        /// True if the Provider may have rotated the refresh token.
        is_ambiguous: bool,
        /// Value of `Retry-After`, at most an hour.
        retry_after: Option<Duration>,
        /// The cause.
        #[source]
        source: ProviderError,
    },
}

impl RefreshError {
    /// Stable code for pages and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refresh_refused",
            Self::ClientRefused { error } => error.client_reason().code(),
            Self::RequestRefused { error } => {
                error.numbered_reason().map_or("token_request_refused", RefusalReason::code)
            }
            Self::Invalid { code, .. } => code,
            Self::Unavailable { .. } => "refresh_unavailable",
        }
    }

    /// The new refresh token of `person`, of a response that contains nothing else of use: the one before may be good no
    /// longer.
    #[must_use]
    pub fn rotated(&self, person: &str) -> Option<&RefreshToken> {
        let Self::Unavailable { source: ProviderError::TokenResponse(error), .. } = self else { return None };
        error.refresh_token_of(person)
    }

    /// The Provider's error response, if any.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        match self {
            Self::Refused { error } | Self::ClientRefused { error } | Self::RequestRefused { error } => Some(error),
            Self::Unavailable { source, .. } => source.oauth_error(),
            Self::Invalid { .. } => None,
        }
    }
}

impl RelyingParty {
    /// Exchanges a refresh token of the person with the claims `known`, for all of `scope`: that of the grant, or the
    /// configured one for a session that was stored without it. `may_send` is called just before the token is sent,
    /// after every step that may have taken time.
    ///
    /// # Errors
    /// See [`RefreshError`].
    pub async fn refresh(
        &self,
        refresh_token: &RefreshToken,
        scope: Option<&Scope>,
        known: &PersonClaims,
        may_send: &dyn Fn() -> bool,
        now: Timestamp,
    ) -> Result<CompletedRefresh, RefreshError> {
        let unsent = |source| RefreshError::Unavailable { is_ambiguous: false, retry_after: None, source };
        let metadata = self.issuer.metadata(now).await.map_err(unsent)?;
        let configured = self.settings().registration.scopes.join(" ");
        let scope = scope.map_or(configured.as_str(), Scope::as_str);
        // RFC 6749 6: optional, and no more than was granted. Entra refuses a refresh without it if client and resource
        // are one application (AADSTS90009).
        let mut form =
            vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose()), ("scope", scope)];
        form.extend(self.settings().dialect.token_parameters.pairs());
        let mut tokens = self
            .request_tokens(&self.connections.refresh, &form, may_send, &metadata, now)
            .await
            .map_err(|error| failure(error, refresh_token))?;

        match self.renew_claims(&mut tokens, known, &metadata, now).await {
            Ok(claims) => Ok(CompletedRefresh { tokens, claims }),
            Err(code) => {
                let newest = tokens.refresh_token.as_ref().unwrap_or(refresh_token);
                Err(RefreshError::Invalid { code, refresh_token: Some(newest.clone()) })
            }
        }
    }

    /// Updates the known claims from the newer ID token and UserInfo, or returns the code of the rule that one of them
    /// breaks. Removes an ID token that cannot be verified now.
    async fn renew_claims(
        &self,
        tokens: &mut TokenResponse,
        known: &PersonClaims,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<PersonClaims, &'static str> {
        let deadline = Instant::now() + CLAIMS_TIMEOUT;
        let aliases = self.settings().dialect.claim_aliases;
        let mut claims = known.clone();
        let verified = timeout_at(deadline, self.verify_refreshed(tokens, known, metadata, now)).await;
        match verified.unwrap_or(Ok(None)) {
            Ok(Some(newer)) => claims.renew_id_token(newer.with_aliases(aliases)),
            Ok(None) => tokens.id_token = None,
            Err(error) => return Err(error.code()),
        }
        if claims.has_group_overage() {
            let overage = &self.settings().group_overage;
            let groups = request_groups(&self.connections.refresh, overage, &tokens.access_token, Some(deadline));
            claims.replace_groups(groups.await);
        }
        if !self.settings().userinfo {
            claims.replace_userinfo(Claims::default()); // from an earlier setting: nothing would renew them
            return Ok(claims);
        }
        let http = &self.connections.refresh;
        let userinfo = self.userinfo(http, known.subject(), &tokens.access_token, metadata, now);
        let late = |_| Err(UserInfoError::Unavailable(ProviderError::NoResponse));
        match timeout_at(deadline, userinfo).await.unwrap_or_else(late) {
            Ok(userinfo) => claims.replace_userinfo(userinfo.with_aliases(aliases)),
            Err(error @ UserInfoError::Subject) => return Err(error.code()),
            // UserInfo failed: its earlier claims stay, and the access token is good.
            Err(UserInfoError::Malformed | UserInfoError::Token(_) | UserInfoError::Unavailable(_)) => {}
        }
        Ok(claims)
    }

    /// Claims of the newer ID token. `None` if there is none, which OIDC Core 12.2 allows, or if the keys to verify
    /// it cannot be fetched: the refresh token is used by now, so the session continues as if none had come.
    async fn verify_refreshed(
        &self,
        tokens: &TokenResponse,
        known: &Claims,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Option<Claims>, IdTokenError> {
        let Some(id_token) = tokens.id_token.as_deref() else { return Ok(None) };
        let Ok(keys) = self.issuer.keys(metadata, now).await else { return Ok(None) };
        let verified = match verify_signature(id_token, &keys, None) {
            Err(error) if error.may_be_rotation() => {
                match self.issuer.newer_keys(&keys, RefetchCause::Response, metadata, now).await {
                    Some(newer_keys) => verify_signature(id_token, &newer_keys, None),
                    None => return Ok(None), // nobody knows: newer keys could not be fetched, or were fetched a moment ago
                }
            }
            verified => verified,
        };
        let verified = verified?;
        let Ok(keys) = self.issuer.keys(metadata, now).await else { return Ok(None) }; // cached, the newer ones if any
        self.check_algorithm(&verified, &keys, metadata)?;
        self.verifier().verify_refreshed(verified, tokens.access_token.expose(), known, now).map(Some)
    }
}

fn failure(error: TokenRequestError, refresh_token: &RefreshToken) -> RefreshError {
    match error {
        TokenRequestError::Refused(TokenError::Grant { error }) => RefreshError::Refused { error },
        TokenRequestError::Refused(TokenError::Client { error }) => RefreshError::ClientRefused { error },
        TokenRequestError::Refused(TokenError::Other { error }) => RefreshError::RequestRefused { error },
        TokenRequestError::Refused(error @ TokenError::Later { .. }) => unavailable(error.into(), None),
        TokenRequestError::Response(TokenResponseError::TokenType { refresh_token: newer, .. }) => {
            let newest = newer.unwrap_or_else(|| refresh_token.clone());
            RefreshError::Invalid { code: "token_type", refresh_token: Some(newest) }
        }
        TokenRequestError::Response(
            error @ (TokenResponseError::Malformed | TokenResponseError::AccessToken { .. }),
        ) => unavailable(ProviderError::TokenResponse(error), None),
        TokenRequestError::Provider { error, retry_after } => unavailable(error, retry_after),
    }
}

fn unavailable(source: ProviderError, retry_after: Option<Duration>) -> RefreshError {
    RefreshError::Unavailable { is_ambiguous: source.may_have_acted(), retry_after, source }
}

#[cfg(test)]
mod tests;
