//! Keys from Key Vault: two versions of one secret for cookies, two of another for records, reloaded as they rotate.
//!
//! One task loads; requests that miss a key ask it and wait. A vault that is down removes no key; a disabled version
//! opens nothing after the next load.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::key_versions::choose;
use super::{AccessError, KeyVault};
use crate::clock::Clock;
use crate::crypto::{KeyError, KeyRing, KeySource, KeysUnavailable};
use crate::telemetry::metrics;

/// Maximum wait of a request for a load.
const LOAD_WAIT: Duration = Duration::from_secs(5);

/// Minimum interval between loads for an unknown key: anyone can invent a key's name.
const MIN_LOAD_INTERVAL: Duration = Duration::from_secs(30);

/// First retry delay while no keys are loaded; each next delay is twice as long.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// Names of the two secrets in the vault, and the timing of rotation.
#[derive(Clone, Debug)]
pub struct KeyVaultKeysSettings {
    /// Name of the secret whose versions seal cookies (`COOKIE_KEY_NAME`).
    pub cookie_key_name: String,
    /// Name of the secret whose versions seal records (`TOKEN_KEY_NAME`).
    pub token_key_name: String,
    /// Interval between reloads (`KEY_RELOAD_INTERVAL`).
    pub reload_interval: Duration,
    /// Age at which a version begins to seal (`KEY_ACTIVATION_DELAY`); longer than the interval.
    pub activation_delay: Duration,
}

/// Key source that follows a vault. Loads nothing unless [`KeySource::follow`] runs.
pub struct KeyVaultKeys {
    vault: KeyVault,
    settings: KeyVaultKeysSettings,
    clock: Arc<dyn Clock>,
    cookie: Held,
    token: Held,
    progress: watch::Sender<Progress>,
    wanted: Notify,
    asked_at: Mutex<Option<Instant>>,
    looked: Mutex<Looked>,
}

/// Time of the last complete load, and the error since.
struct Looked {
    at: Option<Instant>,
    failure: Option<KeysUnavailable>,
}

/// Key ring of one purpose, and its state.
struct Held(RwLock<(Arc<KeyRing>, Result<(), KeysUnavailable>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    is_loading: bool,
    finished: u64,
}

/// Failed load of one secret or of both.
#[derive(Debug, thiserror::Error)]
enum NoKeys {
    #[error("the vault was not asked yet")]
    NotYet,
    #[error("the vault's secret {0}")]
    Access(String, #[source] AccessError),
    #[error("the vault's secret {0} has no version that is enabled and active")]
    NoActiveVersion(String),
    #[error("two versions of the vault's secret {0} have the same bytes")]
    SameBytes(String),
    #[error("the vault's secrets {cookie} and {token} share a key")]
    SharedKey { cookie: String, token: String },
}

impl KeyVaultKeys {
    /// Key source over `vault`. Sends no request yet.
    #[must_use]
    pub fn new(vault: KeyVault, settings: KeyVaultKeysSettings, clock: Arc<dyn Clock>) -> Self {
        let (progress, _) = watch::channel(Progress { is_loading: true, finished: 0 });
        Self {
            vault,
            settings,
            clock,
            cookie: Held::none(),
            token: Held::none(),
            progress,
            wanted: Notify::new(),
            asked_at: Mutex::new(None),
            looked: Mutex::new(Looked { at: None, failure: None }),
        }
    }

    async fn load(&self) {
        self.progress.send_modify(|progress| progress.is_loading = true);
        let begun = Instant::now();
        let KeyVaultKeysSettings { cookie_key_name, token_key_name, .. } = &self.settings;
        // Both at once: sequential loads from an unreachable vault would outlast a request's wait.
        let cookie_in_use = self.cookie.ring();
        let token_in_use = self.token.ring();
        let cookie = self.fetch("cookie", cookie_key_name, &cookie_in_use);
        let token = self.fetch("token", token_key_name, &token_in_use);
        let (cookie, token) = join(cookie, token).await;
        let (cookie, token) = self.refuse_shared_key(cookie, token);
        let cookie = self.cookie.take(cookie, cookie_key_name);
        let token = self.token.take(token, token_key_name);
        let outcome = cookie.and(token);
        let mut looked = self.looked();
        looked.failure = outcome.err();
        if looked.failure.is_none() {
            looked.at = Some(begun);
        }
        drop(looked);
        self.progress.send_modify(|progress| {
            progress.is_loading = false;
            progress.finished += 1;
        });
    }

    async fn fetch(&self, purpose: &'static str, name: &str, in_hand: &KeyRing) -> Result<KeyRing, NoKeys> {
        let failed = |error| NoKeys::Access(name.to_owned(), error);
        let versions = self.vault.versions(name).await.map_err(failed)?;
        let (mut keys, now) = (Vec::new(), self.clock.now());
        let chosen = choose(versions, self.settings.activation_delay, now);
        if let Some(sealing) = chosen.first() {
            let expires_in = sealing.expires.map(|expires| expires.since(now));
            metrics::key(purpose, now.since(sealing.created), expires_in);
        }
        for version in chosen {
            let key = match in_hand.find(version.kid.as_str()) {
                Some((_, key)) => key.clone(),
                None => self.vault.key(name, &version.kid).await.map_err(failed)?,
            };
            keys.push((version.kid, key));
        }
        KeyRing::new(keys).map_err(|error| match error {
            KeyError::SameBytes => NoKeys::SameBytes(name.to_owned()),
            KeyError::Count { .. } | KeyError::Duplicate | KeyError::Id | KeyError::Length { .. } => {
                NoKeys::NoActiveVersion(name.to_owned())
            }
        })
    }

    /// Refuses two rings that share a key; a secret that wasn't loaded counts with its current ring.
    fn refuse_shared_key(
        &self,
        cookie: Result<KeyRing, NoKeys>,
        token: Result<KeyRing, NoKeys>,
    ) -> (Result<KeyRing, NoKeys>, Result<KeyRing, NoKeys>) {
        let cookie_in_use = self.cookie.ring();
        let token_in_use = self.token.ring();
        let cookie_ring = cookie.as_ref().unwrap_or(&cookie_in_use);
        let token_ring = token.as_ref().unwrap_or(&token_in_use);
        if !cookie_ring.shares_a_key_with(token_ring) {
            return (cookie, token);
        }
        let KeyVaultKeysSettings { cookie_key_name, token_key_name, .. } = &self.settings;
        let shared = |_| Err(NoKeys::SharedKey { cookie: cookie_key_name.clone(), token: token_key_name.clone() });
        (cookie.and_then(shared), token.and_then(shared))
    }

    /// `Ok` while the last complete load is younger than the activation delay: a newer version cannot be sealing yet.
    fn ensure_key_list_current(&self) -> Result<(), KeysUnavailable> {
        let looked = self.looked();
        if looked.at.is_some_and(|at| at.elapsed() < self.settings.activation_delay) {
            return Ok(());
        }
        Err(looked.failure.clone().unwrap_or_else(|| KeysUnavailable(Arc::new(NoKeys::NotYet))))
    }

    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if a request may start a load now.
    fn may_ask(&self) -> bool {
        let pause = if self.is_ready().is_ok() { MIN_LOAD_INTERVAL } else { FIRST_RETRY_DELAY };
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = asked_at.is_none_or(|asked_at| asked_at.elapsed() >= pause);
        if is_due {
            *asked_at = Some(Instant::now());
        }
        is_due
    }
}

#[async_trait]
impl KeySource for KeyVaultKeys {
    fn cookie_keys(&self) -> Arc<KeyRing> {
        self.cookie.ring()
    }

    fn token_keys(&self) -> Arc<KeyRing> {
        self.token.ring()
    }

    fn is_ready(&self) -> Result<(), KeysUnavailable> {
        self.cookie.state().and_then(|()| self.token.state())
    }

    async fn reload(&self) -> Result<(), KeysUnavailable> {
        let mut progress = self.progress.subscribe();
        let before = *progress.borrow_and_update();
        if before.is_loading || self.may_ask() {
            if !before.is_loading {
                self.wanted.notify_one();
            }
            let landed = progress.wait_for(|progress| progress.finished > before.finished);
            if timeout(LOAD_WAIT, landed).await.is_err() {
                return self.ensure_key_list_current().map_err(|_| KeysUnavailable(Arc::new(AccessError::Timeout)));
            }
        }
        self.ensure_key_list_current()
    }

    async fn follow(&self) {
        let mut retry = FIRST_RETRY_DELAY;
        loop {
            self.load().await;
            let pause = if self.is_ready().is_ok() { self.settings.reload_interval } else { retry };
            retry = if self.is_ready().is_ok() { FIRST_RETRY_DELAY } else { (retry * 2).min(MAX_RETRY_DELAY) };
            let _ = timeout(pause, self.wanted.notified()).await; // whichever comes first
        }
    }
}

impl Held {
    fn none() -> Self {
        Self(RwLock::new((Arc::new(KeyRing::generate()), Err(KeysUnavailable(Arc::new(NoKeys::NotYet))))))
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    fn state(&self) -> Result<(), KeysUnavailable> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Installs the ring from the vault; a failed load leaves the current one.
    ///
    /// # Errors
    /// If the load failed, or the vault has no usable key.
    fn take(&self, fetched: Result<KeyRing, NoKeys>, name: &str) -> Result<(), KeysUnavailable> {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(ring) => {
                if held.1.is_err() || held.0.sealing().0 != ring.sealing().0 {
                    tracing::info!(key.name = name, key.id = ring.sealing().0.as_str(), "sealing key changed");
                }
                *held = (Arc::new(ring), Ok(()));
                Ok(())
            }
            // Every version is disabled or expired: nothing sealed before may open any more.
            Err(error @ NoKeys::NoActiveVersion(_)) => {
                tracing::error!(key.name = name, %error, "keys removed: no active version in the vault");
                let none = KeysUnavailable(Arc::new(error));
                *held = (Arc::new(KeyRing::generate()), Err(none.clone()));
                Err(none)
            }
            // The operator must fix the new versions; values sealed before are as safe as they were.
            Err(error @ (NoKeys::SameBytes(_) | NoKeys::SharedKey { .. })) => {
                tracing::error!(key.name = name, %error, are_kept = held.1.is_ok(), "key load failed: duplicate keys in the vault");
                Err(keep(&mut held.1, error))
            }
            Err(error @ (NoKeys::Access(..) | NoKeys::NotYet)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(key.name = name, %error, cause, are_kept = held.1.is_ok(), "key load failed: vault not readable");
                Err(keep(&mut held.1, error))
            }
        }
    }
}

/// Keeps the current keys after a failed load; without keys, its error becomes the state.
fn keep(state: &mut Result<(), KeysUnavailable>, error: NoKeys) -> KeysUnavailable {
    let unavailable = KeysUnavailable(Arc::new(error));
    if state.is_err() {
        *state = Err(unavailable.clone());
    }
    unavailable
}

impl fmt::Debug for KeyVaultKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVaultKeys").field("vault", &self.vault).field("settings", &self.settings).finish()
    }
}
