//! An OpenID Provider over real HTTP: it issues as the demo's does, with scripted responses to refreshes.
//!
//! `issuing` decides who gets tokens. The names of the tokens, their claims and every fault are made here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use issuing::{CodeBinding, Grants, Secret, SigningKey};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value, json};
use url::Url;

use crate::upstream::{Received, Upstream};

/// Scripted response to one refresh.
pub enum TokenReply {
    /// As asked, once the test sends or drops the other end.
    Held(Receiver<()>),
    /// A status, one header line (or none) and a body.
    Raw(u16, &'static str, &'static str),
    /// The connection ends without a response.
    Reset,
    /// As asked, but without a `refresh_token` and an `id_token`.
    Bare,
    /// An ID token of this subject.
    Subject(&'static str),
}

/// Reaction of the Provider to a used refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It ends the grant, as RFC 9700 4.14.2 asks.
    EndsTheGrant,
    /// The last one but one still works, as within a grace period.
    HasGrace,
    /// Every one works for ever.
    IsAllowed,
}

/// The running Provider.
#[derive(Clone)]
pub struct Provider {
    /// Its issuer.
    pub issuer: String,
    state: Arc<Mutex<State>>,
}

struct State {
    key: SigningKey,
    /// Each for the nonce of its authorization request.
    grants: Grants<String>,
    /// The refresh token that replaced each used one.
    successors: HashMap<String, String>,
    /// Those whose successor the client was not told of.
    kept: HashSet<String>,
    reuse: Reuse,
    issued: u64,
    expires_in: u64,
    more_claims: Map<String, Value>,
    scripted: VecDeque<TokenReply>,
    forms: Vec<HashMap<String, String>>,
    refreshes: usize,
    exchanges: usize,
    revoked: Vec<String>,
}

impl Provider {
    /// A Provider whose access tokens last an hour.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            key: SigningKey::generate().unwrap(),
            grants: Grants::new(numbered()),
            successors: HashMap::new(),
            kept: HashSet::new(),
            reuse: Reuse::EndsTheGrant,
            issued: 0,
            expires_in: 3600,
            more_claims: Map::new(),
            scripted: VecDeque::new(),
            forms: Vec::new(),
            refreshes: 0,
            exchanges: 0,
            revoked: Vec::new(),
        }));
        let server = Arc::clone(&state);
        let upstream = Upstream::responding(move |request, reader, stream| serve(request, reader, stream, &server));
        Self { issuer: upstream.url, state }
    }

    /// A private key on P-256 in PEM (PKCS #8).
    #[must_use]
    pub fn new_signing_key() -> String {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let body = base64::engine::general_purpose::STANDARD.encode(document);
        format!("-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----")
    }

    /// The settings that name this Provider.
    #[must_use]
    pub fn settings(&self) -> [(&str, &str); 3] {
        [("OIDC_ISSUER_URL", &self.issuer), ("CLIENT_ID", "client"), ("CLIENT_SECRET", "a-client-secret")]
    }

    /// Signs the person in and sends them back: the URL that the authorization request leads to.
    #[must_use]
    pub fn approve(&self, authorization_request: &str) -> String {
        let request = Url::parse(authorization_request).unwrap();
        let query: HashMap<_, _> = request.query_pairs().into_owned().collect();
        let binding = CodeBinding {
            redirect_uri: query["redirect_uri"].clone(),
            code_challenge: query["code_challenge"].clone(),
        };
        let code = self.lock().grants.issue_code(query["nonce"].clone(), binding, now());
        let mut back = Url::parse(&query["redirect_uri"]).unwrap();
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &query["state"]);
        back.into()
    }

    /// Sets the lifetime of further tokens, in seconds.
    pub fn set_expires_in(&self, seconds: u64) {
        self.lock().expires_in = seconds;
    }

    /// Claims of the ID tokens that are issued from now on, besides or instead of its own.
    ///
    /// # Panics
    /// When they aren't an object.
    pub fn set_claims(&self, claims: &Value) {
        self.lock().more_claims = claims.as_object().expect("claims are an object").clone();
    }

    /// Sets the reaction to a used refresh token.
    pub fn set_reuse(&self, reuse: Reuse) {
        self.lock().reuse = reuse;
    }

    /// Scripts the response to one more refresh, after those already scripted.
    pub fn script(&self, response: TokenReply) {
        self.lock().scripted.push_back(response);
    }

    /// Number of refresh requests.
    #[must_use]
    pub fn refreshes(&self) -> usize {
        self.lock().refreshes
    }

    /// A logout token (Back-Channel Logout 1.0, 2.4) with these claims besides or instead of its own; null takes one away.
    #[must_use]
    pub fn logout_token(&self, changes: &Value) -> String {
        let now = now();
        let mut state = self.lock();
        state.issued += 1;
        let claims = json!({
            "iss": self.issuer, "aud": "client", "iat": now, "exp": now + 120, "jti": format!("jti-{}", state.issued),
            "sub": "ada", "sid": "sid-of-ada",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        sign(claims, changes, "logout+jwt", &state)
    }

    /// An access token for an API client (RFC 9068) with these claims besides or instead of its own; null takes one away.
    #[must_use]
    pub fn access_token(&self, typ: &str, changes: &Value) -> String {
        let now = now();
        let claims = json!({
            "iss": self.issuer, "aud": "api://orders", "iat": now, "exp": now + 300, "jti": "jti-of-access",
            "sub": "robot", "client_id": "robot", "scope": "orders.read",
        });
        sign(claims, changes, typ, &self.lock())
    }

    /// The forms that were posted, in order.
    #[must_use]
    pub fn forms(&self) -> Vec<HashMap<String, String>> {
        self.lock().forms.clone()
    }

    /// Number of token responses.
    #[must_use]
    pub fn issued(&self) -> u64 {
        self.lock().issued
    }

    /// Number of code exchanges, including refused ones.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.lock().exchanges
    }

    /// The refresh tokens that were revoked (RFC 7009), in order.
    #[must_use]
    pub fn revoked(&self) -> Vec<String> {
        self.lock().revoked.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn sign(mut claims: Value, changes: &Value, typ: &str, state: &State) -> String {
    let members = claims.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    state.key.sign(typ, &claims).unwrap()
}

/// `code-1`, `grant-1`, `refresh-token-1` and so on: a test recognises them.
fn numbered() -> impl Fn(Secret) -> String + Send + Sync {
    let counts = [const { AtomicUsize::new(1) }; 3];
    move |secret| {
        let (name, count) = match secret {
            Secret::Code => ("code", &counts[0]),
            Secret::Grant => ("grant", &counts[1]),
            Secret::RefreshToken => ("refresh-token", &counts[2]),
        };
        format!("{name}-{}", count.fetch_add(1, Ordering::Relaxed))
    }
}

fn now() -> i64 {
    i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

fn serve(request: &Received, reader: &mut BufReader<TcpStream>, stream: &mut TcpStream, state: &Mutex<State>) -> bool {
    let issuer = format!("http://{}", request.header("host").unwrap());
    let body = String::from_utf8(request.read_body(reader)).unwrap();
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    if !form.is_empty() {
        state.lock().unwrap().forms.push(form.clone());
    }
    let response = match request.request_line.split(' ').nth(1).unwrap_or_default() {
        "/.well-known/openid-configuration" => ok(&json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "end_session_endpoint": format!("{issuer}/end_session"),
        })),
        "/jwks" => ok(&state.lock().unwrap().key.jwk_set()),
        "/token" if form["grant_type"] == "authorization_code" => exchange(&form, &issuer, &mut state.lock().unwrap()),
        "/token" if form["grant_type"].ends_with(":token-exchange") => {
            let mut response = access_token(&mut state.lock().unwrap());
            name_target(&mut response, &form);
            ok(&response)
        }
        "/token" => match refresh(&form, &issuer, state) {
            Some(response) => response,
            None => return false,
        },
        "/revoke" => {
            let mut state = state.lock().unwrap();
            state.revoked.push(form["token"].clone());
            state.grants.revoke(&form["token"]);
            raw(200, "", "")
        }
        _ => raw(404, "", ""),
    };
    stream.write_all(response.as_bytes()).is_ok()
}

fn exchange(form: &HashMap<String, String>, issuer: &str, state: &mut State) -> String {
    state.exchanges += 1;
    let [code, redirect_uri, verifier] =
        ["code", "redirect_uri", "code_verifier"].map(|name| form.get(name).map_or("", String::as_str));
    match state.grants.redeem_code(code, redirect_uri, verifier, now()) {
        Some(grant) => {
            let mut response = access_token(state);
            response["refresh_token"] = grant.refresh_token.into();
            response["id_token"] = id_token(issuer, "ada", Some(&grant.approval), state).into();
            ok(&response)
        }
        None => invalid_grant(),
    }
}

fn refresh(form: &HashMap<String, String>, issuer: &str, state: &Mutex<State>) -> Option<String> {
    let scripted = {
        let mut state = state.lock().unwrap();
        state.refreshes += 1;
        state.scripted.pop_front()
    };
    let mut subject = "ada";
    let mut is_bare = false;
    match scripted {
        None => {}
        Some(TokenReply::Held(release)) => drop(release.recv()),
        Some(TokenReply::Raw(status, header, body)) => return Some(raw(status, header, body)),
        Some(TokenReply::Reset) => return None,
        Some(TokenReply::Bare) => is_bare = true,
        Some(TokenReply::Subject(other)) => subject = other,
    }
    let mut state = state.lock().unwrap();
    let state = &mut *state;
    let given = state.accepted(&form["refresh_token"]);
    let Some(grant) = state.grants.rotate(&given) else { return Some(invalid_grant()) };
    state.successors.insert(given.clone(), grant.refresh_token.clone());
    let mut response = access_token(state);
    name_target(&mut response, form);
    if is_bare {
        state.kept.insert(given);
    } else {
        response["refresh_token"] = grant.refresh_token.into();
        response["id_token"] = id_token(issuer, subject, None, state).into();
    }
    Some(ok(&response))
}

impl State {
    /// The unused refresh token if `given` is accepted for it, else `given`.
    fn accepted(&self, given: &str) -> String {
        let (mut token, mut replaced) = (given, 0);
        while let Some(successor) = self.successors.get(token) {
            replaced += usize::from(!self.kept.contains(token));
            token = successor;
        }
        let is_accepted = match self.reuse {
            Reuse::EndsTheGrant => replaced == 0,
            Reuse::HasGrace => replaced <= 1,
            Reuse::IsAllowed => true,
        };
        if is_accepted { token.to_owned() } else { given.to_owned() }
    }
}

/// The access token of a request that names a target has the target's name at its end.
fn name_target(response: &mut Value, form: &HashMap<String, String>) {
    if let Some(target) = form.get("resource").or(form.get("audience")) {
        response["access_token"] = format!("{}-for-{target}", response["access_token"].as_str().unwrap()).into();
    }
}

/// A token response without a refresh token and an ID token.
fn access_token(state: &mut State) -> Value {
    state.issued += 1;
    json!({
        "access_token": format!("access-token-{}", state.issued),
        "token_type": "Bearer",
        "expires_in": state.expires_in,
    })
}

fn id_token(issuer: &str, subject: &str, nonce: Option<&str>, state: &State) -> String {
    let now = now();
    let mut claims = json!({
        "iss": issuer, "aud": "client", "sub": subject, "iat": now, "exp": now + 3600,
        "sid": "sid-of-ada", "name": "Ada Lovelace", "preferred_username": "ada", "email": "ada@person.example",
    });
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    claims.as_object_mut().unwrap().extend(state.more_claims.clone());
    state.key.sign("JWT", &claims).unwrap()
}

fn invalid_grant() -> String {
    raw(400, "", r#"{"error":"invalid_grant"}"#)
}

fn ok(json: &Value) -> String {
    raw(200, "content-type: application/json\r\n", &json.to_string())
}

fn raw(status: u16, header: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Scripted\r\n{header}content-length: {}\r\n\r\n{body}", body.len())
}

/// Verifies an identity assertion as an application does, by the key set alone, and returns its claims.
///
/// # Panics
/// When the signature, the issuer, the audience or a time is wrong.
#[must_use]
pub fn verify_assertion(assertion: &str, key_set: &str, issuer: &str, audience: &str) -> Value {
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_str(key_set).unwrap();
    let id = jsonwebtoken::decode_header(assertion).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&id).unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(Algorithm::ES256);
    rules.set_issuer(&[issuer]);
    rules.set_audience(&[audience]);
    jsonwebtoken::decode::<Value>(assertion, &key, &rules).unwrap().claims
}
