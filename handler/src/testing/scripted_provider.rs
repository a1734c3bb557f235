//! A Provider for tests: real HTTP on loopback, real signatures, and the responses that a test scripts.
//!
//! Keeps every request, so that a test can count and read them.

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
use crate::egress::{Egress, Proxies};

/// Egress that trusts no certificate and uses no proxy: a scripted Provider speaks plain HTTP.
pub(crate) fn no_trust() -> Egress {
    let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
    Egress::new(&tls.with_no_client_auth(), Proxies::default())
}

/// Private key of the Provider, with its public key for the JWK Set.
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

    /// Signs claims under a regular header.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT", "kid": self.jwk["kid"]});
        self.sign_raw(&header.to_string(), &claims.to_string())
    }

    /// Signs any header and payload.
    pub(crate) fn sign_raw(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
        let signature = crypto::sign(signed.as_bytes(), &self.private, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

/// Scripted response of a path.
#[derive(Clone)]
pub(crate) enum Reply {
    /// 200 with JSON.
    Json(Value),
    /// Tokens derived from the refresh token in the request: `r` gets `r+`.
    Rotated,
    /// Any status, an optional header line, any body.
    Raw(u16, &'static str, String),
    /// Reads the request and never responds.
    Silence,
    /// Reads the request and closes the connection.
    Reset,
    /// The head and a part of the body, then the end of the connection.
    Torn,
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// The same, each byte by itself.
    Trickle(Vec<u8>),
    /// These bytes on a connection that stays open.
    Held(Vec<u8>),
    /// These bytes, then the last of them repeated for ever.
    Endless(&'static str, &'static str),
}

/// Received request.
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
    silent: Vec<Box<dyn Send>>,
}

/// Server that runs until the process ends.
#[derive(Clone)]
pub(crate) struct ScriptedProvider {
    pub(crate) origin: String,
    script: Arc<Mutex<Script>>,
}

impl ScriptedProvider {
    /// A Provider with every endpoint in its metadata, and one signing key named `k1`.
    pub(crate) fn start() -> (Self, SigningKey) {
        Self::start_over("http://127.0.0.1", |stream| stream)
    }

    /// The same over TLS, with a configuration that trusts it. Its connections end without close_notify.
    pub(crate) fn start_tls() -> (Self, SigningKey, rustls::ClientConfig) {
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.cert.der().clone()).unwrap();
        let private = rustls::pki_types::PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
        let server = rustls::ServerConfig::builder().with_no_client_auth();
        let server = Arc::new(server.with_single_cert(vec![certificate.cert.der().clone()], private).unwrap());
        let (provider, key) = Self::start_over("https://localhost", move |stream| {
            rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(&server)).unwrap(), stream)
        });
        (provider, key, rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }

    fn start_over<T: Read + Write + Send + 'static>(
        scheme_and_host: &str,
        wrap: impl Fn(TcpStream) -> T + Send + Sync + 'static,
    ) -> (Self, SigningKey) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("{scheme_and_host}:{}", listener.local_addr().unwrap().port());
        let provider = Self { origin, script: Arc::default() };
        let key = SigningKey::es256("k1");
        provider.reply("/.well-known/openid-configuration", Reply::Json(provider.metadata()));
        provider.publish(&[&key.jwk]);
        let (server, wrap) = (provider.clone(), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, wrap) = (server.clone(), Arc::clone(&wrap));
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || server.serve(wrap(stream)));
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

    /// Sets the reply of the token endpoint to this `grant_type` alone.
    pub(crate) fn reply_to_grant(&self, grant_type: &str, reply: Reply) {
        self.script.lock().unwrap().grants.insert(grant_type.to_owned(), reply);
    }

    pub(crate) fn publish(&self, keys: &[&Value]) {
        self.reply("/jwks_uri", Reply::Json(json!({ "keys": keys })));
    }

    pub(crate) fn received(&self, path: &str) -> Vec<Received> {
        self.script.lock().unwrap().received.iter().filter(|received| received.path == path).cloned().collect()
    }

    fn serve(&self, mut stream: impl Read + Write + Send + 'static) {
        let Some(received) = read(&mut stream) else { return };
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
            Reply::Silence => return self.script.lock().unwrap().silent.push(Box::new(stream)),
            Reply::Reset => return,
            Reply::Torn => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":".to_owned(),
            Reply::Bytes(bytes) => return drop(stream.write_all(&bytes).and_then(|()| stream.flush())),
            Reply::Trickle(bytes) => return drop(bytes.iter().try_for_each(|byte| stream.write_all(&[*byte]))),
            Reply::Held(bytes) => {
                let _ = stream.write_all(&bytes);
                return self.script.lock().unwrap().silent.push(Box::new(stream));
            }
            Reply::Endless(first, more) => {
                let mut write = stream.write_all(first.as_bytes());
                while write.is_ok() {
                    write = stream.write_all(more.as_bytes());
                }
                return;
            }
        };
        let _ = stream.write_all(response.as_bytes()); // a client that has read enough may be gone
    }
}

/// Response with a length, as bytes on the wire.
pub(crate) fn http(status: u16, header: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Scripted\r\n{header}content-length: {}\r\n\r\n{body}", body.len())
}

fn read(stream: &mut impl Read) -> Option<Received> {
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
