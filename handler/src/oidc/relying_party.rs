//! Relying party: one worker's client of the Provider.
//!
//! Signing in is here; refresh, revocation and logout are in the files of their nouns.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::group_overage::request_groups;
use super::http::Http;
use super::id_token::IdTokenVerifier;
use super::provider_cache::RefetchCause;
use super::{
    AuthorizationRequest, AuthorizationResponse, Claims, IdTokenError, Issuer, JwtError, LoginError, LoginHints,
    PendingLogin, PersonClaims, ProviderCache, ProviderError, ProviderMetadata, RefreshToken, RelyingPartySettings,
    Scope, TokenResponse,
};
use crate::clock::Timestamp;
use crate::egress::Egress;

/// Timeout of the revocation after a failed sign-in, which the person waits for.
const UNUSED_REVOCATION: Duration = Duration::from_secs(2);

/// Client of the Provider for one worker; metadata and keys are shared by all workers. Needs an actix system to run in.
#[derive(Clone)]
pub struct RelyingParty {
    settings: Arc<RelyingPartySettings>,
    /// Metadata and keys.
    pub(super) issuer: Issuer,
    pub(super) connections: Connections,
}

/// Connections by purpose, so that none waits for another: anyone can invent a code, and its exchange must not delay a
/// refresh.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) sign_in: Http,
    pub(super) refresh: Http,
    /// For routes' tokens: a Provider that hangs for one of them must not keep a session from its refresh.
    pub(super) targets: Http,
    pub(super) revocation: Http,
}

/// Result of a sign-in.
#[derive(Debug)]
pub struct CompletedLogin {
    /// The tokens.
    pub tokens: TokenResponse,
    /// The claims of the ID token and of UserInfo.
    pub claims: PersonClaims,
}

impl RelyingParty {
    /// A relying party for one worker.
    #[must_use]
    pub fn new(settings: Arc<RelyingPartySettings>, cache: Arc<ProviderCache>, egress: &Egress) -> Self {
        let issuer = Issuer::new(&settings.issuer, cache, egress);
        let issuer = issuer.with_metadata_url(settings.dialect.metadata_url.as_deref());
        Self { settings, connections: Connections::over(&issuer.http), issuer }
    }

    /// A relying party over scripted HTTP, for simulations in virtual time.
    #[cfg(test)]
    pub(crate) fn scripted(
        settings: Arc<RelyingPartySettings>,
        cache: Arc<ProviderCache>,
        wire: super::ScriptedWire,
    ) -> Self {
        let issuer = Issuer::scripted(&settings.issuer, cache, wire);
        let issuer = issuer.with_metadata_url(settings.dialect.metadata_url.as_deref());
        Self { settings, connections: Connections::over(&issuer.http), issuer }
    }

    /// The same relying party with a shorter timeout, for tests of a silent Provider.
    #[cfg(test)]
    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        let issuer = self.issuer.with_timeout(timeout);
        Self { settings: self.settings, connections: Connections::over(&issuer.http), issuer }
    }

    /// The same relying party with trusted audiences beside itself.
    #[cfg(test)]
    pub(super) fn trusting(self, audiences: &[&str]) -> Self {
        let trusted_audiences = audiences.iter().map(|audience| (*audience).to_owned()).collect();
        Self { settings: Arc::new(RelyingPartySettings { trusted_audiences, ..(*self.settings).clone() }), ..self }
    }

    /// The settings of this relying party.
    #[must_use]
    pub fn settings(&self) -> &RelyingPartySettings {
        &self.settings
    }

    /// Begins a sign-in that returns to `return_url`.
    ///
    /// # Errors
    /// If the Provider's metadata cannot be fetched, or a pushed request gets no reference.
    pub async fn begin_login(
        &self,
        return_url: &str,
        hints: &LoginHints,
        now: Timestamp,
    ) -> Result<(AuthorizationRequest, PendingLogin), ProviderError> {
        let metadata = self.issuer.metadata(now).await?;
        let (request, pending) = AuthorizationRequest::begin(return_url, hints, &self.settings, &metadata, now);
        if !self.settings.dialect.pushed_authorization_requests.applies(&metadata) {
            return Ok((request, pending));
        }
        Ok((self.push(request, &metadata, now).await?, pending))
    }

    /// Completes a sign-in: checks the response, exchanges the code, verifies the ID token, requests UserInfo.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn complete_login(
        &self,
        response: AuthorizationResponse,
        pending: &PendingLogin,
        now: Timestamp,
    ) -> Result<CompletedLogin, LoginError> {
        let metadata = self.issuer.metadata(now).await?;
        let code = response.check(pending, &metadata, now)?;
        // Before the code is used: without keys its ID token could not be verified.
        self.issuer.keys(&metadata, now).await?;
        let tokens = match self.exchange(&code, pending, &metadata, now).await {
            Ok(tokens) => tokens,
            Err(error) => {
                if let LoginError::Tokens(error) = &error {
                    self.revoke_unused(error.refresh_token(), now).await;
                }
                return Err(error);
            }
        };
        match self.identify(&tokens, pending, &metadata, now).await {
            Ok(claims) => Ok(CompletedLogin { tokens, claims }),
            Err(error) => {
                self.revoke_unused(tokens.refresh_token.as_ref(), now).await;
                Err(error)
            }
        }
    }

    /// Claims of the person, from the verified ID token and UserInfo.
    async fn identify(
        &self,
        tokens: &TokenResponse,
        pending: &PendingLogin,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<PersonClaims, LoginError> {
        let aliases = self.settings.dialect.claim_aliases;
        let id_token = self.verify(tokens, pending, metadata, now).await?;
        let mut claims = PersonClaims::from(id_token.with_aliases(aliases));
        if self.settings.userinfo {
            let http = &self.connections.sign_in;
            let userinfo = self.userinfo(http, claims.subject(), &tokens.access_token, metadata, now).await?;
            claims.replace_userinfo(userinfo.with_aliases(aliases));
        }
        if claims.has_group_overage() {
            let overage = &self.settings.group_overage;
            let groups = request_groups(&self.connections.sign_in, overage, &tokens.access_token, None);
            claims.replace_groups(groups.await);
        }
        Ok(claims)
    }

    /// Revokes the refresh token of a sign-in that failed after its code exchange. The person waits, so the timeout is
    /// short.
    async fn revoke_unused(&self, refresh_token: Option<&RefreshToken>, now: Timestamp) {
        let Some(refresh_token) = refresh_token else { return };
        let revoked = tokio::time::timeout(UNUSED_REVOCATION, self.revoke(refresh_token, now)).await;
        if !matches!(revoked, Ok(Ok(()))) {
            tracing::warn!("revocation failed: refresh token of a failed sign-in stays valid at the provider");
        }
    }

    /// Fetches metadata and keys unless they are cached: a sign-in needs nothing else.
    ///
    /// # Errors
    /// If they cannot be fetched, no key is usable, or the Provider lacks an endpoint that the settings need.
    pub async fn is_ready(&self, now: Timestamp) -> Result<(), ProviderError> {
        let metadata = self.issuer.metadata(now).await?;
        if self.settings.userinfo && metadata.userinfo_endpoint.is_none() {
            return Err(ProviderError::EndpointMissing("userinfo_endpoint"));
        }
        let is_pushed = self.settings.dialect.pushed_authorization_requests.applies(&metadata);
        if is_pushed && metadata.pushed_authorization_request_endpoint.is_none() {
            return Err(ProviderError::EndpointMissing("pushed_authorization_request_endpoint"));
        }
        self.issuer.is_ready(now).await
    }

    /// The Provider's clock, from `Date` of a response, if sent. Sends a request.
    ///
    /// # Errors
    /// If the Provider does not respond.
    pub async fn provider_time(&self) -> Result<Option<Timestamp>, ProviderError> {
        self.issuer.provider_time().await
    }

    /// Exchanges the code (RFC 6749 4.1.3) with its verifier (RFC 7636 4.5).
    async fn exchange(
        &self,
        code: &str,
        pending: &PendingLogin,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<TokenResponse, LoginError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.settings.registration.redirect_uri),
            ("code_verifier", pending.code_verifier()),
        ];
        form.extend(self.settings.dialect.token_parameters.pairs());
        let tokens = self.request_tokens(&self.connections.sign_in, &form, &|| true, metadata, now).await?;
        let scope = tokens.scope.filter(|_| !self.settings.dialect.scope_is_of_access_token);
        let scope = Scope::granted(scope, &self.settings.registration.scopes);
        Ok(TokenResponse { scope, ..tokens })
    }

    async fn verify(
        &self,
        tokens: &TokenResponse,
        pending: &PendingLogin,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Claims, LoginError> {
        let id_token = tokens.id_token.as_deref().ok_or(IdTokenError::Token(JwtError::Malformed))?; // OIDC Core 3.1.3.3
        let verified = self.verify_for_client(id_token, None, RefetchCause::Response, metadata, now).await?;
        let verified = verified.map_err(IdTokenError::Token)?;
        Ok(self.verifier().verify(verified, tokens.access_token.expose(), pending, now)?)
    }

    pub(super) fn verifier(&self) -> IdTokenVerifier<'_> {
        IdTokenVerifier {
            issuer: &self.settings.issuer,
            client_id: &self.settings.registration.client_id,
            trusted_audiences: &self.settings.trusted_audiences,
        }
    }
}

impl Connections {
    fn over(http: &Http) -> Self {
        Self {
            sign_in: http.with_own_connections(),
            refresh: http.with_own_connections(),
            targets: http.with_own_connections(),
            revocation: http.with_own_connections(),
        }
    }
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
