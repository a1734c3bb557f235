//! Gateway's proof: verified before anything else is done for a request.
//!
//! The gateway's headers about the client are believed only after it. Knows no session and no route.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::header_names::GATEWAY_HOST;
use super::single_header;
use crate::clock::Timestamp;
use crate::egress::Egress;
use crate::oidc::{GatewayTokenError, GatewayTokenVerifier, Issuer, ProviderCache, ProviderError};

/// Header with the client's address, as the gateway saw it.
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("x-gateway-client-address");

/// Header with the client certificate of App Service's TLS, in base64; App Service removes it from clients' requests.
const CLIENT_CERTIFICATE: HeaderName = HeaderName::from_static("x-arr-clientcert");

/// Cache lifetime of a verified token: a key that its issuer withdraws takes effect after that.
const TOKEN_CACHE_TTL: Duration = Duration::from_secs(300);

/// Maximum cached tokens: a gateway's instances have a few, and each one's next.
const MAX_CACHED_TOKENS: usize = 16;

/// Header with the gateway's proof, unless a setting names another.
const DEFAULT_PROOF: HeaderName = HeaderName::from_static("x-gateway-token");

/// Header with the gateway's proof. Headers of its family (`X-Gateway-`) never reach an Upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofHeader(HeaderName);

impl ProofHeader {
    /// `None` for a header of another family, or with another purpose.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.to_ascii_lowercase();
        let rest = name.strip_prefix("x-gateway-")?;
        let is_plain = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let name = HeaderName::try_from(&name).ok()?;
        (is_plain && name != CLIENT_ADDRESS && name != GATEWAY_HOST).then_some(Self(name))
    }
}

impl Default for ProofHeader {
    fn default() -> Self {
        Self(DEFAULT_PROOF)
    }
}

/// Form of the gateway's proof (`GATEWAY_PROOF`).
#[derive(Clone)]
pub enum GatewayProof {
    /// No proof.
    None,
    /// One of two shared secrets, so that they can be changed one after the other.
    SharedSecret {
        /// Header with the secret.
        header: ProofHeader,
        /// The accepted secrets.
        secrets: Vec<Zeroizing<String>>,
        /// Secrets for calls to `check`; none turns it off.
        check_secrets: Vec<Zeroizing<String>>,
    },
    /// Token of the gateway's managed identity.
    ManagedIdentity {
        /// Header with the token.
        header: ProofHeader,
        /// Issuer of the tokens.
        issuer: String,
        /// Required audience.
        audience: String,
        /// Accepted identities.
        object_ids: Vec<String>,
        /// Accepted identities at `check`; none turns it off.
        check_object_ids: Vec<String>,
    },
}

/// Requirements on the gateway's requests.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Form of the proof.
    pub proof: GatewayProof,
    /// SHA-256 of each accepted client certificate; empty if none is required.
    pub certificates: Vec<[u8; 32]>,
}

/// Reason why a gateway's proof is refused.
#[derive(Debug, thiserror::Error)]
pub enum GatewayProofError {
    /// No proof, or more than one.
    #[error("the request has not exactly one proof of the gateway")]
    Missing,
    /// A wrong secret.
    #[error("the gateway's secret is another")]
    Secret,
    /// A proof for `check` in another request.
    #[error("the gateway's proof is good for check alone")]
    Purpose,
    /// A client certificate that is not the gateway's.
    #[error("the gateway showed no certificate, or another")]
    Certificate,
    /// An invalid token, or one that can't be verified now.
    #[error(transparent)]
    Token(#[from] GatewayTokenError),
}

/// Verifier of the gateway's proof, for one worker.
pub struct GatewayGuard {
    settings: GatewaySettings,
    verifiers: Vec<(Purpose, GatewayTokenVerifier)>,
    remembered: RefCell<Vec<([u8; 32], Timestamp, Purpose)>>,
}

/// Result of a verified proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifiedGateway {
    /// The client's address, if a proved gateway sent one.
    pub client_address: Option<IpAddr>,
    /// True after a proof: the gateway's other headers are its own, too.
    pub is_proved: bool,
    /// The purpose of the proof.
    pub purpose: Purpose,
}

/// Purpose of a proof, decided by the credential: no header of a client, and no policy that forgets to delete one,
/// turns a forwarded request into a call of the gateway's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Requests that the gateway forwards for its clients.
    #[default]
    Forward,
    /// The gateway's own calls to `check`, which returns tokens.
    Check,
}

impl GatewayGuard {
    /// Verifier for one more worker; the issuer's documents are shared by all.
    #[must_use]
    pub fn new(settings: GatewaySettings, cache: Arc<ProviderCache>, egress: &Egress) -> Self {
        let verifiers = match &settings.proof {
            GatewayProof::None | GatewayProof::SharedSecret { .. } => Vec::new(),
            GatewayProof::ManagedIdentity { issuer, audience, object_ids, check_object_ids, .. } => {
                let issuer = Issuer::new(issuer, cache, egress);
                let identities = [(Purpose::Forward, object_ids), (Purpose::Check, check_object_ids)];
                let verifier = |(purpose, object_ids): (Purpose, &Vec<String>)| {
                    let (issuer, audience) = (issuer.clone(), audience.clone());
                    (purpose, GatewayTokenVerifier { issuer, audience, object_ids: object_ids.clone() })
                };
                identities.into_iter().filter(|(_, object_ids)| !object_ids.is_empty()).map(verifier).collect()
            }
        };
        Self { settings, verifiers, remembered: RefCell::default() }
    }

    /// Verifies the proof of a request.
    ///
    /// # Errors
    /// See [`GatewayProofError`].
    pub async fn verify(&self, req: &HttpRequest, now: Timestamp) -> Result<VerifiedGateway, GatewayProofError> {
        check_certificate(req, &self.settings.certificates)?;
        let purpose = match &self.settings.proof {
            GatewayProof::None => return Ok(VerifiedGateway::default()),
            GatewayProof::SharedSecret { header, secrets, check_secrets } => {
                let given = single_header(req, &header.0).ok_or(GatewayProofError::Missing)?;
                check_secret(given, secrets, check_secrets)?
            }
            GatewayProof::ManagedIdentity { header, .. } => {
                let token = single_header(req, &header.0).ok_or(GatewayProofError::Missing)?;
                self.check_token(token.strip_prefix("Bearer ").unwrap_or(token), now).await?
            }
        };
        let client_address = single_header(req, CLIENT_ADDRESS).and_then(|address| address.parse().ok());
        Ok(VerifiedGateway { client_address, is_proved: true, purpose })
    }

    /// True if the proof is a token, which needs its issuer's keys.
    #[must_use]
    pub fn requires_token(&self) -> bool {
        !self.verifiers.is_empty()
    }

    /// `Ok` if a proof could be verified now.
    ///
    /// # Errors
    /// If the keys of the gateway's issuer can't be fetched.
    pub async fn is_ready(&self, now: Timestamp) -> Result<(), ProviderError> {
        match self.verifiers.first() {
            Some((_, verifier)) => verifier.issuer.is_ready(now).await,
            None => Ok(()),
        }
    }

    async fn check_token(&self, token: &str, now: Timestamp) -> Result<Purpose, GatewayProofError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let is_known = |(known, until, _): &&([u8; 32], Timestamp, Purpose)| *known == digest && now < *until;
        if let Some((_, _, purpose)) = self.remembered.borrow().iter().find(is_known) {
            return Ok(*purpose);
        }
        let (purpose, expires_at) = self.verify_token(token, now).await?;
        let mut remembered = self.remembered.borrow_mut();
        remembered.retain(|(known, until, _)| now < *until && *known != digest);
        if remembered.len() >= MAX_CACHED_TOKENS {
            remembered.remove(0);
        }
        remembered.push((digest, expires_at.min(now.plus(TOKEN_CACHE_TTL)), purpose));
        Ok(purpose)
    }

    /// Verifies a token; returns its identity's purpose, and its expiry.
    async fn verify_token(&self, token: &str, now: Timestamp) -> Result<(Purpose, Timestamp), GatewayTokenError> {
        let mut refused = GatewayTokenError::Identity;
        for (purpose, verifier) in &self.verifiers {
            match verifier.verify(token, now).await {
                Ok(expires_at) => return Ok((*purpose, expires_at)),
                Err(GatewayTokenError::Identity) => {}
                Err(error @ (GatewayTokenError::Invalid(_) | GatewayTokenError::Unavailable(_))) => {
                    refused = error;
                    break;
                }
            }
        }
        Err(refused)
    }
}

fn check_certificate(req: &HttpRequest, known: &[[u8; 32]]) -> Result<(), GatewayProofError> {
    if known.is_empty() {
        return Ok(());
    }
    let shown = single_header(req, CLIENT_CERTIFICATE).and_then(|certificate| STANDARD.decode(certificate).ok());
    let digest: Option<[u8; 32]> = shown.map(|certificate| Sha256::digest(certificate).into());
    let is_known = digest.is_some_and(|digest| known.contains(&digest));
    if is_known { Ok(()) } else { Err(GatewayProofError::Certificate) }
}

/// Compares with every secret, in constant time.
fn check_secret(
    given: &str,
    secrets: &[Zeroizing<String>],
    check_secrets: &[Zeroizing<String>],
) -> Result<Purpose, GatewayProofError> {
    let is_one = |found: subtle::Choice, secret: &Zeroizing<String>| found | given.as_bytes().ct_eq(secret.as_bytes());
    let forwards = secrets.iter().fold(subtle::Choice::from(0), is_one);
    let checks = check_secrets.iter().fold(subtle::Choice::from(0), is_one);
    match (bool::from(forwards), bool::from(checks)) {
        (true, _) => Ok(Purpose::Forward),
        (false, true) => Ok(Purpose::Check),
        (false, false) => Err(GatewayProofError::Secret),
    }
}

impl std::fmt::Debug for GatewayProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "GatewayProof::None",
            Self::SharedSecret { .. } => "GatewayProof::SharedSecret(..)",
            Self::ManagedIdentity { .. } => "GatewayProof::ManagedIdentity(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::testing::scripted_provider::no_trust;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const HEADER: &str = "x-gateway-token";
    const ONE: &str = "one-secret-of-thirty-two-letters";
    const TWO: &str = "two-secret-of-thirty-two-letters";
    const CHECK: &str = "check-secret-of-thirty-two-letters";

    fn guard() -> GatewayGuard {
        door_for(&[])
    }

    fn door_for(certificates: &[&[u8]]) -> GatewayGuard {
        let secrets = [ONE, TWO].map(|secret| Zeroizing::new(secret.to_owned())).to_vec();
        let certificates = certificates.iter().map(|certificate| Sha256::digest(certificate).into()).collect();
        let check_secrets = vec![Zeroizing::new(CHECK.to_owned())];
        let header = ProofHeader::default();
        let proof = GatewayProof::SharedSecret { header, secrets, check_secrets };
        GatewayGuard::new(GatewaySettings { proof, certificates }, Arc::default(), &no_trust())
    }

    fn request(headers: &[(&str, &str)]) -> HttpRequest {
        let start = TestRequest::get();
        headers.iter().fold(start, |request, header| request.append_header(*header)).to_http_request()
    }

    #[actix_web::test]
    async fn both_secrets_let_a_request_in_and_nothing_else_does() {
        for secret in [ONE, TWO] {
            assert!(guard().verify(&request(&[(HEADER, secret)]), NOW).await.is_ok());
        }
        for other in ["", "one", "ONE-SECRET-OF-THIRTY-TWO-LETTERS", "one-secret-of-thirty-two-letters-and-more"] {
            let refused = guard().verify(&request(&[(HEADER, other)]), NOW).await;
            assert!(matches!(refused, Err(GatewayProofError::Secret)), "{other}");
        }
    }

    #[actix_web::test]
    async fn the_secret_that_proves_a_call_says_what_it_is_good_for() {
        for (secret, expected) in [(ONE, Purpose::Forward), (TWO, Purpose::Forward), (CHECK, Purpose::Check)] {
            let gateway =
                guard().verify(&request(&[(HEADER, secret), ("x-gateway-purpose", "check")]), NOW).await.unwrap();

            assert_eq!(gateway.purpose, expected, "{secret}");
        }
    }

    #[actix_web::test]
    async fn no_proof_and_two_proofs_are_none() {
        for headers in [&[][..], &[(HEADER, ONE), (HEADER, ONE)], &[("x_gateway_token", ONE)]] {
            assert!(matches!(guard().verify(&request(headers), NOW).await, Err(GatewayProofError::Missing)));
        }
    }

    #[actix_web::test]
    async fn an_address_is_believed_of_a_gateway_that_proved_itself() {
        let address = |text| [(HEADER, ONE), ("x-gateway-client-address", text)];

        let verified = guard().verify(&request(&address("2001:db8::1")), NOW).await.unwrap();
        let garbled = guard().verify(&request(&address("1.2.3.4, 5.6.7.8")), NOW).await.unwrap();
        let settings = GatewaySettings { proof: GatewayProof::None, certificates: Vec::new() };
        let open = GatewayGuard::new(settings, Arc::default(), &no_trust());
        let unproved = open.verify(&request(&address("192.0.2.7")), NOW).await.unwrap();

        assert_eq!(verified.client_address, Some("2001:db8::1".parse().unwrap()));
        assert_eq!((garbled.client_address, unproved.client_address), (None, None));
    }

    #[actix_web::test]
    async fn a_certificate_is_asked_for_besides_the_proof() {
        let guard = door_for(&[b"one", b"two"]);
        let encoded = |certificate: &[u8]| STANDARD.encode(certificate);
        let (one, two, other) = (encoded(b"one"), encoded(b"two"), encoded(b"other"));

        for shown in [&one, &two] {
            assert!(guard.verify(&request(&[(HEADER, ONE), ("x-arr-clientcert", shown)]), NOW).await.is_ok());
        }
        let refused: [&[(&str, &str)]; 4] = [
            &[(HEADER, ONE)],
            &[(HEADER, ONE), ("x-arr-clientcert", &other)],
            &[(HEADER, ONE), ("x-arr-clientcert", "not base64")],
            &[(HEADER, ONE), ("x-arr-clientcert", &one), ("x-arr-clientcert", &one)],
        ];
        for headers in refused {
            let refused = guard.verify(&request(headers), NOW).await;
            assert!(matches!(refused, Err(GatewayProofError::Certificate)), "{headers:?}");
        }
        let unproved = guard.verify(&request(&[("x-arr-clientcert", &one)]), NOW).await;
        assert!(matches!(unproved, Err(GatewayProofError::Missing)));
    }
}
