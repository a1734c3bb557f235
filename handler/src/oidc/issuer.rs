//! Issuer as a worker sees it: metadata and keys, shared by all workers, and the connections to fetch them.

use std::fmt;
use std::sync::Arc;

use super::http::{Http, Response};
use super::jwt::{JwtError, VerifiedJwt, verify_signature};
use super::provider_cache::RefetchCause;
use super::{ProviderCache, ProviderError, ProviderMetadata, VerificationKeys};
use crate::clock::Timestamp;
use crate::egress::Egress;

/// Issuer with its cached documents. Needs an actix system to run in.
#[derive(Clone)]
pub struct Issuer {
    name: Arc<str>,
    metadata_url: Arc<str>,
    cache: Arc<ProviderCache>,
    pub(super) http: Http,
}

impl Issuer {
    /// Issuer with this identifier, for one worker.
    #[must_use]
    pub fn new(name: &str, cache: Arc<ProviderCache>, egress: &Egress) -> Self {
        Self { name: name.into(), metadata_url: ProviderMetadata::url_for(name).into(), cache, http: Http::new(egress) }
    }

    /// The same issuer with its metadata at `url`, if given: the document must still name the issuer.
    pub(super) fn with_metadata_url(self, url: Option<&str>) -> Self {
        let metadata_url = url.map_or(self.metadata_url, Into::into);
        Self { metadata_url, ..self }
    }

    /// Issuer over a scripted wire.
    #[cfg(test)]
    pub(super) fn scripted(name: &str, cache: Arc<ProviderCache>, wire: super::ScriptedWire) -> Self {
        let metadata_url = ProviderMetadata::url_for(name).into();
        Self { name: name.into(), metadata_url, cache, http: Http::scripted(wire) }
    }

    /// The same issuer with a shorter timeout, for tests of a silent Provider.
    #[cfg(test)]
    pub(super) fn with_timeout(self, exchange: std::time::Duration) -> Self {
        Self { http: self.http.with_timeout(exchange), ..self }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Fetches metadata and keys unless they are cached. Keys of which none is usable are fetched again.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub async fn is_ready(&self, now: Timestamp) -> Result<(), ProviderError> {
        let metadata = self.metadata(now).await?;
        let keys = self.keys(&metadata, now).await?;
        let newer = if keys.check_usable().is_ok() {
            None
        } else {
            self.newer_keys(&keys, RefetchCause::Response, &metadata, now).await
        };
        Ok(newer.unwrap_or(keys).check_usable()?)
    }

    /// Verifies a token's signature with the issuer's keys, and once more with newer keys if it may have rotated them.
    ///
    /// # Errors
    /// The outer one if the keys cannot be fetched: the token is neither valid nor invalid then.
    pub(super) async fn verify_with_current_keys(
        &self,
        token: &str,
        explicit_type: Option<&str>,
        cause: RefetchCause,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Result<VerifiedJwt, JwtError>, ProviderError> {
        let keys = self.keys(metadata, now).await?;
        match verify_signature(token, &keys, explicit_type) {
            Err(error) if error.may_be_rotation() => match self.newer_keys(&keys, cause, metadata, now).await {
                Some(newer) => Ok(verify_signature(token, &newer, explicit_type)),
                None => Ok(Err(error)),
            },
            verified => Ok(verified),
        }
    }

    pub(super) async fn metadata(&self, now: Timestamp) -> Result<Arc<ProviderMetadata>, ProviderError> {
        if let Some(outcome) = self.cache.metadata.cached(now) {
            return outcome;
        }
        let issuer = self.clone();
        to_its_end(async move { issuer.cache.metadata.load(now, issuer.fetch_metadata()).await })
            .await
            .unwrap_or(Err(ProviderError::NoResponse))
    }

    pub(super) async fn keys(
        &self,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Arc<VerificationKeys>, ProviderError> {
        if let Some(outcome) = self.cache.keys.cached(now) {
            return outcome;
        }
        let (issuer, jwks_uri) = (self.clone(), metadata.jwks_uri.clone());
        to_its_end(async move { issuer.cache.keys.load(now, issuer.fetch_keys(jwks_uri.as_str())).await })
            .await
            .unwrap_or(Err(ProviderError::NoResponse))
    }

    /// The Provider's keys, if they differ from `known`; fetched at most once a minute.
    pub(super) async fn newer_keys(
        &self,
        known: &Arc<VerificationKeys>,
        cause: RefetchCause,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Option<Arc<VerificationKeys>> {
        let (issuer, known, jwks_uri) = (self.clone(), Arc::clone(known), metadata.jwks_uri.clone());
        to_its_end(
            async move { issuer.cache.keys.refetch(&known, cause, now, issuer.fetch_keys(jwks_uri.as_str())).await },
        )
        .await
        .flatten()
    }

    /// The Provider's clock: `Date` of its metadata's response (RFC 9110 6.6.1), if sent.
    pub(super) async fn provider_time(&self) -> Result<Option<Timestamp>, ProviderError> {
        Ok(self.request_metadata().await?.date)
    }

    async fn request_metadata(&self) -> Result<Response, ProviderError> {
        self.http.get(&self.metadata_url, None).await
    }

    async fn fetch_metadata(&self) -> Result<ProviderMetadata, ProviderError> {
        match self.request_metadata().await? {
            // RFC 9110 15.5: client errors that a retry would get again.
            Response { status: status @ (400 | 401 | 403..=405 | 410), .. } => {
                Err(ProviderError::MetadataMissing(status))
            }
            response => Ok(ProviderMetadata::parse(&response.ok()?, &self.name)?),
        }
    }

    async fn fetch_keys(&self, jwks_uri: &str) -> Result<VerificationKeys, ProviderError> {
        Ok(VerificationKeys::parse(&self.http.get(jwks_uri, None).await?.ok()?)?)
    }
}

/// Runs a fetch for all workers in its own task: a browser that disconnects ends its wait, not the fetch, and so
/// cannot make us start one after the other. `None` if the task was ended with its worker.
///
/// Not an `async fn`, and the caller must not name the fetch: otherwise every request's future would contain it. The
/// task starts at the call.
fn to_its_end<T: 'static>(fetch: impl Future<Output = T> + 'static) -> impl Future<Output = Option<T>> {
    let task = tokio::task::spawn_local(fetch);
    async move { task.await.ok() }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuer").field(&self.name).finish()
    }
}
