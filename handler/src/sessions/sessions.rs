//! The verbs of a session's life: sign in, load, refresh, sign out.
//!
//! A façade. Loading is here; sign-in, refresh and logout are delegated to the module named for them.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::{sleep, timeout};

use super::background::Background;
use super::freshness::{Freshness, RefreshBefore};
use super::index::IndexKey;
use super::lease::{Leases, Trigger};
use super::lifetime::SessionLifetime;
use super::login_exchanges::LoginExchanges;
use super::parts::{RefreshPart, RequestNeeds, RequestPart, TokenPolicy};
use super::provider_logout::ProviderLogout;
use super::record_cache::RecordCache;
use super::records::{EndedSession, Records};
use super::refresher::{RefreshOutcome, Refresher, revoke, revoke_access_token};
use super::route_tokens::{RouteTokenError, RouteTokens};
use super::sign_in::{SignInError, SignIns};
use super::single_flight::SingleFlight;
use super::store::{SessionStore, StoreError, StoredRecord};
use super::ticket::{SessionKey, SessionTicket};
use super::used_once::UseKey;
use crate::clock::{Clock, Timestamp};
use crate::crypto::KeySource;
use crate::oidc::{
    AccessToken, AuthorizationResponse, LogoutToken, PendingLogin, PersonClaims, RefreshToken, RelyingParty,
};
use crate::token_target::TokenTarget;

/// Time that a sign-out gives the revocations of routes' tokens before it sends that of the refresh token.
const ROUTE_REVOCATIONS: Duration = Duration::from_secs(3);

/// Settings of the sessions of one Provider and client.
pub struct SessionsSettings {
    /// Store of the records.
    pub store: Arc<dyn SessionStore>,
    /// Keys that seal records.
    pub keys: Arc<dyn KeySource>,
    /// Clock for background work.
    pub clock: Arc<dyn Clock>,
    /// Idle and absolute limit.
    pub lifetime: SessionLifetime,
    /// Cache lifetime of a record.
    pub cache_ttl: Duration,
    /// Time before expiry at which an access token is refreshed.
    pub refresh_before: RefreshBefore,
    /// Claims and tokens that become headers.
    pub request_needs: RequestNeeds,
    /// The Provider's issuer; authenticated by every sealed part.
    pub issuer: String,
    /// Our client identifier; authenticated by every sealed part.
    pub client_id: String,
}

/// The sessions of one Provider and client, shared by every worker. A clone shares them.
#[derive(Clone)]
pub struct Sessions(Arc<Shared>);

struct Shared {
    records: Arc<Records>,
    clock: Arc<dyn Clock>,
    lifetime: SessionLifetime,
    refresher: Refresher,
    route_tokens: RouteTokens,
    provider_logout: ProviderLogout,
    sign_ins: SignIns,
    background: Background,
}

/// A session that a request may use.
#[derive(Debug)]
pub struct LiveSession {
    /// The store's name of the session.
    pub key: SessionKey,
    /// Tokens and claims that the request needs.
    pub part: RequestPart,
    /// State of its access token.
    pub freshness: Freshness,
    /// Expiry of the access token, if the Provider stated one.
    pub access_token_expires_at: Option<Timestamp>,
    /// True during another request's or instance's refresh, or a backoff.
    is_leased: bool,
    /// The record, for the tokens of routes.
    stored: Arc<StoredRecord>,
}

/// Person of a live session.
#[derive(Debug)]
pub struct LivePerson {
    /// All claims about the person.
    pub claims: PersonClaims,
    /// End of a session without a refresh token: the expiry of its access token.
    pub ends_at: Option<Timestamp>,
}

/// The session has no usable token, and the Provider currently issues none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access token has lapsed and cannot be refreshed now")]
pub struct NoFreshToken {
    /// Time until the next attempt.
    pub retry_after: Duration,
}

/// Reason why a possibly live session cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Provider failed, and the token has lapsed.
    #[error(transparent)]
    NoFreshToken(#[from] NoFreshToken),
}

impl Sessions {
    /// Builds the sessions from their settings.
    #[must_use]
    pub fn new(settings: SessionsSettings) -> Self {
        let policy = TokenPolicy { request_needs: settings.request_needs, refresh_before: settings.refresh_before };
        let clock = settings.clock;
        let records = Arc::new(Records {
            store: settings.store,
            keys: settings.keys,
            cache: RecordCache::new(settings.cache_ttl),
            issuer: settings.issuer,
            client_id: settings.client_id,
        });
        let background = Background::default();
        let provider_logout = ProviderLogout::new(Arc::clone(&records), background.clone());
        let leases =
            Leases { records: Arc::clone(&records), clock: Arc::clone(&clock), background: background.clone() };
        let refresher = Refresher {
            records: Arc::clone(&records),
            leases: leases.clone(),
            provider_logout: provider_logout.clone(),
            clock: Arc::clone(&clock),
            policy: policy.clone(),
            flights: SingleFlight::new(background.clone()),
            background: background.clone(),
        };
        let route_tokens = RouteTokens {
            records: Arc::clone(&records),
            leases,
            refresher: refresher.clone(),
            clock: Arc::clone(&clock),
            refresh_before: settings.refresh_before,
            flights: SingleFlight::new(background.clone()),
            background: background.clone(),
        };
        let sign_ins = SignIns {
            records: Arc::clone(&records),
            provider_logout: provider_logout.clone(),
            clock: Arc::clone(&clock),
            lifetime: settings.lifetime,
            policy,
            flights: SingleFlight::new(background.clone()),
            exchanges: LoginExchanges::default(),
        };
        Self(Arc::new(Shared {
            records,
            clock,
            lifetime: settings.lifetime,
            refresher,
            route_tokens,
            provider_logout,
            sign_ins,
            background,
        }))
    }

    /// Idle and absolute limit.
    #[must_use]
    pub fn lifetime(&self) -> SessionLifetime {
        self.0.lifetime
    }

    /// Completes a sign-in and starts its session. Continues if the caller disconnects.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in(
        &self,
        response: AuthorizationResponse,
        pending: PendingLogin,
        relying_party: RelyingParty,
    ) -> Result<SessionTicket, SignInError> {
        self.0.sign_ins.sign_in(response, pending, relying_party).await
    }

    /// Loads the session of a ticket, if it is live and its record opens with the ticket's secret.
    ///
    /// # Errors
    /// If the store cannot be read; nobody may be signed out for that.
    pub async fn load(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<LiveSession>, StoreError> {
        let Some(stored) = self.find(ticket, now).await? else { return Ok(None) };
        let part = self.0.records.open_request_part(&stored, ticket).await?;
        let record = &stored.record;
        Ok(part.map(|part| LiveSession {
            key: record.key.clone(),
            part,
            freshness: Freshness::of(record, now),
            access_token_expires_at: record.access_token_expires_at,
            is_leased: record.lease.as_ref().is_some_and(|lease| now < lease.lapses_at),
            stored: Arc::clone(&stored),
        }))
    }

    /// Loads the person of a live session. Also `None` if the Provider refuses to refresh a lapsed access token: the
    /// person must sign in.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn load_person(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<LivePerson>, StoreError> {
        let Some(stored) = self.find(ticket, now).await? else { return Ok(None) };
        let record = &stored.record;
        if record.is_refused() && Freshness::of(record, now) == Freshness::Lapsed {
            return Ok(None);
        }
        let part = self.0.records.open_refresh_part(&stored, ticket).await?;
        let ends_at = record.access_token_expires_at.filter(|_| record.refresh_at.is_none());
        Ok(part.map(|part| LivePerson { claims: part.claims, ends_at }))
    }

    /// Index key of a ticket's person, also after the idle limit, as long as the record is kept. `None` if it
    /// or its parts are gone.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn past_person(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<IndexKey>, StoreError> {
        let Some(stored) = self.0.records.find(&ticket.id.key(), now).await? else { return Ok(None) };
        let part = self.0.records.open_refresh_part(&stored, ticket).await?;
        Ok(part.map(|part| self.subject(part.claims.subject())))
    }

    /// True if the session is live in the store, whatever the cache says.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn is_alive_in_store(&self, ticket: &SessionTicket, now: Timestamp) -> Result<bool, StoreError> {
        let found = self.0.records.read(&ticket.id.key(), now).await?;
        Ok(self.lifetime().is_alive(ticket, now) && found.is_some_and(|found| !found.record.is_ended()))
    }

    /// Loads the session with a token that has not lapsed. A due token is used during its refresh.
    ///
    /// # Errors
    /// See [`SessionError`]; neither may sign anyone out.
    pub async fn load_fresh(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        now: Timestamp,
    ) -> Result<Option<LiveSession>, SessionError> {
        let Some(session) = self.load(ticket, now).await? else { return Ok(None) };
        match session.freshness {
            Freshness::Fresh => return Ok(Some(session)),
            Freshness::Due if session.is_leased => return Ok(Some(session)),
            Freshness::Due => {
                self.0.refresher.join_or_start(ticket, relying_party, Trigger::WhenDue);
                return Ok(Some(session));
            }
            Freshness::Lapsed => {}
            Freshness::Spent => return Ok(None),
        }
        drop(session);
        match self.0.refresher.refresh(ticket, relying_party, Trigger::WhenDue).await {
            RefreshOutcome::Refreshed => Ok(self.load(ticket, self.0.clock.now()).await?),
            RefreshOutcome::Ended
            | RefreshOutcome::NoRefreshToken
            | RefreshOutcome::ClientRefused(_)
            | RefreshOutcome::RequestRefused => Ok(None),
            RefreshOutcome::Unavailable { retry_after } => Err(NoFreshToken { retry_after }.into()),
        }
    }

    /// Access token of the routes with this target, in place of the session's. `None` if the session is over.
    ///
    /// # Errors
    /// See [`RouteTokenError`]; it concerns this target alone.
    pub async fn route_token(
        &self,
        session: &LiveSession,
        target: &TokenTarget,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        now: Timestamp,
    ) -> Result<Option<AccessToken>, RouteTokenError> {
        self.0.route_tokens.token(&session.stored, target, ticket, relying_party, now).await
    }

    /// Refreshes now, even if no refresh is due.
    pub async fn refresh(&self, ticket: &SessionTicket, relying_party: &RelyingParty) -> RefreshOutcome {
        self.0.refresher.refresh(ticket, relying_party, Trigger::Now).await
    }

    /// Ends a session, and revokes its tokens in the background (RFC 7009), even if the end is not confirmed.
    /// Returns the refresh part for the Provider's logout, if the session was live and the part opened.
    ///
    /// # Errors
    /// If the store does not confirm the tombstone: the session may still live, as long as its access token.
    pub async fn sign_out(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        now: Timestamp,
    ) -> Result<Option<RefreshPart>, StoreError> {
        let EndedSession { part, route_tokens, confirmed } = self.0.records.end(ticket, now).await;
        let refresh_token = part.as_ref().and_then(|part| part.refresh_token.clone());
        self.revoke_tokens(ticket.id.key(), refresh_token, route_tokens, relying_party, now);
        confirmed.map(|()| part)
    }

    /// Revokes the tokens of an ended session in the background. Those of routes have a start of some seconds: a
    /// Provider that revokes the whole grant with the refresh token may no longer know them then.
    fn revoke_tokens(
        &self,
        key: SessionKey,
        refresh_token: Option<RefreshToken>,
        route_tokens: Vec<AccessToken>,
        relying_party: &RelyingParty,
        now: Timestamp,
    ) {
        if refresh_token.is_none() && route_tokens.is_empty() {
            return;
        }
        let relying_party = relying_party.clone();
        self.0.background.spawn(async move {
            let of_routes = route_tokens.iter().map(|token| revoke_access_token(token, &key, &relying_party, now));
            let mut of_routes = pin!(join_all(of_routes));
            let are_revoked = timeout(ROUTE_REVOCATIONS, &mut of_routes).await.is_ok();
            let of_session = revoke(refresh_token.as_ref(), &key, &relying_party, now);
            if are_revoked {
                of_session.await;
            } else {
                join(of_session, of_routes).await; // they may not be sent yet
            }
        });
    }

    /// Ends the session that the same browser's new sign-in replaces. Its refresh token is revoked only if `successor`,
    /// the new session's person, is another one: RFC 7009 2.1 lets a Provider revoke the whole grant, and with it the
    /// new session and the codes of sign-ins under way in other tabs. Nobody can open the ended record, so the token
    /// idles.
    ///
    /// # Errors
    /// If the store does not confirm the tombstone.
    pub async fn end_replaced(
        &self,
        ticket: &SessionTicket,
        successor: Option<&IndexKey>,
        relying_party: &RelyingParty,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let EndedSession { part, route_tokens, confirmed } = self.0.records.end(ticket, now).await;
        if let Some(part) = part.filter(|part| successor != Some(&self.subject(part.claims.subject()))) {
            self.revoke_tokens(ticket.id.key(), part.refresh_token, route_tokens, relying_party, now);
        }
        confirmed
    }

    /// Ends the sessions that a logout token names, and their pending sign-ins. Returns the number of live sessions;
    /// zero is not an error.
    ///
    /// # Errors
    /// If the store fails; some of them may have ended then, and a repeated call is safe.
    pub async fn end_named(&self, token: &LogoutToken, now: Timestamp) -> Result<usize, StoreError> {
        self.0.provider_logout.end_named(token, now).await
    }

    /// Ends every session of an index, and its pending sign-ins. Returns the number of live sessions; zero is not an
    /// error.
    ///
    /// # Errors
    /// If the store fails; some of them may have ended then, and a repeated call is safe.
    pub async fn end_all(&self, index: &IndexKey, now: Timestamp) -> Result<usize, StoreError> {
        self.0.provider_logout.end_all(index, now).await
    }

    /// Like [`Self::end_all`], for an index that the caller may have invented: an unknown index is not written.
    ///
    /// # Errors
    /// As [`Self::end_all`].
    pub async fn end_known(&self, index: &IndexKey, now: Timestamp) -> Result<usize, StoreError> {
        self.0.provider_logout.end_known(index, now).await
    }

    /// Index key of a session at the Provider.
    #[must_use]
    pub fn provider_session(&self, sid: &str) -> IndexKey {
        self.0.provider_logout.provider_session(sid)
    }

    /// Index key of a person.
    #[must_use]
    pub fn subject(&self, sub: &str) -> IndexKey {
        self.0.provider_logout.subject(sub)
    }

    /// Key in the store for the `jti` of a logout token.
    #[must_use]
    pub fn logout_token(&self, jti: &str) -> UseKey {
        self.0.records.logout_token(jti)
    }

    /// True if the identifier was used before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_used(&self, key: &UseKey, now: Timestamp) -> Result<bool, StoreError> {
        self.0.records.is_used(key, now).await
    }

    /// Records a use until `expires_at`. False if it was used before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn use_once(&self, key: UseKey, expires_at: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        self.0.records.use_once(key, expires_at, now).await
    }

    /// Stops new refreshes, and completes when the refreshes, sign-ins, sign-outs and revocations in progress are done.
    /// A rotated refresh token is lost if the process does not wait for this.
    pub async fn drain(&self) {
        self.0.background.drain().await;
    }

    /// Completes with the key when the session has ended: at its absolute end, or within the cache time of a sign-out.
    /// Idle time does not count, and an unavailable store ends nothing. Costs at most two reads of a session in each
    /// cache time.
    pub fn ended(&self, key: SessionKey, expires_at: Timestamp) -> impl Future<Output = SessionKey> + 'static {
        let this = self.clone();
        async move {
            loop {
                let remaining = expires_at.since(this.0.clock.now());
                sleep(this.0.records.cache.poll_interval().min(remaining)).await;
                let now = this.0.clock.now();
                // Boxed: this future is large and rare, and every request would reserve its size.
                let found = Box::pin(this.0.records.find_recent(&key, now)).await;
                let is_over = found.is_ok_and(|found| found.is_none_or(|found| found.record.is_ended()));
                if is_over || now >= expires_at {
                    return key;
                }
            }
        }
    }

    /// True once [`Self::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.background.is_draining()
    }

    /// Reads from the store, for the readiness probe.
    ///
    /// # Errors
    /// If the store does not respond.
    pub async fn is_ready(&self, now: Timestamp) -> Result<(), StoreError> {
        let nobody = SessionTicket::from_seed(&[0; 32], "", now, now);
        self.0.records.store.load(&nobody.id.key(), now).await.map(drop)
    }

    #[cfg(test)]
    pub(crate) fn records(&self) -> &Records {
        &self.0.records
    }

    #[cfg(test)]
    pub(super) fn refresher(&self) -> &Refresher {
        &self.0.refresher
    }

    #[cfg(test)]
    pub(super) fn route_tokens(&self) -> &RouteTokens {
        &self.0.route_tokens
    }

    #[cfg(test)]
    pub(super) fn provider_logout(&self) -> &ProviderLogout {
        &self.0.provider_logout
    }

    /// Record of a live ticket whose tokens have not ended, from the cache or the store.
    async fn find(&self, ticket: &SessionTicket, now: Timestamp) -> Result<Option<Arc<StoredRecord>>, StoreError> {
        if !self.lifetime().is_alive(ticket, now) {
            return Ok(None);
        }
        let found = self.0.records.find(&ticket.id.key(), now).await?;
        Ok(found.filter(|found| Freshness::of(&found.record, now) != Freshness::Spent))
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("lifetime", &self.lifetime()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
