//! The relying party: one worker's conversation with the Provider.
//!
//! Signing in is here; refresh, revocation, UserInfo and logout are verbs of it in the files of their nouns.

use std::fmt;
use std::sync::Arc;

use super::http::Http;
use super::{
    AuthorizationRequest, AuthorizationResponse, Claims, ClientAuthentication, ClientRegistration, IdTokenError,
    IdTokenVerifier, LoginError, LoginHints, PendingLogin, ProviderCache, ProviderError, ProviderMetadata,
    TokenResponse, VerificationKeys,
};
use crate::clock::Timestamp;

/// What a relying party must be told.
#[derive(Clone, Debug)]
pub struct RelyingPartySettings {
    /// The issuer, exactly as it names itself.
    pub issuer: String,
    /// What the Provider knows us by.
    pub registration: ClientRegistration,
    /// How we prove it.
    pub authentication: ClientAuthentication,
    /// True if UserInfo is asked at sign-in and after a refresh.
    pub userinfo: bool,
}

/// A worker's view of the Provider; what it learns of it is shared by all workers. Needs an actix system to run in.
#[derive(Clone)]
pub struct RelyingParty {
    settings: Arc<RelyingPartySettings>,
    cache: Arc<ProviderCache>,
    pub(super) http: Http,
}

/// What a finished sign-in yields.
#[derive(Debug)]
pub struct CompletedLogin {
    /// The tokens.
    pub tokens: TokenResponse,
    /// Who it is.
    pub claims: Claims,
}

impl RelyingParty {
    /// A relying party for one worker.
    #[must_use]
    pub fn new(settings: Arc<RelyingPartySettings>, cache: Arc<ProviderCache>, tls: Arc<rustls::ClientConfig>) -> Self {
        Self { settings, cache, http: Http::new(&tls) }
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
        let metadata = self.metadata(now).await?;
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
        let metadata = self.metadata(now).await?;
        let code = response.check(pending, &metadata, now)?;
        let tokens = self.exchange(&code, pending, &metadata, now).await?;
        let mut claims = self.verify(&tokens, pending, &metadata, now).await?;
        if self.settings.userinfo {
            self.add_userinfo(&mut claims, &tokens.access_token, &metadata).await?;
        }
        Ok(CompletedLogin { tokens, claims })
    }

    /// Fetches the metadata and the keys, unless they are here: nothing else is needed for a sign-in.
    ///
    /// # Errors
    /// When they cannot be had, or when the Provider lacks an endpoint that the settings need.
    pub async fn is_ready(&self, now: Timestamp) -> Result<(), ProviderError> {
        let metadata = self.metadata(now).await?;
        if self.settings.userinfo && metadata.userinfo_endpoint.is_none() {
            return Err(ProviderError::EndpointMissing("userinfo_endpoint"));
        }
        self.keys(&metadata, now).await.map(drop)
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
        Ok(self.request_tokens(&form, metadata, now).await?)
    }

    async fn verify(
        &self,
        tokens: &TokenResponse,
        pending: &PendingLogin,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Claims, LoginError> {
        let id_token = tokens.id_token.as_deref().ok_or(IdTokenError::Malformed)?; // OIDC Core 3.1.3.3
        let access_token = tokens.access_token.expose();
        let verify = |keys: &_| self.verifier(keys).verify(id_token, access_token, pending, now);
        let keys = self.keys(metadata, now).await?;
        match verify(&keys) {
            Err(error) if error.may_be_rotation() => match self.newer_keys(&keys, metadata, now).await {
                Some(newer) => Ok(verify(&newer)?),
                None => Err(error.into()),
            },
            verified => Ok(verified?),
        }
    }

    pub(super) fn verifier<'a>(&'a self, keys: &'a VerificationKeys) -> IdTokenVerifier<'a> {
        IdTokenVerifier { keys, issuer: &self.settings.issuer, client_id: &self.settings.registration.client_id }
    }

    pub(super) async fn metadata(&self, now: Timestamp) -> Result<Arc<ProviderMetadata>, ProviderError> {
        if let Some(outcome) = self.cache.metadata.at_hand(now) {
            return outcome;
        }
        let party = self.clone();
        let load = async move { party.cache.metadata.load(now, party.fetch_metadata()).await };
        to_its_end(load).await.unwrap_or(Err(ProviderError::NoAnswer))
    }

    pub(super) async fn keys(
        &self,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Arc<VerificationKeys>, ProviderError> {
        if let Some(outcome) = self.cache.keys.at_hand(now) {
            return outcome;
        }
        let (party, jwks_uri) = (self.clone(), metadata.jwks_uri.clone());
        let load = async move { party.cache.keys.load(now, party.fetch_keys(jwks_uri.as_str())).await };
        to_its_end(load).await.unwrap_or(Err(ProviderError::NoAnswer))
    }

    /// The Provider's keys, if there are others than `known`; asked at most once a minute.
    pub(super) async fn newer_keys(
        &self,
        known: &Arc<VerificationKeys>,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Option<Arc<VerificationKeys>> {
        let (party, known, jwks_uri) = (self.clone(), Arc::clone(known), metadata.jwks_uri.clone());
        let seek = async move { party.cache.keys.seek(&known, now, party.fetch_keys(jwks_uri.as_str())).await };
        to_its_end(seek).await.flatten()
    }

    async fn fetch_metadata(&self) -> Result<ProviderMetadata, ProviderError> {
        let document = self.http.get(&ProviderMetadata::url_for(&self.settings.issuer), None).await?.ok()?;
        Ok(ProviderMetadata::parse(&document, &self.settings.issuer)?)
    }

    async fn fetch_keys(&self, jwks_uri: &str) -> Result<VerificationKeys, ProviderError> {
        Ok(VerificationKeys::parse(&self.http.get(jwks_uri, None).await?.ok()?)?)
    }
}

/// Runs a fetch for all workers in a task of its own: a browser that goes away ends the wait, not the fetch, and so
/// cannot make us start one after the other. `None` if the task was ended with its worker.
async fn to_its_end<T: 'static>(fetch: impl Future<Output = T> + 'static) -> Option<T> {
    tokio::task::spawn_local(fetch).await.ok()
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
