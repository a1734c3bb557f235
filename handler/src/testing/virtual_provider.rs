//! Provider in memory and in virtual time: rotates refresh tokens, and has every failure that was seen in the field.
//!
//! Responds at the level of HTTP; the timeouts above it are the product's own.

mod exchanges;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

pub(crate) use exchanges::{ExchangePolicy, TokenExchange, UNWANTED, of_grant};
use exchanges::{GRANT_TYPE, Subject};

use super::scripted_provider::SigningKey;
use super::seeded::Seeded;
use crate::oidc::{ProviderError, Response, ScriptedRequest, ScriptedWire};

/// Issuer URL of the Provider; nothing listens there.
pub(crate) const ISSUER: &str = "http://127.0.0.1:9";

/// Failure of the token endpoint for calls with a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Illness {
    /// The connection is reset after the request.
    Reset,
    /// No response at all.
    Hang,
    /// 200 with a page.
    Html,
    /// This status, without an OAuth error.
    Status(u16),
    /// `invalid_target`, and nothing is rotated.
    RefusesTarget,
    /// `invalid_grant` without a reason, though the refresh token is good.
    RefusesGrant,
    /// A token for another audience, as from a Provider that ignores the target; rotates.
    IgnoresTarget,
}

impl Illness {
    pub(crate) const ALL: [Self; 8] = [
        Self::Reset,
        Self::Hang,
        Self::Html,
        Self::Status(429),
        Self::Status(500),
        Self::Status(502),
        Self::Status(503),
        Self::Status(504),
    ];

    /// Failures of one target.
    pub(crate) const OF_TARGET: [Self; 8] = [
        Self::Reset,
        Self::Hang,
        Self::Hang,
        Self::Status(502),
        Self::Status(503),
        Self::RefusesTarget,
        Self::RefusesGrant,
        Self::IgnoresTarget,
    ];

    /// True if the caller cannot know if the Provider acted.
    pub(crate) fn is_ambiguous(self) -> bool {
        !matches!(self, Self::Status(429 | 503)) && !self.is_refusal()
    }

    /// True for an answer of the Provider, which concerns the target alone.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::RefusesTarget | Self::RefusesGrant | Self::IgnoresTarget)
    }
}

/// Token request with a refresh token.
#[derive(Clone, Debug)]
pub(crate) struct RefreshCall {
    /// Virtual time since the start.
    pub(crate) at: Duration,
    /// The refresh token in the request.
    pub(crate) token: String,
    /// The target of a route, if the call asked for its token.
    pub(crate) audience: Option<String>,
    /// The instance that sent it.
    pub(crate) instance: usize,
    /// The failure at that time, if any.
    pub(crate) illness: Option<Illness>,
    /// The refresh token that is valid from now on, unless the call was refused.
    pub(crate) granted: Option<String>,
}

impl RefreshCall {
    /// True if the caller cannot know if the Provider acted.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.illness.is_some_and(Illness::is_ambiguous)
    }

    /// True if the Provider issued the tokens that it was asked for.
    pub(crate) fn is_success(&self) -> bool {
        self.illness.is_none() && self.granted.is_some()
    }

    /// True if the Provider refused the call.
    pub(crate) fn is_refused(&self) -> bool {
        self.illness.map_or(self.granted.is_none(), Illness::is_refusal)
    }
}

/// Token request with a code.
#[derive(Clone, Debug)]
pub(crate) struct CodeExchange {
    /// The code that was sent.
    pub(crate) code: String,
    /// The instance that sent it.
    pub(crate) instance: usize,
}

/// Defect of the Provider that a rule must detect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProviderDefect {
    /// Refuses every other valid refresh token.
    RefusesLiving,
    /// Responds to a revocation with 200 and forgets it.
    ForgetsRevocations,
    /// Issues every other token of a route for another target, opaque.
    ConfusesTargets,
    /// Exchanges every other token for one of another person, opaque.
    ConfusesPersons,
}

struct State {
    illness: Option<Illness>,
    /// True if a failing token endpoint acts before it fails.
    acts_when_ill: bool,
    /// Failures of single targets; true for one that acts before it fails.
    ill_targets: HashMap<String, (Illness, bool)>,
    latency: Duration,
    /// Random latency instead.
    seeded: Option<Seeded>,
    /// One call in this many takes seconds.
    slow_one_in: u64,
    rotates: bool,
    defect: Option<ProviderDefect>,
    expires_in: u64,
    grants: usize,
    /// Used tokens and their successors. A used token is refused.
    successors: HashMap<String, String>,
    refused: HashSet<String>,
    calls: Vec<RefreshCall>,
    exchanges: Vec<CodeExchange>,
    token_exchanges: Vec<TokenExchange>,
    exchange_policy: ExchangePolicy,
    /// Access tokens of sessions, which an exchange may send.
    subjects: HashMap<String, Subject>,
    revoked: Vec<String>,
    /// Tokens in the requests for a revocation, also if their sender gave up.
    sent_to_revoke: HashSet<String>,
    /// Claims for the ID tokens of unused codes.
    codes: HashMap<String, Value>,
}

/// Virtual Provider. A clone is the same one.
#[derive(Clone)]
pub(crate) struct VirtualProvider {
    key: Rc<SigningKey>,
    started: Instant,
    state: Rc<RefCell<State>>,
    called: Rc<Notify>,
}

impl VirtualProvider {
    pub(crate) fn start() -> Self {
        Self::with_key(&Rc::new(SigningKey::es256("k1")))
    }

    /// A Provider with an existing signing key.
    pub(crate) fn with_key(key: &Rc<SigningKey>) -> Self {
        let state = State {
            illness: None,
            acts_when_ill: false,
            ill_targets: HashMap::new(),
            latency: Duration::from_millis(100),
            seeded: None,
            slow_one_in: 12,
            rotates: true,
            defect: None,
            expires_in: 3600,
            grants: 0,
            successors: HashMap::new(),
            refused: HashSet::new(),
            calls: Vec::new(),
            exchanges: Vec::new(),
            token_exchanges: Vec::new(),
            exchange_policy: ExchangePolicy::default(),
            subjects: HashMap::new(),
            revoked: Vec::new(),
            sent_to_revoke: HashSet::new(),
            codes: HashMap::new(),
        };
        let state = Rc::new(RefCell::new(state));
        Self { key: Rc::clone(key), started: Instant::now(), state, called: Rc::default() }
    }

    /// HTTP client for one instance.
    pub(crate) fn wire(&self, instance: usize) -> ScriptedWire {
        let this = self.clone();
        ScriptedWire::new(move |request| {
            let this = this.clone();
            async move { this.respond(&request, instance).await }
        })
    }

    /// Makes the token endpoint fail like this, or not at all.
    pub(crate) fn set_illness(&self, illness: Option<Illness>) {
        self.state.borrow_mut().illness = illness;
    }

    /// Makes a failing token endpoint act before it fails.
    pub(crate) fn set_acts_when_ill(&self, acts: bool) {
        self.state.borrow_mut().acts_when_ill = acts;
    }

    /// Makes calls for this target alone fail like this, perhaps after they acted, or not at all.
    pub(crate) fn set_target_illness(&self, audience: &str, illness: Option<(Illness, bool)>) {
        let ill = &mut self.state.borrow_mut().ill_targets;
        match illness {
            Some(illness) => ill.insert(audience.to_owned(), illness),
            None => ill.remove(audience),
        };
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        self.state.borrow_mut().latency = latency;
    }

    /// Responds after up to half a second, sometimes after up to seven.
    pub(crate) fn set_seeded_latency(&self, seeded: Seeded) {
        self.state.borrow_mut().seeded = Some(seeded);
    }

    /// Makes one call in two slow.
    pub(crate) fn slow_down(&self) {
        self.state.borrow_mut().slow_one_in = 2;
    }

    /// Turns rotation off: a refresh token is valid for any number of refreshes.
    pub(crate) fn keep_refresh_tokens(&self) {
        self.state.borrow_mut().rotates = false;
    }

    pub(crate) fn set_defect(&self, defect: Option<ProviderDefect>) {
        self.state.borrow_mut().defect = defect;
    }

    /// Sets the lifetime of access tokens in seconds.
    pub(crate) fn set_expires_in(&self, seconds: u64) {
        self.state.borrow_mut().expires_in = seconds;
    }

    /// Issues a single-use code for an ID token with these claims.
    pub(crate) fn issue_code(&self, code: &str, claims: Value) {
        self.state.borrow_mut().codes.insert(code.to_owned(), claims);
    }

    pub(crate) fn refresh_calls(&self) -> Vec<RefreshCall> {
        self.state.borrow().calls.clone()
    }

    /// Instance that used this code.
    pub(crate) fn spender(&self, code: &str) -> Option<usize> {
        self.state.borrow().exchanges.iter().find(|exchange| exchange.code == code).map(|exchange| exchange.instance)
    }

    /// Waits until this instance has sent a refresh token, a code or an exchange this number of times.
    pub(crate) async fn called_by(&self, instance: usize, times: usize) {
        self.wait_for(|state| {
            let refreshes = state.calls.iter().filter(|call| call.instance == instance).count();
            let codes = state.exchanges.iter().filter(|exchange| exchange.instance == instance).count();
            let exchanges = state.token_exchanges.iter().filter(|exchange| exchange.instance == instance).count();
            refreshes + codes + exchanges >= times
        })
        .await;
    }

    /// Waits for this number of refresh requests.
    pub(crate) async fn refreshed(&self, times: usize) {
        self.wait_for(|state| state.calls.len() >= times).await;
    }

    /// True if the token was revoked.
    pub(crate) fn has_revoked(&self, token: &str) -> bool {
        self.state.borrow().revoked.iter().any(|revoked| revoked == token)
    }

    /// True if a request for the token's revocation was sent.
    pub(crate) fn was_sent_to_revoke(&self, token: &str) -> bool {
        self.state.borrow().sent_to_revoke.contains(token)
    }

    /// The token, and all its successors.
    pub(crate) fn chain(&self, token: &str) -> Vec<String> {
        let state = self.state.borrow();
        let mut chain = vec![token.to_owned()];
        while let Some(successor) = state.successors.get(&chain[chain.len() - 1]) {
            chain.push(successor.clone());
        }
        chain
    }

    /// True if the Provider has refused this token.
    pub(crate) fn has_refused(&self, token: &str) -> bool {
        self.state.borrow().refused.contains(token)
    }

    async fn wait_for(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let called = self.called.notified();
            if holds(&self.state.borrow()) {
                return;
            }
            called.await;
        }
    }

    /// Draws the time until the Provider acts, and until its response arrives.
    fn draw_latency(&self) -> (Duration, Duration) {
        let mut state = self.state.borrow_mut();
        let fixed = state.latency;
        let slow_one_in = state.slow_one_in;
        let Some(seeded) = &mut state.seeded else { return (fixed, Duration::ZERO) };
        let total = if seeded.one_in(slow_one_in) { seeded.millis(1_000, 7_000) } else { seeded.millis(20, 500) };
        let before = total * u32::try_from(seeded.below(101)).unwrap() / 100;
        (before, total - before)
    }

    async fn respond(&self, request: &ScriptedRequest, instance: usize) -> Result<Response, ProviderError> {
        let sent = self.started.elapsed();
        let (before, after) = self.draw_latency();
        let path = request.url.strip_prefix(ISSUER).unwrap_or_default();
        if path == "/revoke" {
            self.state.borrow_mut().sent_to_revoke.extend(request.field("token"));
        }
        sleep(before).await;
        let response = match path {
            "/.well-known/openid-configuration" => Ok(Response::json(200, &metadata())),
            "/jwks" => Ok(Response::json(200, &json!({ "keys": [self.key.jwk] }))),
            "/revoke" => {
                let mut state = self.state.borrow_mut();
                if state.defect != Some(ProviderDefect::ForgetsRevocations) {
                    state.revoked.extend(request.field("token"));
                }
                Ok(Response::json(200, &json!({})))
            }
            "/token" if request.field("grant_type").as_deref() == Some(GRANT_TYPE) => {
                self.exchange_token(request, instance, sent, after).await
            }
            "/token" => match request.field("refresh_token") {
                Some(token) => self.refresh(&token, request.field("audience"), instance).await,
                None => Ok(self.exchange(&request.field("code").unwrap(), instance)),
            },
            _ => Ok(Response::json(404, &json!({}))),
        };
        sleep(after).await;
        response
    }

    async fn refresh(&self, token: &str, audience: Option<String>, instance: usize) -> Result<Response, ProviderError> {
        let (illness, acts) = {
            let state = self.state.borrow();
            let of_target = || audience.as_ref().and_then(|audience| state.ill_targets.get(audience)).copied();
            match state.illness.map(|illness| (illness, state.acts_when_ill)).or_else(of_target) {
                Some((illness, acts)) => (Some(illness), acts || illness == Illness::IgnoresTarget),
                None => (None, true),
            }
        };
        let granted = acts.then(|| self.spend(token));
        if audience.is_none() && granted.as_ref().is_some_and(Option::is_some) {
            self.state.borrow_mut().end_earlier_subjects(token);
        }
        let call = RefreshCall {
            at: self.started.elapsed(),
            token: token.to_owned(),
            audience: audience.clone(),
            instance,
            illness,
            granted: granted.clone().flatten(),
        };
        self.state.borrow_mut().calls.push(call);
        self.called.notify_waiters();
        match illness {
            None => Ok(match granted.expect("a healthy provider acts") {
                Some(granted) => Response::json(200, &self.tokens(&granted, audience.as_deref(), None)),
                None => invalid_grant(),
            }),
            Some(Illness::Reset) => Err(ProviderError::NoResponse),
            Some(Illness::Hang) => std::future::pending().await,
            Some(Illness::Html) => Ok(Response::json(200, &json!("<html>"))),
            Some(Illness::Status(status)) => Ok(Response::json(status, &json!("<html>"))),
            Some(Illness::RefusesTarget) => Ok(Response::json(400, &json!({"error": "invalid_target"}))),
            Some(Illness::RefusesGrant) => Ok(invalid_grant()),
            Some(Illness::IgnoresTarget) => Ok(match granted.expect("it acts") {
                Some(granted) => {
                    let mut tokens = self.tokens(&granted, None, None);
                    tokens["access_token"] = self.key.sign(&json!({"aud": "api-of-the-sign-in"})).into();
                    Response::json(200, &tokens)
                }
                None => invalid_grant(),
            }),
        }
    }

    /// Uses a refresh token; returns the valid one from now on, or `None` for a refusal.
    fn spend(&self, token: &str) -> Option<String> {
        let mut state = self.state.borrow_mut();
        if state.revoked.iter().any(|revoked| token.starts_with(revoked)) || state.successors.contains_key(token) {
            state.refused.insert(token.to_owned());
            return None;
        }
        if state.defect == Some(ProviderDefect::RefusesLiving) && state.calls.len() % 2 == 1 {
            return None;
        }
        if !state.rotates {
            return Some(token.to_owned());
        }
        let successor = format!("{token}+");
        state.successors.insert(token.to_owned(), successor.clone());
        Some(successor)
    }

    /// Exchanges a code once (RFC 6749 4.1.2).
    fn exchange(&self, code: &str, instance: usize) -> Response {
        let mut state = self.state.borrow_mut();
        let claims = state.codes.remove(code);
        if claims.is_some() {
            state.exchanges.push(CodeExchange { code: code.to_owned(), instance });
        }
        drop(state);
        self.called.notify_waiters();
        match claims {
            Some(claims) => {
                Response::json(200, &self.tokens(&format!("of-{code}"), None, Some(&self.key.sign(&claims))))
            }
            None => invalid_grant(),
        }
    }

    fn tokens(&self, refresh_token: &str, audience: Option<&str>, id_token: Option<&str>) -> Value {
        let mut state = self.state.borrow_mut();
        state.grants += 1;
        let mut access_token = if state.seeded.is_some() {
            format!("access-{}-of-{refresh_token}", state.grants)
        } else {
            format!("access-of-{refresh_token}")
        };
        if let Some(audience) = audience {
            let is_confused = state.defect == Some(ProviderDefect::ConfusesTargets) && state.grants % 2 == 1;
            access_token.push_str(&for_target(if is_confused { "another" } else { audience }));
        } else {
            let expires = self.started.elapsed() + Duration::from_secs(state.expires_in);
            state.add_subject(&access_token, refresh_token, expires);
        }
        let mut tokens = json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": state.expires_in,
            "refresh_token": refresh_token,
        });
        if !state.rotates && id_token.is_none() {
            tokens.as_object_mut().unwrap().remove("refresh_token");
        }
        if let Some(id_token) = id_token {
            tokens["id_token"] = id_token.into();
        }
        tokens
    }
}

/// End of an access token for this target.
pub(crate) fn for_target(audience: &str) -> String {
    format!("-for-{audience}")
}

fn invalid_grant() -> Response {
    Response::json(400, &json!({"error": "invalid_grant"}))
}

fn metadata() -> Value {
    let mut metadata = json!({ "issuer": ISSUER });
    for (name, path) in [
        ("authorization_endpoint", "authorize"),
        ("token_endpoint", "token"),
        ("jwks_uri", "jwks"),
        ("revocation_endpoint", "revoke"),
    ] {
        metadata[name] = format!("{ISSUER}/{path}").into();
    }
    metadata
}
