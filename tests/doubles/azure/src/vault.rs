//! Key Vault's data plane: versions of secrets in pages, their values, and keys that sign.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::UNIX_EPOCH;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::rand::fill;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use hyper::{Method, Response};
use serde_json::{Value, json};

use crate::Faults;
use crate::identity::Identity;
use crate::server::{Asked, Service, error, json_response};

/// Audience of a vault's tokens.
const RESOURCE: &str = "https://vault.azure.net";
/// Versions per page: so few that two of them need a second page.
const PAGE: usize = 1;

/// Secrets and keys.
pub struct Vault {
    /// Scripted faults, and counters: `versions`, `secret`, `key`, `sign`, `challenge`.
    pub faults: Faults,
    identity: Arc<Identity>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    secrets: Vec<Secret>,
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Secret {
    name: String,
    version: String,
    value: String,
    created: u64,
    is_enabled: bool,
    not_before: Option<u64>,
    expires: Option<u64>,
}

struct Key {
    name: String,
    version: String,
    pair: EcdsaKeyPair,
}

impl Vault {
    pub(crate) fn new(identity: Arc<Identity>) -> Self {
        Self { faults: Faults::default(), identity, state: Mutex::default() }
    }

    /// Adds a version of a secret, created `age` seconds ago: base64 of 32 random bytes. Returns the version.
    pub fn add_key_secret(&self, name: &str, age: u64) -> String {
        let mut bytes = [0; 32];
        fill(&mut bytes).unwrap();
        self.add_secret(name, &STANDARD.encode(bytes), age)
    }

    /// Adds a version of a secret, created `age` seconds ago. Returns the version.
    pub fn add_secret(&self, name: &str, value: &str, age: u64) -> String {
        let version = version();
        self.state().secrets.push(Secret {
            name: name.to_owned(),
            version: version.clone(),
            value: value.to_owned(),
            created: now() - age,
            is_enabled: true,
            not_before: None,
            expires: None,
        });
        version
    }

    /// Makes a version `age` seconds old, as time would.
    pub fn set_age(&self, version: &str, age: u64) {
        self.change(version, |secret| secret.created = now() - age);
    }

    /// Enables or disables a version.
    pub fn set_enabled(&self, version: &str, is_enabled: bool) {
        self.change(version, |secret| secret.is_enabled = is_enabled);
    }

    /// Adds a key on P-256. Returns its public half in uncompressed form (SEC 1, 2.3.3).
    pub fn add_signing_key(&self, name: &str) -> Vec<u8> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        self.state().keys.push(Key { name: name.to_owned(), version: version(), pair });
        public
    }

    fn change(&self, version: &str, change: impl FnOnce(&mut Secret)) {
        change(self.state().secrets.iter_mut().find(|secret| secret.version == version).expect("a version"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn versions(&self, name: &str, asked: &Asked, origin: &str) -> Response<Full<Bytes>> {
        self.faults.count("versions");
        let state = self.state();
        let all: Vec<&Secret> = state.secrets.iter().filter(|secret| secret.name == name).collect();
        let query = asked.uri().query().unwrap_or_default().as_bytes();
        let token = url::form_urlencoded::parse(query).find(|(name, _)| name == "$skiptoken");
        let skip: usize = token.and_then(|(_, skip)| skip.parse().ok()).unwrap_or(0);
        let page: Vec<Value> = all.iter().skip(skip).take(PAGE).map(|secret| properties(secret, origin)).collect();
        let next = (skip + PAGE < all.len())
            .then(|| format!("{origin}/secrets/{name}/versions?api-version=2025-07-01&$skiptoken={}", skip + PAGE));
        json_response(200, &json!({ "value": page, "nextLink": next }))
    }

    fn secret(&self, name: &str, version: &str, origin: &str) -> Response<Full<Bytes>> {
        self.faults.count("secret");
        let state = self.state();
        let found = state.secrets.iter().find(|secret| secret.name == name && secret.version == version);
        match found {
            Some(secret) if secret.is_enabled => {
                let mut response = properties(secret, origin);
                response["value"] = secret.value.clone().into();
                json_response(200, &response)
            }
            Some(_) => {
                error(403, "Forbidden", Some("SecretDisabled"), "Operation get is not allowed on a disabled secret.")
            }
            None => error(404, "SecretNotFound", None, "A secret with this name was not found in this key vault."),
        }
    }

    fn key(&self, name: &str, origin: &str) -> Response<Full<Bytes>> {
        self.faults.count("key");
        let state = self.state();
        let Some(key) = state.keys.iter().rev().find(|key| key.name == name) else {
            return error(404, "KeyNotFound", None, "A key with this name was not found in this key vault.");
        };
        let (x, y) = key.pair.public_key().as_ref()[1..].split_at(32);
        let kid = format!("{origin}/keys/{name}/{}", key.version);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({"kid": kid, "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "key_ops": ["sign"]});
        json_response(200, &json!({ "key": jwk, "attributes": { "enabled": true } }))
    }

    fn sign(&self, name: &str, version: &str, body: &[u8], origin: &str) -> Response<Full<Bytes>> {
        self.faults.count("sign");
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let state = self.state();
        let Some(key) = state.keys.iter().find(|key| key.name == name && key.version == version) else {
            return error(404, "KeyNotFound", None, "A key with this name was not found in this key vault.");
        };
        let digest = asked["value"].as_str().and_then(|value| URL_SAFE_NO_PAD.decode(value).ok()).unwrap_or_default();
        let (Ok(digest), true) = (Digest::import_less_safe(&digest, &SHA256), asked["alg"] == "ES256") else {
            return error(400, "BadParameter", None, "The digest or the algorithm doesn't fit the key.");
        };
        let signature = key.pair.sign_digest(&digest).unwrap();
        let kid = format!("{origin}/keys/{name}/{version}");
        json_response(200, &json!({ "kid": kid, "value": URL_SAFE_NO_PAD.encode(signature.as_ref()) }))
    }

    fn is_authorized(&self, asked: &Asked) -> bool {
        let given = asked.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|given| given.strip_prefix("Bearer ")).is_some_and(|token| self.identity.is_for(token, RESOURCE))
    }
}

impl Service for Vault {
    fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The challenge comes before the request is looked at.
    fn is_beyond_faults(&self, asked: &Asked) -> bool {
        !asked.headers().contains_key(AUTHORIZATION) && !self.faults.is_dead()
    }

    fn respond(&self, asked: &Asked, origin: &str) -> Response<Full<Bytes>> {
        if !self.is_authorized(asked) {
            self.faults.count("challenge");
            let mut response = error(401, "Unauthorized", None, "AKV10000: Request is missing a Bearer or PoP token.");
            let challenge = format!("Bearer authorization=\"https://login.example/tenant\", resource=\"{RESOURCE}\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
            return response;
        }
        let path = asked.uri().path().trim_matches('/').to_owned();
        match (asked.method(), path.split('/').collect::<Vec<_>>().as_slice()) {
            (&Method::GET, ["secrets", name, "versions"]) => self.versions(name, asked, origin),
            (&Method::GET, ["secrets", name, version]) => self.secret(name, version, origin),
            (&Method::GET, ["keys", name]) => self.key(name, origin),
            (&Method::POST, ["keys", name, version, "sign"]) => self.sign(name, version, asked.body(), origin),
            _ => error(404, "NotFound", None, "Nothing here."),
        }
    }
}

fn properties(secret: &Secret, origin: &str) -> Value {
    let mut attributes = json!({ "enabled": secret.is_enabled, "created": secret.created, "updated": secret.created });
    attributes["nbf"] = secret.not_before.into();
    attributes["exp"] = secret.expires.into();
    attributes.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    json!({ "id": format!("{origin}/secrets/{}/{}", secret.name, secret.version), "attributes": attributes })
}

fn version() -> String {
    let mut bytes = [0; 16];
    fill(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    UNIX_EPOCH.elapsed().unwrap().as_secs()
}
