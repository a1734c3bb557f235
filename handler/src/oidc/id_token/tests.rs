//! ID tokens that keep every rule and tokens that break one, signed by real keys.

use serde_json::{Value, json};

use super::*;
use crate::oidc::VerificationKeys;
use crate::testing::scripted_provider::SigningKey;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn keys(keys: &[&SigningKey]) -> VerificationKeys {
    let mut set = vec![json!({"kty": "quantum", "kid": "k"})];
    set.extend(keys.iter().map(|key| key.jwk.clone()));
    VerificationKeys::parse(json!({ "keys": set }).to_string().as_bytes()).unwrap()
}

/// Signature check and claim checks together, as a relying party runs them.
struct TokenVerifier<'a>(&'a VerificationKeys);

impl TokenVerifier<'_> {
    const CLAIMS: IdTokenVerifier<'static> =
        IdTokenVerifier { issuer: "https://op.example", client_id: "client", trusted_audiences: &[] };

    fn verify(
        &self,
        token: &str,
        access_token: &str,
        pending: &PendingLogin,
        now: Timestamp,
    ) -> Result<Claims, IdTokenError> {
        Self::CLAIMS.verify(jwt::verify_signature(token, self.0, None)?, access_token, pending, now)
    }

    fn verify_refreshed(&self, token: &str, original: &Claims) -> Result<Claims, IdTokenError> {
        Self::CLAIMS.verify_refreshed(jwt::verify_signature(token, self.0, None)?, "access", original, NOW)
    }
}

fn verifier(keys: &VerificationKeys) -> TokenVerifier<'_> {
    TokenVerifier(keys)
}

fn claims(pending: &PendingLogin, change: &Value) -> Value {
    let now = NOW.as_unix();
    let mut claims = json!({
        "iss": "https://op.example", "sub": "ada", "aud": "client",
        "exp": now + 300, "iat": now, "nonce": pending.nonce(),
    });
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn verdict(change: &Value, max_age: Option<u64>) -> Result<(), &'static str> {
    let (key, pending) = (SigningKey::es256("k"), PendingLogin::begin("/", max_age, NOW));
    let token = key.sign(&claims(&pending, change));
    verifier(&keys(&[&key])).verify(&token, "access", &pending, NOW).map(drop).map_err(|error| error.code())
}

/// Result for a token with this header, signed by the key named `k`.
fn header_verdict(header: &str) -> Result<(), &'static str> {
    let (key, pending) = (SigningKey::es256("k"), PendingLogin::begin("/", None, NOW));
    let token = key.sign_raw(header, &claims(&pending, &json!({})).to_string());
    verifier(&keys(&[&key])).verify(&token, "access", &pending, NOW).map(drop).map_err(|error| error.code())
}

#[test]
fn an_id_token_that_keeps_every_rule_is_accepted() {
    let now = NOW.as_unix();
    let at_hash = base64url(&Sha256::digest(b"access")[..16]);
    let accepted = [
        json!({}),
        json!({"aud": ["client"]}),
        json!({"exp": now - 59, "iat": now - 300}),
        json!({"iat": now + 60}),
        json!({"exp": 1_800_000_300.5}),
        json!({"nbf": now + 60}),
        json!({ "at_hash": at_hash }),
        json!({"sub": "a".repeat(255)}),
        json!({"anything": {"else": [1]}}),
    ];
    for change in accepted {
        assert_eq!(verdict(&change, None), Ok(()), "{change}");
    }
    assert_eq!(verdict(&json!({"auth_time": now - 60}), Some(60)), Ok(()));
}

#[test]
fn an_id_token_that_breaks_a_rule_is_refused_by_its_name() {
    let now = NOW.as_unix();
    let table = [
        (json!({"iss": "https://evil.example"}), "id_token_issuer"),
        (json!({"iss": "https://op.example/"}), "id_token_issuer"),
        (json!({"iss": null}), "id_token_issuer"),
        (json!({"iss": ["https://op.example"]}), "id_token_issuer"),
        (json!({"sub": null}), "id_token_subject"),
        (json!({"sub": ""}), "id_token_subject"),
        (json!({"sub": 7}), "id_token_subject"),
        (json!({"sub": "a".repeat(256)}), "id_token_subject"),
        (json!({"aud": "another-client"}), "id_token_audience"),
        (json!({"aud": "client "}), "id_token_audience"),
        (json!({"aud": null}), "id_token_audience"),
        (json!({"aud": []}), "id_token_audience"),
        (json!({"aud": [["client"]]}), "id_token_audience"),
        (json!({"aud": {"client": true}}), "id_token_audience"),
        (json!({"aud": ["client", "api"]}), "id_token_audience"),
        (json!({"aud": ["client", 5]}), "id_token_audience"),
        (json!({"aud": ["client", ""]}), "id_token_audience"),
        (json!({"aud": ["client", "api"], "azp": "client"}), "id_token_audience"),
        (json!({"aud": ["api", "client"], "azp": "client"}), "id_token_audience"),
        (json!({"aud": ["client", "api"], "azp": "api"}), "id_token_audience"),
        (json!({"aud": "api", "azp": "client"}), "id_token_audience"),
        (json!({"azp": "another-client"}), "id_token_audience"),
        (json!({"azp": 1}), "id_token_audience"),
        (json!({"exp": now - 60}), "id_token_expired"),
        (json!({"exp": null}), "id_token_expired"),
        (json!({"exp": "never"}), "id_token_expired"),
        (json!({"exp": ""}), "id_token_expired"),
        (json!({"exp": format!("{}.5", now + 300)}), "id_token_expired"),
        (json!({"exp": format!(" {}", now + 300)}), "id_token_expired"),
        (json!({"exp": format!("+{}", now + 300)}), "id_token_expired"),
        (json!({"exp": "2099-01-01T00:00:00Z"}), "id_token_expired"),
        (json!({"exp": (now - 60).to_string()}), "id_token_expired"),
        (json!({"iat": (now + 61).to_string()}), "id_token_not_yet_valid"),
        (json!({"exp": -1}), "id_token_expired"),
        (json!({"exp": [now + 300]}), "id_token_expired"),
        (json!({"iat": now + 61}), "id_token_not_yet_valid"),
        (json!({"iat": 1e300}), "id_token_not_yet_valid"),
        (json!({"iat": null}), "id_token_not_yet_valid"),
        (json!({"nbf": now + 61}), "id_token_not_yet_valid"),
        (json!({"nbf": "tomorrow"}), "id_token_not_yet_valid"),
        (json!({"nonce": "another"}), "id_token_nonce"),
        (json!({"nonce": ""}), "id_token_nonce"),
        (json!({"nonce": null}), "id_token_nonce"),
        (json!({"nonce": 5}), "id_token_nonce"),
        (json!({"at_hash": "another"}), "id_token_at_hash"),
        (json!({"at_hash": ""}), "id_token_at_hash"),
        (json!({"at_hash": 5}), "id_token_at_hash"),
    ];
    for (change, code) in table {
        assert_eq!(verdict(&change, None), Err(code), "{change}");
    }
}

#[test]
fn slips_that_endanger_nobody_are_met() {
    let now = NOW.as_unix();
    let pending = PendingLogin::begin("/", None, NOW);
    let at_hash = base64url(&Sha256::digest(b"access")[..16]);
    let table = [
        (json!({"aud": ["client", "client"]}), "we, twice: no other recipient"),
        (json!({"exp": (now + 300).to_string(), "iat": now.to_string()}), "digits have one reading, as text too"),
        (json!({"nbf": now.to_string()}), "the same of an optional date"),
        (json!({"at_hash": format!("{at_hash}==")}), "padding changes no bit of a hash"),
        (json!({"email_verified": "true", "updated_at": "yesterday"}), "claims of the person are not ours to judge"),
    ];
    for (change, reason) in table {
        assert_eq!(verdict(&change, None), Ok(()), "{reason}");
    }
    for name in ["azp", "nbf", "at_hash", "auth_time", "acr"] {
        let mut claims = claims(&pending, &json!({}));
        claims[name] = Value::Null;
        let key = SigningKey::es256("k");

        let verified = verifier(&keys(&[&key])).verify(&key.sign(&claims), "access", &pending, NOW);

        assert!(verified.is_ok(), "{name}: null is no value, and an optional claim may have none: {verified:?}");
    }
}

#[test]
fn a_recipient_beside_us_is_refused_unless_a_setting_trusts_it() {
    let trusted = ["api".to_owned(), "https://api.example/".to_owned()];
    let table = [
        (json!(["client", "api"]), json!("client"), Ok(()), "trusted"),
        (json!(["api", "https://api.example/", "client"]), json!("client"), Ok(()), "both, in another order"),
        (json!(["client", "api"]), Value::Null, Err("id_token_audience"), "trusted, but nobody is authorized"),
        (json!(["client", "api"]), json!("api"), Err("id_token_audience"), "trusted, but another is authorized"),
        (json!(["client", "API"]), json!("client"), Err("id_token_audience"), "another case is another recipient"),
        (json!(["client", "https://api.example"]), json!("client"), Err("id_token_audience"), "nor a missing slash"),
        (json!(["client", "api", "evil"]), json!("client"), Err("id_token_audience"), "one of three is not trusted"),
        (json!("api"), json!("client"), Err("id_token_audience"), "trusted, but we are missing"),
    ];
    let key = SigningKey::es256("k");
    let pending = PendingLogin::begin("/", None, NOW);
    let set = keys(&[&key]);
    for (audience, authorized_party, expected, reason) in table {
        let token = key.sign(&claims(&pending, &json!({"aud": audience, "azp": authorized_party})));
        let verifier = IdTokenVerifier { trusted_audiences: &trusted, ..TokenVerifier::CLAIMS };

        let verified = verifier.verify(jwt::verify_signature(&token, &set, None).unwrap(), "access", &pending, NOW);

        assert_eq!(verified.map(drop).map_err(|error| error.code()), expected, "{reason}");
    }
}

#[test]
fn a_sign_in_older_than_the_requested_max_age_is_refused() {
    let now = NOW.as_unix();
    let refused = Err("id_token_auth_time");
    let table = [
        (json!({"auth_time": now - 120}), 60, Ok(()), "a minute, and a minute for the clocks"),
        (json!({"auth_time": now - 121}), 60, refused, "a second more"),
        (json!({"auth_time": now + 60}), 60, Ok(()), "a clock a minute ahead"),
        (json!({"auth_time": now + 61}), 60, refused, "in the future"),
        (json!({"auth_time": 1e300}), 60, refused, "beyond i64"),
        (json!({"auth_time": u64::MAX}), u64::MAX, refused, "u64::MAX"),
        (json!({"auth_time": -1e300}), 60, refused, "below i64"),
        (json!({"auth_time": -1e300}), u64::MAX, refused, "below i64, and any age requested"),
        (json!({"auth_time": 0}), u64::MAX, Ok(()), "any age requested"),
        (json!({"auth_time": now - 100}), 0, refused, "no age requested"),
        (json!({"auth_time": now.to_string()}), 60, Ok(()), "as text"),
        (json!({"auth_time": (now - 121).to_string()}), 60, refused, "too long ago, as text"),
        (json!({"auth_time": "now"}), 60, refused, "a word"),
        (json!({}), 60, refused, "none"),
    ];
    for (change, max_age, expected, reason) in table {
        assert_eq!(verdict(&change, Some(max_age)), expected, "{reason}");
    }
}

#[test]
fn dates_beyond_every_integer_are_past_or_future_and_never_panic() {
    let table = [
        (json!({"exp": 1e300}), Ok(())),
        (json!({"exp": u64::MAX}), Ok(())),
        (json!({"exp": i64::MAX}), Ok(())),
        (json!({"exp": -1e300}), Err("id_token_expired")),
        (json!({"exp": i64::MIN}), Err("id_token_expired")),
        (json!({"iat": -1e300}), Ok(())),
        (json!({"iat": u64::MAX}), Err("id_token_not_yet_valid")),
        (json!({"nbf": -1e300}), Ok(())),
        (json!({"nbf": 1e300}), Err("id_token_not_yet_valid")),
        (json!({"nbf": i64::MAX}), Err("id_token_not_yet_valid")),
    ];
    for (change, expected) in table {
        assert_eq!(verdict(&change, None), expected, "{change}");
    }
}

#[test]
fn every_kind_of_key_verifies_its_own_and_its_own_at_hash() {
    let pending = PendingLogin::begin("/", None, NOW);
    let sha256 = base64url(&Sha256::digest(b"access")[..16]);
    let sha512 = base64url(&Sha512::digest(b"access")[..32]);
    let table =
        [(SigningKey::es256("k"), &sha256), (SigningKey::rs256("k"), &sha256), (SigningKey::ed25519("k"), &sha512)];
    for (key, at_hash) in table {
        let token = key.sign(&claims(&pending, &json!({ "at_hash": at_hash })));
        let verified = verifier(&keys(&[&key])).verify(&token, "access", &pending, NOW);
        assert!(verified.is_ok(), "{:?}: {verified:?}", key.jwk["kty"]);
    }
}

#[test]
fn a_token_signed_by_another_key_is_refused() {
    let (ours, theirs, unknown) = (SigningKey::es256("k"), SigningKey::es256("k"), SigningKey::es256("k2"));
    let pending = PendingLogin::begin("/", None, NOW);

    let code = |key: &SigningKey| {
        let token = key.sign(&claims(&pending, &json!({})));
        verifier(&keys(&[&ours])).verify(&token, "access", &pending, NOW).unwrap_err().code()
    };

    assert_eq!((code(&theirs), code(&unknown)), ("id_token_signature", "id_token_key"));
}

#[test]
fn two_keys_of_one_name_both_verify() {
    let (older, newer) = (SigningKey::es256("k"), SigningKey::es256("k"));
    let (set, pending) = (keys(&[&older, &newer]), PendingLogin::begin("/", None, NOW));

    for key in [&older, &newer] {
        let token = key.sign(&claims(&pending, &json!({})));
        assert!(verifier(&set).verify(&token, "access", &pending, NOW).is_ok());
    }
}

#[test]
fn a_token_without_a_key_identifier_is_verified_by_whichever_key_signed_it() {
    let (older, newer, stranger) = (SigningKey::es256("a"), SigningKey::es256("b"), SigningKey::es256("c"));
    let (set, pending) = (keys(&[&older, &newer]), PendingLogin::begin("/", None, NOW));
    let sign = |key: &SigningKey| key.sign_raw(r#"{"alg":"ES256"}"#, &claims(&pending, &json!({})).to_string());
    let verify = |key: &SigningKey| verifier(&set).verify(&sign(key), "access", &pending, NOW);

    assert!(verify(&older).is_ok() && verify(&newer).is_ok());
    assert_eq!(verify(&stranger).unwrap_err().code(), "id_token_signature");
}

#[test]
fn a_token_of_an_algorithm_we_never_accept_is_refused() {
    for alg in ["none", "None", "NONE", "HS256", "HS512", "ES256K", "es256", "ES256 ", ""] {
        assert_eq!(header_verdict(&json!({"alg": alg, "kid": "k"}).to_string()), Err("id_token_algorithm"), "{alg}");
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let (key, pending) = (SigningKey::rs256("k"), PendingLogin::begin("/", None, NOW));
    let modulus = jsonwebtoken::EncodingKey::from_secret(key.jwk["n"].as_str().unwrap().as_bytes());
    let header = jsonwebtoken::Header { kid: Some("k".to_owned()), ..jsonwebtoken::Header::default() };
    let token = jsonwebtoken::encode(&header, &claims(&pending, &json!({})), &modulus).unwrap();

    let refused = verifier(&keys(&[&key])).verify(&token, "access", &pending, NOW).unwrap_err();

    assert_eq!(refused.code(), "id_token_algorithm");
}

#[test]
fn a_header_decides_nothing_but_the_key_and_its_algorithm() {
    let stranger = SigningKey::es256("k").jwk;
    let table = [
        (r#"{"alg":"ES256","kid":"k"}"#.to_owned(), Ok(()), "as usual"),
        (r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#.to_owned(), Ok(()), "with its type"),
        (r#"{"alg":"ES256","kid":"k","typ":"jwt","x5t":5}"#.to_owned(), Ok(()), "another case, and a strange hint"),
        (format!(r#"{{"alg":"ES256","kid":"k","jwk":{stranger}}}"#), Ok(()), "a key that is not looked at"),
        (r#"{"alg":"ES256","kid":"k","jku":"http://evil.example"}"#.to_owned(), Ok(()), "nor is an address of one"),
        (r#"{"kid":"k"}"#.to_owned(), Err("id_token_algorithm"), "no algorithm"),
        (r#"{"alg":["ES256"],"kid":"k"}"#.to_owned(), Err("id_token_algorithm"), "several algorithms"),
        (r#"{"alg":"RS256","kid":"k"}"#.to_owned(), Err("id_token_key"), "an algorithm of another type of key"),
        (r#"{"alg":"ES384","kid":"k"}"#.to_owned(), Err("id_token_key"), "an algorithm of another curve"),
        (r#"{"alg":"EdDSA","kid":"k"}"#.to_owned(), Err("id_token_key"), "an algorithm of another kind of curve"),
        (r#"{"alg":"ES256","kid":5}"#.to_owned(), Err("id_token_malformed"), "a name that is a number"),
        (r#"{"alg":"ES256","kid":null}"#.to_owned(), Err("id_token_malformed"), "a name that is null"),
        (r#"{"alg":"ES256","kid":"K"}"#.to_owned(), Err("id_token_key"), "a name in another case"),
        (r#"{"alg":"ES256","kid":"../../k"}"#.to_owned(), Err("id_token_key"), "a name that is a path"),
        (r#"{"alg":"ES256","kid":"k","kid":"k"}"#.to_owned(), Err("id_token_malformed"), "two names"),
        (r#"{"alg":"none","alg":"ES256","kid":"k"}"#.to_owned(), Err("id_token_malformed"), "two algorithms"),
        (r#"{"alg":"ES256","kid":"k","crit":["b64"]}"#.to_owned(), Err("id_token_malformed"), "an extension"),
        (r#"{"alg":"ES256","kid":"k","typ":"logout+jwt"}"#.to_owned(), Err("id_token_malformed"), "a logout token"),
        (r#"{"alg":"ES256","kid":"k","typ":"application/at+JWT"}"#.to_owned(), Err("id_token_malformed"), "access"),
        (r#"{"alg":"ES256","kid":"k","typ":5}"#.to_owned(), Err("id_token_malformed"), "a type that is a number"),
    ];
    for (header, expected, reason) in table {
        assert_eq!(header_verdict(&header), expected, "{reason}");
    }
}

#[test]
fn a_payload_that_says_two_things_is_refused_though_it_is_signed() {
    let (key, pending) = (SigningKey::es256("k"), PendingLogin::begin("/", None, NOW));
    let once = claims(&pending, &json!({})).to_string();
    let twice = once.replacen('{', r#"{"sub":"eve","#, 1);
    let token = key.sign_raw(r#"{"alg":"ES256","kid":"k"}"#, &twice);

    let refused = verifier(&keys(&[&key])).verify(&token, "access", &pending, NOW).unwrap_err();

    assert_eq!(refused.code(), "id_token_malformed");
}

#[test]
fn a_signature_of_another_form_is_refused() {
    let (key, pending) = (SigningKey::es256("k"), PendingLogin::begin("/", None, NOW));
    let token = key.sign(&claims(&pending, &json!({})));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let zero = base64url(&[0; 64]);
    let table =
        ["", "AA", &zero, &signature[..signature.len() - 2], &format!("{signature}="), &format!("{signature}AA")];
    for changed in table {
        let refused = verifier(&keys(&[&key])).verify(&format!("{signed}.{changed}"), "access", &pending, NOW);
        assert_eq!(refused.unwrap_err().code(), "id_token_signature", "{changed}");
    }
}

#[test]
fn what_is_no_signed_token_is_refused() {
    let (key, pending) = (SigningKey::es256("k"), PendingLogin::begin("/", None, NOW));
    let (set, good) = (keys(&[&key]), key.sign(&claims(&pending, &json!({}))));
    let long = key.sign(&claims(&pending, &json!({"groups": "g".repeat(64 * 1024)})));
    for token in ["", ".", "..", "a.b.c", "e30", &format!("{good}.a.b"), &format!(" {good}"), &long] {
        let refused = verifier(&set).verify(token, "access", &pending, NOW).unwrap_err();
        assert_eq!(refused.code(), "id_token_malformed", "{token:.40}");
    }
}

#[test]
fn a_refreshed_id_token_repeats_subject_nonce_and_authentication_time_or_omits_the_latter() {
    let key = SigningKey::es256("k");
    let (set, pending) = (keys(&[&key]), PendingLogin::begin("/", None, NOW));
    let bare = json!({"sub": "ada"});
    let full = json!({"sub": "ada", "nonce": "n", "auth_time": 1_700_000_000});
    let table = [
        (&full, json!({"nonce": null}), Ok(()), "both omitted"),
        (&full, json!({"nonce": "n", "auth_time": 1_700_000_000}), Ok(()), "both repeated"),
        (&full, json!({"nonce": "n", "auth_time": 1_700_000_000.0}), Ok(()), "the same date, written otherwise"),
        (&full, json!({"nonce": "m"}), Err("id_token_nonce"), "another nonce"),
        (&full, json!({"nonce": ""}), Err("id_token_nonce"), "an empty nonce"),
        (&full, json!({"nonce": ["n"]}), Err("id_token_nonce"), "a nonce that is no text"),
        (&full, json!({"nonce": null, "auth_time": 1_700_000_001}), Err("id_token_auth_time"), "another time"),
        (&full, json!({"nonce": null, "auth_time": "1700000000"}), Ok(()), "the same date as text"),
        (&full, json!({"nonce": null, "auth_time": "1700000001"}), Err("id_token_auth_time"), "another as text"),
        (&bare, json!({"nonce": "n"}), Err("id_token_nonce"), "a nonce where none was"),
        (&bare, json!({"nonce": ""}), Err("id_token_nonce"), "an empty nonce where none was"),
        (&bare, json!({"nonce": null, "auth_time": 1_700_000_000}), Ok(()), "a time where none was"),
        (&bare, json!({"nonce": null, "sub": "eve"}), Err("id_token_subject"), "another subject"),
    ];
    for (original, change, expected, reason) in table {
        let original: Claims = serde_json::from_value(original.clone()).unwrap();
        let token = key.sign(&claims(&pending, &change));

        let verdict = verifier(&set).verify_refreshed(&token, &original).map(drop).map_err(|error| error.code());

        assert_eq!(verdict, expected, "{reason}");
    }
}
