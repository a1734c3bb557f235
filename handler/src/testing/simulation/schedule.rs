//! Runner of one plan in virtual time; each instance has its own tasks, which die with it. Records every event.

use std::cell::{Cell, RefCell};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all};
use serde_json::json;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::plan::{
    DUE, Departure, EXCHANGED, LAPSE, LAST, Moment, Plan, PlannedEnd, PlannedRouteRequest, PlannedSignIn, TargetOutage,
    Verb,
};
use crate::clock::Timestamp;
use crate::oidc::{AccessToken, AuthorizationResponse, LoginHints, LogoutToken};
use crate::sessions::{
    Etag, IndexedSession, LiveSession, NoFreshToken, RouteTokenError, SessionError, SessionIndex, SessionRecord,
    SessionStore, SessionTicket, Sessions, SignInError, StoredRecord,
};
use crate::testing::fixture::{START, first_parts};
use crate::testing::scripted_provider::SigningKey;
use crate::testing::seeded::Seeded;
use crate::testing::virtual_provider::{ISSUER, VirtualProvider, of_grant};
use crate::testing::virtual_store::VirtualStore;
use crate::testing::world::{Instance, World};
use crate::token_target::TokenTarget;

/// First refresh token of the session that exists from the start.
pub(super) const MAIN: &str = "main";

/// The same of another person's session, in schedules of exchanges.
pub(super) const OTHER: &str = "other";

/// Time after [`LAST`] at which everything must be over.
const BOUND: Duration = Duration::from_secs(600);

/// Minimum time for which a write of new tokens is tried, until its last failure: twelve seconds, less those of a read.
const TRIED_FOR: Duration = Duration::from_secs(9);

/// Maximum backoff of a target.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(super) enum Response {
    /// Served with this access token.
    Token(String),
    SignedOut,
    Unavailable,
    /// The Provider refuses a token for the target.
    Refused,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) instance: usize,
    pub(super) began: Duration,
    pub(super) ended: Duration,
    /// The target of its route, if that has a token of its own.
    pub(super) target: Option<&'static str>,
    pub(super) response: Response,
}

/// Call that ends sessions; without `finished` its instance died.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) verb: Verb,
    pub(super) instance: usize,
    pub(super) began: Duration,
    /// Time of the call by its instance's clock.
    pub(super) now: Timestamp,
    /// Time of its response, and true for a success.
    pub(super) finished: Option<(Duration, bool)>,
}

#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// Time and result; `None` if the instance died.
    pub(super) finished: Option<(Duration, Result<(), SignInError>)>,
}

/// Sign-in that began.
#[derive(Clone, Debug)]
pub(super) struct SignIn {
    pub(super) sid: Option<&'static str>,
    pub(super) code: String,
    pub(super) ticket: SessionTicket,
    pub(super) began: Duration,
    pub(super) began_at: Timestamp,
    pub(super) deliveries: Vec<Delivery>,
}

/// State of a session at the end of the schedule.
#[derive(Debug)]
pub(super) struct Remains {
    /// The generation in the store, if there is a record.
    pub(super) generation: Option<u64>,
    pub(super) is_ended: bool,
    /// The refresh token in the record, if it opens.
    pub(super) refresh_token: Option<String>,
    /// Liveness at the remaining instances, once caches have expired and Provider and store are well.
    pub(super) is_alive: Vec<bool>,
    /// True if a refresh after the expiry of its access token succeeded.
    pub(super) is_refreshable: bool,
    /// Targets of routes that got no token after that.
    pub(super) without_token: Vec<&'static str>,
    /// The refresh tokens that were in the record.
    pub(super) stored: Vec<String>,
    /// Those that the store refused for as long as a write is tried.
    pub(super) unwritten: Vec<String>,
    /// The access tokens that were in the record, by generation, in schedules of exchanges.
    pub(super) access_tokens: BTreeMap<u64, String>,
    /// The tokens of routes that were in the record, each as it was first stored, in schedules of exchanges.
    pub(super) route_tokens: Vec<StoredRouteToken>,
}

/// Token of a route in a record.
#[derive(Clone, Debug)]
pub(super) struct StoredRouteToken {
    pub(super) generation: u64,
    /// The token, if it opens.
    pub(super) token: Option<String>,
}

/// Evidence of a schedule, for the rules.
pub(super) struct Evidence {
    pub(super) plan: Plan,
    pub(super) provider: VirtualProvider,
    pub(super) store: Arc<VirtualStore>,
    pub(super) started: Instant,
    pub(super) requests: Vec<Request>,
    pub(super) ends: Vec<End>,
    pub(super) sign_ins: Vec<SignIn>,
    pub(super) main: SessionTicket,
    /// The other person's session, if this schedule has one.
    pub(super) other: Option<SessionTicket>,
    /// Requests of the other person, whom nobody signs out.
    pub(super) other_requests: Vec<Request>,
    /// The instance that was killed.
    pub(super) killed: Option<usize>,
    pub(super) drained: Option<usize>,
    /// Time when that happened, or began.
    pub(super) departed: Option<Duration>,
    /// Time when every participant and its background work had finished; `None` if something hung.
    pub(super) quiet: Option<Duration>,
    pub(super) main_remains: Option<Remains>,
    pub(super) other_remains: Option<Remains>,
    pub(super) sign_in_remains: Vec<Remains>,
}

#[derive(Default)]
struct Journal {
    requests: RefCell<Vec<Request>>,
    other_requests: RefCell<Vec<Request>>,
    ends: RefCell<Vec<End>>,
    sign_ins: RefCell<Vec<SignIn>>,
}

/// Login in a browser, once its sign-in has begun.
#[derive(Clone)]
struct BegunLogin {
    /// Index in the journal.
    entry: usize,
    state: String,
    /// The content of the login cookie.
    login: String,
}

#[derive(Clone, Default)]
struct Browser(Rc<RefCell<Option<BegunLogin>>>);

/// Plan, world and journal, shared by the participants.
struct Schedule {
    plan: Plan,
    world: World,
    store: Arc<VirtualStore>,
    journal: Journal,
    main: SessionTicket,
    /// The other person's session, if this schedule has one.
    other: Option<SessionTicket>,
    killed: Cell<Option<usize>>,
    drained: Cell<Option<usize>>,
    departed: Cell<Option<Duration>>,
}

/// Runs a plan to its end.
pub(super) async fn run(plan: Plan, key: &Rc<SigningKey>) -> Evidence {
    let schedule = Rc::new(Schedule::begin(plan, key).await);
    let locals: Vec<LocalSet> = schedule.world.instances.iter().map(|_| LocalSet::new()).collect();
    for (instance, work) in schedule.participants() {
        locals[instance].spawn_local(work);
    }
    let instances = locals.into_iter().enumerate().map(|(instance, local)| schedule.live(instance, local));
    let all = async {
        tokio::join!(
            join_all(instances),
            schedule.outages(),
            join_all(schedule.plan.target_outages.iter().map(|outage| schedule.target_outage(*outage))),
            schedule.write_outage(),
        )
    };
    let is_quiet = timeout(LAST + BOUND, all).await.is_ok();
    let quiet = is_quiet.then(|| schedule.world.started.elapsed());
    let sign_ins = schedule.journal.sign_ins.borrow().clone();
    // A schedule has one main session; only its token is tried at the end.
    let is_subject = sign_ins.is_empty();
    let look = async || {
        let main = schedule.remains(&schedule.main, is_subject).await;
        let is_other_tried = schedule.plan.seed.is_multiple_of(4); // which takes its time
        let other = match &schedule.other {
            Some(other) => Some(schedule.remains(other, is_other_tried).await),
            None => None,
        };
        let mut others = Vec::new();
        for sign_in in &sign_ins {
            others.push(schedule.remains(&sign_in.ticket, true).await);
        }
        (main, other, others)
    };
    let remains = if is_quiet { timeout(BOUND * 4, look()).await.ok() } else { None };
    let quiet = quiet.filter(|_| remains.is_some());
    let (main_remains, other_remains, sign_in_remains) =
        remains.map_or((None, None, Vec::new()), |(main, other, others)| (Some(main), other, others));
    Evidence {
        plan: schedule.plan.clone(),
        provider: schedule.world.provider.clone(),
        store: Arc::clone(&schedule.store),
        started: schedule.world.started,
        requests: schedule.journal.requests.borrow().clone(),
        ends: schedule.journal.ends.borrow().clone(),
        sign_ins,
        main: schedule.main.clone(),
        other: schedule.other.clone(),
        other_requests: schedule.journal.other_requests.borrow().clone(),
        killed: schedule.killed.get(),
        drained: schedule.drained.get(),
        departed: schedule.departed.get(),
        quiet,
        main_remains,
        other_remains,
        sign_in_remains,
    }
}

impl Schedule {
    /// A world with one signed-in person, or two.
    async fn begin(plan: Plan, key: &Rc<SigningKey>) -> Self {
        let provider = VirtualProvider::with_key(key);
        provider.set_seeded_latency(Seeded::new(plan.seed, 2));
        provider.set_expires_in(plan.expires_in);
        provider.set_defect(plan.provider_defect);
        provider.set_exchange_policy(plan.exchange_policy);
        if plan.write_outage.is_some() {
            provider.slow_down(); // so that calls are under way when it begins
        }
        if !plan.rotates {
            provider.keep_refresh_tokens();
        }
        let store = Arc::new(VirtualStore::new(Seeded::new(plan.seed, 3), plan.store, plan.store_defect));
        let world = World::with_provider(provider, Arc::clone(&store) as _, &plan.ahead);
        let issue = |seed, name| world.instances[0].sessions.lifetime().issue(&[seed; 32], name, START);
        let main = issue(7, MAIN);
        let other = Some(issue(8, OTHER)).filter(|_| !plan.other_requests.is_empty());
        let schedule = Self {
            plan,
            world,
            store,
            journal: Journal::default(),
            main,
            other,
            killed: Cell::new(None),
            drained: Cell::new(None),
            departed: Cell::new(None),
        };
        schedule.write_main().await;
        if let Some(other) = &schedule.other {
            schedule.write_first(OTHER, other).await;
        }
        schedule
    }

    /// Writes the first record of a session.
    async fn write_first(&self, refresh_token: &str, ticket: &SessionTicket) {
        let access_token = format!("access-0{}", of_grant(refresh_token));
        let mut parts = first_parts(Some(refresh_token), DUE, LAPSE);
        parts.request.access_token = AccessToken::new(access_token.clone());
        self.world.provider.admit(&access_token, refresh_token, LAPSE);
        let record = self.world.instances[0].sessions.records().seal(&parts, 1, ticket);
        self.store.inner().create(&record, START).await.unwrap();
        self.store.note_written(&record);
    }

    async fn write_main(&self) {
        self.write_first(MAIN, &self.main).await;
        let sessions = &self.world.instances[0].sessions;
        let inner = self.store.inner();
        let by_sid = self.plan.sid.map(|sid| sessions.provider_session(sid));
        for key in [sessions.subject("ada")].into_iter().chain(by_sid) {
            let entry = IndexedSession {
                key: self.main.id.key(),
                expires_at: self.main.expires_at,
                has_sid: self.plan.sid.is_some(),
            };
            let index = SessionIndex::empty(key, self.main.expires_at).with(entry, START);
            inner.write_index(&index, None, START).await.unwrap();
        }
    }

    /// All participants, each with the instance that it runs on.
    fn participants(self: &Rc<Self>) -> Vec<(usize, LocalBoxFuture<'static, ()>)> {
        let mut all: Vec<(usize, LocalBoxFuture<'static, ()>)> = Vec::new();
        for (instance, moments) in self.plan.requests.iter().enumerate() {
            for at in moments {
                all.push((instance, Box::pin(Rc::clone(self).request(instance, *at))));
            }
        }
        for (instance, at) in &self.plan.forced {
            let this = Rc::clone(self);
            let instance = *instance;
            let at = *at;
            let forced = async move {
                this.world.until(at).await;
                let Instance { sessions, party, .. } = &*this.world.instances[instance];
                sessions.refresh(&this.main, party).await;
            };
            all.push((instance, Box::pin(forced)));
        }
        for request in &self.plan.route_requests {
            all.push((request.instance, Box::pin(Rc::clone(self).route_request(*request))));
        }
        for request in &self.plan.other_requests {
            all.push((request.instance, Box::pin(Rc::clone(self).other_request(*request))));
        }
        for end in &self.plan.ends {
            all.push((end.instance, Box::pin(Rc::clone(self).end(*end))));
        }
        for (number, sign_in) in self.plan.sign_ins.iter().enumerate() {
            all.extend(self.sign_in(number, sign_in));
        }
        all
    }

    /// Runs the tasks of one instance until they finish, or it departs.
    async fn live(&self, instance: usize, mut local: LocalSet) {
        match self.plan.departure {
            Some(departure) if departure.instance == instance => {
                tokio::select! {
                    biased;
                    () = self.depart(departure) => drop(local),
                    () = &mut local => {}
                }
            }
            _ => local.await,
        }
    }

    async fn depart(&self, departure: Departure) {
        self.world.provider.called_by(departure.instance, departure.calls).await;
        sleep(departure.delay).await;
        self.departed.set(Some(self.elapsed()));
        if departure.is_drained {
            self.drained.set(Some(departure.instance));
            self.world.instances[departure.instance].sessions.drain().await; // SIGTERM
        } else {
            self.killed.set(Some(departure.instance));
        }
    }

    async fn outages(&self) {
        for outage in &self.plan.outages {
            self.world.until(outage.from).await;
            self.world.provider.set_acts_when_ill(outage.acts);
            self.world.provider.set_illness(Some(outage.illness));
            self.world.until(outage.to).await;
            self.world.provider.set_illness(None);
        }
    }

    async fn target_outage(&self, TargetOutage { target, outage }: TargetOutage) {
        self.world.until(outage.from).await;
        self.world.provider.set_target_illness(target, Some((outage.illness, outage.acts)));
        self.world.until(outage.to).await;
        self.world.provider.set_target_illness(target, None);
    }

    async fn write_outage(&self) {
        let Some(outage) = self.plan.write_outage else { return };
        self.until(outage.from).await;
        self.store.refuse_writes(true);
        sleep(outage.lasts).await;
        self.store.refuse_writes(false);
    }

    async fn until(&self, moment: Moment) {
        match moment {
            Moment::At(at) => self.world.until(at).await,
            Moment::AfterRefresh(times, delay) => {
                // Bounded: there may be no refresh.
                let _ = timeout(LAST, self.world.provider.refreshed(times)).await;
                sleep(delay).await;
            }
            Moment::AfterExchange(times, delay) => {
                let _ = timeout(LAST, self.world.provider.exchanged(times)).await; // as above
                sleep(delay).await;
            }
        }
    }

    async fn request(self: Rc<Self>, instance: usize, at: Duration) {
        self.world.until(at).await;
        let response = match self.load_fresh(instance, &self.main).await {
            Ok(Some(session)) => Response::Token(session.part.access_token.expose().to_owned()),
            Ok(None) => Response::SignedOut,
            Err(SessionError::NoFreshToken(_) | SessionError::Store(_)) => Response::Unavailable,
        };
        let request = Request { instance, began: at, ended: self.elapsed(), target: None, response };
        self.journal.requests.borrow_mut().push(request);
    }

    async fn route_request(self: Rc<Self>, planned: PlannedRouteRequest) {
        let request = self.send_route_request(planned, &self.main).await;
        self.journal.requests.borrow_mut().push(request);
    }

    async fn other_request(self: Rc<Self>, planned: PlannedRouteRequest) {
        let other = self.other.as_ref().expect("whoever has requests is signed in");
        let request = self.send_route_request(planned, other).await;
        self.journal.other_requests.borrow_mut().push(request);
    }

    async fn send_route_request(&self, planned: PlannedRouteRequest, ticket: &SessionTicket) -> Request {
        let PlannedRouteRequest { target, instance, at } = planned;
        self.world.until(at).await;
        let response = match self.route_token(instance, target, ticket).await {
            Ok(Some(token)) => Response::Token(token),
            Ok(None) => Response::SignedOut,
            Err(RouteTokenError::Refused(_)) => Response::Refused,
            Err(RouteTokenError::Unavailable { .. } | RouteTokenError::Store(_)) => Response::Unavailable,
        };
        Request { instance, began: at, ended: self.elapsed(), target: Some(target), response }
    }

    /// Token for a request of a route; `None` if the session is over.
    async fn route_token(
        &self,
        instance: usize,
        target: &str,
        ticket: &SessionTicket,
    ) -> Result<Option<String>, RouteTokenError> {
        let Instance { sessions, party, .. } = &*self.world.instances[instance];
        let now = self.world.instances[instance].now();
        let session = match self.load_fresh(instance, ticket).await {
            Ok(Some(session)) => session,
            Ok(None) => return Ok(None),
            Err(SessionError::Store(error)) => return Err(error.into()),
            Err(SessionError::NoFreshToken(NoFreshToken { retry_after })) => {
                return Err(RouteTokenError::Unavailable { retry_after });
            }
        };
        let target = token_target(target);
        let token = sessions.route_token(&session, &target, ticket, party, now).await?;
        Ok(token.map(|token| token.expose().to_owned()))
    }

    async fn load_fresh(&self, instance: usize, ticket: &SessionTicket) -> Result<Option<LiveSession>, SessionError> {
        let Instance { sessions, party, .. } = &*self.world.instances[instance];
        sessions.load_fresh(ticket, party, self.world.instances[instance].now()).await
    }

    async fn end(self: Rc<Self>, planned: PlannedEnd) {
        self.until(planned.moment).await;
        let Instance { sessions, party, .. } = &*self.world.instances[planned.instance];
        let now = self.world.instances[planned.instance].now();
        let entry = {
            let mut ends = self.journal.ends.borrow_mut();
            let PlannedEnd { verb, instance, .. } = planned;
            ends.push(End { verb, instance, began: self.elapsed(), now, finished: None });
            ends.len() - 1
        };
        let logout = |sid: Option<&str>, sub: Option<&str>| LogoutToken {
            sid: sid.map(str::to_owned),
            sub: sub.map(str::to_owned),
            jti: "jti".to_owned(),
            expires_at: now.plus(Duration::from_secs(600)),
        };
        let is_confirmed = match planned.verb {
            Verb::SignOut => sessions.sign_out(&self.main, party, now).await.is_ok(),
            Verb::LogoutBySub => sessions.end_named(&logout(None, Some("ada")), now).await.is_ok(),
            Verb::LogoutBySid => sessions.end_named(&logout(Some("sid-1"), None), now).await.is_ok(),
            Verb::LogoutBySidAndSub => sessions.end_named(&logout(Some("sid-1"), Some("ada")), now).await.is_ok(),
            Verb::FrontChannel => sessions.end_known(&sessions.provider_session("sid-1"), now).await.is_ok(),
            Verb::Revoke => sessions.end_all(&sessions.subject("ada"), now).await.is_ok(),
        };
        self.journal.ends.borrow_mut()[entry].finished = Some((self.elapsed(), is_confirmed));
    }

    /// Tasks of a sign-in: its begin at one instance, and each delivery of its callback.
    fn sign_in(self: &Rc<Self>, number: usize, planned: &PlannedSignIn) -> Vec<(usize, LocalBoxFuture<'static, ()>)> {
        let browser = Browser::default();
        let beginning = Rc::clone(self).begin_sign_in(number, planned.clone(), browser.clone());
        let mut tasks: Vec<(usize, LocalBoxFuture<'static, ()>)> = vec![(planned.begins_at, Box::pin(beginning))];
        for (instance, at) in &planned.deliveries {
            let delivery = Rc::clone(self).deliver(number, *instance, *at, browser.clone());
            tasks.push((*instance, Box::pin(delivery)));
        }
        tasks
    }

    async fn begin_sign_in(self: Rc<Self>, number: usize, planned: PlannedSignIn, browser: Browser) {
        self.world.until(planned.begins).await;
        let Instance { sessions, party, .. } = &*self.world.instances[planned.begins_at];
        let now = self.world.instances[planned.begins_at].now();
        let begun = party.begin_login("/", &LoginHints::default(), now).await;
        let Ok((request, pending)) = begun else { return };
        let url = url::Url::parse(request.url()).unwrap();
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        let code = format!("code-{number}");
        let unix = START.as_unix() + i64::try_from(self.elapsed().as_secs()).unwrap();
        let mut claims = json!({
            "iss": ISSUER, "sub": "ada", "aud": "client", "nonce": query["nonce"], "exp": unix + 900, "iat": unix,
        });
        if let Some(sid) = planned.sid {
            claims["sid"] = sid.into();
        }
        self.world.provider.issue_code(&code, claims);
        let ticket = sessions.lifetime().issue(pending.session_seed(), &code, now);
        let mut sign_ins = self.journal.sign_ins.borrow_mut();
        sign_ins.push(SignIn {
            sid: planned.sid,
            code,
            ticket,
            began: planned.begins,
            began_at: pending.issued_at(),
            deliveries: Vec::new(),
        });
        let login = serde_json::to_string(&pending).unwrap();
        *browser.0.borrow_mut() = Some(BegunLogin { entry: sign_ins.len() - 1, state: query["state"].clone(), login });
    }

    async fn deliver(self: Rc<Self>, number: usize, instance: usize, at: Duration, browser: Browser) {
        self.world.until(at).await;
        let Some(BegunLogin { entry, state, login }) = browser.0.borrow().clone() else { return };
        let place = {
            let mut sign_ins = self.journal.sign_ins.borrow_mut();
            sign_ins[entry].deliveries.push(Delivery { finished: None });
            sign_ins[entry].deliveries.len() - 1
        };
        let response = AuthorizationResponse::parse(&format!("code=code-{number}&state={state}")).unwrap();
        let Instance { sessions, party, .. } = &*self.world.instances[instance];
        let pending = serde_json::from_str(&login).unwrap();
        let signed_in = sessions.sign_in(response, pending, party.clone()).await.map(drop);
        let finished = Some((self.elapsed(), signed_in));
        self.journal.sign_ins.borrow_mut()[entry].deliveries[place].finished = finished;
    }

    /// State of a session, with Provider and store well from now on.
    async fn remains(&self, ticket: &SessionTicket, is_subject: bool) -> Remains {
        self.store.heal();
        self.world.provider.set_illness(None);
        sleep(Duration::from_secs(6)).await; // what a cache may believe is over
        let left: Vec<usize> = (0..self.world.instances.len()).filter(|instance| self.is_left(*instance)).collect();
        let mut is_alive = Vec::new();
        let local = LocalSet::new();
        let ends_matter = !self.plan.ends.is_empty();
        for instance in left.iter().take(if ends_matter { left.len() } else { 1 }) {
            let Instance { sessions, .. } = &*self.world.instances[*instance];
            let loaded = local.run_until(sessions.load(ticket, self.world.instances[*instance].now())).await;
            is_alive.push(loaded.unwrap().is_some());
        }
        let is_alive_now = is_alive[0];
        let is_refreshable = if is_subject && is_alive_now {
            local.run_until(self.outlives_its_token(left[0], ticket)).await
        } else {
            is_alive_now
        };
        let without_token = if is_subject && is_refreshable {
            local.run_until(self.targets_without_token(left[0], ticket)).await
        } else {
            Vec::new()
        };
        local.await;

        let now = self.world.instances[left[0]].now();
        let stored = self.store.inner().load(&ticket.id.key(), now).await.unwrap();
        let sessions = &self.world.instances[left[0]].sessions;
        let records = sessions.records();
        let open = async |record: SessionRecord| {
            let stored = StoredRecord { record, etag: Etag(String::new()) };
            let part = records.open_refresh_part(&stored, ticket).await.unwrap();
            part.and_then(|part| part.refresh_token).map(|token| token.expose().to_owned())
        };
        let refresh_token = match &stored {
            Some(stored) => open(stored.record.clone()).await,
            None => None,
        };
        let mut stored_tokens = Vec::new();
        for record in self.store.written(&ticket.id.key()) {
            stored_tokens.extend(open(record).await);
        }
        let has_exchanges = self.other.is_some();
        let (access_tokens, route_tokens) =
            if has_exchanges { self.stored_access_tokens(sessions, ticket).await } else { Default::default() };
        let mut unwritten = Vec::new();
        for record in self.store.refused_for(&ticket.id.key(), TRIED_FOR) {
            unwritten.extend(open(record).await);
        }
        Remains {
            generation: stored.as_ref().map(|stored| stored.record.generation),
            is_ended: stored.is_some_and(|stored| stored.record.is_ended()),
            refresh_token,
            is_alive,
            is_refreshable,
            without_token,
            stored: stored_tokens,
            unwritten,
            access_tokens,
            route_tokens,
        }
    }

    /// The access tokens of a session and its routes that the store has had.
    async fn stored_access_tokens(
        &self,
        sessions: &Sessions,
        ticket: &SessionTicket,
    ) -> (BTreeMap<u64, String>, Vec<StoredRouteToken>) {
        let mut access_tokens = BTreeMap::new();
        for record in self.store.written(&ticket.id.key()) {
            if let Entry::Vacant(entry) = access_tokens.entry(record.generation) {
                let stored = StoredRecord { record, etag: Etag(String::new()) };
                let part = sessions.records().open_request_part(&stored, ticket).await.unwrap();
                entry.insert(part.expect("a written record opens").access_token.expose().to_owned());
            }
        }
        let mut route_tokens = Vec::new();
        for (target, record) in self.store.with_route_token(&ticket.id.key()) {
            let opened = sessions.records().open_route_token(&record, target, ticket).await.unwrap();
            let token = opened.map(|token| token.expose().to_owned());
            route_tokens.push(StoredRouteToken { generation: record.generation, token });
        }
        (access_tokens, route_tokens)
    }

    /// Targets for which a route gets no token, whatever backoffs there are.
    async fn targets_without_token(&self, instance: usize, ticket: &SessionTicket) -> Vec<&'static str> {
        let is_other = self.other.as_ref().is_some_and(|other| other.id.key() == ticket.id.key());
        let requests = if is_other { &self.plan.other_requests } else { &self.plan.route_requests };
        let mut targets: Vec<_> = requests.iter().map(|request| request.target).collect();
        targets.sort_unstable();
        targets.dedup();
        let deadline = Instant::now() + BOUND;
        let mut without = Vec::new();
        for target in targets {
            loop {
                let retry_after = match self.route_token(instance, target, ticket).await {
                    Ok(Some(_)) => break,
                    Err(RouteTokenError::Unavailable { retry_after }) if Instant::now() < deadline => retry_after,
                    Err(RouteTokenError::Refused(_)) if Instant::now() < deadline => MAX_BACKOFF,
                    _ => {
                        without.push(target);
                        break;
                    }
                };
                sleep(retry_after).await;
            }
        }
        without
    }

    /// True if a request gets a newer token after the current one lapsed, whatever backoffs there are.
    async fn outlives_its_token(&self, instance: usize, ticket: &SessionTicket) -> bool {
        let deadline = Instant::now() + BOUND;
        let mut has_lapsed = false;
        while Instant::now() < deadline {
            match self.load_fresh(instance, ticket).await {
                Ok(Some(session)) if has_lapsed || session.access_token_expires_at.is_none() => return true,
                Ok(Some(session)) => {
                    let expires_at = session.access_token_expires_at.unwrap();
                    sleep(expires_at.since(self.world.instances[instance].now()) + Duration::from_secs(1)).await;
                    has_lapsed = true;
                }
                Ok(None) => return false,
                Err(SessionError::NoFreshToken(NoFreshToken { retry_after })) => {
                    sleep_until(Instant::now() + retry_after).await;
                }
                Err(SessionError::Store(error)) => panic!("a store that is well failed: {error}"),
            }
        }
        false
    }

    fn is_left(&self, instance: usize) -> bool {
        self.killed.get() != Some(instance) && self.drained.get() != Some(instance)
    }

    fn elapsed(&self) -> Duration {
        self.world.started.elapsed()
    }
}

/// Target of this name: of an exchange, or else of a refresh.
fn token_target(name: &str) -> TokenTarget {
    let target = if EXCHANGED.contains(&name) {
        TokenTarget::new(Some(name), None, None)
    } else {
        TokenTarget::new(None, Some(name), None)
    };
    target.unwrap()
}
