//! World of several instances over one store and one Provider, all in memory and in virtual time (`start_paused`).
//!
//! Waiting costs nothing: ten minutes of an outage take milliseconds, in the same order every time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fixture::{START, instance, record_of, relying_party_settings};
use super::virtual_provider::{ISSUER, VirtualProvider};
use crate::clock::{Clock, Timestamp};
use crate::crypto::{KeyRing, KeySource, StaticKeys};
use crate::oidc::{ProviderCache, RelyingParty};
use crate::sessions::{SessionRecord, SessionStore, SessionTicket, Sessions};

/// A clock in virtual time, ahead of or behind the others.
struct VirtualClock {
    started: Instant,
    ahead: i64,
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.started.elapsed().as_secs()).unwrap();
        Timestamp::from_unix(START.as_unix() + elapsed + self.ahead)
    }
}

/// Instance of the handler: one process.
pub(crate) struct Instance {
    pub(crate) sessions: Sessions,
    pub(crate) party: RelyingParty,
    clock: Arc<VirtualClock>,
}

impl Instance {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// All instances and their environment.
pub(crate) struct World {
    pub(crate) provider: VirtualProvider,
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) instances: Vec<Rc<Instance>>,
    pub(crate) started: Instant,
}

impl World {
    /// Instances over `store`, one for each number of seconds that its clock is ahead.
    pub(crate) fn new(store: Arc<dyn SessionStore>, ahead: &[i64]) -> Self {
        Self::with_provider(VirtualProvider::start(), store, ahead)
    }

    /// The same with a prepared Provider.
    pub(crate) fn with_provider(provider: VirtualProvider, store: Arc<dyn SessionStore>, ahead: &[i64]) -> Self {
        let started = Instant::now();
        let keys: Arc<dyn KeySource> = Arc::new(StaticKeys::new(KeyRing::generate(), KeyRing::generate()));
        let instances = ahead.iter().enumerate().map(|(index, ahead)| {
            let clock = Arc::new(VirtualClock { started, ahead: *ahead });
            let sessions = instance(ISSUER, "client", Arc::clone(&store), Arc::clone(&clock) as _, &keys);
            let settings = Arc::new(relying_party_settings(ISSUER));
            let party = RelyingParty::scripted(settings, Arc::<ProviderCache>::default(), provider.wire(index));
            Rc::new(Instance { sessions, party, clock })
        });
        let instances = instances.collect();
        Self { provider, store, instances, started }
    }

    /// A session that begins at the start; its access token is due after 80 s and lapses after 100 s.
    pub(crate) async fn signed_in(&self, seed: u64, refresh_token: &str) -> SessionTicket {
        let sessions = &self.instances[0].sessions;
        let seed: [u8; 32] = [[7; 24].as_slice(), &seed.to_be_bytes()].concat().try_into().unwrap();
        let ticket = sessions.lifetime().issue(&seed, "code", START);
        sessions.records().create(record_of(sessions, &ticket, refresh_token), START).await.unwrap();
        ticket
    }

    /// Record in the store.
    pub(crate) async fn record(&self, ticket: &SessionTicket) -> SessionRecord {
        self.store.load(&ticket.id.key(), self.instances[0].now()).await.unwrap().unwrap().record
    }

    /// Waits until this virtual time after the start.
    pub(crate) async fn until(&self, elapsed: Duration) {
        tokio::time::sleep_until(self.started + elapsed).await;
    }
}
