//! Token cache of an identity that renews each token in the background before it expires.
//!
//! The library renews a token in its last five minutes while its callers wait behind a lock. An identity endpoint that
//! hangs would stop every call to the store and the vault, although the cached token is still good.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::{Duration as Lifetime, OffsetDateTime};
use tokio::time::{Instant, timeout};

use super::AccessError;
use super::access_error::Source;
use crate::telemetry::Causes;

/// Time before a token's expiry at which its renewal starts. The library returns its cached token until then.
const RENEW_BEFORE: Lifetime = Lifetime::minutes(5);

/// Minimum remaining lifetime of a token in use: the service might read it after its expiry otherwise.
const USABLE_BEFORE: Lifetime = Lifetime::seconds(10);

/// Time budget of one renewal in the background, retries included.
const RENEWAL_BUDGET: Duration = Duration::from_secs(10);

/// Minimum interval between the starts of two renewals. Longer than a renewal, so that two never overlap.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(15);

/// Credential whose callers wait only if no usable token is cached.
pub(super) struct RenewingCredential {
    inner: Arc<dyn TokenCredential>,
    tokens: Arc<Mutex<Vec<KeptToken>>>,
}

struct KeptToken {
    scope: String,
    token: AccessToken,
    next_renewal: Instant,
}

/// The cached token, if it can be used.
enum Cached {
    None,
    Usable(AccessToken),
    /// Usable; the caller must start a renewal.
    Due(AccessToken),
}

impl RenewingCredential {
    pub(super) fn new(inner: Arc<dyn TokenCredential>) -> Self {
        Self { inner, tokens: Arc::default() }
    }

    /// Looks up the cached token. At most one caller in [`RENEWAL_INTERVAL`] gets [`Cached::Due`].
    fn cached(&self, scope: &str, now: OffsetDateTime) -> Cached {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = tokens.iter_mut().find(|kept| kept.scope == scope) else { return Cached::None };
        if kept.token.expires_on <= now + USABLE_BEFORE {
            return Cached::None;
        }
        let started = Instant::now();
        if kept.token.expires_on > now + RENEW_BEFORE || started < kept.next_renewal {
            return Cached::Usable(kept.token.clone());
        }
        kept.next_renewal = started + RENEWAL_INTERVAL;
        Cached::Due(kept.token.clone())
    }

    fn renew_in_background(&self, scope: String) {
        let (inner, tokens) = (Arc::clone(&self.inner), Arc::clone(&self.tokens));
        tokio::spawn(async move {
            match timeout(RENEWAL_BUDGET, inner.get_token(&[&scope], None)).await {
                Ok(Ok(token)) => keep(&tokens, &scope, &token),
                Ok(Err(error)) => {
                    let cause = AccessError::Identity(Source::new(error));
                    tracing::warn!(code = "identity_token_unrenewed", cause = %Causes(&cause), "identity token not renewed: the current one stays in use");
                }
                Err(_) => {
                    tracing::warn!(
                        code = "identity_token_unrenewed",
                        cause = "no response in time",
                        "identity token not renewed: the current one stays in use"
                    );
                }
            }
        });
    }
}

fn keep(tokens: &Mutex<Vec<KeptToken>>, scope: &str, token: &AccessToken) {
    let mut tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
    match tokens.iter_mut().find(|kept| kept.scope == scope) {
        // The interval stays: an endpoint may return the same token until its last minute.
        Some(kept) => kept.token = token.clone(),
        None => {
            let (scope, token) = (scope.to_owned(), token.clone());
            tokens.push(KeptToken { scope, token, next_renewal: Instant::now() });
        }
    }
}

#[async_trait]
impl TokenCredential for RenewingCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        // Every client here requests exactly one scope.
        let &[scope] = scopes else { return self.inner.get_token(scopes, options).await };
        match self.cached(scope, OffsetDateTime::now_utc()) {
            Cached::Usable(token) => Ok(token),
            Cached::Due(token) => {
                self.renew_in_background(scope.to_owned());
                Ok(token)
            }
            Cached::None => {
                let token = self.inner.get_token(scopes, options).await?;
                keep(&self.tokens, scope, &token);
                Ok(token)
            }
        }
    }
}

impl fmt::Debug for RenewingCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RenewingCredential(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azure_core::credentials::Secret;
    use azure_core::error::ErrorKind;
    use tokio::sync::Notify;

    use super::*;

    const SCOPE: &str = "https://vault.example/.default";

    /// Issues numbered tokens; calls after the first hang or fail until it recovers.
    #[derive(Debug)]
    struct Endpoint {
        lifetime: Lifetime,
        calls: AtomicUsize,
        called: Notify,
        later: Later,
        recovered: Notify,
    }

    #[derive(Debug, PartialEq)]
    enum Later {
        Well,
        Fails,
        Hangs,
    }

    #[async_trait]
    impl TokenCredential for Endpoint {
        async fn get_token(
            &self,
            _scopes: &[&str],
            _options: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            self.called.notify_one();
            match self.later {
                Later::Fails if call > 1 => {
                    return Err(azure_core::Error::with_message(ErrorKind::Credential, "no".to_owned()));
                }
                Later::Hangs if call > 1 => self.recovered.notified().await,
                Later::Well | Later::Fails | Later::Hangs => {}
            }
            Ok(AccessToken::new(Secret::new(format!("token-{call}")), OffsetDateTime::now_utc() + self.lifetime))
        }
    }

    fn endpoint(lifetime: Lifetime, later: Later) -> (Arc<Endpoint>, RenewingCredential) {
        let endpoint = Arc::new(Endpoint {
            lifetime,
            calls: AtomicUsize::new(0),
            called: Notify::new(),
            later,
            recovered: Notify::new(),
        });
        let credential = RenewingCredential::new(Arc::clone(&endpoint) as _);
        (endpoint, credential)
    }

    async fn token(credential: &RenewingCredential) -> String {
        credential.get_token(&[SCOPE], None).await.unwrap().token.secret().to_owned()
    }

    #[tokio::test]
    async fn a_token_is_asked_for_once_while_it_is_fresh() {
        let (endpoint, credential) = endpoint(Lifetime::hours(1), Later::Well);

        for _ in 0..3 {
            assert_eq!(token(&credential).await, "token-1");
        }

        assert_eq!(endpoint.calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn scopes_do_not_share_a_token() {
        let (_, credential) = endpoint(Lifetime::hours(1), Later::Well);
        assert_eq!(token(&credential).await, "token-1");

        let other = credential.get_token(&["https://cosmos.example/.default"], None).await.unwrap();

        assert_eq!(other.token.secret(), "token-2");
        assert_eq!(token(&credential).await, "token-1");
    }

    #[tokio::test]
    async fn a_token_in_its_last_minutes_is_used_and_renewed_by_one_call() {
        let (endpoint, credential) = endpoint(Lifetime::minutes(4), Later::Hangs);
        token(&credential).await;
        endpoint.called.notified().await;

        for _ in 0..5 {
            assert_eq!(token(&credential).await, "token-1", "nobody waits for an endpoint that hangs");
        }
        endpoint.called.notified().await;
        assert_eq!(endpoint.calls.load(Ordering::SeqCst), 2);

        endpoint.recovered.notify_one();
        while token(&credential).await != "token-2" {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_fails_or_hangs_is_tried_again_after_a_while() {
        for later in [Later::Fails, Later::Hangs] {
            let (endpoint, credential) = endpoint(Lifetime::minutes(4), later);
            token(&credential).await;
            for renewals in 1..4 {
                assert_eq!(token(&credential).await, "token-1");
                tokio::time::advance(RENEWAL_INTERVAL / 2).await;
                tokio::task::yield_now().await;
                assert_eq!(token(&credential).await, "token-1");
                tokio::time::advance(RENEWAL_INTERVAL / 2).await;
                tokio::task::yield_now().await;
                assert_eq!(endpoint.calls.load(Ordering::SeqCst), 1 + renewals, "{:?}", endpoint.later);
            }
        }
    }

    #[tokio::test]
    async fn a_token_that_is_about_to_expire_is_not_used() {
        let (_, credential) = endpoint(Lifetime::seconds(9), Later::Well);
        assert_eq!(token(&credential).await, "token-1");

        assert_eq!(token(&credential).await, "token-2");
    }

    #[tokio::test]
    async fn without_a_usable_token_the_endpoints_error_is_returned() {
        let (_, credential) = endpoint(Lifetime::seconds(9), Later::Fails);
        token(&credential).await;

        assert!(credential.get_token(&[SCOPE], None).await.is_err());
    }

    #[tokio::test]
    async fn several_scopes_at_once_are_passed_on() {
        let (endpoint, credential) = endpoint(Lifetime::hours(1), Later::Well);

        for _ in 0..2 {
            credential.get_token(&["a", "b"], None).await.unwrap();
        }

        assert_eq!(endpoint.calls.load(Ordering::SeqCst), 2);
    }
}
