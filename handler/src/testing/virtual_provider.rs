//! A Provider in memory and in virtual time: rotates refresh tokens, and can be ill in every way that was seen.
//!
//! Speaks HTTP to the level of a response; the timeouts above it are the product's own.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::scripted_provider::SigningKey;
use crate::oidc::{ProviderError, Response, ScriptedRequest, ScriptedWire};

/// Where the Provider is; nothing listens there.
pub(crate) const ISSUER: &str = "http://127.0.0.1:9";

/// A failure of the token endpoint.
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

    /// True if the caller cannot know whether the Provider acted.
    pub(crate) fn is_ambiguous(self) -> bool {
        !matches!(self, Self::Status(429 | 503))
    }
}

/// A call of the token endpoint with a refresh token.
#[derive(Clone, Debug)]
pub(crate) struct RefreshCall {
    /// Virtual time since the start.
    pub(crate) at: Duration,
    /// The token that was sent.
    pub(crate) token: String,
}

struct State {
    illness: Option<Illness>,
    /// True if an ill token endpoint acts before it fails.
    acts_when_ill: bool,
    latency: Duration,
    /// Spent tokens and their successors. A spent token that comes again is refused.
    successors: HashMap<String, String>,
    refused: HashSet<String>,
    calls: Vec<RefreshCall>,
    revoked: Vec<String>,
    /// Claims of the ID token that the next code yields.
    id_token: Value,
}

/// The Provider. A clone is the same one.
#[derive(Clone)]
pub(crate) struct VirtualProvider {
    key: Rc<SigningKey>,
    started: Instant,
    state: Rc<RefCell<State>>,
}

impl VirtualProvider {
    pub(crate) fn start() -> Self {
        let state = State {
            illness: None,
            acts_when_ill: false,
            latency: Duration::from_millis(100),
            successors: HashMap::new(),
            refused: HashSet::new(),
            calls: Vec::new(),
            revoked: Vec::new(),
            id_token: json!({}),
        };
        let key = Rc::new(SigningKey::es256("k1"));
        Self { key, started: Instant::now(), state: Rc::new(RefCell::new(state)) }
    }

    /// The wire of one instance.
    pub(crate) fn wire(&self) -> ScriptedWire {
        let this = self.clone();
        ScriptedWire::new(move |request| {
            let this = this.clone();
            async move { this.respond(&request).await }
        })
    }

    /// From now on the token endpoint fails like this, or not at all.
    pub(crate) fn set_illness(&self, illness: Option<Illness>) {
        self.state.borrow_mut().illness = illness;
    }

    /// An ill token endpoint acts on a call before it fails.
    pub(crate) fn act_when_ill(&self) {
        self.state.borrow_mut().acts_when_ill = true;
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        self.state.borrow_mut().latency = latency;
    }

    /// The ID token that every code yields from now on.
    pub(crate) fn set_id_token(&self, claims: Value) {
        self.state.borrow_mut().id_token = claims;
    }

    pub(crate) fn refresh_calls(&self) -> Vec<RefreshCall> {
        self.state.borrow().calls.clone()
    }

    pub(crate) fn revoked(&self) -> Vec<String> {
        self.state.borrow().revoked.clone()
    }

    /// The token that the Provider would take now in place of `token`.
    pub(crate) fn newest(&self, token: &str) -> String {
        let state = self.state.borrow();
        let mut newest = token;
        while let Some(successor) = state.successors.get(newest) {
            newest = successor;
        }
        newest.to_owned()
    }

    /// True if the Provider has refused this token.
    pub(crate) fn has_refused(&self, token: &str) -> bool {
        self.state.borrow().refused.contains(token)
    }

    async fn respond(&self, request: &ScriptedRequest) -> Result<Response, ProviderError> {
        let latency = self.state.borrow().latency;
        tokio::time::sleep(latency).await;
        match request.url.strip_prefix(ISSUER).unwrap_or_default() {
            "/.well-known/openid-configuration" => Ok(Response::json(200, &metadata())),
            "/jwks" => Ok(Response::json(200, &json!({ "keys": [self.key.jwk] }))),
            "/revoke" => {
                self.state.borrow_mut().revoked.extend(request.field("token"));
                Ok(Response::json(200, &json!({})))
            }
            "/token" => match request.field("refresh_token") {
                Some(token) => self.refresh(&token).await,
                None => Ok(Response::json(200, &self.tokens("signed-in", Some(&self.id_token())))),
            },
            _ => Ok(Response::json(404, &json!({}))),
        }
    }

    async fn refresh(&self, token: &str) -> Result<Response, ProviderError> {
        let (illness, acts) = {
            let mut state = self.state.borrow_mut();
            let at = self.started.elapsed();
            state.calls.push(RefreshCall { at, token: token.to_owned() });
            (state.illness, state.illness.is_none() || state.acts_when_ill)
        };
        let response = acts.then(|| self.spend(token));
        match illness {
            None => Ok(response.expect("a healthy provider acts")),
            Some(Illness::Reset) => Err(ProviderError::NoResponse),
            Some(Illness::Hang) => std::future::pending().await,
            Some(Illness::Html) => Ok(Response::json(200, &json!("<html>"))),
            Some(Illness::Status(status)) => Ok(Response::json(status, &json!("<html>"))),
        }
    }

    fn spend(&self, token: &str) -> Response {
        let mut state = self.state.borrow_mut();
        if state.successors.contains_key(token) || state.refused.contains(token) {
            state.refused.insert(token.to_owned());
            return Response::json(400, &json!({"error": "invalid_grant"}));
        }
        let successor = format!("{token}+");
        state.successors.insert(token.to_owned(), successor.clone());
        drop(state);
        Response::json(200, &self.tokens(&successor, None))
    }

    fn tokens(&self, refresh_token: &str, id_token: Option<&str>) -> Value {
        let mut tokens = json!({
            "access_token": format!("access-of-{refresh_token}"), "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": refresh_token,
        });
        if let Some(id_token) = id_token {
            tokens["id_token"] = id_token.into();
        }
        tokens
    }

    fn id_token(&self) -> String {
        self.key.sign(&self.state.borrow().id_token)
    }
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
