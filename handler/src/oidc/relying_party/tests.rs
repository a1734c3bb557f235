//! Signing in, readiness, revocation and logout against a scripted Provider over real HTTP.

use std::net::TcpListener;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::oidc::http::MAX_BODY_LENGTH;
use crate::oidc::{
    ClientAuthentication, ClientRegistration, ProviderDialect, RefreshToken, Response, ResponseMode, ScriptedRequest,
    ScriptedWire,
};
use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey, no_trust};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// A relying party at `issuer`, with a timeout of half a second.
pub(in crate::oidc) fn party(
    issuer: &str,
    authentication: ClientAuthentication,
    userinfo: bool,
    cache: &Arc<ProviderCache>,
) -> RelyingParty {
    let settings = settings(issuer, authentication, userinfo);
    RelyingParty::new(Arc::new(settings), Arc::clone(cache), &no_trust()).with_timeout(Duration::from_millis(500))
}

pub(in crate::oidc) fn settings(
    issuer: &str,
    authentication: ClientAuthentication,
    userinfo: bool,
) -> RelyingPartySettings {
    let registration = ClientRegistration {
        client_id: "client:1".to_owned(),
        redirect_uri: "https://app.example/oauth/callback".to_owned(),
        scopes: vec!["openid".to_owned()],
        response_mode: ResponseMode::Query,
    };
    RelyingPartySettings {
        issuer: issuer.to_owned(),
        registration,
        authentication,
        userinfo,
        trusted_audiences: Vec::new(),
        dialect: ProviderDialect::default(),
        group_overage: crate::oidc::GroupOverage::Ignore,
    }
}

fn public(provider: &ScriptedProvider) -> RelyingParty {
    party(&provider.origin, ClientAuthentication::None, false, &Arc::default())
}

fn with_userinfo(provider: &ScriptedProvider) -> RelyingParty {
    party(&provider.origin, ClientAuthentication::None, true, &Arc::default())
}

pub(in crate::oidc) fn token_response(
    provider: &ScriptedProvider,
    key: &SigningKey,
    pending: &PendingLogin,
    now: Timestamp,
) -> Value {
    let now = now.as_unix();
    let claims = json!({
        "iss": provider.origin, "sub": "ada", "aud": "client:1", "exp": now + 300, "iat": now, "nonce": pending.nonce(),
    });
    json!({
        "access_token": "access", "token_type": "BEARER", "expires_in": "60", "refresh_token": "refresh",
        "id_token": key.sign(&claims), "ext_expires_in": 0, "not-before-policy": [],
    })
}

/// A complete sign-in whose token endpoint issues an ID token of `key`.
async fn sign_in(
    party: &RelyingParty,
    provider: &ScriptedProvider,
    key: &SigningKey,
    now: Timestamp,
) -> Result<CompletedLogin, LoginError> {
    let (_, pending) = party.begin_login("/", &LoginHints::default(), now).await?;
    let tokens = token_response(provider, key, &pending, now);
    provider.reply("/token_endpoint", Reply::Json(tokens));
    complete(party, &pending, now).await
}

/// A sign-in whose token endpoint sends `reply`.
async fn sign_in_to(party: &RelyingParty, provider: &ScriptedProvider, reply: Reply) -> &'static str {
    let (_, pending) = party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();
    provider.reply("/token_endpoint", reply);
    complete(party, &pending, NOW).await.unwrap_err().code()
}

pub(in crate::oidc) async fn complete(
    party: &RelyingParty,
    pending: &PendingLogin,
    now: Timestamp,
) -> Result<CompletedLogin, LoginError> {
    let response = AuthorizationResponse::parse(&format!("code=the+code&state={}", pending.state())).unwrap();
    party.complete_login(response, pending, now).await
}

#[actix_web::test]
async fn a_sign_in_begins_at_the_endpoint_of_the_metadata() {
    let (provider, _) = ScriptedProvider::start();

    let (request, _) = public(&provider).begin_login("/", &LoginHints::default(), NOW).await.unwrap();

    assert!(request.url().starts_with(&format!("{}/authorization_endpoint?", provider.origin)));
}

#[actix_web::test]
async fn a_sign_in_ends_with_tokens_and_claims() {
    let (provider, key) = ScriptedProvider::start();

    let login = sign_in(&public(&provider), &provider, &key, NOW).await.unwrap();

    assert_eq!((login.claims.subject(), login.tokens.access_token.expose()), ("ada", "access"));
    assert_eq!(login.tokens.expires_at, Some(after(60)));
    let sent = provider.received("/token_endpoint")[0].form();
    assert_eq!((sent["grant_type"].as_str(), sent["code"].as_str()), ("authorization_code", "the code"));
    assert_eq!(sent["redirect_uri"], "https://app.example/oauth/callback");
    assert_eq!(sent["code_verifier"].len(), 64);
}

#[actix_web::test]
async fn a_sign_ins_scope_is_what_was_granted_and_otherwise_what_was_asked() {
    let (provider, key) = ScriptedProvider::start();
    let party = public(&provider);
    let table = [
        (json!("openid email"), "openid email", "granted in part"),
        (Value::Null, "openid", "RFC 6749 5.1: the same"),
        (json!("api://app/access"), "openid", "the access token's alone, as Entra sends it"),
        (json!(["openid", "email"]), "openid", "no text"),
    ];
    for (scope, expected, reason) in table {
        let (_, pending) = party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();
        let mut tokens = token_response(&provider, &key, &pending, NOW);
        tokens["scope"] = scope;
        provider.reply("/token_endpoint", Reply::Json(tokens));

        let login = complete(&party, &pending, NOW).await.unwrap();

        assert_eq!(login.tokens.scope.unwrap().as_str(), expected, "{reason}");
    }
}

#[actix_web::test]
async fn metadata_that_cannot_be_had_is_told_apart() {
    let big = " ".repeat(MAX_BODY_LENGTH + 1);
    let table = [
        (Reply::Raw(302, "location: http://127.0.0.1:1/\r\n", String::new()), "Status(302)", "a redirect"),
        (Reply::Raw(503, "", String::new()), "Status(503)", "maintenance"),
        (Reply::Raw(200, "", "<html>maintenance</html>".to_owned()), "Metadata(Malformed(", "a page"),
        (
            Reply::Json(json!({"issuer": "https://evil.example"})),
            "Metadata(Issuer { found: \"https://evil.example\" }",
            "of another",
        ),
        (
            Reply::Raw(200, "content-encoding: gzip\r\n", "\u{1f}\u{8b}".repeat(50)),
            "Unreadable(\"its content coding is damaged",
            "compressed",
        ),
        (Reply::Raw(200, "", big), "Unreadable(\"it has more than", "too much"),
        (Reply::Silence, "NoResponse", "no response in time"),
        (Reply::Reset, "NoResponse", "a closed connection"),
        (Reply::Torn, "Unreadable(\"it ends early", "half a response"),
    ];
    for (reply, expected, reason) in table {
        let (provider, _) = ScriptedProvider::start();
        provider.reply("/.well-known/openid-configuration", reply);

        let error = public(&provider).begin_login("/", &LoginHints::default(), NOW).await.unwrap_err();

        assert!(format!("{error:?}").starts_with(expected), "{reason}: {error:?}");
    }
}

#[actix_web::test]
async fn a_provider_that_is_down_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let party = party(&format!("http://127.0.0.1:{port}"), ClientAuthentication::None, false, &Arc::default());

    let error = party.begin_login("/", &LoginHints::default(), NOW).await.unwrap_err();

    assert!(matches!(&error, ProviderError::Unreachable(why) if why.contains("refused")) && !error.may_have_acted());
}

#[actix_web::test]
async fn workers_that_start_at_once_fetch_once() {
    let (provider, _) = ScriptedProvider::start();
    let cache = Arc::default();

    let worker = |_| {
        let (origin, cache) = (provider.origin.clone(), Arc::clone(&cache));
        std::thread::spawn(move || {
            let ready = async { party(&origin, ClientAuthentication::None, false, &cache).is_ready(NOW).await };
            actix_web::rt::System::new().block_on(ready)
        })
    };
    let workers: Vec<_> = (0..8).map(worker).collect();
    let outcomes = workers.into_iter().map(|worker| worker.join().unwrap());

    assert!(outcomes.into_iter().all(|outcome| outcome.is_ok()));
    assert_eq!(provider.received("/.well-known/openid-configuration").len(), 1);
    assert_eq!(provider.received("/jwks_uri").len(), 1);
}

#[actix_web::test]
async fn a_browser_that_goes_away_does_not_start_the_fetch_again() {
    let (provider, _) = ScriptedProvider::start();
    provider.reply("/.well-known/openid-configuration", Reply::Silence);
    let party = public(&provider);

    for _ in 0..3 {
        let hints = LoginHints::default();
        let impatient = tokio::time::timeout(Duration::from_millis(20), party.begin_login("/", &hints, NOW));
        assert!(impatient.await.is_err());
    }
    party.begin_login("/", &LoginHints::default(), NOW).await.unwrap_err();

    assert_eq!(provider.received("/.well-known/openid-configuration").len(), 1);
}

#[actix_web::test]
async fn the_last_good_documents_serve_while_the_provider_is_half_down() {
    let (provider, key) = ScriptedProvider::start();
    let party = public(&provider);
    sign_in(&party, &provider, &key, NOW).await.unwrap();
    provider.reply("/.well-known/openid-configuration", Reply::Raw(500, "", String::new()));
    provider.reply("/jwks_uri", Reply::Raw(500, "", String::new()));

    assert!(sign_in(&party, &provider, &key, after(7200)).await.is_ok());
    let a_day_later = sign_in(&party, &provider, &key, after(90_000)).await.unwrap_err();
    assert_eq!(a_day_later.code(), "provider_unavailable");
}

#[actix_web::test]
async fn a_key_that_was_rotated_in_between_is_fetched() {
    let (provider, key) = ScriptedProvider::start();
    let party = public(&provider);
    sign_in(&party, &provider, &key, NOW).await.unwrap();

    let newer = SigningKey::es256("k2");
    provider.publish(&[&key.jwk, &newer.jwk]);
    assert!(sign_in(&party, &provider, &newer, after(1)).await.is_ok());
    assert!(sign_in(&party, &provider, &key, after(2)).await.is_ok());

    let renamed = SigningKey::es256("k2"); // a new key under the old name, a minute later
    provider.publish(&[&renamed.jwk]);
    assert!(sign_in(&party, &provider, &renamed, after(61)).await.is_ok());
    assert_eq!(provider.received("/jwks_uri").len(), 3);
}

#[actix_web::test]
async fn a_flood_of_unknown_keys_costs_one_fetch_a_minute() {
    let (provider, key) = ScriptedProvider::start();
    let party = public(&provider);
    sign_in(&party, &provider, &key, NOW).await.unwrap();
    let unknown = SigningKey::es256("unknown");

    for second in 0..120 {
        let refused = sign_in(&party, &provider, &unknown, after(second)).await.unwrap_err();
        assert_eq!(refused.code(), "id_token_key");
    }

    assert_eq!(provider.received("/jwks_uri").len(), 1 + 2);
}

#[actix_web::test]
async fn keys_that_cannot_be_had_are_the_providers_trouble() {
    let (provider, key) = ScriptedProvider::start();
    provider.reply("/jwks_uri", Reply::Raw(200, "", "<html>".to_owned()));
    let party = public(&provider);

    assert_eq!(sign_in(&party, &provider, &key, NOW).await.unwrap_err().code(), "provider_unavailable");
    assert!(matches!(party.is_ready(NOW).await, Err(ProviderError::Keys(_))));
}

#[actix_web::test]
async fn a_provider_without_a_key_that_verifies_anything_is_not_ready_until_it_has_one() {
    let (provider, key) = ScriptedProvider::start();
    let unusable = json!({"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"});
    let shared = json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0"});
    for (keys, reason) in [
        (vec![], "no key"),
        (vec![&unusable], "a key that is too small"),
        (vec![&unusable, &shared], "a shared secret besides"),
    ] {
        let party = public(&provider);
        provider.publish(&keys);

        let not_ready = party.is_ready(NOW).await.unwrap_err();
        provider.publish(&[&unusable, &key.jwk]);
        let still_not = party.is_ready(after(1)).await;
        let ready = party.is_ready(after(61)).await;

        assert_eq!(format!("{not_ready:?}"), "Keys(NoUsableKey)", "{reason}");
        assert!(still_not.is_err(), "{reason}: another fetch after a minute at the earliest");
        assert!(ready.is_ok(), "{reason}: {ready:?}");
    }
}

#[actix_web::test]
async fn a_document_is_what_its_body_is_whatever_its_content_type() {
    for content_type in ["content-type: text/html\r\n", "content-type: application/jwk-set+json\r\n", ""] {
        let (provider, key) = ScriptedProvider::start();
        let party = with_userinfo(&provider);
        let reply = |body: &Value| Reply::Raw(200, content_type, format!("\u{feff}{body}\r\n"));
        provider.reply("/.well-known/openid-configuration", reply(&provider.metadata()));
        provider.reply("/jwks_uri", reply(&json!({ "keys": [key.jwk] })));
        provider.reply("/userinfo_endpoint", reply(&json!({"sub": "ada"})));
        let (_, pending) = party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();
        provider.reply("/token_endpoint", reply(&token_response(&provider, &key, &pending, NOW)));

        let login = complete(&party, &pending, NOW).await;

        assert!(login.is_ok(), "{content_type}: {login:?}");
    }
}

#[actix_web::test]
async fn one_bad_key_spoils_nothing() {
    let (provider, key) = ScriptedProvider::start();
    let unusable = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "x": "AA", "y": "AA"});
    provider.publish(&[&unusable, &json!(5), &key.jwk]);
    let party = public(&provider);

    assert!(party.is_ready(NOW).await.is_ok());
    assert!(sign_in(&party, &provider, &key, NOW).await.is_ok());
}

#[actix_web::test]
async fn a_token_endpoint_that_refuses_is_told_apart_by_who_can_help() {
    let json = |status, error: &str| Reply::Raw(status, "", json!({ "error": error }).to_string());
    let numbered =
        |error: &str, number: u32| Reply::Raw(400, "", json!({ "error": error, "error_codes": [number] }).to_string());
    let table = [
        (json(400, "invalid_grant"), "code_refused"),
        (json(403, "invalid_grant"), "code_refused"),
        (json(200, "invalid_grant"), "code_refused"),
        (json(401, "invalid_client"), "client_refused"),
        (json(400, "unauthorized_client"), "client_refused"),
        (json(400, "invalid_request"), "token_request_refused"),
        (json(400, "<script>"), "token_request_refused"),
        (numbered("invalid_client", 7_000_222), "client_secret_expired"),
        (numbered("invalid_client", 7_000_215), "client_secret_wrong"),
        (numbered("invalid_request", 70_021), "federated_credential_mismatch"),
        (numbered("invalid_client", 700_211), "federated_credential_mismatch"),
        (numbered("invalid_request", 50_011), "redirect_uri_refused"),
        (numbered("invalid_grant", 65_001), "admin_consent_required"),
        (numbered("interaction_required", 50_079), "interaction_required"),
        (json(400, "login_required"), "interaction_required"),
        (Reply::Raw(400, "", "<html>".to_owned()), "provider_unavailable"),
        (Reply::Raw(401, "", String::new()), "provider_unavailable"),
        (json(400, "temporarily_unavailable"), "provider_unavailable"),
        (json(302, "invalid_grant"), "provider_unavailable"),
        (json(429, "invalid_grant"), "provider_unavailable"),
        (json(500, "invalid_grant"), "provider_unavailable"),
        (Reply::Raw(307, "location: http://127.0.0.1:1/\r\n", String::new()), "provider_unavailable"),
        (Reply::Silence, "provider_unavailable"),
        (Reply::Reset, "provider_unavailable"),
        (Reply::Torn, "provider_unavailable"),
        (Reply::Raw(200, "", "<html>".to_owned()), "token_response_invalid"),
        (Reply::Json(json!({"access_token": "a", "token_type": "DPoP"})), "token_response_invalid"),
        (Reply::Json(json!({"access_token": "a", "token_type": "bearer"})), "id_token_malformed"),
    ];
    let (provider, _) = ScriptedProvider::start();
    let party = public(&provider);
    for (number, (reply, code)) in table.into_iter().enumerate() {
        assert_eq!(sign_in_to(&party, &provider, reply).await, code, "row {number}");
    }
    let sent = provider.received("/token_endpoint").len();
    assert_eq!(sent, 28, "a code is never sent twice");
}

#[actix_web::test]
async fn no_error_says_what_the_provider_sent() {
    let (provider, _) = ScriptedProvider::start();
    let party = public(&provider);
    let bodies = [
        json!({"error": "leaked secret", "error_description": "leaked"}).to_string(),
        "\"leaked\"".to_owned(),
        json!({"access_token": ["leaked"], "token_type": "leaked"}).to_string(),
    ];
    for status in [200, 400, 401, 500] {
        for body in &bodies {
            let (_, pending) = party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();
            provider.reply("/token_endpoint", Reply::Raw(status, "", body.clone()));

            let error = complete(&party, &pending, NOW).await.unwrap_err();

            let printed = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
            assert!(!printed.contains("leaked"), "{status} {body}: {printed}");
        }
    }
}

#[actix_web::test]
async fn each_method_of_client_authentication_looks_as_its_specification_says() {
    let secret = || "p+s:w d%é".to_owned().into();
    let basic = format!("Basic {}", STANDARD.encode("client%3A1:p%2Bs%3Aw+d%25%C3%A9"));
    let table = [
        (ClientAuthentication::ClientSecretBasic(secret()), Some(&basic), None, None),
        (ClientAuthentication::ClientSecretPost(secret()), None, Some("client:1"), Some("p+s:w d%é")),
        (ClientAuthentication::None, None, Some("client:1"), None),
    ];
    for (method, header, client_id, client_secret) in table {
        let (provider, key) = ScriptedProvider::start();
        let party = party(&provider.origin, method, false, &Arc::default());
        provider.reply("/revocation_endpoint", Reply::Raw(200, "", String::new()));

        let login = sign_in(&party, &provider, &key, NOW).await.unwrap();
        let refresh_token = login.tokens.refresh_token.unwrap();
        party.refresh(&refresh_token, None, &login.claims, &|| true, NOW).await.unwrap();
        party.revoke(&refresh_token, NOW).await.unwrap();

        let mut sent = provider.received("/token_endpoint");
        sent.extend(provider.received("/revocation_endpoint"));
        assert_eq!(sent.len(), 3);
        for request in sent {
            let form = request.form();
            assert_eq!(request.headers.get("authorization"), header);
            assert_eq!(form.get("client_id").map(String::as_str), client_id);
            assert_eq!(form.get("client_secret").map(String::as_str), client_secret);
        }
    }
}

#[actix_web::test]
async fn userinfo_adds_to_the_claims_and_never_to_the_protocols() {
    let (provider, key) = ScriptedProvider::start();
    let userinfo = json!({"sub": "ada", "email": "ada@op.example", "iss": "https://evil.example", "sid": "evil"});
    provider.reply("/userinfo_endpoint", Reply::Json(userinfo));

    let login = sign_in(&with_userinfo(&provider), &provider, &key, NOW).await.unwrap();

    assert_eq!(login.claims.text("email"), Some("ada@op.example"));
    assert_eq!((login.claims.text("iss"), login.claims.text("sid")), (Some(provider.origin.as_str()), None));
    assert_eq!(provider.received("/userinfo_endpoint")[0].headers["authorization"], "Bearer access");
}

#[actix_web::test]
async fn userinfo_that_cannot_be_used_ends_the_sign_in() {
    let (provider, key) = ScriptedProvider::start();
    let party = with_userinfo(&provider);
    let table = [
        (Reply::Json(json!({"sub": "eve"})), "userinfo_subject"),
        (Reply::Json(json!({"email": "a@b"})), "userinfo_malformed"),
        (Reply::Raw(401, "www-authenticate: Bearer\r\n", String::new()), "userinfo_unavailable"),
        (Reply::Raw(500, "", String::new()), "userinfo_unavailable"),
        (Reply::Raw(302, "location: http://127.0.0.1:1/\r\n", String::new()), "userinfo_unavailable"),
        (Reply::Silence, "userinfo_unavailable"),
    ];
    for (reply, code) in table {
        provider.reply("/userinfo_endpoint", reply);
        assert_eq!(sign_in(&party, &provider, &key, NOW).await.unwrap_err().code(), code);
    }
}

#[actix_web::test]
async fn a_signed_userinfo_is_verified() {
    let (provider, key) = ScriptedProvider::start();
    let party = with_userinfo(&provider);
    let claims = |change: Value| {
        let mut claims = json!({"iss": provider.origin, "aud": "client:1", "sub": "ada", "email": "ada@op.example"});
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    };
    let signed = |change| key.sign(&claims(change));
    let stranger = SigningKey::es256("k1");
    let past = NOW.as_unix() - 61;
    let accepted = [
        (signed(json!({})), "as specified"),
        (format!("{}\n", signed(json!({}))), "a line end behind it"),
        (signed(json!({"aud": ["client:1", "another"]})), "OIDC Core 5.3.2: aud is or includes our identifier"),
        (signed(json!({"iss": null, "aud": null})), "both should be there; the connection vouches for them too"),
        (signed(json!({"exp": NOW.as_unix() + 1})), "not expired"),
    ];
    let refused = [
        (stranger.sign(&claims(json!({}))), "userinfo_invalid", "another's signature"),
        (key.sign_raw(r#"{"alg":"none"}"#, &claims(json!({})).to_string()), "userinfo_invalid", "unsigned"),
        (signed(json!({"iss": "https://evil.example"})), "userinfo_invalid", "another issuer"),
        (signed(json!({"aud": "another"})), "userinfo_invalid", "another client"),
        (signed(json!({"exp": past})), "userinfo_invalid", "expired"),
        (signed(json!({"sub": "eve"})), "userinfo_subject", "another subject"),
        (signed(json!({"sub": null})), "userinfo_malformed", "no subject"),
        ("e30.e30.AA".to_owned(), "userinfo_invalid", "an empty header"),
        ("a.b.c".to_owned(), "userinfo_malformed", "no token"),
        ("e30.e30.e30.e30.e30".to_owned(), "userinfo_malformed", "encrypted"),
    ];
    for content_type in ["content-type: application/jwt\r\n", "content-type: text/plain\r\n", ""] {
        for (body, reason) in &accepted {
            provider.reply("/userinfo_endpoint", Reply::Raw(200, content_type, body.clone()));
            let login = sign_in(&party, &provider, &key, NOW).await;
            let email = login.map(|login| login.claims.text("email").map(str::to_owned));
            assert_eq!(email.unwrap().as_deref(), Some("ada@op.example"), "{reason}");
        }
        for (body, code, reason) in &refused {
            provider.reply("/userinfo_endpoint", Reply::Raw(200, content_type, body.clone()));
            assert_eq!(sign_in(&party, &provider, &key, NOW).await.unwrap_err().code(), *code, "{reason}");
        }
    }
}

#[actix_web::test]
async fn the_keys_that_verify_userinfo_may_be_missing() {
    let (provider, key) = ScriptedProvider::start();
    let party = with_userinfo(&provider);
    let unknown = SigningKey::es256("unknown");
    provider.reply("/userinfo_endpoint", Reply::Raw(200, "", unknown.sign(&json!({"sub": "ada"}))));
    assert_eq!(sign_in(&party, &provider, &key, NOW).await.unwrap_err().code(), "userinfo_invalid");

    provider.publish(&[&key.jwk, &unknown.jwk]); // the Provider rotates

    assert!(sign_in(&party, &provider, &key, after(61)).await.is_ok());
}

#[actix_web::test]
async fn userinfo_is_not_asked_unless_configured() {
    let (provider, key) = ScriptedProvider::start();

    sign_in(&public(&provider), &provider, &key, NOW).await.unwrap();

    assert!(provider.received("/userinfo_endpoint").is_empty());
}

#[actix_web::test]
async fn a_provider_without_the_userinfo_that_is_configured_is_not_ready() {
    let (provider, key) = ScriptedProvider::start();
    let mut metadata = provider.metadata();
    metadata.as_object_mut().unwrap().remove("userinfo_endpoint");
    provider.reply("/.well-known/openid-configuration", Reply::Json(metadata));
    let party = with_userinfo(&provider);

    assert!(matches!(party.is_ready(NOW).await, Err(ProviderError::EndpointMissing("userinfo_endpoint"))));
    assert_eq!(sign_in(&party, &provider, &key, NOW).await.unwrap_err().code(), "userinfo_unavailable");
    assert!(public(&provider).is_ready(NOW).await.is_ok());
}

#[actix_web::test]
async fn a_revocation_names_the_token_and_its_kind() {
    let (provider, _) = ScriptedProvider::start();
    provider.reply("/revocation_endpoint", Reply::Raw(200, "", String::new()));

    public(&provider).revoke(&RefreshToken::new("a b".to_owned()), NOW).await.unwrap();

    let form = provider.received("/revocation_endpoint")[0].form();
    assert_eq!((form["token"].as_str(), form["token_type_hint"].as_str()), ("a b", "refresh_token"));
}

#[actix_web::test]
async fn a_revocation_that_fails_says_so() {
    let (provider, _) = ScriptedProvider::start();
    let party = public(&provider);
    let unsupported = json!({"error": "unsupported_token_type"}).to_string();
    let table = [
        (Reply::Raw(503, "", String::new()), "Status(503)"),
        (Reply::Raw(400, "", unsupported), "Refused(Other { error: OAuthError(unsupported_token_type) })"),
        (Reply::Reset, "NoResponse"),
    ];
    for (reply, expected) in table {
        provider.reply("/revocation_endpoint", reply);
        let error = party.revoke(&RefreshToken::new("r".to_owned()), NOW).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected);
    }
}

#[actix_web::test]
async fn a_provider_without_revocation_and_logout_is_no_failure() {
    let (provider, _) = ScriptedProvider::start();
    let mut metadata = provider.metadata();
    metadata.as_object_mut().unwrap().retain(|name, _| name != "revocation_endpoint" && name != "end_session_endpoint");
    provider.reply("/.well-known/openid-configuration", Reply::Json(metadata));
    let party = public(&provider);

    assert!(party.revoke(&RefreshToken::new("r".to_owned()), NOW).await.is_ok());
    assert!(party.logout_request(None, None, "https://app.example/out", None, NOW).await.is_none());
}

#[actix_web::test]
async fn a_logout_request_goes_to_the_end_session_endpoint_or_nowhere() {
    let (provider, _) = ScriptedProvider::start();

    let request =
        public(&provider).logout_request(Some("e.e.s"), None, "https://app.example/out", Some("/a"), NOW).await;
    provider.reply("/.well-known/openid-configuration", Reply::Raw(500, "", String::new()));
    let none = public(&provider).logout_request(Some("e.e.s"), None, "https://app.example/out", Some("/a"), NOW).await;

    let url = request.unwrap().url().to_owned();
    assert!(
        url.starts_with(&format!("{}/end_session_endpoint?id_token_hint=e.e.s&client_id=client%3A1&", provider.origin))
    );
    assert!(none.is_none());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_scripted_wire_responds_in_virtual_time_and_the_timeout_ends_its_silence() {
    let wire = ScriptedWire::new(|request: ScriptedRequest| async move {
        tokio::time::sleep(Duration::from_secs(7)).await; // a second below the timeout
        let endpoint = |name: &str| format!("https://op.example/{name}");
        if request.method == "GET" {
            return Ok(Response::json(
                200,
                &json!({
                    "issuer": "https://op.example", "authorization_endpoint": endpoint("authorize"),
                    "token_endpoint": endpoint("token"), "jwks_uri": endpoint("jwks"),
                }),
            ));
        }
        assert_eq!((&request.url, &request.authorization), (&endpoint("token"), &None));
        if request.field("refresh_token").as_deref() == Some("silent") {
            std::future::pending::<()>().await;
        }
        Ok(Response::json(200, &json!({"access_token": "a", "token_type": "Bearer"})))
    });
    let settings = public(&ScriptedProvider::start().0).settings;
    let settings = RelyingPartySettings { issuer: "https://op.example".to_owned(), ..(*settings).clone() };
    let party = RelyingParty::scripted(Arc::new(settings), Arc::default(), wire);
    let refresh = async |token: &str| {
        let started = tokio::time::Instant::now();
        let outcome =
            party.refresh(&RefreshToken::new(token.to_owned()), None, &PersonClaims::default(), &|| true, NOW).await;
        (outcome.map_err(|error| error.code()).map(drop), started.elapsed().as_secs())
    };

    assert_eq!(refresh("first").await, (Ok(()), 14)); // with the metadata
    assert_eq!(refresh("silent").await, (Err("refresh_unavailable"), 8));
}

#[actix_web::test]
async fn a_refresh_waits_for_no_number_of_code_exchanges() {
    let (provider, _) = ScriptedProvider::start();
    provider.reply_to_grant("authorization_code", Reply::Silence);
    provider.reply_to_grant("refresh_token", Reply::Rotated);
    let party = public(&provider).with_timeout(Duration::from_secs(60));
    party.is_ready(NOW).await.unwrap();
    let exchange = || {
        let party = party.clone();
        actix_web::rt::spawn(async move {
            let (_, pending) = party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();
            complete(&party, &pending, NOW).await.map(drop)
        })
    };
    let exchanges: Vec<_> = (0..250).map(|_| exchange()).collect();
    while provider.received("/token_endpoint").len() < 100 {
        tokio::task::yield_now().await;
    }

    let refreshing = async {
        party.refresh(&RefreshToken::new("r".to_owned()), None, &PersonClaims::default(), &|| true, NOW).await
    };
    let refreshed = tokio::time::timeout(Duration::from_secs(10), refreshing).await.expect("it waits").unwrap();

    assert_eq!(refreshed.tokens.access_token.expose(), "access-of-r");
    assert!(exchanges.iter().filter(|exchange| !exchange.is_finished()).count() >= 100, "those still hang");
}
