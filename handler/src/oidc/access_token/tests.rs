use serde_json::{Value, json};

use super::*;
use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey, no_trust};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

struct Fixture {
    provider: ScriptedProvider,
    key: SigningKey,
    verifier: AccessTokenVerifier,
}

fn fixture(token_type: AccessTokenType) -> Fixture {
    let (provider, key) = ScriptedProvider::start();
    let audiences = vec!["api://orders".to_owned(), "https://api.example/".to_owned()];
    let issuers = [ApiIssuer { issuer: provider.origin.clone(), audiences, token_type }];
    let verifier = AccessTokenVerifier::new(&issuers, Arc::new(AccessTokenCaches::new(1)), &no_trust());
    Fixture { provider, key, verifier }
}

impl Fixture {
    fn claims(&self, changes: &Value) -> Value {
        let now = NOW.as_unix();
        let mut claims = json!({
            "iss": self.provider.origin, "sub": "robot", "aud": "api://orders", "client_id": "robot", "jti": "1",
            "scope": "orders.read", "iat": now, "exp": now + 300,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    fn sign(&self, typ: &str, changes: Value) -> String {
        let header = json!({"alg": "ES256", "typ": typ, "kid": "k1"});
        self.key.sign_raw(&header.to_string(), &self.claims(&changes).to_string())
    }

    async fn verify(&self, token: &str) -> Result<Arc<VerifiedAccessToken>, AccessTokenError> {
        self.verifier.verify(token, NOW).await
    }
}

#[actix_web::test]
async fn a_token_of_the_profile_passes() {
    let fixture = fixture(AccessTokenType::AtJwt);
    for (typ, changes, reason) in [
        ("at+jwt", json!({}), "as RFC 9068 writes it"),
        ("AT+JWT", json!({}), "in other case"),
        ("application/at+jwt", json!({}), "with the whole media type"),
        ("at+jwt", json!({"aud": ["other", "https://api.example/"]}), "one audience of several"),
        ("at+jwt", json!({"nbf": NOW.as_unix() + 59}), "a clock that is ahead"),
        ("at+jwt", json!({"exp": NOW.as_unix() - 59}), "a clock that is behind"),
        ("at+jwt", json!({"nonce": "n"}), "an unknown claim"),
    ] {
        let verified = fixture.verify(&fixture.sign(typ, changes)).await.unwrap();
        let named = (verified.issuer.as_str(), verified.claims.subject());
        assert_eq!(named, (fixture.provider.origin.as_str(), "robot"), "{reason}");
    }
}

#[actix_web::test]
async fn a_token_that_breaks_a_rule_grants_nothing() {
    let fixture = fixture(AccessTokenType::AtJwt);
    let now = NOW.as_unix();
    let table = [
        ("JWT", json!({}), "the type of any token"),
        ("", json!({}), "an empty type"),
        ("at+jwt ", json!({}), "a blank behind the type"),
        ("logout+jwt", json!({}), "a logout token"),
        ("dpop+jwt", json!({}), "a DPoP proof"),
        ("secevent+jwt", json!({}), "a security event"),
        ("id+jwt", json!({}), "a made-up type"),
        ("text/at+jwt", json!({}), "another media type"),
        ("at+jwt", json!({"iss": "https://evil.example"}), "another issuer"),
        ("at+jwt", json!({"iss": null}), "no issuer"),
        ("at+jwt", json!({"iss": [fixture.provider.origin]}), "a list of issuers"),
        ("at+jwt", json!({"iss": format!("{}/", fixture.provider.origin)}), "a slash more"),
        ("at+jwt", json!({"aud": "api://invoices"}), "another audience"),
        ("at+jwt", json!({"aud": "api://orders/"}), "a slash more in the audience"),
        ("at+jwt", json!({"aud": "API://ORDERS"}), "the audience in other case"),
        ("at+jwt", json!({"aud": null}), "no audience"),
        ("at+jwt", json!({"aud": []}), "an empty list of audiences"),
        ("at+jwt", json!({"aud": {"api://orders": true}}), "an object as audience"),
        ("at+jwt", json!({"exp": now - 60}), "expired"),
        ("at+jwt", json!({"exp": null}), "no expiry"),
        ("at+jwt", json!({"exp": "never"}), "an expiry in words"),
        ("at+jwt", json!({"nbf": now + 61}), "not valid yet"),
        ("at+jwt", json!({"iat": now + 61}), "issued in the future"),
        ("at+jwt", json!({"iat": null}), "no time of issue"),
        ("at+jwt", json!({"sub": null}), "no subject"),
        ("at+jwt", json!({"sub": ""}), "an empty subject"),
        ("at+jwt", json!({"sub": 7}), "a number as subject"),
        ("at+jwt", json!({"cnf": {"jkt": "x"}}), "bound to a key by DPoP"),
        ("at+jwt", json!({"cnf": {"x5t#S256": "x"}}), "bound to a certificate"),
    ];
    for (typ, changes, reason) in table {
        assert!(fixture.verify(&fixture.sign(typ, changes)).await.is_err(), "{reason}");
    }
}

#[actix_web::test]
async fn a_token_with_a_hostile_form_grants_nothing() {
    let fixture = fixture(AccessTokenType::AtJwt);
    let claims = fixture.claims(&json!({})).to_string();
    let other = SigningKey::es256("k1");
    let header = |changes: Value| {
        let mut header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "k1"});
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        header.to_string()
    };
    let signed = |changes: Value| fixture.key.sign_raw(&header(changes), &claims);
    let good = signed(json!({}));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let table = [
        (String::new(), "nothing"),
        ("robot".to_owned(), "an opaque token"),
        ("..".to_owned(), "dots alone"),
        (head.to_owned(), "no signature"),
        (format!("{head}."), "an empty signature"),
        (format!("{good}.{signature}"), "four parts"),
        (format!("{good}="), "padding"),
        (format!("{good} "), "a blank behind"),
        (good.replace('.', ".."), "an empty part"),
        (signed(json!({"alg": "none"})), "no algorithm"),
        (signed(json!({"alg": "None"})), "the same in other case"),
        (signed(json!({"alg": "HS256"})), "a symmetric algorithm"),
        (signed(json!({"alg": "RS256"})), "an algorithm that the key has not"),
        (signed(json!({"alg": "es256"})), "an algorithm in small letters"),
        (signed(json!({"alg": null})), "null as algorithm"),
        (signed(json!({"crit": ["exp"]})), "an extension that must be understood"),
        (signed(json!({"kid": "k2"})), "an unknown key"),
        (signed(json!({"kid": 1})), "a number as key"),
        (signed(json!({"kid": null})), "null as key"),
        (signed(json!({"typ": null})), "null as type"),
        (signed(json!({"typ": ["at+jwt"]})), "a list of types"),
        (other.sign_raw(&header(json!({})), &claims), "another key of the same name"),
        (other.sign_raw(&header(json!({"jwk": other.jwk})), &claims), "a key that the token brings"),
        (other.sign_raw(&header(json!({"jku": "https://evil.example/keys"})), &claims), "an address of keys"),
        (fixture.key.sign_raw(&header(json!({})), "[]"), "a list as payload"),
        (fixture.key.sign_raw(&header(json!({})), "robot"), "text as payload"),
    ];
    assert!(fixture.verify(&good).await.is_ok(), "the token itself is good");
    for (token, reason) in table {
        assert!(fixture.verify(&token).await.is_err(), "{reason}");
    }
}

#[actix_web::test]
async fn where_types_are_not_told_no_other_token_of_the_issuer_passes() {
    let fixture = fixture(AccessTokenType::Jwt);
    let good = [
        json!({}),
        json!({"client_id": null, "scope": null, "azp": "robot", "roles": ["Orders.Read"]}),
        json!({"client_id": null, "scope": null, "appid": "robot", "scp": "orders.read"}),
        json!({"typ": "Bearer"}),
        json!({"token_use": "access"}),
    ];
    for changes in good {
        assert!(fixture.verify(&fixture.sign("JWT", changes.clone())).await.is_ok(), "{changes}");
    }
    let bad = [
        (json!({"client_id": null}), "names no client"),
        (json!({"scope": null}), "grants nothing"),
        (json!({"nonce": "n"}), "an ID token with a nonce"),
        (json!({"at_hash": "h"}), "an ID token beside an access token"),
        (json!({"c_hash": "h"}), "an ID token beside a code"),
        (json!({"typ": "ID"}), "Keycloak's ID token"),
        (json!({"typ": "Refresh"}), "Keycloak's refresh token"),
        (json!({"typ": ["ID"]}), "a kind that is no text"),
        (json!({"token_use": "id"}), "Cognito's ID token"),
        (json!({"events": {}}), "a logout token"),
    ];
    for (changes, reason) in bad {
        let refused = fixture.verify(&fixture.sign("JWT", changes)).await;
        assert!(matches!(refused, Err(AccessTokenError::NotAnAccessToken)), "{reason}");
    }
}

#[actix_web::test]
async fn a_verified_token_is_remembered_and_no_longer_than_it_lives() {
    let fixture = fixture(AccessTokenType::AtJwt);
    let token = fixture.sign("at+jwt", json!({"exp": NOW.as_unix() + 10}));
    fixture.verify(&token).await.unwrap();

    let later = |seconds| fixture.verifier.verify(&token, NOW.plus(Duration::from_secs(seconds)));

    assert!(later(9).await.is_ok());
    assert!(matches!(later(70).await, Err(AccessTokenError::Invalid(JwtError::Expired))));
}

#[actix_web::test]
async fn keys_that_cannot_be_had_are_no_refusal() {
    let fixture = fixture(AccessTokenType::AtJwt);
    fixture.provider.reply("/jwks_uri", Reply::Raw(503, "", String::new()));

    let unknown = fixture.verify(&fixture.sign("at+jwt", json!({}))).await;

    assert!(matches!(unknown, Err(AccessTokenError::Unavailable(_))));
}
