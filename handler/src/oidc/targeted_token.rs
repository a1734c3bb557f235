//! Access token for another target than the sign-in's: by a refresh that names it (RFC 6749 6, RFC 8707 2.2), or by
//! Token Exchange (RFC 8693).
//!
//! Every error says if only this target is refused, or if the grant of the session may be over.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::jws::Jws;
use super::jwt::audiences;
use super::token_request_error::TokenRequestError;
use super::token_response::subject_of;
use super::{
    AccessToken, Claims, OAuthError, OAuthErrorFields, ProviderError, RefreshToken, RefusalReason, RelyingParty,
    TargetGrant, TokenError, TokenResponse, TokenResponseError,
};
use crate::clock::Timestamp;
use crate::token_target::{Recipient, TokenTarget};

/// Access token for a target.
#[derive(Debug)]
pub struct TargetedToken {
    /// The token.
    pub access_token: AccessToken,
    /// Its expiry, if known.
    pub expires_at: Option<Timestamp>,
    /// The session's new refresh token, if the Provider rotated it.
    pub refresh_token: Option<RefreshToken>,
}

/// Refusal of a token for one target. Records keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetRefusal {
    /// The target, the scope or our client: an operator must act.
    Refused,
    /// A permission that nobody has consented to.
    ConsentRequired,
    /// Something that only the person can do at the Provider, such as a second factor.
    InteractionRequired,
}

/// Error of a request for a targeted token.
#[derive(Debug, thiserror::Error)]
pub enum TargetedTokenError {
    /// The Provider refused. The session's own tokens are as good as before.
    #[error("the provider refuses a token for this target ({cause})")]
    Refused {
        /// Kind of the refusal.
        refusal: TargetRefusal,
        /// Our code or the Provider's, for the log.
        cause: String,
        /// The Provider's error response, if any.
        error: Option<OAuthError>,
        /// The session's new refresh token, if the Provider rotated it all the same.
        refresh_token: Option<RefreshToken>,
    },
    /// The Provider refused the session's own token, without a reason that concerns the target: the session's grant may
    /// be over. Only its refresh can tell.
    #[error("the provider refuses the session's token ({error})")]
    GrantRefused {
        /// The Provider's error response.
        error: OAuthError,
    },
    /// No usable response.
    #[error("the provider issues no token for this target now")]
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

impl TargetRefusal {
    /// Stable code for pages and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused => "route_token_refused",
            Self::ConsentRequired => "route_token_consent_required",
            Self::InteractionRequired => "route_token_interaction_required",
        }
    }
}

impl TargetedTokenError {
    /// Stable code for the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { refusal, .. } => refusal.code(),
            Self::GrantRefused { .. } => TargetRefusal::Refused.code(),
            Self::Unavailable { .. } => "route_token_unavailable",
        }
    }

    /// True if the Provider may have rotated the refresh token, and nobody knows.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unavailable { is_ambiguous: true, .. })
    }

    /// The session's new refresh token, if the Provider rotated it all the same.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        if let Self::Refused { refresh_token, .. } = self { refresh_token.as_ref() } else { None }
    }

    /// The Provider's error response, if any.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        match self {
            Self::Refused { error, .. } => error.as_ref(),
            Self::GrantRefused { error } => Some(error),
            Self::Unavailable { source, .. } => source.oauth_error(),
        }
    }
}

const RECIPIENTS: [&str; 2] = [Recipient::Resource.parameter(), Recipient::Audience.parameter()];

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Type of a token that is a JWT, as an access token may be (RFC 8693 3).
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl RelyingParty {
    /// Way to a token for `target`, which the configuration has checked.
    #[must_use]
    pub fn target_grant(&self, target: &TokenTarget) -> TargetGrant {
        self.settings().dialect.target_grants.of(target).unwrap_or(TargetGrant::Refresh)
    }

    /// Requests a token for `target` by the refresh token of the person `subject`. `may_send` is called just before it is
    /// sent.
    ///
    /// # Errors
    /// See [`TargetedTokenError`].
    pub async fn refresh_for(
        &self,
        target: &TokenTarget,
        refresh_token: &RefreshToken,
        subject: &str,
        may_send: &dyn Fn() -> bool,
        now: Timestamp,
    ) -> Result<TargetedToken, TargetedTokenError> {
        // RFC 6749 6: without a scope it is that of the grant.
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
        form.extend(parameters(target));
        // The sign-in's own recipient would contradict this one.
        let is_kept = |(name, _): &(&str, &str)| target.recipient().is_none() || !RECIPIENTS.contains(name);
        form.extend(self.settings().dialect.token_parameters.pairs().filter(is_kept));
        self.request_for(target, &form, subject, may_send, now).await
    }

    /// Exchanges the access token of the person `subject` for one for `target` (RFC 8693 2.1).
    ///
    /// # Errors
    /// See [`TargetedTokenError`].
    pub async fn exchange_for(
        &self,
        target: &TokenTarget,
        access_token: &AccessToken,
        subject: &str,
        now: Timestamp,
    ) -> Result<TargetedToken, TargetedTokenError> {
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", access_token.expose()),
            ("subject_token_type", ACCESS_TOKEN),
            ("requested_token_type", ACCESS_TOKEN),
        ];
        form.extend(parameters(target));
        // RFC 8693 2.2.1: a refresh token here belongs to another grant, and was not asked for.
        match self.request_for(target, &form, subject, &|| true, now).await {
            Ok(token) => Ok(TargetedToken { refresh_token: None, ..token }),
            Err(TargetedTokenError::Refused { refusal, cause, error, .. }) => Err(refused(refusal, cause, error, None)),
            Err(error) => Err(error),
        }
    }

    async fn request_for(
        &self,
        target: &TokenTarget,
        form: &[(&str, &str)],
        subject: &str,
        may_send: &dyn Fn() -> bool,
        now: Timestamp,
    ) -> Result<TargetedToken, TargetedTokenError> {
        let unsent = |source| TargetedTokenError::Unavailable { is_ambiguous: false, retry_after: None, source };
        let metadata = self.issuer.metadata(now).await.map_err(unsent)?;
        let tokens = self.request_tokens(&self.connections.targets, form, may_send, &metadata, now).await;
        let TokenResponse { access_token, expires_at, refresh_token, id_token, issued_token_type, .. } =
            tokens.map_err(|error| failure(error, subject))?;
        let unusable =
            |cause: &str, refresh_token| refused(TargetRefusal::Refused, cause.to_owned(), None, refresh_token);
        // OIDC Core 12.2.
        if id_token.as_deref().and_then(subject_of).is_some_and(|other| other != subject) {
            return Err(unusable("sub_mismatch", None)); // nor is the refresh token this person's
        }
        if issued_token_type.is_some_and(|issued| issued != ACCESS_TOKEN && issued != JWT) {
            return Err(unusable("issued_token_type", refresh_token));
        }
        if !may_be_for(target, &access_token) {
            return Err(unusable("audience_mismatch", refresh_token));
        }
        Ok(TargetedToken { access_token, expires_at, refresh_token })
    }
}

fn parameters(target: &TokenTarget) -> Vec<(&str, &str)> {
    let recipient = target.recipient().map(|(recipient, value)| (recipient.parameter(), value));
    recipient.into_iter().chain(target.scope().map(|scope| ("scope", scope))).collect()
}

/// False for a JWT whose `aud` names another recipient: some Providers ignore the parameter when its target is not
/// allowed and issue a token for the sign-in's API, which this route's Upstream must not see. Unverified, as the token
/// came from the Provider itself. An opaque token, one without `aud`, and a target without a recipient pass.
fn may_be_for(target: &TokenTarget, access_token: &AccessToken) -> bool {
    let Some((_, wanted)) = target.recipient() else { return true };
    let Some(claims) = Jws::parse(access_token.expose()).and_then(|jws| jws.payload()).map(Claims::new) else {
        return true;
    };
    let is_wanted = |audience: &str| audience_name(audience) == audience_name(wanted);
    let audiences = audiences(&claims);
    audiences.is_empty() || audiences.into_iter().any(is_wanted)
}

/// Prefixes of audiences that Entra ID and AD FS write, or leave out.
const AUDIENCE_PREFIXES: [&str; 2] = ["api://", "microsoft:identityserver:"];

/// An audience without such a prefix and without a trailing slash.
fn audience_name(audience: &str) -> &str {
    let audience = audience.trim_end_matches('/');
    AUDIENCE_PREFIXES.iter().find_map(|prefix| audience.strip_prefix(prefix)).unwrap_or(audience)
}

fn failure(error: TokenRequestError, subject: &str) -> TargetedTokenError {
    match error {
        TokenRequestError::Refused(TokenError::Grant { error }) => grant_failure(error),
        TokenRequestError::Refused(TokenError::Other { error }) if error.error() == "invalid_token" => {
            grant_failure(error)
        }
        TokenRequestError::Refused(TokenError::Client { error } | TokenError::Other { error }) => {
            let refusal = reason(&error).unwrap_or(TargetRefusal::Refused);
            refused(refusal, error.to_string(), Some(error), None)
        }
        TokenRequestError::Refused(error @ TokenError::Later { .. }) => unavailable(error.into(), None),
        TokenRequestError::Response(error @ TokenResponseError::TokenType { .. }) => {
            let refresh_token = error.refresh_token_of(subject).cloned();
            refused(TargetRefusal::Refused, "token_type".to_owned(), None, refresh_token)
        }
        TokenRequestError::Response(error @ TokenResponseError::AccessToken { .. }) => {
            let refresh_token = error.refresh_token_of(subject).cloned();
            refused(TargetRefusal::Refused, "access_token".to_owned(), None, refresh_token)
        }
        TokenRequestError::Response(error @ TokenResponseError::Malformed) => {
            unavailable(ProviderError::TokenResponse(error), None)
        }
        TokenRequestError::Provider { error, retry_after } => unavailable(error, retry_after),
    }
}

/// A refusal of the grant that names a reason of the target concerns the target alone.
fn grant_failure(error: OAuthError) -> TargetedTokenError {
    match reason(&error) {
        Some(refusal) => refused(refusal, error.to_string(), Some(error), None),
        None => TargetedTokenError::GrantRefused { error },
    }
}

/// Refusal that an error response names, by its number, its `error` (OIDC Core 3.1.2.6) or its `suberror`.
fn reason(error: &OAuthError) -> Option<TargetRefusal> {
    match error.numbered_reason() {
        Some(RefusalReason::AdminConsent) => return Some(TargetRefusal::ConsentRequired),
        Some(RefusalReason::Interaction) => return Some(TargetRefusal::InteractionRequired),
        Some(_) => return Some(TargetRefusal::Refused),
        None => {}
    }
    let OAuthErrorFields { suberror, .. } = OAuthError::fields(Some(error));
    match (error.error(), suberror) {
        ("consent_required", _) | (_, Some("consent_required")) => Some(TargetRefusal::ConsentRequired),
        ("interaction_required" | "login_required", _) | (_, Some("basic_action" | "additional_action")) => {
            Some(TargetRefusal::InteractionRequired)
        }
        _ => None,
    }
}

fn refused(
    refusal: TargetRefusal,
    cause: String,
    error: Option<OAuthError>,
    refresh_token: Option<RefreshToken>,
) -> TargetedTokenError {
    TargetedTokenError::Refused { refusal, cause, error, refresh_token }
}

fn unavailable(source: ProviderError, retry_after: Option<Duration>) -> TargetedTokenError {
    TargetedTokenError::Unavailable { is_ambiguous: source.may_have_acted(), retry_after, source }
}

#[cfg(test)]
mod tests;
