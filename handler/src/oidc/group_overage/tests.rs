//! Sign-in and refresh of a person with too many groups; the scripted Provider also plays Graph.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::oidc::relying_party::tests::party;
use crate::oidc::{
    AuthorizationResponse, ClientAuthentication, CompletedLogin, LoginHints, PersonClaims, ProviderCache, RefreshToken,
    RelyingParty, RelyingPartySettings, Response, ScriptedRequest, ScriptedWire,
};
use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey, no_trust};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const GRAPH: &str = "/v1.0/me/getMemberObjects";
const FIRST: &str = "fee2c45b-915a-4a64-b130-f4eb9e75525e";
const SECOND: &str = "4fe90ae7-065a-478b-9400-e0a0e1cbd540";

struct Fixture {
    provider: ScriptedProvider,
    key: SigningKey,
    party: RelyingParty,
}

fn fixture(is_asked: bool) -> Fixture {
    let (provider, key) = ScriptedProvider::start();
    let graph = GroupOverage::Graph(provider.origin.parse().unwrap());
    let group_overage = if is_asked { graph } else { GroupOverage::Ignore };
    let cache: Arc<ProviderCache> = Arc::default();
    let settings = party(&provider.origin, ClientAuthentication::None, false, &cache).settings().clone();
    let settings = RelyingPartySettings { group_overage, ..settings };
    let party = RelyingParty::new(Arc::new(settings), cache, &no_trust()).with_timeout(Duration::from_millis(300));
    Fixture { provider, key, party }
}

impl Fixture {
    /// Claims with a reference to groups, as Entra ID writes them; the endpoint in them must stay unused.
    fn overage(&self) -> Value {
        json!({
            "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": format!("{}/evil", self.provider.origin), "access_token": "evil"}},
        })
    }

    fn tokens(&self, nonce: &str, change: &Value) -> Value {
        let now = NOW.as_unix();
        let mut claims = json!({
            "iss": self.provider.origin, "sub": "ada", "aud": "client:1", "exp": now + 300, "iat": now, "nonce": nonce,
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let id_token = self.key.sign(&claims);
        json!({"access_token": "access", "token_type": "Bearer", "refresh_token": "next", "id_token": id_token})
    }

    async fn sign_in(&self, change: &Value) -> CompletedLogin {
        let (_, pending) = self.party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();
        self.provider.reply("/token_endpoint", Reply::Json(self.tokens(pending.nonce(), change)));
        let response = AuthorizationResponse::parse(&format!("code=code&state={}", pending.state())).unwrap();
        self.party.complete_login(response, &pending, NOW).await.unwrap()
    }

    /// Claims after a refresh of a person who was in `FIRST`.
    async fn refresh(&self, reply: Reply) -> PersonClaims {
        let mut known = self.overage();
        known["iss"] = self.provider.origin.clone().into();
        known["sub"] = "ada".into();
        known["nonce"] = "n".into();
        known["groups"] = json!([FIRST]);
        let known: PersonClaims = serde_json::from_value(json!({ "id_token": known })).unwrap();
        self.provider.reply("/token_endpoint", reply);
        let token = RefreshToken::new("old".to_owned());
        self.party.refresh(&token, None, &known, &|| true, NOW).await.unwrap().claims
    }

    fn graph_replies(&self, ids: &[&str]) {
        self.provider.reply(GRAPH, Reply::Json(json!({"@odata.context": "c", "value": ids})));
    }

    fn asked(&self) -> usize {
        assert!(self.provider.received("/evil").is_empty(), "the token chose where the access token goes");
        self.provider.received(GRAPH).len()
    }
}

fn groups(claims: &PersonClaims) -> Option<Value> {
    claims.as_map().get("groups").cloned()
}

#[actix_web::test]
async fn graph_is_asked_for_groups_that_the_id_token_refers_to() {
    let fixture = fixture(true);
    fixture.graph_replies(&[FIRST, SECOND]);

    let login = fixture.sign_in(&fixture.overage()).await;

    assert_eq!(groups(&login.claims), Some(json!([FIRST, SECOND])));
    assert_eq!(fixture.asked(), 1);
    let sent = &fixture.provider.received(GRAPH)[0];
    assert_eq!(sent.headers["authorization"], "Bearer access");
    assert_eq!(sent.headers["content-type"], "application/json");
    assert_eq!(sent.body, r#"{"securityEnabledOnly":true}"#);
}

#[actix_web::test]
async fn graph_is_not_asked_without_a_reference_to_groups() {
    let table = [
        (json!({"groups": ["a"]}), Some(json!(["a"])), "groups in the token"),
        (json!({}), None, "no groups"),
        (json!({"_claim_names": {"address": "src1"}, "_claim_sources": {"src1": {}}}), None, "another claim's source"),
        (json!({"_claim_names": ["groups"]}), None, "no object"),
        (json!({"_claim_names": "groups"}), None, "text"),
        (json!({"_claim_sources": {"groups": {}}}), None, "a source alone"),
    ];
    for (change, expected, reason) in table {
        let fixture = fixture(true);
        fixture.graph_replies(&[FIRST]);

        let login = fixture.sign_in(&change).await;

        assert_eq!((groups(&login.claims), fixture.asked()), (expected, 0), "{reason}");
    }
}

#[actix_web::test]
async fn by_default_nobody_is_asked() {
    let fixture = fixture(false);
    fixture.graph_replies(&[FIRST]);

    let login = fixture.sign_in(&fixture.overage()).await;
    let refreshed = fixture.refresh(Reply::Json(fixture.tokens("n", &fixture.overage()))).await;

    assert_eq!((groups(&login.claims), groups(&refreshed), fixture.asked()), (None, None, 0));
}

/// Graph responses that yield no groups.
fn failures() -> Vec<(Reply, &'static str)> {
    let list = |value: Value| Reply::Json(json!({ "value": value }));
    let many: Vec<String> = (0..=MAX_GROUPS as u128).map(|id| Uuid::from_u128(id).to_string()).collect();
    let mut huge = String::from("{\"value\":[");
    while huge.len() < 300_000 {
        write!(huge, "\"{FIRST}\",").unwrap();
    }
    let refused = |code| json!({"error": {"code": code}}).to_string();
    vec![
        (Reply::Raw(401, "", refused("InvalidAuthenticationToken")), "a token for another API"),
        (Reply::Raw(403, "", refused("Authorization_RequestDenied")), "no permission"),
        (Reply::Raw(400, "", refused("Directory_ResultSizeLimitExceeded")), "its own limit"),
        (Reply::Raw(302, "location: /evil\r\n", String::new()), "a redirect"),
        (Reply::Raw(429, "retry-after: 1\r\n", String::new()), "too many requests"),
        (Reply::Raw(503, "", String::new()), "maintenance"),
        (Reply::Raw(202, "", json!({"value": [FIRST]}).to_string()), "another success"),
        (Reply::Silence, "no response"),
        (Reply::Reset, "a closed connection"),
        (Reply::Torn, "half a response"),
        (Reply::Raw(200, "", huge), "too long a response"),
        (list(many.into()), "too many groups"),
        (Reply::Raw(200, "", "<html>".to_owned()), "no JSON"),
        (Reply::Json(json!([FIRST])), "no object"),
        (Reply::Json(json!({})), "no list"),
        (list(json!(FIRST)), "text"),
        (list(json!([FIRST, 7])), "a number"),
        (list(json!([{"id": FIRST}])), "objects"),
        (list(json!(["admins"])), "a name"),
        (list(json!([format!("{FIRST},{SECOND}")])), "two in one"),
        (Reply::Json(json!({"value": [FIRST], "@odata.nextLink": "https://graph.example/2"})), "a first page"),
    ]
}

#[actix_web::test]
async fn a_sign_in_goes_on_without_groups_that_graph_does_not_give() {
    for (reply, reason) in failures() {
        let fixture = fixture(true);
        fixture.provider.reply(GRAPH, reply);

        let login = fixture.sign_in(&fixture.overage()).await;

        assert_eq!((groups(&login.claims), login.claims.subject()), (None, "ada"), "{reason}");
        assert_eq!(fixture.asked(), 1, "{reason}");
    }
}

#[actix_web::test]
async fn a_refresh_keeps_no_old_groups_when_graph_fails() {
    for (reply, reason) in failures() {
        let fixture = fixture(true);
        fixture.provider.reply(GRAPH, reply);

        let claims = fixture.refresh(Reply::Json(fixture.tokens("n", &fixture.overage()))).await;

        assert_eq!((groups(&claims), fixture.asked()), (None, 1), "{reason}");
    }
}

#[actix_web::test]
async fn as_many_groups_as_allowed_are_used() {
    let fixture = fixture(true);
    let ids: Vec<String> = (0..MAX_GROUPS as u128).map(|id| Uuid::from_u128(id).to_string()).collect();
    fixture.provider.reply(GRAPH, Reply::Json(json!({ "value": ids })));

    let login = fixture.sign_in(&fixture.overage()).await;

    assert_eq!(groups(&login.claims), Some(json!(ids)));
}

#[actix_web::test]
async fn a_refresh_asks_graph_while_the_overage_lasts() {
    let access_token_alone = json!({"access_token": "access", "token_type": "Bearer"});
    let fixture = fixture(true);
    fixture.graph_replies(&[SECOND]);
    let table = [
        (fixture.tokens("n", &fixture.overage()), Some(json!([SECOND])), 1, "still too many"),
        (access_token_alone, Some(json!([SECOND])), 2, "no ID token: the known reference stands"),
        (fixture.tokens("n", &json!({"groups": [FIRST, SECOND]})), Some(json!([FIRST, SECOND])), 2, "few enough now"),
        (fixture.tokens("n", &json!({})), None, 2, "none any more"),
    ];
    for (tokens, expected, asked, reason) in table {
        let claims = fixture.refresh(Reply::Json(tokens)).await;

        assert_eq!((groups(&claims), fixture.asked()), (expected, asked), "{reason}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn graph_keeps_a_refresh_waiting_for_three_seconds_at_most() {
    let fixture = fixture(true);
    let metadata = fixture.provider.metadata();
    let jwks = json!({"keys": [fixture.key.jwk]});
    let tokens = fixture.tokens("n", &fixture.overage());
    let wire = ScriptedWire::new(move |request: ScriptedRequest| {
        let response = match request.url.rsplit('/').next().unwrap() {
            "openid-configuration" => Some(Response::json(200, &metadata)),
            "token_endpoint" => Some(Response::json(200, &tokens)),
            "jwks_uri" => Some(Response::json(200, &jwks)),
            _ => None,
        };
        async { if let Some(response) = response { Ok(response) } else { std::future::pending().await } }
    });
    let settings = Arc::new(fixture.party.settings().clone());
    let fixture = Fixture { party: RelyingParty::scripted(settings, Arc::default(), wire), ..fixture };
    let started = Instant::now();

    let claims = fixture.refresh(Reply::Silence).await;

    assert_eq!((groups(&claims), started.elapsed()), (None, GRAPH_TIMEOUT));
}
