//! The Provider and what it knows us by.

use url::Url;
use zeroize::Zeroizing;

use super::reader::{Reader, Setting};
use crate::oidc::{ClientAuthentication, ClientRegistration, RelyingPartySettings, ResponseMode};
use crate::public_origin::PublicOrigin;
use crate::transport_security::is_https_or_loopback;

const OIDC_ISSUER_URL: Setting = Setting {
    name: "OIDC_ISSUER_URL",
    expected: "the provider's https issuer, exactly as its metadata names it (http only on loopback)",
    example: "https://login.example/tenant/v2.0",
};
const CLIENT_ID: Setting = Setting {
    name: "CLIENT_ID",
    expected: "the client identifier that the provider gave out",
    example: "2c1d8e0a-7f5b-4b3e-9c58-0a1c5b8e6f42",
};
const CLIENT_SECRET: Setting = Setting {
    name: "CLIENT_SECRET",
    expected: "the client secret, with the methods client_secret_basic and client_secret_post only",
    example: "<secret>",
};
const CLIENT_AUTH_METHOD: Setting = Setting {
    name: "CLIENT_AUTH_METHOD",
    expected: "one of client_secret_basic, client_secret_post, none",
    example: "client_secret_basic",
};
const SCOPES: Setting = Setting {
    name: "SCOPES",
    expected: "scopes separated by spaces, openid among them",
    example: "openid profile email offline_access",
};
const RESPONSE_MODE: Setting = Setting { name: "RESPONSE_MODE", expected: "one of query, form_post", example: "query" };
const USERINFO: Setting = Setting { name: "USERINFO", expected: "true or false", example: "false" };

#[derive(Clone, Copy)]
enum Method {
    Basic,
    Post,
    None,
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    origin: Option<&PublicOrigin>,
    auth_prefix: Option<&str>,
) -> Option<RelyingPartySettings> {
    let issuer = issuer(reader);
    let client_id = reader.required(CLIENT_ID);
    let authentication = authentication(reader);
    let scopes = reader.parse_or(SCOPES, scopes(SCOPES.example)?, scopes);
    let response_mode = reader.parse_or(RESPONSE_MODE, ResponseMode::Query, |text| match text {
        "query" => Some(ResponseMode::Query),
        "form_post" => Some(ResponseMode::FormPost),
        _ => None,
    });
    let userinfo = reader.parse_or(USERINFO, false, |text| text.parse().ok());

    let registration = ClientRegistration {
        client_id: client_id?.to_owned(),
        redirect_uri: origin?.url(&format!("{}/callback", auth_prefix?)),
        scopes: scopes?,
        response_mode: response_mode?,
    };
    Some(RelyingPartySettings { issuer: issuer?, registration, authentication: authentication?, userinfo: userinfo? })
}

/// OIDC Discovery 4.3 compares issuers as text, so it is kept as it was given.
fn issuer(reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.required(OIDC_ISSUER_URL)?;
    let is_usable = Url::parse(text).is_ok_and(|url| {
        is_https_or_loopback(&url) && url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
    });
    if !is_usable {
        reader.mistake(OIDC_ISSUER_URL, "its value is not an https URL without query and fragment".to_owned());
    }
    is_usable.then(|| text.to_owned())
}

fn authentication(reader: &mut Reader<'_>) -> Option<ClientAuthentication> {
    let secret = reader.optional(CLIENT_SECRET).map(|secret| Zeroizing::new(secret.to_owned()));
    let default = if secret.is_some() { Method::Basic } else { Method::None };
    let method = reader.parse_or(CLIENT_AUTH_METHOD, default, |text| match text {
        "client_secret_basic" => Some(Method::Basic),
        "client_secret_post" => Some(Method::Post),
        "none" => Some(Method::None),
        _ => None,
    })?;
    match (method, secret) {
        (Method::Basic, Some(secret)) => Some(ClientAuthentication::ClientSecretBasic(secret)),
        (Method::Post, Some(secret)) => Some(ClientAuthentication::ClientSecretPost(secret)),
        (Method::None, None) => Some(ClientAuthentication::None),
        (Method::Basic | Method::Post, None) => {
            reader.mistake(CLIENT_SECRET, "it is not set, and CLIENT_AUTH_METHOD needs it".to_owned());
            None
        }
        (Method::None, Some(_)) => {
            reader.mistake(CLIENT_SECRET, "it is set, though CLIENT_AUTH_METHOD is none".to_owned());
            None
        }
    }
}

/// RFC 6749 3.3: scope tokens; OIDC Core 3.1.2.1: `openid` is one of them.
fn scopes(text: &str) -> Option<Vec<String>> {
    let is_token = |scope: &str| scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    let scopes: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    let has_openid = scopes.iter().any(|scope| scope == "openid");
    (has_openid && scopes.iter().all(|scope| is_token(scope))).then_some(scopes)
}
