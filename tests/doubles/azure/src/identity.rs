//! The managed identity endpoint of App Service (api-version 2019-08-01), and the issuer of its tokens.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::server::{Asked, Service, error, json_response};
use crate::{Faults, IDENTITY_HEADER};

/// The client id of the one identity there is.
pub const CLIENT_ID: &str = "11111111-2222-3333-4444-555555555555";
/// Its object id.
pub const OBJECT_ID: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

/// The endpoint and the issuer.
pub struct Identity {
    /// Scripted faults, and counters by resource (and `keys`, the issuer's JWK Set).
    pub faults: Faults,
    signing: EncodingKey,
    jwk: Value,
    issued: Mutex<HashSet<String>>,
    lifetime: AtomicU64,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Self {
            faults: Faults::default(),
            signing: EncodingKey::from_ec_der(document.as_ref()),
            jwk: json!({"kty": "EC", "crv": "P-256", "kid": "tenant-1", "x": encode(x), "y": encode(y)}),
            issued: Mutex::default(),
            lifetime: AtomicU64::new(86_400),
        }
    }

    /// Sets the lifetime of further tokens, in seconds.
    pub fn set_lifetime(&self, seconds: u64) {
        self.lifetime.store(seconds, Ordering::Relaxed);
    }

    /// A token of the issuer with these claims besides or instead of its own.
    #[must_use]
    pub fn token(&self, issuer: &str, audience: &str, changes: &Value) -> String {
        let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
        let mut claims = json!({
            "iss": issuer, "aud": audience, "oid": OBJECT_ID, "appid": CLIENT_ID, "sub": OBJECT_ID,
            "iat": now, "nbf": now, "exp": now + 86_400,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let header = Header { kid: Some("tenant-1".to_owned()), ..Header::new(Algorithm::ES256) };
        let token = jsonwebtoken::encode(&header, &claims, &self.signing).unwrap();
        self.issued.lock().unwrap().insert(token.clone());
        token
    }

    /// True for a token that was issued for `audience`.
    pub(crate) fn is_for(&self, token: &str, audience: &str) -> bool {
        let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
        let claims: Value = payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default();
        self.issued.lock().unwrap().contains(token) && claims["aud"] == audience
    }

    fn issue(&self, asked: &Asked, origin: &str) -> Response<Full<Bytes>> {
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(asked.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
        let value = |name: &str| query.get(name).map(String::as_str);
        if asked.headers().get("x-identity-header").is_none_or(|header| header != IDENTITY_HEADER) {
            return error(401, "Unauthorized", None, "The secret header is missing or another.");
        }
        if value("api-version") != Some("2019-08-01") || value("client_id").is_some_and(|client| client != CLIENT_ID) {
            return error(400, "InvalidRequest", None, "No such identity or version.");
        }
        let Some(resource) = value("resource") else { return error(400, "InvalidRequest", None, "No resource.") };
        self.faults.count(resource);
        let expires_on = UNIX_EPOCH.elapsed().unwrap().as_secs() + self.lifetime.load(Ordering::Relaxed);
        json_response(
            200,
            &json!({
                "access_token": self.token(&format!("{origin}/tenant/"), resource, &json!({})),
                "expires_on": expires_on.to_string(),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": CLIENT_ID,
            }),
        )
    }
}

impl Service for Identity {
    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn is_beyond_faults(&self, _asked: &Asked) -> bool {
        false
    }

    fn respond(&self, asked: &Asked, origin: &str) -> Response<Full<Bytes>> {
        match asked.uri().path() {
            "/msi/token" => self.issue(asked, origin),
            "/tenant/.well-known/openid-configuration" => json_response(
                200,
                &json!({
                    "issuer": format!("{origin}/tenant/"),
                    "authorization_endpoint": format!("{origin}/tenant/authorize"),
                    "token_endpoint": format!("{origin}/tenant/token"),
                    "jwks_uri": format!("{origin}/tenant/keys"),
                }),
            ),
            "/tenant/keys" => {
                self.faults.count("keys");
                json_response(200, &json!({ "keys": [self.jwk] }))
            }
            _ => error(404, "NotFound", None, "Nothing here."),
        }
    }
}
