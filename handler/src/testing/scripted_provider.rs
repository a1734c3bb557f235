//! A Provider for tests: real HTTP on loopback, real signatures, and the responses that a test scripts.
//!
//! Knows nothing of what is tested. Every request is kept, so that a test can count and read them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use crate::crypto::base64url;

/// For a client that trusts no certificate: a scripted Provider speaks plain HTTP.
pub(crate) fn no_trust() -> Arc<rustls::ClientConfig> {
    let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
    Arc::new(tls.with_no_client_auth())
}

/// A private key of the Provider, and the public one as its JWK Set has it.
pub(crate) struct SigningKey {
    algorithm: Algorithm,
    private: EncodingKey,
    pub(crate) jwk: Value,
}

impl SigningKey {
    pub(crate) fn es256(kid: &str) -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": base64url(x), "y": base64url(y)});
        Self { algorithm: Algorithm::ES256, private: EncodingKey::from_ec_der(document.as_ref()), jwk }
    }

    pub(crate) fn rs256(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let jwk = json!({"kty": "RSA", "kid": kid, "n": base64url(&public.n), "e": base64url(&public.e)});
        let pkcs8 = pair.as_der().unwrap();
        let private = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]); // the RFC 8017 key within, behind its name
        Self { algorithm: Algorithm::RS256, private, jwk }
    }

    pub(crate) fn ed25519(kid: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64url(pair.public_key().as_ref())});
        Self { algorithm: Algorithm::EdDSA, private: EncodingKey::from_ed_der(document.as_ref()), jwk }
    }

    /// Signs with the header that a Provider would write.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT", "kid": self.jwk["kid"]});
        self.sign_raw(&header.to_string(), &claims.to_string())
    }

    /// Signs whatever the header and the payload are.
    pub(crate) fn sign_raw(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
        let signature = crypto::sign(signed.as_bytes(), &self.private, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

/// The response of a path.
#[derive(Clone)]
pub(crate) enum Reply {
    /// 200 and JSON.
    Json(Value),
    /// Tokens named after the refresh token that was sent: `r` gets `r+`.
    Rotated,
    /// Any status, one more header line (or none), any body.
    Raw(u16, &'static str, String),
    /// Takes the request and never responds.
    Silence,
    /// Takes the request and closes the connection.
    Reset,
    /// The head and a part of the body, then the end.
    Torn,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

#[derive(Default)]
struct Script {
    replies: HashMap<String, Reply>,
    grants: HashMap<String, Reply>,
    received: Vec<Received>,
    silent: Vec<TcpStream>,
}

/// The server; it runs until the process ends.
#[derive(Clone)]
pub(crate) struct ScriptedProvider {
    pub(crate) origin: String,
    script: Arc<Mutex<Script>>,
}

impl ScriptedProvider {
    /// A Provider with every endpoint in its metadata, and one key named `k1` that it signs with.
    pub(crate) fn start() -> (Self, SigningKey) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self { origin, script: Arc::default() };
        let key = SigningKey::es256("k1");
        provider.reply("/.well-known/openid-configuration", Reply::Json(provider.metadata()));
        provider.publish(&[&key.jwk]);
        let server = provider.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream.unwrap()));
            }
        });
        (provider, key)
    }

    pub(crate) fn metadata(&self) -> Value {
        let mut metadata = json!({"issuer": self.origin});
        let endpoints = ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"];
        for name in endpoints.into_iter().chain(["revocation_endpoint", "end_session_endpoint"]) {
            metadata[name] = format!("{}/{name}", self.origin).into();
        }
        metadata
    }

    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.script.lock().unwrap().replies.insert(path.to_owned(), reply);
    }

    /// The reply of the token endpoint to this `grant_type`, whatever its reply to others is.
    pub(crate) fn reply_to_grant(&self, grant_type: &str, reply: Reply) {
        self.script.lock().unwrap().grants.insert(grant_type.to_owned(), reply);
    }

    pub(crate) fn publish(&self, keys: &[&Value]) {
        self.reply("/jwks_uri", Reply::Json(json!({ "keys": keys })));
    }

    pub(crate) fn received(&self, path: &str) -> Vec<Received> {
        self.script.lock().unwrap().received.iter().filter(|received| received.path == path).cloned().collect()
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(received) = read(&stream) else { return };
        let form = received.form();
        let sent = form.get("refresh_token").cloned().unwrap_or_default();
        let reply = {
            let mut script = self.script.lock().unwrap();
            let by_grant = form.get("grant_type").and_then(|grant_type| script.grants.get(grant_type));
            let reply = by_grant.or(script.replies.get(&received.path)).cloned();
            script.received.push(received);
            reply.unwrap_or(Reply::Raw(404, "", String::new()))
        };
        let response = match reply {
            Reply::Json(json) => http(200, "content-type: application/json\r\n", &json.to_string()),
            Reply::Rotated => {
                let tokens = json!({"access_token": format!("access-of-{sent}"), "token_type": "Bearer", "expires_in": 3600,
                    "refresh_token": format!("{sent}+")});
                http(200, "content-type: application/json\r\n", &tokens.to_string())
            }
            Reply::Raw(status, header, body) => http(status, header, &body),
            Reply::Silence => return self.script.lock().unwrap().silent.push(stream),
            Reply::Reset => return,
            Reply::Torn => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":".to_owned(),
        };
        let _ = stream.write_all(response.as_bytes()); // a client that has read enough may be gone
    }
}

fn http(status: u16, header: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Scripted\r\n{header}content-length: {}\r\n\r\n{body}", body.len())
}

fn read(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { path, headers, body: String::from_utf8(body).ok()? })
}
