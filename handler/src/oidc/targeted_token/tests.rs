//! Targeted tokens against a scripted Provider over real HTTP: the bytes that are sent, and who an error concerns.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::oidc::pkce::base64url;
use crate::oidc::{ProviderCache, ProviderDialect, RelyingPartySettings, RequestParameters};
use crate::testing::relying_party_settings;
use crate::testing::scripted_provider::{Reply, ScriptedProvider, no_trust};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn target(resource: Option<&str>, audience: Option<&str>, scope: Option<&str>) -> TokenTarget {
    TokenTarget::new(resource, audience, scope).unwrap()
}

fn party(provider: &ScriptedProvider, token_parameters: &str) -> RelyingParty {
    let token_parameters = match token_parameters {
        "" => RequestParameters::default(),
        text => RequestParameters::parse(text, &RequestParameters::default()).unwrap(),
    };
    let dialect = ProviderDialect { token_parameters, ..ProviderDialect::default() };
    let settings = RelyingPartySettings { dialect, ..relying_party_settings(&provider.origin) };
    RelyingParty::new(Arc::new(settings), Arc::<ProviderCache>::default(), &no_trust())
}

fn tokens(access_token: &str) -> Reply {
    let tokens =
        json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 60, "refresh_token": "next"});
    Reply::Json(tokens)
}

/// Result of a refresh for the target `b` that gets `reply`.
async fn refreshed(reply: Reply) -> Result<TargetedToken, TargetedTokenError> {
    let (provider, _) = ScriptedProvider::start();
    provider.reply("/token_endpoint", reply);
    let target = target(None, Some("https://b.example"), None);
    party(&provider, "").refresh_for(&target, &RefreshToken::new("old".to_owned()), "ada", &|| true, NOW).await
}

/// The form of the only token request, in alphabetical order.
fn sent(provider: &ScriptedProvider) -> String {
    let mut form: Vec<_> = provider.received("/token_endpoint")[0].form().into_iter().collect();
    form.sort();
    form.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[actix_web::test]
async fn a_refresh_names_the_target_and_not_that_of_the_sign_in() {
    let own = "client_id=client&grant_type=refresh_token&refresh_token=old";
    for (target, parameters, expected) in [
        (target(Some("https://b.example"), None, None), "", "&resource=https://b.example"),
        (target(Some("https://b.example"), None, Some("read")), "", "&resource=https://b.example&scope=read"),
        (target(None, Some("b"), None), "resource=https://a.example&x=1", "&x=1"),
        (target(None, None, Some("api://b/.default")), "", "&scope=api://b/.default"),
        (target(None, None, Some("read")), "resource=https://a.example", "&resource=https://a.example&scope=read"),
    ] {
        let (provider, _) = ScriptedProvider::start();
        provider.reply("/token_endpoint", tokens("token-b"));
        let audience =
            target.recipient().filter(|(name, _)| *name == Recipient::Audience).map_or("", |_| "audience=b&");
        let party = party(&provider, parameters);

        let token =
            party.refresh_for(&target, &RefreshToken::new("old".to_owned()), "ada", &|| true, NOW).await.unwrap();

        assert_eq!(sent(&provider), format!("{audience}{own}{expected}"));
        assert_eq!(token.access_token.expose(), "token-b");
        assert_eq!(token.expires_at, Some(NOW.plus(Duration::from_secs(60))));
        assert_eq!(token.refresh_token.unwrap().expose(), "next");
    }
}

#[actix_web::test]
async fn an_exchange_sends_the_access_token_and_keeps_no_refresh_token_of_another_grant() {
    let (provider, _) = ScriptedProvider::start();
    provider.reply("/token_endpoint", tokens("token-b"));
    let target = target(None, Some("b"), Some("read"));

    let token = party(&provider, "resource=https://a.example&x=1")
        .exchange_for(&target, &AccessToken::new("access-1".to_owned()), "ada", NOW)
        .await
        .unwrap();

    let expected = "audience=b&client_id=client&grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
        &requested_token_type=urn:ietf:params:oauth:token-type:access_token&scope=read&subject_token=access-1\
        &subject_token_type=urn:ietf:params:oauth:token-type:access_token";
    assert_eq!(sent(&provider), expected);
    assert_eq!((token.access_token.expose(), token.refresh_token.is_none()), ("token-b", true));
}

#[actix_web::test]
async fn a_refused_exchange_keeps_no_refresh_token_of_another_grant() {
    for reply in [
        json!({"access_token": "a", "token_type": "N_A", "refresh_token": "next"}),
        json!({"token_type": "Bearer", "refresh_token": "next"}),
    ] {
        let (provider, _) = ScriptedProvider::start();
        provider.reply("/token_endpoint", Reply::Json(reply));
        let (target, token) = (target(None, Some("b"), None), AccessToken::new("access-1".to_owned()));

        let error = party(&provider, "").exchange_for(&target, &token, "ada", NOW).await.unwrap_err();

        assert!(matches!(error, TargetedTokenError::Refused { refresh_token: None, .. }), "{error:?}");
    }
}

#[actix_web::test]
async fn a_token_for_another_recipient_is_refused() {
    let jwt = |payload: &Value| {
        let encode = |part: &str| base64url(part.as_bytes());
        format!("{}.{}.AA", encode(r#"{"alg":"ES256"}"#), encode(&payload.to_string()))
    };
    for (payload, is_accepted) in [
        (json!({"aud": "https://b.example"}), true),
        (json!({"aud": "https://b.example/"}), true),
        (json!({"aud": ["https://userinfo.example", "https://b.example"]}), true),
        (json!({"aud": "microsoft:identityserver:https://b.example"}), true),
        (json!({"aud": "api://https://b.example"}), true),
        (json!({"aud": "vendor:https://b.example"}), false),
        (json!({"aud": "https://evil.example/https://b.example"}), false),
        (json!({"aud": "api://back-https://b.example"}), false),
        (json!({"sub": "ada"}), true),
        (json!({"aud": "https://a.example"}), false),
        (json!({"aud": ["https://a.example", "https://b.example.evil"]}), false),
    ] {
        match refreshed(tokens(&jwt(&payload))).await {
            Ok(_) => assert!(is_accepted, "{payload}"),
            Err(TargetedTokenError::Refused { refusal: TargetRefusal::Refused, cause, refresh_token, .. }) => {
                assert!(!is_accepted, "{payload}");
                assert_eq!((cause.as_str(), refresh_token.unwrap().expose()), ("audience_mismatch", "next"));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[actix_web::test]
async fn an_error_says_if_the_target_is_refused_or_the_sessions_own_token() {
    let table = [
        (400, json!({"error": "invalid_target"}), "route_token_refused"),
        (400, json!({"error": "invalid_scope"}), "route_token_refused"),
        (400, json!({"error": "invalid_request"}), "route_token_refused"),
        (401, json!({"error": "invalid_client"}), "route_token_refused"),
        (403, json!({"error": "access_denied"}), "route_token_refused"),
        (400, json!({"error": "unauthorized_client"}), "route_token_refused"),
        (400, json!({"error": "invalid_grant", "error_codes": [53_003]}), "route_token_refused"),
        (400, json!({"error": "consent_required"}), "route_token_consent_required"),
        (400, json!({"error": "invalid_grant", "error_codes": [65_001]}), "route_token_consent_required"),
        (400, json!({"error": "invalid_grant", "suberror": "consent_required"}), "route_token_consent_required"),
        (400, json!({"error": "interaction_required"}), "route_token_interaction_required"),
        (400, json!({"error": "login_required"}), "route_token_interaction_required"),
        (400, json!({"error": "invalid_grant", "error_codes": [50_076]}), "route_token_interaction_required"),
        (400, json!({"error": "invalid_grant", "suberror": "basic_action"}), "route_token_interaction_required"),
        (400, json!({"error": "invalid_grant"}), "grant"),
        (400, json!({"error": "invalid_grant", "error_codes": [700_082]}), "grant"),
        (400, json!({"error": "invalid_token"}), "grant"),
        (400, json!({"error": "temporarily_unavailable"}), "route_token_unavailable"),
    ];
    for (status, body, expected) in table {
        let error = refreshed(Reply::Raw(status, "", body.to_string())).await.unwrap_err();

        let is_about_the_grant = matches!(error, TargetedTokenError::GrantRefused { .. });
        assert_eq!(if is_about_the_grant { "grant" } else { error.code() }, expected, "{body}");
        let code = error.oauth_error().unwrap();
        assert_eq!(code.error(), body["error"].as_str().unwrap());
    }
}

#[actix_web::test]
async fn an_unusable_token_is_refused_and_a_rotated_refresh_token_is_not_lost() {
    let long = "a".repeat(16 * 1024 + 1);
    for (reply, expected) in [
        (json!({"access_token": "a", "token_type": "N_A", "refresh_token": "next"}), "token_type"),
        (json!({"access_token": "a", "refresh_token": "next"}), "access_token"),
        (json!({"token_type": "Bearer", "refresh_token": "next"}), "access_token"),
        (json!({"access_token": long, "token_type": "Bearer", "refresh_token": "next"}), "access_token"),
    ] {
        for (id_token, is_kept) in [
            (json!(null), true),
            (json!(""), true),
            (json!(jwt(&json!({"sub": "ada"}))), true),
            (json!(jwt(&json!({"sub": "eve"}))), false),
        ] {
            let mut reply = reply.clone();
            reply["id_token"] = id_token.clone();

            let error = refreshed(Reply::Json(reply)).await.unwrap_err();

            let TargetedTokenError::Refused { cause, refresh_token, .. } = error else { panic!("{error:?}") };
            assert_eq!((cause.as_str(), refresh_token.is_some()), (expected, is_kept), "{id_token}");
        }
    }
}

fn jwt(claims: &Value) -> String {
    format!("e30.{}.c2ln", base64url(claims.to_string().as_bytes()))
}

#[actix_web::test]
async fn a_response_about_another_person_is_refused_with_all_its_tokens() {
    for (id_token, refused) in [
        (jwt(&json!({"sub": "ada"})), None),
        (jwt(&json!({"sub": "eve"})), Some(("sub_mismatch", false))),
        (jwt(&json!({})), None),
        ("encrypted".to_owned(), None),
    ] {
        let tokens =
            json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "next", "id_token": id_token});

        let outcome = refreshed(Reply::Json(tokens)).await;

        match outcome {
            Err(TargetedTokenError::Refused { cause, refresh_token, .. }) => {
                assert_eq!(Some((cause.as_str(), refresh_token.is_some())), refused, "{id_token}");
            }
            other => assert!(other.unwrap().refresh_token.is_some() && refused.is_none(), "{id_token}"),
        }
    }
}

#[actix_web::test]
async fn an_exchange_for_a_token_of_another_type_is_refused() {
    for (issued, refused) in [
        (json!("urn:ietf:params:oauth:token-type:access_token"), false),
        (json!("urn:ietf:params:oauth:token-type:jwt"), false),
        (json!(null), false),
        (json!("urn:ietf:params:oauth:token-type:refresh_token"), true),
        (json!("urn:ietf:params:oauth:token-type:id_token"), true),
        (json!("urn:ietf:params:oauth:token-type:saml2"), true),
    ] {
        let (provider, _) = ScriptedProvider::start();
        let tokens = json!({"access_token": "a", "token_type": "Bearer", "issued_token_type": issued});
        provider.reply("/token_endpoint", Reply::Json(tokens));
        let (target, token) = (target(None, Some("b"), None), AccessToken::new("access-1".to_owned()));

        let outcome = party(&provider, "").exchange_for(&target, &token, "ada", NOW).await;

        match outcome {
            Err(TargetedTokenError::Refused { cause, .. }) => {
                assert_eq!((cause.as_str(), refused), ("issued_token_type", true), "{issued}");
            }
            other => assert!(other.is_ok() && !refused, "{issued}"),
        }
    }
}

#[actix_web::test]
async fn without_a_usable_response_it_is_known_if_the_refresh_token_may_be_spent() {
    for (reply, ambiguous, wait) in [
        (Reply::Raw(429, "retry-after: 30\r\n", String::new()), false, Some(30)),
        (Reply::Raw(503, "retry-after: 7\r\n", String::new()), false, Some(7)),
        (Reply::Raw(401, "", String::new()), false, None),
        (Reply::Raw(500, "", String::new()), true, None),
        (Reply::Raw(200, "", "<html>".to_owned()), true, None),
        (Reply::Reset, true, None),
    ] {
        let error = refreshed(reply).await.unwrap_err();

        let TargetedTokenError::Unavailable { is_ambiguous, retry_after, .. } = error else { panic!("{error:?}") };
        assert_eq!((is_ambiguous, retry_after.map(|wait| wait.as_secs())), (ambiguous, wait));
    }
}

#[actix_web::test]
async fn a_request_that_must_not_be_sent_any_more_is_withheld() {
    let (provider, _) = ScriptedProvider::start();
    let target = target(None, Some("b"), None);

    let outcome =
        party(&provider, "").refresh_for(&target, &RefreshToken::new("old".to_owned()), "ada", &|| false, NOW).await;

    let Err(TargetedTokenError::Unavailable { is_ambiguous, source, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(!is_ambiguous && matches!(source, ProviderError::Withheld));
    assert!(provider.received("/token_endpoint").is_empty());
}
