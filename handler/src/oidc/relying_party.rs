//! The relying party: the only place that speaks to the Provider.
//!
//! Metadata and keys are fetched once per worker; a key that isn't known is looked for again at the next sign-in.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awc::{Client, Connector};
use zeroize::Zeroizing;

use super::{
    AuthorizationRequest, AuthorizationResponse, AuthorizationResponseError, Claims, ClientRegistration,
    DiscoveryError, IdTokenError, IdTokenVerifier, JwksError, LoginHints, PendingLogin, ProviderMetadata, RefreshToken,
    TokenResponse, TokenResponseError, VerificationKeys,
};
use crate::clock::Timestamp;

/// No document of a Provider is larger.
const LARGEST: usize = 256 * 1024;
const TIMEOUT: Duration = Duration::from_secs(8);

/// How we prove to the token endpoint who we are (OIDC Core 9).
#[derive(Clone)]
pub enum ClientAuthentication {
    /// HTTP Basic.
    ClientSecretBasic(Zeroizing<String>),
    /// In the form.
    ClientSecretPost(Zeroizing<String>),
    /// A public client.
    None,
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAuthentication(..)")
    }
}

/// What a relying party must be told.
#[derive(Clone, Debug)]
pub struct RelyingPartySettings {
    /// The issuer, exactly as it names itself.
    pub issuer: String,
    /// What the Provider knows us by.
    pub registration: ClientRegistration,
    /// How we prove it.
    pub authentication: ClientAuthentication,
    /// Whether UserInfo is asked for.
    pub userinfo: bool,
}

/// What all workers know of the Provider.
#[derive(Debug, Default)]
pub struct ProviderCache;

/// What a refresh yields.
#[derive(Debug)]
pub struct CompletedRefresh {
    /// The tokens.
    pub tokens: TokenResponse,
    /// What is known of the person now.
    pub claims: Claims,
}

/// Why a refresh yields nothing.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// For good.
    #[error("the provider refused the refresh token")]
    Refused {
        /// Its error code.
        error: String,
    },
    /// The answer breaks a rule.
    #[error("the provider's answer breaks a rule")]
    Invalid {
        /// Which.
        code: &'static str,
        /// The token to revoke.
        refresh_token: Option<RefreshToken>,
    },
    /// No usable answer.
    #[error("the provider gave no usable answer")]
    Unavailable {
        /// Whether the token may be spent.
        is_ambiguous: bool,
        /// When to try again.
        retry_after: Option<Duration>,
        /// Why.
        #[source]
        source: ProviderError,
    },
}

impl RefreshError {
    /// A stable name for logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "refresh_refused"
    }
}

/// Where to send the browser to sign out.
pub struct LogoutRequest(url::Url);

impl LogoutRequest {
    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.as_str()
    }
}

/// A worker's view of the Provider.
#[derive(Clone)]
pub struct RelyingParty {
    settings: Arc<RelyingPartySettings>,
    http: Client,
    metadata: Rc<RefCell<Option<Rc<ProviderMetadata>>>>,
}

/// What a finished sign-in yields.
#[derive(Debug)]
pub struct CompletedLogin {
    /// The tokens.
    pub tokens: TokenResponse,
    /// Who it is.
    pub claims: Claims,
}

/// Why the Provider gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No connection, no answer in time, or more than 256 KiB of it.
    #[error("the provider does not answer")]
    Unreachable,
    /// Another status than 200.
    #[error("the provider answered with status {0}")]
    Status(u16),
    /// Not its metadata.
    #[error(transparent)]
    Metadata(#[from] DiscoveryError),
    /// Not its keys.
    #[error(transparent)]
    Keys(#[from] JwksError),
}

/// Why a sign-in did not finish.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The authorization response breaks a rule, or is a refusal.
    #[error(transparent)]
    Response(#[from] AuthorizationResponseError),
    /// The token endpoint refused the code.
    #[error("the provider refused the code")]
    CodeRefused,
    /// The token response cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenResponseError),
    /// The ID token breaks a rule.
    #[error(transparent)]
    IdToken(#[from] IdTokenError),
    /// The Provider is not there.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl LoginError {
    /// A stable name for pages and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Response(error) => error.code(),
            Self::CodeRefused => "code_refused",
            Self::Tokens(_) => "token_response_invalid",
            Self::IdToken(error) => error.code(),
            Self::Provider(_) => "provider_unavailable",
        }
    }
}

impl RelyingParty {
    /// A relying party for one worker.
    #[must_use]
    pub fn new(
        settings: Arc<RelyingPartySettings>,
        _cache: Arc<ProviderCache>,
        tls: Arc<rustls::ClientConfig>,
    ) -> Self {
        let connector = Connector::new().rustls_0_23(tls);
        let http = Client::builder().connector(connector).disable_redirects().timeout(TIMEOUT).finish();
        Self { settings, http, metadata: Rc::default() }
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &RelyingPartySettings {
        &self.settings
    }

    /// Begins a sign-in that returns to `return_url`.
    ///
    /// # Errors
    /// When the Provider's metadata cannot be had.
    pub async fn begin_login(
        &self,
        return_url: &str,
        hints: &LoginHints,
        now: Timestamp,
    ) -> Result<(AuthorizationRequest, PendingLogin), ProviderError> {
        let metadata = self.metadata().await?;
        Ok(AuthorizationRequest::begin(return_url, hints, &self.settings.registration, &metadata, now))
    }

    /// Finishes a sign-in: check the response, exchange the code, verify the ID token.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn complete_login(
        &self,
        response: AuthorizationResponse,
        pending: &PendingLogin,
        now: Timestamp,
    ) -> Result<CompletedLogin, LoginError> {
        let metadata = self.metadata().await?;
        let code = response.check(pending, &metadata, now)?;
        let tokens = self.exchange(&code, pending, &metadata, now).await?;
        let keys =
            VerificationKeys::parse(&self.fetch(metadata.jwks_uri.as_str()).await?).map_err(ProviderError::from)?;
        let (issuer, client_id) = (&self.settings.issuer, &self.settings.registration.client_id);
        let verifier = IdTokenVerifier { keys: &keys, issuer, client_id };
        let id_token = tokens.id_token.as_deref().ok_or(IdTokenError::Malformed)?;
        let claims = verifier.verify(id_token, tokens.access_token.expose(), pending, now)?;
        Ok(CompletedLogin { tokens, claims })
    }

    /// Thin for now.
    ///
    /// # Errors
    /// See [`RefreshError`].
    pub async fn refresh(
        &self,
        refresh_token: &RefreshToken,
        known: &Claims,
        now: Timestamp,
    ) -> Result<CompletedRefresh, RefreshError> {
        let _ = (refresh_token, known, now);
        Err(RefreshError::Unavailable { is_ambiguous: false, retry_after: None, source: ProviderError::Unreachable })
    }

    /// Thin for now.
    ///
    /// # Errors
    /// When the Provider does not answer.
    pub async fn revoke(&self, _: &RefreshToken, _: Timestamp) -> Result<(), ProviderError> {
        Ok(())
    }

    /// Thin for now.
    pub async fn logout_request(
        &self,
        hint: Option<&str>,
        to: &str,
        state: Option<&str>,
        _: Timestamp,
    ) -> Option<LogoutRequest> {
        let mut url = self.metadata().await.ok()?.end_session_endpoint.clone()?;
        url.query_pairs_mut()
            .append_pair("post_logout_redirect_uri", to)
            .extend_pairs(hint.map(|hint| ("id_token_hint", hint)))
            .extend_pairs(state.map(|state| ("state", state)));
        Some(LogoutRequest(url))
    }

    /// Whether the metadata is there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn is_ready(&self, _: Timestamp) -> Result<(), ProviderError> {
        self.metadata().await.map(drop)
    }

    /// RFC 6749 4.1.3 with the verifier of RFC 7636 4.5.
    async fn exchange(
        &self,
        code: &str,
        pending: &PendingLogin,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<TokenResponse, LoginError> {
        let registration = &self.settings.registration;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &registration.redirect_uri),
            ("code_verifier", pending.code_verifier()),
        ];
        let mut request =
            self.http.post(metadata.token_endpoint.as_str()).insert_header(("accept", "application/json"));
        match &self.settings.authentication {
            ClientAuthentication::ClientSecretBasic(secret) => {
                // RFC 6749 2.3.1: both are form-urlencoded before they go into the header.
                let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encode(&registration.client_id), encode(secret));
            }
            ClientAuthentication::ClientSecretPost(secret) => {
                form.extend([("client_id", registration.client_id.as_str()), ("client_secret", secret)]);
            }
            ClientAuthentication::None => form.push(("client_id", &registration.client_id)),
        }
        let mut answer = request.send_form(&form).await.map_err(|_| ProviderError::Unreachable)?;
        match answer.status().as_u16() {
            200 => {}
            400 | 401 => return Err(LoginError::CodeRefused),
            status => return Err(ProviderError::Status(status).into()),
        }
        let body = answer.body().limit(LARGEST).await.map_err(|_| ProviderError::Unreachable)?;
        Ok(TokenResponse::parse(&body, now)?)
    }

    async fn metadata(&self) -> Result<Rc<ProviderMetadata>, ProviderError> {
        let known = self.metadata.borrow().clone();
        if let Some(metadata) = known {
            return Ok(metadata);
        }
        let document = self.fetch(&ProviderMetadata::url_for(&self.settings.issuer)).await?;
        let metadata = Rc::new(ProviderMetadata::parse(&document, &self.settings.issuer)?);
        self.metadata.replace(Some(Rc::clone(&metadata)));
        Ok(metadata)
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, ProviderError> {
        let mut answer = self.http.get(url).send().await.map_err(|_| ProviderError::Unreachable)?;
        if answer.status().as_u16() != 200 {
            return Err(ProviderError::Status(answer.status().as_u16()));
        }
        let body = answer.body().limit(LARGEST).await.map_err(|_| ProviderError::Unreachable)?;
        Ok(body.to_vec())
    }
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::oidc::ResponseMode;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    /// A server that answers its one request with `answer`; its origin.
    fn answering(answer: impl FnOnce(&str) -> String + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let own = origin.clone();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer(&own).as_bytes()).unwrap();
        });
        origin
    }

    fn http(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    async fn begin(issuer: String) -> Result<(AuthorizationRequest, PendingLogin), ProviderError> {
        let registration = ClientRegistration {
            client_id: "client".to_owned(),
            redirect_uri: "https://app.example/oauth/callback".to_owned(),
            scopes: vec!["openid".to_owned()],
            response_mode: ResponseMode::Query,
        };
        let settings =
            RelyingPartySettings { issuer, registration, authentication: ClientAuthentication::None, userinfo: false };
        let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
        let party = RelyingParty::new(Arc::new(settings), Arc::default(), Arc::new(tls.with_no_client_auth()));
        party.begin_login("/", &LoginHints::default(), NOW).await
    }

    fn metadata(origin: &str) -> String {
        let members = ["authorization_endpoint", "token_endpoint", "jwks_uri"];
        let endpoints = members.map(|name| format!(r#""{name}":"{origin}/{name}""#)).join(",");
        format!(r#"{{"issuer":"{origin}",{endpoints}}}"#)
    }

    #[actix_web::test]
    async fn a_sign_in_begins_at_the_endpoint_of_the_metadata() {
        let issuer = answering(|origin| http("200 OK", &metadata(origin)));

        let (request, _) = begin(issuer.clone()).await.unwrap();

        assert!(request.url().starts_with(&format!("{issuer}/authorization_endpoint?")));
    }

    #[actix_web::test]
    async fn a_provider_that_redirects_is_not_followed() {
        let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let issuer = answering(|_| elsewhere.to_owned());

        assert!(matches!(begin(issuer).await, Err(ProviderError::Status(302))));
    }

    #[actix_web::test]
    async fn a_provider_that_answers_a_page_is_refused() {
        let issuer = answering(|_| http("200 OK", "<html>maintenance</html>"));

        assert!(matches!(begin(issuer).await, Err(ProviderError::Metadata(_))));
    }

    #[actix_web::test]
    async fn a_provider_that_answers_too_much_is_refused() {
        let issuer = answering(|_| http("200 OK", &" ".repeat(LARGEST + 1)));

        assert!(matches!(begin(issuer).await, Err(ProviderError::Unreachable)));
    }

    #[actix_web::test]
    async fn a_provider_that_is_down_is_unreachable() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

        assert!(matches!(begin(format!("http://127.0.0.1:{port}")).await, Err(ProviderError::Unreachable)));
    }
}
