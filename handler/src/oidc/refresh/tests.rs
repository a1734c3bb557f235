//! Refresh against a scripted Provider over real HTTP: results that end a session, keep it, or are ambiguous.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::oidc::relying_party::tests::party;
use crate::oidc::{ClientAuthentication, ProviderCache, Response, ScriptedRequest, ScriptedWire};
use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

struct Fixture {
    provider: ScriptedProvider,
    key: SigningKey,
    party: RelyingParty,
    known: PersonClaims,
}

fn fixture(userinfo: bool) -> Fixture {
    let (provider, key) = ScriptedProvider::start();
    let cache: Arc<ProviderCache> = Arc::default();
    let party = party(&provider.origin, ClientAuthentication::None, userinfo, &cache);
    let known = json!({"iss": provider.origin, "sub": "ada", "name": "Ada", "exp": 1, "nonce": "n", "auth_time": 1});
    let known = json!({"id_token": known, "userinfo": {"locale": "de", "groups": ["admins"]}});
    Fixture { party, key, known: serde_json::from_value(known).unwrap(), provider }
}

impl Fixture {
    async fn refresh_to(&self, reply: Reply) -> Result<CompletedRefresh, RefreshError> {
        self.provider.reply("/token_endpoint", reply);
        self.party.refresh(&RefreshToken::new("old".to_owned()), None, &self.known, &|| true, NOW).await
    }

    fn id_token(&self, key: &SigningKey, change: &Value) -> String {
        let now = NOW.as_unix();
        let mut claims = json!({
            "iss": self.provider.origin, "sub": "ada", "aud": "client:1", "exp": now + 300, "iat": now, "email": "a@b",
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        key.sign(&claims)
    }

    fn tokens(&self, key: &SigningKey, change: &Value) -> Reply {
        let id_token = self.id_token(key, change);
        let tokens =
            json!({"access_token": "new", "token_type": "Bearer", "refresh_token": "next", "id_token": id_token});
        Reply::Json(tokens)
    }
}

/// Code and token to revoke of a refresh that ends the session.
fn invalid(outcome: Result<CompletedRefresh, RefreshError>) -> (&'static str, String) {
    match outcome.unwrap_err() {
        RefreshError::Invalid { code, refresh_token } => (code, refresh_token.unwrap().expose().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[actix_web::test]
async fn a_refresh_yields_tokens_and_merged_claims() {
    let fixture = fixture(false);

    let refresh = fixture.refresh_to(fixture.tokens(&fixture.key, &json!({}))).await.unwrap();

    assert_eq!(refresh.tokens.access_token.expose(), "new");
    assert_eq!(refresh.tokens.refresh_token.unwrap().expose(), "next");
    assert_eq!((refresh.claims.text("name"), refresh.claims.text("email")), (Some("Ada"), Some("a@b")));
    let sent = fixture.provider.received("/token_endpoint")[0].form();
    assert_eq!((sent["grant_type"].as_str(), sent["refresh_token"].as_str()), ("refresh_token", "old"));
}

#[actix_web::test]
async fn a_refresh_asks_for_the_scope_of_the_grant_and_otherwise_for_the_configured_one() {
    let fixture = fixture(false);
    let granted = Scope::parse("openid api://app/access");

    fixture.refresh_to(fixture.tokens(&fixture.key, &json!({}))).await.unwrap();
    let token = RefreshToken::new("old".to_owned());
    fixture.party.refresh(&token, granted.as_ref(), &fixture.known, &|| true, NOW).await.unwrap();

    let sent = fixture.provider.received("/token_endpoint");
    assert_eq!(
        (sent[0].form()["scope"].as_str(), sent[1].form()["scope"].as_str()),
        ("openid", "openid api://app/access")
    );
}

#[actix_web::test]
async fn a_response_of_an_access_token_alone_is_normal() {
    let fixture = fixture(true);
    fixture.provider.reply("/userinfo_endpoint", Reply::Raw(503, "", String::new()));

    let refresh =
        fixture.refresh_to(Reply::Json(json!({"access_token": "new", "token_type": "bearer"}))).await.unwrap();

    assert!(refresh.tokens.refresh_token.is_none() && refresh.tokens.id_token.is_none());
    assert_eq!(refresh.claims, fixture.known);
    assert!(fixture.provider.received("/jwks_uri").is_empty());
}

#[actix_web::test]
async fn a_refresh_token_that_is_refused_ends_the_session() {
    let fixture = fixture(false);
    let table = [
        (400, "invalid_grant"),
        (401, "invalid_grant"),
        (200, "invalid_grant"),
        (400, "interaction_required"),
        (400, "login_required"),
        (400, "consent_required"),
    ];
    for (status, error) in table {
        let refused = fixture.refresh_to(oauth_error(status, error)).await.unwrap_err();

        assert_eq!(refused.code(), "refresh_refused");
        assert!(
            matches!(refused, RefreshError::Refused { error: ref told } if told.error() == error),
            "{status} {error}"
        );
    }
}

#[actix_web::test]
async fn a_response_that_breaks_a_rule_ends_the_session_and_names_the_token_to_revoke() {
    let fixture = fixture(false);
    let dpop = |rest: &str| Reply::Raw(200, "", format!(r#"{{"access_token":"a","token_type":"DPoP"{rest}}}"#));
    let table = [
        (fixture.tokens(&fixture.key, &json!({"sub": "eve"})), "id_token_subject", "next"),
        (fixture.tokens(&fixture.key, &json!({"iss": "https://evil.example"})), "id_token_issuer", "next"),
        (fixture.tokens(&fixture.key, &json!({"aud": "another"})), "id_token_audience", "next"),
        (fixture.tokens(&fixture.key, &json!({"exp": 1})), "id_token_expired", "next"),
        (fixture.tokens(&fixture.key, &json!({"nonce": "another"})), "id_token_nonce", "next"),
        (fixture.tokens(&fixture.key, &json!({"auth_time": 2})), "id_token_auth_time", "next"),
        (dpop(r#","refresh_token":"next""#), "token_type", "next"),
        (dpop(""), "token_type", "old"),
    ];
    for (reply, code, to_revoke) in table {
        assert_eq!(invalid(fixture.refresh_to(reply).await), (code, to_revoke.to_owned()));
    }
}

#[actix_web::test]
async fn a_signature_that_newer_keys_do_not_verify_either_ends_the_session() {
    for (key, code) in [(SigningKey::es256("k1"), "id_token_signature"), (SigningKey::es256("k9"), "id_token_key")] {
        let fixture = fixture(false);

        let refused = fixture.refresh_to(fixture.tokens(&key, &json!({}))).await;

        assert_eq!(invalid(refused), (code, "next".to_owned()));
    }
}

#[actix_web::test]
async fn a_signature_whose_newer_keys_cannot_be_had_ends_nothing() {
    for key in [SigningKey::es256("k1"), SigningKey::es256("k9")] {
        let fixture = fixture(true);
        fixture.provider.reply("/userinfo_endpoint", Reply::Raw(503, "", String::new()));
        fixture.party.is_ready(NOW).await.unwrap();
        fixture.provider.reply("/jwks_uri", Reply::Raw(503, "", String::new()));

        let refresh = fixture.refresh_to(fixture.tokens(&key, &json!({}))).await.unwrap();

        assert!(refresh.tokens.id_token.is_none());
        assert_eq!(refresh.tokens.refresh_token.unwrap().expose(), "next");
        assert_eq!(refresh.claims, fixture.known);
    }
}

#[actix_web::test]
async fn an_id_token_that_nobody_can_judge_now_is_as_if_none_had_come() {
    let fixture = fixture(true);
    fixture.provider.reply("/userinfo_endpoint", Reply::Raw(503, "", String::new()));
    fixture.provider.reply("/jwks_uri", Reply::Raw(503, "", String::new()));

    let refresh = fixture.refresh_to(fixture.tokens(&fixture.key, &json!({}))).await.unwrap();

    assert_eq!(refresh.claims, fixture.known);
    assert!(refresh.tokens.id_token.is_none());
    assert_eq!(refresh.tokens.refresh_token.unwrap().expose(), "next");
}

#[actix_web::test]
async fn a_key_that_was_rotated_is_sought_and_if_that_must_wait_the_id_token_is_left_out() {
    let fixture = fixture(false);
    fixture.party.is_ready(NOW).await.unwrap();
    let (second, third) = (SigningKey::es256("k2"), SigningKey::es256("k3"));

    fixture.provider.publish(&[&second.jwk]);
    let sought = fixture.refresh_to(fixture.tokens(&second, &json!({}))).await.unwrap();
    fixture.provider.publish(&[&third.jwk]);
    let waiting = fixture.refresh_to(fixture.tokens(&third, &json!({}))).await.unwrap();

    assert!(sought.tokens.id_token.is_some());
    assert!(waiting.tokens.id_token.is_none());
}

fn oauth_error(status: u16, error: &str) -> Reply {
    Reply::Raw(status, "", json!({ "error": error }).to_string())
}

#[actix_web::test]
async fn a_refusal_of_the_client_or_the_request_is_for_good_and_ends_no_session() {
    let fixture = fixture(false);
    let table = [
        (oauth_error(401, "invalid_client"), "client_refused"),
        (oauth_error(400, "invalid_client"), "client_refused"),
        (oauth_error(400, "unauthorized_client"), "client_refused"),
        (oauth_error(200, "unauthorized_client"), "client_refused"),
        (oauth_error(400, "invalid_request"), "token_request_refused"),
        (oauth_error(400, "invalid_scope"), "token_request_refused"),
        (oauth_error(400, "unsupported_grant_type"), "token_request_refused"),
        (oauth_error(403, "access_denied"), "token_request_refused"),
        (oauth_error(400, "<script>"), "token_request_refused"),
        (oauth_error(200, "invalid_scope"), "token_request_refused"),
    ];
    for (number, (reply, code)) in table.into_iter().enumerate() {
        let refused = fixture.refresh_to(reply).await.unwrap_err();

        assert_eq!(refused.code(), code, "row {number}");
        let is_for_good = matches!(refused, RefreshError::ClientRefused { .. } | RefreshError::RequestRefused { .. });
        assert!(is_for_good, "row {number}");
    }
}

#[actix_web::test]
async fn a_provider_in_trouble_ends_no_session() {
    let fixture = fixture(false);
    let raw = |status, header| Reply::Raw(status, header, String::new());
    let later = |error: &str| Reply::Raw(400, "retry-after: 7\r\n", json!({ "error": error }).to_string());
    let table = [
        (raw(429, "retry-after: 7\r\n"), false, Some(7)),
        (oauth_error(429, "invalid_grant"), false, None),
        (raw(503, "retry-after: 99999\r\n"), false, Some(3600)),
        (raw(503, "retry-after: 18446744073709551615\r\n"), false, Some(3600)),
        (raw(503, "retry-after: 18446744073709551616\r\n"), false, Some(3600)),
        (raw(503, "retry-after: 0\r\n"), false, Some(0)),
        (raw(503, "retry-after: -1\r\n"), false, None),
        (raw(503, "retry-after: 1.5\r\n"), false, None),
        (raw(503, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n"), false, None),
        (oauth_error(503, "invalid_grant"), false, None),
        (oauth_error(500, "invalid_grant"), true, None),
        (raw(500, "retry-after: 9\r\n"), true, Some(9)),
        (raw(501, ""), true, None),
        (Reply::Raw(502, "", "<html>".to_owned()), true, None),
        (raw(504, ""), true, None),
        (raw(599, ""), true, None),
        (Reply::Raw(400, "", "<html>".to_owned()), false, None),
        (raw(401, ""), false, None),
        (later("temporarily_unavailable"), false, Some(7)),
        (later("slow_down"), false, Some(7)),
        (later("authorization_pending"), false, Some(7)),
        (later("server_error"), false, Some(7)),
        (oauth_error(200, "temporarily_unavailable"), false, None),
        (raw(302, "location: http://127.0.0.1:1/\r\n"), false, None),
        (oauth_error(302, "invalid_grant"), false, None),
        (raw(204, ""), true, None),
        (oauth_error(201, "invalid_grant"), true, None),
        (Reply::Raw(200, "", "<html>sign in</html>".to_owned()), true, None),
        (raw(200, ""), true, None),
        (Reply::Silence, true, None),
        (Reply::Reset, true, None),
        (Reply::Torn, true, None),
    ];
    let rows = table.len();
    for (number, (reply, expected, seconds)) in table.into_iter().enumerate() {
        let unavailable = fixture.refresh_to(reply).await.unwrap_err();

        assert_eq!(unavailable.code(), "refresh_unavailable", "row {number}");
        let RefreshError::Unavailable { is_ambiguous, retry_after, .. } = unavailable else { panic!("row {number}") };
        assert_eq!((is_ambiguous, retry_after), (expected, seconds.map(Duration::from_secs)), "row {number}");
    }
    assert_eq!(fixture.provider.received("/token_endpoint").len(), rows, "a refresh token is never sent twice");
}

#[actix_web::test]
async fn metadata_that_cannot_be_had_spends_no_refresh_token() {
    for reply in [Reply::Raw(500, "", String::new()), Reply::Silence, Reply::Reset, Reply::Torn] {
        let fixture = fixture(false);
        fixture.provider.reply("/.well-known/openid-configuration", reply);

        let error = fixture.refresh_to(Reply::Rotated).await.unwrap_err();

        assert!(matches!(error, RefreshError::Unavailable { is_ambiguous: false, .. }), "{error:?}");
        assert!(fixture.provider.received("/token_endpoint").is_empty());
    }
}

#[actix_web::test]
async fn a_provider_that_cannot_be_reached_has_spent_nothing() {
    let known = PersonClaims::default();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let party = party(&format!("http://127.0.0.1:{port}"), ClientAuthentication::None, false, &Arc::default());

    let error = party.refresh(&RefreshToken::new("old".to_owned()), None, &known, &|| true, NOW).await.unwrap_err();

    assert!(matches!(error, RefreshError::Unavailable { is_ambiguous: false, .. }), "{error:?}");
}

#[actix_web::test]
async fn userinfo_after_a_refresh_replaces_what_it_said_before_or_changes_nothing() {
    let fixture = fixture(true);
    let (before, no_groups) = (json!({"locale": "de", "groups": ["admins"]}), json!({}));
    let table = [
        (Reply::Json(json!({"sub": "ada", "email": "new@b"})), Some("new@b"), no_groups),
        (Reply::Raw(401, "", String::new()), Some("a@b"), before.clone()),
        (Reply::Raw(500, "", String::new()), Some("a@b"), before.clone()),
        (Reply::Json(json!({"email": "nobody@b"})), Some("a@b"), before.clone()),
        (Reply::Raw(200, "", "<html>".to_owned()), Some("a@b"), before.clone()),
        (Reply::Silence, Some("a@b"), before),
    ];
    for (number, (userinfo, email, others)) in table.into_iter().enumerate() {
        fixture.provider.reply("/userinfo_endpoint", userinfo);

        let refresh = fixture.refresh_to(fixture.tokens(&fixture.key, &json!({}))).await.unwrap();

        let claims = &refresh.claims;
        assert_eq!((claims.text("email"), claims.text("name")), (email, Some("Ada")), "row {number}");
        let found = claims.only(&["locale", "groups"]);
        assert_eq!(serde_json::to_value(found).unwrap(), others, "row {number}");
    }
    assert_eq!(fixture.provider.received("/userinfo_endpoint")[0].headers["authorization"], "Bearer new");
}

#[actix_web::test]
async fn userinfo_that_is_no_longer_configured_is_forgotten_at_a_refresh() {
    let fixture = fixture(false);

    let refresh =
        fixture.refresh_to(Reply::Json(json!({"access_token": "new", "token_type": "bearer"}))).await.unwrap();

    assert_eq!(refresh.claims.as_map().get("groups"), None);
    assert_eq!(refresh.claims.text("name"), Some("Ada"));
}

#[actix_web::test]
async fn rights_that_a_newer_id_token_omits_are_gone() {
    let mut fixture = fixture(false);
    let known = json!({"iss": fixture.provider.origin, "sub": "ada", "name": "Ada", "roles": ["admin"], "sid": "s"});
    fixture.known = serde_json::from_value::<Claims>(known).unwrap().into();

    let refresh = fixture.refresh_to(fixture.tokens(&fixture.key, &json!({}))).await.unwrap();

    assert_eq!(refresh.claims.as_map().get("roles"), None);
    assert_eq!((refresh.claims.text("name"), refresh.claims.text("sid")), (Some("Ada"), Some("s")));
}

#[actix_web::test]
async fn userinfo_of_someone_else_after_a_refresh_ends_the_session() {
    let fixture = fixture(true);
    fixture.provider.reply("/userinfo_endpoint", Reply::Json(json!({"sub": "eve"})));

    let outcome = fixture.refresh_to(fixture.tokens(&fixture.key, &json!({}))).await;

    assert_eq!(invalid(outcome), ("userinfo_subject", "next".to_owned()));
}

#[actix_web::test]
async fn a_refresh_that_may_not_be_sent_any_more_is_not_sent() {
    let fixture = fixture(false);

    let token = RefreshToken::new("old".to_owned());
    let error = fixture.party.refresh(&token, None, &fixture.known, &|| false, NOW).await.unwrap_err();

    let RefreshError::Unavailable { is_ambiguous, source, .. } = error else { panic!("{error}") };
    assert!(!is_ambiguous && matches!(source, ProviderError::Withheld));
    assert_eq!(fixture.provider.received("/token_endpoint").len(), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn new_tokens_are_not_kept_waiting_for_keys_and_userinfo() {
    let fixture = fixture(true);
    let metadata = fixture.provider.metadata();
    let id_token = fixture.id_token(&fixture.key, &json!({}));
    let wire = ScriptedWire::new(move |request: ScriptedRequest| {
        let tokens = json!({
            "access_token": "new", "token_type": "Bearer", "refresh_token": "next", "id_token": id_token,
        });
        let response = match request.url.rsplit('/').next().unwrap() {
            "openid-configuration" => Some(Response::json(200, &metadata)),
            "token_endpoint" => Some(Response::json(200, &tokens)),
            _ => None,
        };
        async { if let Some(response) = response { Ok(response) } else { std::future::pending().await } }
    });
    let settings = Arc::new(fixture.party.settings().clone());
    let party = RelyingParty::scripted(settings, Arc::default(), wire);
    let started = tokio::time::Instant::now();

    let refresh =
        party.refresh(&RefreshToken::new("old".to_owned()), None, &fixture.known, &|| true, NOW).await.unwrap();

    assert_eq!(started.elapsed(), CLAIMS_TIMEOUT);
    assert_eq!(refresh.tokens.refresh_token.unwrap().expose(), "next");
    assert_eq!((refresh.claims, refresh.tokens.id_token), (fixture.known, None));
}
