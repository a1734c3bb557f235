//! Sign-ins, refreshes and logout tokens in a Provider's dialect, against a scripted Provider over real HTTP.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::clock::Timestamp;
use crate::oidc::{
    AuthorizationResponse, ClientAuthentication, CompletedLogin, DiscoveryError, JwtError, LoginError, LoginHints,
    LogoutTokenError, PendingLogin, PersonClaims, ProviderError, RefreshToken, RelyingParty, RelyingPartySettings,
};
use crate::testing::relying_party_settings;
use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey, no_trust};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const PAR: &str = "/pushed_authorization_request_endpoint";

fn party(provider: &ScriptedProvider, dialect: ProviderDialect) -> RelyingParty {
    party_as(ClientAuthentication::None, provider, dialect)
}

fn party_as(
    authentication: ClientAuthentication,
    provider: &ScriptedProvider,
    dialect: ProviderDialect,
) -> RelyingParty {
    let settings = RelyingPartySettings { authentication, dialect, ..relying_party_settings(&provider.origin) };
    RelyingParty::new(Arc::new(settings), Arc::default(), &no_trust())
}

fn parameters(text: &str) -> RequestParameters {
    RequestParameters::parse(text, &RequestParameters::default()).unwrap()
}

fn claims(provider: &ScriptedProvider, changes: &Value) -> Value {
    let now = NOW.as_unix();
    let mut claims =
        json!({"iss": provider.origin, "sub": "ada", "aud": "client", "exp": now + 300, "iat": now, "jti": "j"});
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

/// Completes the sign-in with an ID token of `key` with additional claims.
async fn complete(
    party: &RelyingParty,
    provider: &ScriptedProvider,
    key: &SigningKey,
    pending: &PendingLogin,
    changes: Value,
) -> Result<CompletedLogin, LoginError> {
    let mut claims = claims(provider, &changes);
    claims["nonce"] = pending.nonce().into();
    let tokens = json!({"access_token": "a", "token_type": "Bearer", "id_token": key.sign(&claims)});
    provider.reply("/token_endpoint", Reply::Json(tokens));
    let response = AuthorizationResponse::parse(&format!("code=c&state={}", pending.state())).unwrap();
    party.complete_login(response, pending, NOW).await
}

async fn sign_in(
    party: &RelyingParty,
    provider: &ScriptedProvider,
    key: &SigningKey,
    changes: Value,
) -> Result<CompletedLogin, LoginError> {
    let (_, pending) = party.begin_login("/", &LoginHints::default(), NOW).await?;
    complete(party, provider, key, &pending, changes).await
}

async fn refresh(party: &RelyingParty, known: &PersonClaims) -> Result<(), &'static str> {
    let refreshed = party.refresh(&RefreshToken::new("r".to_owned()), None, known, &|| true, NOW).await;
    refreshed.map(drop).map_err(|error| error.code())
}

#[actix_web::test]
async fn token_parameters_go_with_the_code_and_with_every_refresh() {
    let (provider, key) = ScriptedProvider::start();
    let token_parameters = parameters("resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb");
    let party = party(&provider, ProviderDialect { token_parameters, ..ProviderDialect::default() });

    let login = sign_in(&party, &provider, &key, json!({})).await.unwrap();
    refresh(&party, &login.claims).await.unwrap();

    let sent = provider.received("/token_endpoint");
    assert_eq!(sent.len(), 2);
    for request in sent {
        assert!(request.body.contains("&resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb"), "{}", request.body);
    }
}

#[actix_web::test]
async fn metadata_may_lie_elsewhere_and_speaks_for_the_configured_issuer_all_the_same() {
    let (provider, key) = ScriptedProvider::start();
    let metadata = provider.metadata();
    provider.reply("/.well-known/openid-configuration", Reply::Raw(404, "", String::new()));
    provider.reply("/policy/metadata?p=b2c", Reply::Json(metadata.clone()));
    let dialect = |path| {
        let metadata_url = Some(format!("{}{path}", provider.origin));
        ProviderDialect { metadata_url, ..ProviderDialect::default() }
    };

    let login = sign_in(&party(&provider, dialect("/policy/metadata?p=b2c")), &provider, &key, json!({})).await;

    assert_eq!(login.unwrap().claims.subject(), "ada");
    let mut another = metadata;
    another["issuer"] = "https://op.example".into();
    provider.reply("/another", Reply::Json(another));
    let refused = party(&provider, dialect("/another")).begin_login("/", &LoginHints::default(), NOW).await;
    assert!(matches!(refused, Err(ProviderError::Metadata(DiscoveryError::Issuer { .. }))));
}

#[actix_web::test]
async fn id_tokens_and_logout_tokens_are_held_to_one_algorithm() {
    let (provider, ec) = ScriptedProvider::start();
    let rsa = SigningKey::rs256("k2");
    provider.publish(&[&ec.jwk, &rsa.jwk]);
    let event = json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    let table = [
        (None, &rsa, true, "the family of RS256"),
        (None, &ec, false, "another family"),
        (Some("ES256"), &ec, true, "the configured one"),
        (Some("ES256"), &rsa, false, "another than the configured one"),
        (Some("RS512"), &rsa, false, "another of the same family"),
    ];
    for (configured, key, is_accepted, reason) in table {
        let id_token_signing_algorithm = configured.map(|name| name.parse().unwrap());
        let party = party(&provider, ProviderDialect { id_token_signing_algorithm, ..ProviderDialect::default() });

        let login = sign_in(&party, &provider, key, json!({})).await.map_err(|error| error.code());
        let known = serde_json::from_value(json!({"id_token": {"sub": "ada"}})).unwrap();
        let id_token = key.sign(&claims(&provider, &json!({})));
        let tokens = json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token});
        provider.reply("/token_endpoint", Reply::Json(tokens));
        let refreshed = refresh(&party, &known).await;
        let logout = party.verify_logout_token(&key.sign(&claims(&provider, &event)), NOW).await;

        let refused = Err("id_token_algorithm");
        let expected = if is_accepted { Ok(()) } else { refused };
        assert_eq!((login.map(drop), refreshed), (expected, expected), "{reason}");
        let is_refused = matches!(logout, Err(LogoutTokenError::Token(JwtError::Algorithm)));
        assert_eq!((logout.is_ok(), is_refused), (is_accepted, !is_accepted), "{reason}");
    }
}

#[actix_web::test]
async fn a_providers_own_claims_have_standard_names_too() {
    let (provider, key) = ScriptedProvider::start();
    const ALIASES: &[ClaimAlias] = &[
        ClaimAlias { standard: "groups", own: &["own:groups"], is_first_of_list: false },
        ClaimAlias { standard: "roles", own: &["access", "roles"], is_first_of_list: false },
        ClaimAlias { standard: "email", own: &["emails"], is_first_of_list: true },
        ClaimAlias { standard: "name", own: &["own:name"], is_first_of_list: false },
        ClaimAlias { standard: "sid", own: &["missing"], is_first_of_list: false },
    ];
    let party = party(&provider, ProviderDialect { claim_aliases: ALIASES, ..ProviderDialect::default() });
    let own = json!({"own:groups": ["a"], "access": {"roles": ["r"]}, "emails": ["a@b", "c@d"], "name": "Ada",
        "own:name": "Eve"});

    let login = sign_in(&party, &provider, &key, own).await.unwrap();

    let given = login.claims.as_map();
    assert_eq!((&given["groups"], &given["roles"]), (&json!(["a"]), &json!(["r"])));
    assert_eq!((&given["email"], &given["name"]), (&json!("a@b"), &json!("Ada")));
    assert!(!given.contains_key("sid"));
    // The refreshed ID token omits the Provider's own claim, so the standard one is gone.
    let tokens =
        json!({"access_token": "a", "token_type": "Bearer", "id_token": key.sign(&claims(&provider, &json!({})))});
    provider.reply("/token_endpoint", Reply::Json(tokens));
    let refreshed =
        party.refresh(&RefreshToken::new("r".to_owned()), None, &login.claims, &|| true, NOW).await.unwrap();
    assert!(!refreshed.claims.as_map().contains_key("groups"));
}

/// Provider that requires pushed requests and sends this response to them.
fn demanding(reply: Reply) -> (ScriptedProvider, SigningKey) {
    let (provider, key) = ScriptedProvider::start();
    let mut metadata = provider.metadata();
    metadata["pushed_authorization_request_endpoint"] = format!("{}{PAR}", provider.origin).into();
    metadata["require_pushed_authorization_requests"] = true.into();
    provider.reply("/.well-known/openid-configuration", Reply::Json(metadata));
    provider.reply(PAR, reply);
    (provider, key)
}

fn reference() -> Reply {
    Reply::Raw(201, "", json!({"request_uri": "urn:example:r&1", "expires_in": 60}).to_string())
}

#[actix_web::test]
async fn a_demanded_request_is_pushed_and_the_browser_carries_its_reference_alone() {
    let (provider, key) = demanding(reference());
    let authorize_parameters = parameters("audience=api");
    let party = party(&provider, ProviderDialect { authorize_parameters, ..ProviderDialect::default() });

    let (request, pending) = party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();

    let url = Url::parse(request.url()).unwrap();
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [("client_id", "client"), ("request_uri", "urn:example:r&1")];
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let form = provider.received(PAR)[0].form();
    assert_eq!((form["state"].as_str(), form["nonce"].as_str()), (pending.state(), pending.nonce()));
    assert_eq!((form["audience"].as_str(), form["response_type"].as_str()), ("api", "code"));
    assert!(complete(&party, &provider, &key, &pending, json!({})).await.is_ok());
}

#[actix_web::test]
async fn a_pushed_request_names_and_authenticates_its_client_once() {
    for (authentication, has_header, reason) in [
        (ClientAuthentication::None, false, "a public client"),
        (ClientAuthentication::ClientSecretPost("s".to_owned().into()), false, "a secret in the form"),
        (ClientAuthentication::ClientSecretBasic("s".to_owned().into()), true, "a secret in a header"),
    ] {
        let (provider, _) = demanding(reference());

        let party = party_as(authentication, &provider, ProviderDialect::default());
        party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();

        let request = &provider.received(PAR)[0];
        assert_eq!(request.body.matches("client_id=client").count(), 1, "{reason}");
        assert_eq!(request.headers.contains_key("authorization"), has_header, "{reason}");
    }
}

#[actix_web::test]
async fn a_setting_pushes_always_or_never() {
    let (provider, _) = demanding(reference());
    let begin = async |provider: &ScriptedProvider, pushed_authorization_requests| {
        let dialect = ProviderDialect { pushed_authorization_requests, ..ProviderDialect::default() };
        let party = party(provider, dialect);
        let begun = party.begin_login("/", &LoginHints::default(), NOW).await;
        begun.map(|(request, _)| {
            Url::parse(request.url()).unwrap().query_pairs().into_owned().collect::<HashMap<_, _>>()
        })
    };

    let never = begin(&provider, PushedAuthorizationRequests::Never).await.unwrap();
    assert!(never.contains_key("state") && provider.received(PAR).is_empty());

    let mut metadata = provider.metadata();
    provider.reply("/.well-known/openid-configuration", Reply::Json(metadata.clone()));
    let missing = begin(&provider, PushedAuthorizationRequests::Always).await.unwrap_err();
    assert!(matches!(missing, ProviderError::EndpointMissing("pushed_authorization_request_endpoint")));
    let dialect = ProviderDialect {
        pushed_authorization_requests: PushedAuthorizationRequests::Always,
        ..ProviderDialect::default()
    };
    assert!(matches!(party(&provider, dialect).is_ready(NOW).await, Err(ProviderError::EndpointMissing(_))));

    metadata["pushed_authorization_request_endpoint"] = format!("{}{PAR}", provider.origin).into();
    provider.reply("/.well-known/openid-configuration", Reply::Json(metadata));
    assert!(!begin(&provider, PushedAuthorizationRequests::Auto).await.unwrap().contains_key("request_uri"));
    assert!(begin(&provider, PushedAuthorizationRequests::Always).await.unwrap().contains_key("request_uri"));
}

#[actix_web::test]
async fn a_pushed_request_that_gets_no_reference_is_told_apart() {
    let oauth = |error: &str| json!({ "error": error }).to_string();
    let long = json!({"request_uri": "u".repeat(4096)}).to_string();
    let table = [
        (401, oauth("invalid_client"), "Refused(Client", "another secret"),
        (400, oauth("invalid_request"), "Refused(Other", "a parameter that it refuses"),
        (400, oauth("temporarily_unavailable"), "Refused(Later", "later"),
        (413, String::new(), "Status(413)", "too large, without a reason"),
        (429, oauth("invalid_request"), "Status(429)", "too many"),
        (503, oauth("invalid_request"), "Status(503)", "maintenance"),
        (201, "<html>".to_owned(), "PushedResponse", "a page"),
        (201, r#"{"request_uri":""}"#.to_owned(), "PushedResponse", "no reference"),
        (201, "{\"request_uri\":\"a b\"}".to_owned(), "PushedResponse", "no URI"),
        (201, long, "PushedResponse", "too long"),
    ];
    for (status, body, expected, reason) in table {
        let (provider, _) = demanding(Reply::Raw(status, "", body));

        let party = party(&provider, ProviderDialect::default());
        let error = party.begin_login("/", &LoginHints::default(), NOW).await.unwrap_err();

        assert!(format!("{error:?}").starts_with(expected), "{reason}: {error:?}");
    }
}
