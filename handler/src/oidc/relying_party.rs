//! The relying party: one worker's conversation with the Provider.
//!
//! Signing in is here; refresh, revocation and logout are verbs of it in the files of their nouns.

use std::fmt;
use std::sync::Arc;

use super::group_overage::request_groups;
use super::http::Http;
use super::id_token::IdTokenVerifier;
use super::userinfo::request_userinfo;
use super::{
    AuthorizationRequest, AuthorizationResponse, Claims, ClientAuthentication, ClientRegistration, GroupOverage,
    IdTokenError, Issuer, JwtError, LoginError, LoginHints, PendingLogin, PersonClaims, ProviderCache, ProviderError,
    ProviderMetadata, TokenResponse,
};
use crate::clock::Timestamp;

/// The settings of a relying party.
#[derive(Clone, Debug)]
pub struct RelyingPartySettings {
    /// The issuer, exactly as it names itself.
    pub issuer: String,
    /// Our registration at the Provider.
    pub registration: ClientRegistration,
    /// Our client authentication.
    pub authentication: ClientAuthentication,
    /// True if UserInfo is asked at sign-in and after a refresh.
    pub userinfo: bool,
    /// The groups of a person whose ID token only refers to them.
    pub group_overage: GroupOverage,
}

/// A worker's view of the Provider; metadata and keys are shared by all workers. Needs an actix system to run in.
#[derive(Clone)]
pub struct RelyingParty {
    settings: Arc<RelyingPartySettings>,
    /// Metadata and keys.
    pub(super) issuer: Issuer,
    pub(super) connections: Connections,
}

/// The connections of each purpose, so that none waits for another: made-up codes cost a browser nothing, and their
/// exchanges must delay nobody's refresh.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) sign_in: Http,
    pub(super) refresh: Http,
    pub(super) revocation: Http,
}

/// The result of a sign-in.
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
    pub fn new(settings: Arc<RelyingPartySettings>, cache: Arc<ProviderCache>, tls: Arc<rustls::ClientConfig>) -> Self {
        let issuer = Issuer::new(&settings.issuer, cache, &tls);
        Self { settings, connections: Connections::over(&issuer.http), issuer }
    }

    /// A relying party over a scripted wire, for simulations in virtual time.
    #[cfg(test)]
    pub(crate) fn scripted(
        settings: Arc<RelyingPartySettings>,
        cache: Arc<ProviderCache>,
        wire: super::ScriptedWire,
    ) -> Self {
        let issuer = Issuer::scripted(&settings.issuer, cache, wire);
        Self { settings, connections: Connections::over(&issuer.http), issuer }
    }

    /// The same relying party with a shorter timeout, for tests of silence.
    #[cfg(test)]
    pub(super) fn with_timeout(self, timeout: std::time::Duration) -> Self {
        let issuer = self.issuer.with_timeout(timeout);
        Self { settings: self.settings, connections: Connections::over(&issuer.http), issuer }
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &RelyingPartySettings {
        &self.settings
    }

    /// Begins a sign-in that returns to `return_url`.
    ///
    /// # Errors
    /// When the Provider's metadata cannot be had.
    pub async fn begin_login(
        &self,
        return_url: &str,
        hints: &LoginHints,
        now: Timestamp,
    ) -> Result<(AuthorizationRequest, PendingLogin), ProviderError> {
        let metadata = self.issuer.metadata(now).await?;
        Ok(AuthorizationRequest::begin(return_url, hints, &self.settings.registration, &metadata, now))
    }

    /// Finishes a sign-in: check the response, exchange the code, verify the ID token, ask UserInfo.
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
        let tokens = self.exchange(&code, pending, &metadata, now).await?;
        let mut claims = PersonClaims::from(self.verify(&tokens, pending, &metadata, now).await?);
        if self.settings.userinfo {
            let http = &self.connections.sign_in;
            claims.replace_userinfo(request_userinfo(http, claims.subject(), &tokens.access_token, &metadata).await?);
        }
        if claims.has_group_overage() {
            let overage = &self.settings.group_overage;
            let groups = request_groups(&self.connections.sign_in, overage, &tokens.access_token, None);
            claims.replace_groups(groups.await);
        }
        Ok(CompletedLogin { tokens, claims })
    }

    /// Fetches the metadata and the keys, unless they are here: nothing else is needed for a sign-in.
    ///
    /// # Errors
    /// When they cannot be had, or when the Provider lacks an endpoint that the settings need.
    pub async fn is_ready(&self, now: Timestamp) -> Result<(), ProviderError> {
        let metadata = self.issuer.metadata(now).await?;
        if self.settings.userinfo && metadata.userinfo_endpoint.is_none() {
            return Err(ProviderError::EndpointMissing("userinfo_endpoint"));
        }
        self.issuer.keys(&metadata, now).await.map(drop)
    }

    /// RFC 6749 4.1.3 with the verifier of RFC 7636 4.5.
    async fn exchange(
        &self,
        code: &str,
        pending: &PendingLogin,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<TokenResponse, LoginError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.settings.registration.redirect_uri),
            ("code_verifier", pending.code_verifier()),
        ];
        Ok(self.request_tokens(&self.connections.sign_in, &form, &|| true, metadata, now).await?)
    }

    async fn verify(
        &self,
        tokens: &TokenResponse,
        pending: &PendingLogin,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Claims, LoginError> {
        let id_token = tokens.id_token.as_deref().ok_or(IdTokenError::Token(JwtError::Malformed))?; // OIDC Core 3.1.3.3
        let verified = self.issuer.verify_with_current_keys(id_token, None, metadata, now).await?;
        let verified = verified.map_err(IdTokenError::Token)?;
        Ok(self.verifier().verify(verified, tokens.access_token.expose(), pending, now)?)
    }

    pub(super) fn verifier(&self) -> IdTokenVerifier<'_> {
        IdTokenVerifier { issuer: &self.settings.issuer, client_id: &self.settings.registration.client_id }
    }
}

impl Connections {
    fn over(http: &Http) -> Self {
        Self {
            sign_in: http.with_own_connections(),
            refresh: http.with_own_connections(),
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
