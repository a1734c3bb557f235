use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

fn claims(json: &Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

fn value(headers: &[(HeaderName, HeaderValue)], name: &str) -> Option<String> {
    let found = headers.iter().find(|(other, _)| other == name)?;
    Some(String::from_utf8(found.1.as_bytes().to_vec()).unwrap())
}

fn forwarded(person: &Value, name: &str) -> Option<String> {
    value(&identity_headers(&HeaderPreset::OAuth2Proxy, &TokenPlacement::Bearer, &claims(person), None, "at"), name)
}

fn easy_auth(provider: &str, person: &Value) -> Vec<(HeaderName, HeaderValue)> {
    let preset = HeaderPreset::EasyAuth(EasyAuthProvider::new(provider).unwrap());
    identity_headers(&preset, &TokenPlacement::Bearer, &claims(person), Some("it"), "at")
}

fn principal(headers: &[(HeaderName, HeaderValue)]) -> Value {
    let json = STANDARD.decode(value(headers, "x-ms-client-principal").unwrap()).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Claims of `X-MS-CLIENT-PRINCIPAL` as `(typ, val)`, sorted.
fn listed(headers: &[(HeaderName, HeaderValue)]) -> Vec<(String, String)> {
    let principal = principal(headers);
    let text = |claim: &Value, member: &str| claim[member].as_str().unwrap().to_owned();
    let claims = principal["claims"].as_array().unwrap().iter();
    let mut claims: Vec<_> = claims.map(|claim| (text(claim, "typ"), text(claim, "val"))).collect();
    claims.sort();
    claims
}

#[test]
fn every_preset_sends_the_bearer_token() {
    let easy_auth = HeaderPreset::EasyAuth(EasyAuthProvider::new("aad").unwrap());
    for preset in [HeaderPreset::None, HeaderPreset::Sample, HeaderPreset::OAuth2Proxy, easy_auth] {
        let headers = identity_headers(&preset, &TokenPlacement::Bearer, &Map::new(), None, "at");
        assert_eq!(value(&headers, "authorization").unwrap(), "Bearer at", "{preset:?}");
    }
}

#[test]
fn a_claims_value_cannot_start_another_header() {
    let table = [
        (json!("Ada"), Some("Ada"), "plain"),
        (json!("Jörg 王"), Some("Jörg 王"), "UTF-8 as it is"),
        (json!("Ada\r\nX-Evil: 1"), Some("Ada%0D%0AX-Evil: 1"), "a line break"),
        (json!("a\tb\u{0}c\u{7f}"), Some("a%09b%00c%7F"), "control characters"),
        (json!("50%"), Some("50%"), "a percent sign"),
        (json!("a,b"), Some("a,b"), "a comma in a header of one value"),
        (json!(""), None, "empty"),
        (json!(7), None, "no text"),
        (json!(["Ada"]), None, "a list"),
        (Value::Null, None, "null"),
    ];
    for (claim, expected, reason) in table {
        let person = json!({"sub": claim, "name": claim, "preferred_username": claim});
        let sample =
            identity_headers(&HeaderPreset::Sample, &TokenPlacement::Bearer, &claims(&person), Some("it"), "at");
        for sent in [
            value(&sample, "x-proxy-id-token-name"),
            value(&sample, "x-proxy-id-token-preferred-username"),
            forwarded(&person, "x-forwarded-user"),
            forwarded(&person, "x-forwarded-preferred-username"),
        ] {
            assert_eq!(sent.as_deref(), expected, "{reason}");
        }
        assert_eq!(value(&sample, "x-proxy-id-token").unwrap(), "it");
    }
}

#[test]
fn every_character_has_a_form_in_a_header() {
    for character in '\0'..='\u{2fff}' {
        let header = header_text(&format!("a{character}b"));
        let is_control = character.is_ascii_control();
        assert_eq!(header.as_bytes().starts_with(b"a%"), is_control || character == '%', "{character:?}");
    }
}

#[test]
fn groups_are_separated_by_commas_that_no_name_can_forge() {
    let table = [
        (json!("admins"), Some("admins"), "one group as text"),
        (json!(7), Some("7"), "one group as a number"),
        (json!(["a", "b"]), Some("a,b"), "a list"),
        (json!([1, 2.5, "c"]), Some("1,2.5,c"), "numbers"),
        (json!(["a,admins", "b"]), Some("a%2Cadmins,b"), "a comma within"),
        (json!("a,admins"), Some("a%2Cadmins"), "a comma within the only one"),
        (json!(["a%2Cadmins"]), Some("a%252Cadmins"), "the spelling of another group's escape"),
        (json!(["CN=a,DC=b"]), Some("CN=a%2CDC=b"), "a distinguished name"),
        (json!([" admins", "b "]), Some("%20admins,b%20"), "a blank that a reader would trim"),
        (json!(["\u{a0}admins"]), Some("%C2%A0admins"), "another blank"),
        (json!(["admins\u{feff}"]), Some("admins%EF%BB%BF"), "a byte order mark, which JavaScript trims"),
        (json!(["a b", "Jörg"]), Some("a b,Jörg"), "a blank within, and UTF-8"),
        (json!(["a\r\nX-Evil: 1"]), Some("a%0D%0AX-Evil: 1"), "a line break"),
        (json!([" "]), Some("%20"), "a blank alone"),
        (json!(["", "a", ""]), Some("a"), "empty names"),
        (json!([{"id": "a"}, "b", null, true, ["c"]]), Some("b"), "elements without a form"),
        (json!([{"id": "a"}, {"id": "b"}]), None, "objects alone"),
        (json!({"id": "a"}), None, "an object"),
        (json!([]), None, "none"),
        (json!(""), None, "an empty name alone"),
        (json!(true), None, "a truth value"),
        (Value::Null, None, "null"),
    ];
    for (groups, expected, reason) in table {
        let sent = forwarded(&json!({"sub": "s1", "groups": groups}), "x-forwarded-groups");
        assert_eq!(sent.as_deref(), expected, "{reason}");
    }
    assert_eq!(forwarded(&json!({"sub": "s1"}), "x-forwarded-groups"), None, "no claim");
}

#[test]
fn an_address_that_is_not_verified_has_no_header() {
    let address = ("a@b", true);
    let none = ("", false);
    let table = [
        (json!({"email": "a@b"}), address, "nothing is said"),
        (json!({"email": "a@b", "email_verified": true}), address, "true"),
        (json!({"email": "a@b", "email_verified": "true"}), address, "true as text"),
        (json!({"email": "a@b", "email_verified": "True"}), address, "true as other text"),
        (json!({"email": "a@b", "email_verified": false}), none, "false"),
        (json!({"email": "a@b", "email_verified": "false"}), none, "false as text"),
        (json!({"email": "a@b", "email_verified": null}), none, "null"),
        (json!({"email": "a@b", "email_verified": 1}), none, "a number"),
        (json!({"email": "a@b", "email_verified": ""}), none, "empty"),
        (json!({"email": ["a@b"]}), none, "a list of addresses"),
        (json!({"email_verified": true}), none, "no address"),
    ];
    for (person, (email, is_sent), reason) in table {
        let expected = is_sent.then(|| email.to_owned());
        assert_eq!(forwarded(&person, "x-forwarded-email"), expected, "oauth2-proxy: {reason}");

        for provider in ["aad", "google"] {
            let headers = easy_auth(provider, &person);
            assert_eq!(value(&headers, "x-ms-client-principal-name"), expected, "easyauth: {reason}");
            let is_listed = listed(&headers).iter().any(|(typ, val)| typ.ends_with("/emailaddress") && val == "a@b");
            assert!(is_listed == is_sent || person["email"].is_array(), "easyauth, listed: {reason}");
        }
    }
}

#[test]
fn the_claims_of_oauth2_proxys_headers_are_kept_for_them() {
    let names = HeaderPreset::OAuth2Proxy.claims().unwrap();

    assert_eq!(names, ["sub", "email", "email_verified", "groups", "preferred_username"]);
}

/// Modelled on the dumps that docs/migrating.md names; every value is invented.
#[test]
fn the_client_principal_is_the_one_of_app_service() {
    const SOAP: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims";
    const MICROSOFT: &str = "http://schemas.microsoft.com";
    let entra = json!({
        "aud": "client", "iss": "https://login.microsoftonline.com/t/v2.0", "exp": 1_800_000_000, "ver": "2.0",
        "amr": ["pwd", "mfa"], "acr": "1", "email": "ada@b", "family_name": "L", "given_name": "A", "idp": "live.com",
        "name": "Ada", "oid": "o1", "preferred_username": "ada@b", "roles": ["Read", "Write"], "scp": "access",
        "groups": ["g1", "g2"], "sub": "s1", "tid": "t", "unique_name": "live.com#ada", "upn": "ada@b",
        "xms": {"a": 1}, "is_new": true, "nothing": null,
        "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://evil.example"}},
    });

    let headers = easy_auth("aad", &entra);

    let mut expected = vec![
        ("aud".to_owned(), "client"),
        ("iss".to_owned(), "https://login.microsoftonline.com/t/v2.0"),
        ("exp".to_owned(), "1800000000"),
        ("ver".to_owned(), "2.0"),
        (format!("{MICROSOFT}/claims/authnmethodsreferences"), "pwd"),
        (format!("{MICROSOFT}/claims/authnmethodsreferences"), "mfa"),
        (format!("{MICROSOFT}/claims/authnclassreference"), "1"),
        (format!("{SOAP}/emailaddress"), "ada@b"),
        (format!("{SOAP}/surname"), "L"),
        (format!("{SOAP}/givenname"), "A"),
        (format!("{MICROSOFT}/identity/claims/identityprovider"), "live.com"),
        ("name".to_owned(), "Ada"),
        (format!("{MICROSOFT}/identity/claims/objectidentifier"), "o1"),
        ("preferred_username".to_owned(), "ada@b"),
        ("roles".to_owned(), "Read"),
        ("roles".to_owned(), "Write"),
        (format!("{MICROSOFT}/identity/claims/scope"), "access"),
        ("groups".to_owned(), "g1"),
        ("groups".to_owned(), "g2"),
        (format!("{SOAP}/nameidentifier"), "s1"),
        (format!("{MICROSOFT}/identity/claims/tenantid"), "t"),
        (format!("{SOAP}/name"), "live.com#ada"),
        (format!("{SOAP}/upn"), "ada@b"),
        ("xms".to_owned(), r#"{"a":1}"#),
        ("is_new".to_owned(), "true"),
    ];
    expected.sort();
    let listed = listed(&headers);
    let listed: Vec<_> = listed.iter().map(|(typ, val)| (typ.clone(), val.as_str())).collect();
    assert_eq!(listed, expected);
    let principal = principal(&headers);
    assert_eq!(principal["auth_typ"], "aad");
    assert_eq!(principal["name_typ"], format!("{SOAP}/emailaddress"));
    assert_eq!(principal["role_typ"], format!("{MICROSOFT}/ws/2008/06/identity/claims/role"));
}

#[test]
fn id_and_name_of_the_principal_are_never_free_text() {
    let table = [
        ("aad", json!({"oid": "o", "sub": "s", "upn": "u@b"}), Some("o"), Some("u@b"), "Entra ID"),
        (
            "aad",
            json!({"oid": "o", "email": "e@b", "upn": "u@b"}),
            Some("o"),
            Some("e@b"),
            "its `name_typ` is the address",
        ),
        (
            "aad",
            json!({"oid": "o", "preferred_username": "p@b"}),
            Some("o"),
            Some("p@b"),
            "version 2 without an address",
        ),
        ("aad", json!({"sub": "s", "name": "Ada"}), None, None, "no `oid`, and a display name"),
        (
            "google",
            json!({"oid": "o", "sub": "s", "email": "e@b"}),
            Some("s"),
            Some("e@b"),
            "an `oid` of another provider",
        ),
        ("google", json!({"sub": "s", "upn": "u@b"}), Some("s"), None, "a `upn` of another provider"),
        ("contoso", json!({"sub": "s", "preferred_username": "ada", "name": "A"}), Some("s"), Some("ada"), "another"),
        ("contoso", json!({"name": "Ada", "nickname": "a", "given_name": "A"}), None, None, "display names alone"),
        ("aad", json!({"oid": 7, "upn": ["u@b"], "email": ""}), None, None, "no text"),
    ];
    for (provider, person, id, name, reason) in table {
        let headers = easy_auth(provider, &person);
        assert_eq!(value(&headers, "x-ms-client-principal-id").as_deref(), id, "{reason}");
        assert_eq!(value(&headers, "x-ms-client-principal-name").as_deref(), name, "{reason}");
        assert_eq!(value(&headers, "x-ms-client-principal-idp").as_deref(), Some(provider), "{reason}");
        assert_eq!(principal(&headers)["auth_typ"], provider, "{reason}");
        assert_eq!(value(&headers, &format!("x-ms-token-{provider}-id-token")).unwrap(), "it");
        assert_eq!(value(&headers, &format!("x-ms-token-{provider}-access-token")).unwrap(), "at");
    }
}

#[test]
fn a_providers_name_fits_into_a_headers_name() {
    for name in ["", "AAD", "a_b", "a b", "a\r\n", "é", "a123456789012345678901234567890123"] {
        assert_eq!(EasyAuthProvider::new(name), None, "{name}");
    }
    for name in ["aad", "google", "my-provider-2"] {
        assert!(EasyAuthProvider::new(name).is_some(), "{name}");
    }
}
