//! The headers that tell the Upstream who is signed in, in one of the dialects applications already read.
//!
//! Knows claims as JSON only; where they come from is the caller's business.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

/// Which headers speak for the person, besides `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderPreset {
    /// None.
    #[default]
    None,
    /// `x-proxy-id-token` and its name and preferred user name.
    Sample,
    /// The `X-Forwarded-*` family of oauth2-proxy.
    OAuth2Proxy,
    /// The `X-MS-*` family of App Service authentication.
    EasyAuth,
}

impl HeaderPreset {
    /// The claims that the preset's headers are made of; `None` stands for all.
    #[must_use]
    pub fn claims(self) -> Option<&'static [&'static str]> {
        match self {
            Self::None => Some(&[]),
            Self::Sample => Some(&["name", "preferred_username"]),
            Self::OAuth2Proxy => Some(&["sub", "email", "groups", "preferred_username"]),
            Self::EasyAuth => None,
        }
    }

    /// Whether one of the preset's headers is the ID token.
    #[must_use]
    pub fn has_id_token(self) -> bool {
        matches!(self, Self::Sample | Self::EasyAuth)
    }
}

/// A preset's name that we don't know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header preset is none of none, sample, oauth2-proxy, easyauth")]
pub struct UnknownPreset;

impl FromStr for HeaderPreset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        match text {
            "none" => Ok(Self::None),
            "sample" => Ok(Self::Sample),
            "oauth2-proxy" => Ok(Self::OAuth2Proxy),
            "easyauth" => Ok(Self::EasyAuth),
            _ => Err(UnknownPreset),
        }
    }
}

/// The headers of a preset. `Authorization: Bearer` is always the first; a claim that isn't there has no header.
#[must_use]
pub fn identity_headers(
    preset: HeaderPreset,
    claims: &Map<String, Value>,
    id_token: Option<&str>,
    access_token: &str,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::with_capacity(8);
    let bearer = [b"Bearer ", access_token.as_bytes()].concat();
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(bearer)) {
        headers.push((AUTHORIZATION, value));
    }
    let mut add = |name: &'static str, text: Option<&str>| {
        if let Some(value) = text.and_then(header_text) {
            headers.push((HeaderName::from_static(name), value));
        }
    };
    let claim = |name: &str| claims.get(name).and_then(Value::as_str);
    match preset {
        HeaderPreset::None => {}
        HeaderPreset::Sample => {
            add("x-proxy-id-token", id_token);
            add("x-proxy-id-token-name", claim("name"));
            add("x-proxy-id-token-preferred-username", claim("preferred_username"));
        }
        HeaderPreset::OAuth2Proxy => {
            add("x-forwarded-user", claim("sub"));
            add("x-forwarded-email", claim("email"));
            add("x-forwarded-groups", groups(claims).as_deref());
            add("x-forwarded-preferred-username", claim("preferred_username"));
        }
        HeaderPreset::EasyAuth => {
            let name = claim("preferred_username").or(claim("email")).or(claim("name"));
            add("x-ms-client-principal", Some(&client_principal(claims)));
            add("x-ms-client-principal-id", claim("oid").or(claim("sub")));
            add("x-ms-client-principal-name", name);
            add("x-ms-client-principal-idp", Some("aad"));
            add("x-ms-token-aad-id-token", id_token);
            add("x-ms-token-aad-access-token", Some(access_token));
        }
    }
    headers
}

/// UTF-8 as it is; control characters percent-encoded, so that no value starts another header.
fn header_text(text: &str) -> Option<HeaderValue> {
    if !text.bytes().any(|byte| byte.is_ascii_control()) {
        return HeaderValue::from_bytes(text.as_bytes()).ok();
    }
    let safe: Vec<u8> = text.bytes().flat_map(escaped).collect();
    HeaderValue::from_bytes(&safe).ok()
}

fn escaped(byte: u8) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if !byte.is_ascii_control() {
        return vec![byte];
    }
    vec![b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

fn groups(claims: &Map<String, Value>) -> Option<String> {
    let groups = claims.get("groups")?.as_array()?;
    Some(groups.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
}

/// What App Service calls the client principal: base64 of a JSON list of claims.
fn client_principal(claims: &Map<String, Value>) -> String {
    let mut list = Vec::with_capacity(claims.len());
    for (name, value) in claims {
        match value {
            Value::Array(values) => list.extend(values.iter().map(|value| principal_claim(name, value))),
            value => list.push(principal_claim(name, value)),
        }
    }
    let name_type = if claims.contains_key("preferred_username") { "preferred_username" } else { "name" };
    let principal = json!({ "auth_typ": "aad", "name_typ": name_type, "role_typ": "roles", "claims": list });
    STANDARD.encode(principal.to_string())
}

fn principal_claim(name: &str, value: &Value) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    json!({ "typ": name, "val": text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Map<String, Value> {
        let claims = json!({"sub":"s1","name":"Jörg\r\nX-Evil: 1","email":"j@x","groups":["a","b"],"exp":7});
        claims.as_object().unwrap().clone()
    }

    fn value(headers: &[(HeaderName, HeaderValue)], name: &str) -> Option<String> {
        let found = headers.iter().find(|(other, _)| other == name)?;
        Some(String::from_utf8(found.1.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn every_preset_sends_the_bearer_token() {
        for name in ["none", "sample", "oauth2-proxy", "easyauth"] {
            let headers = identity_headers(name.parse().unwrap(), &claims(), None, "at");
            assert_eq!(value(&headers, "authorization").unwrap(), "Bearer at", "{name}");
        }
    }

    #[test]
    fn a_claim_with_a_line_break_cannot_start_another_header() {
        let headers = identity_headers(HeaderPreset::Sample, &claims(), Some("it"), "at");

        assert_eq!(value(&headers, "x-proxy-id-token").unwrap(), "it");
        assert_eq!(value(&headers, "x-proxy-id-token-name").unwrap(), "Jörg%0D%0AX-Evil: 1");
        assert_eq!(value(&headers, "x-proxy-id-token-preferred-username"), None);
    }

    #[test]
    fn groups_are_joined_for_oauth2_proxy() {
        let headers = identity_headers(HeaderPreset::OAuth2Proxy, &claims(), None, "at");

        assert_eq!(value(&headers, "x-forwarded-groups").unwrap(), "a,b");
        assert_eq!(value(&headers, "x-forwarded-user").unwrap(), "s1");
    }

    #[test]
    fn the_client_principal_lists_every_claim() {
        let headers = identity_headers(HeaderPreset::EasyAuth, &claims(), None, "at");

        let bytes = STANDARD.decode(value(&headers, "x-ms-client-principal").unwrap()).unwrap();
        let principal: Value = serde_json::from_slice(&bytes).unwrap();
        let list = principal["claims"].as_array().unwrap();
        assert!(list.contains(&json!({"typ":"groups","val":"b"})));
        assert!(list.contains(&json!({"typ":"exp","val":"7"})));
    }

    #[test]
    fn an_unknown_preset_is_refused() {
        assert_eq!("EasyAuth".parse::<HeaderPreset>(), Err(UnknownPreset));
    }
}
