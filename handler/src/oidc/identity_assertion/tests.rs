use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::json;

use super::*;

const ISSUER: &str = "https://app.example";
const PROVIDER: &str = "https://op.example";
const AUDIENCE: &str = "https://app.example/reports";

fn pem() -> String {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n{END}\n", STANDARD.encode(document))
}

fn assertions(pem: &str) -> IdentityAssertions {
    IdentityAssertions::from_pem(pem, ISSUER).unwrap()
}

fn claims(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn of(claims: &Map<String, Value>) -> AssertedSubject<'_> {
    AssertedSubject { issuer: PROVIDER, claims }
}

fn now() -> Timestamp {
    Timestamp::from_unix(1_800_000_000)
}

/// Verifies as an application does that knows the URL of the key set, the issuer and its own audience.
fn verified(assertion: &str, key_set: &str) -> Map<String, Value> {
    let keys: JwkSet = serde_json::from_str(key_set).unwrap();
    let id = decode_header(assertion).unwrap().kid.unwrap();
    let key = DecodingKey::from_jwk(keys.find(&id).unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[AUDIENCE]);
    rules.validate_exp = false; // the clock of these tests is not the machine's
    decode::<Map<String, Value>>(assertion, &key, &rules).unwrap().claims
}

#[test]
fn an_application_verifies_the_person_from_the_key_set_alone() {
    let assertions = assertions(&pem());
    let person = claims(&json!({ "sub": "ada", "groups": ["staff", "a,b"], "name": "Ada" }));

    let assertion = assertions.assertion(AUDIENCE, of(&person), now());

    let mut verified = verified(&assertion, assertions.key_set());
    assert!(verified.remove("jti").unwrap().as_str().unwrap().len() > 20);
    let expected = json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_000_120,
        "sub": "ada", "groups": ["staff", "a,b"], "name": "Ada",
        "sub_id": {"format": "iss_sub", "iss": PROVIDER, "sub": "ada"},
    });
    assert_eq!(Value::Object(verified), expected);
}

#[test]
fn a_claim_of_the_person_replaces_none_of_ours() {
    let assertions = assertions(&pem());
    let hostile = json!({
        "sub": "ada", "iss": "https://op.example", "aud": "client", "exp": 4_000_000_000_i64, "iat": 1, "nbf": 1,
        "jti": "x", "azp": "client", "nonce": "n", "at_hash": "h", "c_hash": "h", "s_hash": "h",
        "sub_id": {"format": "iss_sub", "iss": "https://evil.example", "sub": "eve"},
    });

    let assertion = assertions.assertion(AUDIENCE, of(&claims(&hostile)), now());

    let verified = verified(&assertion, assertions.key_set());
    let names: Vec<&str> = verified.keys().map(String::as_str).collect();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "jti", "nbf", "sub", "sub_id"]);
    assert_eq!(verified["sub_id"], json!({"format": "iss_sub", "iss": PROVIDER, "sub": "ada"}));
    assert_eq!((&verified["exp"], &verified["iat"]), (&json!(1_800_000_120), &json!(1_800_000_000)));
}

#[test]
fn one_signature_serves_a_minute_of_one_person_at_one_audience() {
    let assertions = assertions(&pem());
    let [ada, bob] = ["ada", "bob"].map(|sub| claims(&json!({ "sub": sub })));
    let at = |seconds| Timestamp::from_unix(now().as_unix() + seconds);

    let of_another_issuer = AssertedSubject { issuer: "https://partner.example", ..of(&ada) };
    let first = assertions.assertion(AUDIENCE, of(&ada), at(0));

    assert_eq!(assertions.assertion(AUDIENCE, of(&ada), at(59)), first);
    for (other, reason) in [
        (assertions.assertion(AUDIENCE, of(&ada), at(60)), "a minute is over"),
        (assertions.assertion(AUDIENCE, of(&bob), at(0)), "another person"),
        (assertions.assertion(AUDIENCE, of_another_issuer, at(0)), "the same name at another issuer"),
        (assertions.assertion("https://app.example/other", of(&ada), at(0)), "another audience"),
        (assertions.assertion(AUDIENCE, of(&ada), at(-5)), "a clock that was set back"),
    ] {
        assert_ne!(other, first, "{reason}");
    }
}

#[test]
fn a_rotation_goes_in_two_steps_and_every_assertion_verifies_throughout() {
    let [old, new] = [pem(), pem()];
    let ada = claims(&json!({ "sub": "ada" }));
    let steps = [old.clone(), format!("{old}{new}"), format!("{new}{old}"), new].map(|keys| assertions(&keys));
    for pair in steps.windows(2) {
        for (signer, publisher) in [(0, 0), (0, 1), (1, 1), (1, 0)] {
            let assertion = pair[signer].assertion(AUDIENCE, of(&ada), now());
            assert_eq!(verified(&assertion, pair[publisher].key_set())["sub"], "ada");
        }
    }
}

#[test]
fn the_key_set_holds_no_private_half() {
    let keys: Value = serde_json::from_str(assertions(&format!("{}{}", pem(), pem())).key_set()).unwrap();

    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "crv", "key_ops", "kid", "kty", "use", "x", "y"]);
    }
}

#[test]
fn keys_that_cannot_serve_are_refused() {
    let one = pem();
    for (keys, expected) in [
        (String::new(), AssertionKeysError::Number),
        ("  \n".to_owned(), AssertionKeysError::Number),
        (format!("{}{}{}", pem(), pem(), pem()), AssertionKeysError::Number),
        (format!("{one}\n{one}"), AssertionKeysError::Twice),
        ("not a key".to_owned(), AssertionKeysError::Key(PrivateKeyError)),
        (format!("{one}rest"), AssertionKeysError::Key(PrivateKeyError)),
    ] {
        assert_eq!(IdentityAssertions::from_pem(&keys, ISSUER).unwrap_err(), expected, "{keys}");
    }
}
