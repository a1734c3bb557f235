//! The keys of Key Vault: two versions of one secret for cookies, two of another for records, followed as they rotate.
//!
//! One task loads; requests that miss a key ask it and wait. A vault that is down takes no key away, a version that is
//! disabled opens nothing after the next load.

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

/// How long a request waits for a load.
const PATIENCE: Duration = Duration::from_secs(5);

/// A key that nobody has asks for a load at most so often: anyone can make up a name.
const PAUSE: Duration = Duration::from_secs(30);

/// While there are no keys, the vault is asked again after a second, then after twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// What the keys are called in the vault, and how fast a rotation spreads.
#[derive(Clone, Debug)]
pub struct KeyVaultKeysSettings {
    /// The secret whose versions seal cookies (`COOKIE_KEY_NAME`).
    pub cookie_key_name: String,
    /// The secret whose versions seal records (`TOKEN_KEY_NAME`).
    pub token_key_name: String,
    /// How often the versions are looked at (`KEY_RELOAD_INTERVAL`).
    pub reload_interval: Duration,
    /// How old a version is before it seals (`KEY_ACTIVATION_DELAY`); longer than the interval.
    pub activation_delay: Duration,
}

/// Keys that follow their vault. [`KeySource::follow`] must run for any of it to work.
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

/// When the vault was last seen whole, and what is in its way since.
struct Looked {
    at: Option<Instant>,
    failure: Option<KeysUnavailable>,
}

/// The keys in hand for one purpose.
struct Held(RwLock<(Arc<KeyRing>, Result<(), KeysUnavailable>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    is_loading: bool,
    finished: u64,
}

/// A load that failed, of one secret or of both.
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
    /// The keys of these names in `vault`. Asks for nothing yet.
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
        // At once: one after the other, a vault out of reach takes longer to report than a request waits.
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

    /// The loaded rings, unless they share a key; a secret that wasn't loaded counts with the ring in use.
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

    /// Whether no key can be sealing that we don't know: one that came after our last look doesn't seal yet.
    fn know_every_key(&self) -> Result<(), KeysUnavailable> {
        let looked = self.looked();
        if looked.at.is_some_and(|at| at.elapsed() < self.settings.activation_delay) {
            return Ok(());
        }
        Err(looked.failure.clone().unwrap_or_else(|| KeysUnavailable(Arc::new(NoKeys::NotYet))))
    }

    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if a request may ask for a load now.
    fn may_ask(&self) -> bool {
        let pause = if self.is_ready().is_ok() { PAUSE } else { FIRST_RETRY };
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
            if timeout(PATIENCE, landed).await.is_err() {
                return self.know_every_key().map_err(|_| KeysUnavailable(Arc::new(AccessError::Timeout)));
            }
        }
        self.know_every_key()
    }

    async fn follow(&self) {
        let mut retry = FIRST_RETRY;
        loop {
            self.load().await;
            let pause = if self.is_ready().is_ok() { self.settings.reload_interval } else { retry };
            retry = if self.is_ready().is_ok() { FIRST_RETRY } else { (retry * 2).min(LONGEST_RETRY) };
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

    /// What the vault said becomes what is in hand, unless it said nothing.
    ///
    /// # Errors
    /// When it said nothing, or that there is no key.
    fn take(&self, fetched: Result<KeyRing, NoKeys>, name: &str) -> Result<(), KeysUnavailable> {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(ring) => {
                if held.1.is_err() || held.0.sealing().0 != ring.sealing().0 {
                    tracing::info!(key.name = name, key.id = ring.sealing().0.as_str(), "a key seals from now on");
                }
                *held = (Arc::new(ring), Ok(()));
                Ok(())
            }
            // The operator pulled every version: what was sealed stays shut, as was meant.
            Err(error @ NoKeys::NoActiveVersion(_)) => {
                tracing::error!(key.name = name, %error, "there is no key any more");
                let none = KeysUnavailable(Arc::new(error));
                *held = (Arc::new(KeyRing::generate()), Err(none.clone()));
                Err(none)
            }
            // An operator must act on it, but what was sealed before is still as safe as it was.
            Err(error @ (NoKeys::SameBytes(_) | NoKeys::SharedKey { .. })) => {
                tracing::error!(key.name = name, %error, are_kept = held.1.is_ok(), "keys were refused");
                Err(keep(&mut held.1, error))
            }
            Err(error @ (NoKeys::Access(..) | NoKeys::NotYet)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(key.name = name, %error, cause, are_kept = held.1.is_ok(), "keys could not be loaded");
                Err(keep(&mut held.1, error))
            }
        }
    }
}

/// Keys in use survive a failed load; without any, its error is the state.
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
