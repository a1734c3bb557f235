//! The Provider and what it knows us by.

use std::sync::Arc;

use url::Url;
use zeroize::Zeroizing;

use super::group_overage;
use super::keys::{KEY_VAULT_URL, key_vault_name, key_vault_url};
use super::reader::{Reader, Setting};
use crate::oidc::{ClientAuthentication, ClientRegistration, GroupOverage, PrivateKeyJwt, ResponseMode};
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
    expected: "one of client_secret_basic, client_secret_post, private_key_jwt, managed_identity, none",
    example: "client_secret_basic",
};
const CLIENT_PRIVATE_KEY: Setting = Setting {
    name: "CLIENT_PRIVATE_KEY",
    expected: "a private key in PEM (PKCS #8; RSA of at least 2048 bits or EC on P-256), its lines joined by \\n, with the method private_key_jwt",
    example: "-----BEGIN PRIVATE KEY-----\\n…\\n-----END PRIVATE KEY-----",
};
const CLIENT_KEY_NAME: Setting = Setting {
    name: "CLIENT_KEY_NAME",
    expected: "instead of CLIENT_PRIVATE_KEY, the name of a key of KEY_VAULT_URL that signs: 1 to 127 of a-z, A-Z, 0-9 and -",
    example: "client-key",
};
const CLIENT_KEY_ID: Setting = Setting {
    name: "CLIENT_KEY_ID",
    expected: "what the provider calls the public half of the key (kid)",
    example: "2026-11",
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
    PrivateKeyJwt,
    ManagedIdentity,
    None,
}

/// The Provider, our registration there, and the client authentication.
#[derive(Debug)]
pub struct ProviderSettings {
    /// The issuer, exactly as it names itself (`OIDC_ISSUER_URL`).
    pub issuer: String,
    /// Our registration at the Provider.
    pub registration: ClientRegistration,
    /// The client authentication at the Provider's endpoints.
    pub authentication: ClientAuthenticationSettings,
    /// True if UserInfo is requested at sign-in and after a refresh.
    pub userinfo: bool,
    /// The groups of a person whose ID token only refers to them.
    pub group_overage: GroupOverage,
}

/// The client authentication: complete, or signed by a service of Azure.
#[derive(Debug)]
pub enum ClientAuthenticationSettings {
    /// A secret or key of the settings, or none.
    Known(ClientAuthentication),
    /// The managed identity's token (`CLIENT_AUTH_METHOD=managed_identity`).
    ManagedIdentity,
    /// A key of a vault signs (`CLIENT_KEY_NAME`).
    KeyVaultKey {
        /// The vault of `KEY_VAULT_URL`.
        vault: Url,
        /// The key's name in it.
        name: String,
        /// The Provider's name for the public half (`CLIENT_KEY_ID`).
        key_id: Option<String>,
    },
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    origin: Option<&PublicOrigin>,
    auth_prefix: Option<&str>,
) -> Option<ProviderSettings> {
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
    let group_overage = group_overage::read(reader, issuer.as_deref());

    let registration = ClientRegistration {
        client_id: client_id?.to_owned(),
        redirect_uri: origin?.url(&format!("{}/callback", auth_prefix?)),
        scopes: scopes?,
        response_mode: response_mode?,
    };
    Some(ProviderSettings {
        issuer: issuer?,
        registration,
        authentication: authentication?,
        userinfo: userinfo?,
        group_overage: group_overage?,
    })
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

fn authentication(reader: &mut Reader<'_>) -> Option<ClientAuthenticationSettings> {
    let secret = reader.optional(CLIENT_SECRET).map(|secret| Zeroizing::new(secret.to_owned()));
    if secret.as_ref().is_some_and(|secret| secret.starts_with("@Microsoft.KeyVault(")) {
        let problem = "App Service could not replace the reference: the secret isn't in the vault, or the identity may not read it";
        reader.mistake(CLIENT_SECRET, problem.to_owned());
        return None;
    }
    let default = if secret.is_some() { Method::Basic } else { Method::None };
    let method = reader.parse_or(CLIENT_AUTH_METHOD, default, |text| match text {
        "client_secret_basic" => Some(Method::Basic),
        "client_secret_post" => Some(Method::Post),
        "private_key_jwt" => Some(Method::PrivateKeyJwt),
        "managed_identity" => Some(Method::ManagedIdentity),
        "none" => Some(Method::None),
        _ => None,
    })?;
    let known = |authentication| Some(ClientAuthenticationSettings::Known(authentication));
    match (method, secret) {
        (Method::Basic, Some(secret)) => known(ClientAuthentication::ClientSecretBasic(secret)),
        (Method::Post, Some(secret)) => known(ClientAuthentication::ClientSecretPost(secret)),
        (Method::PrivateKeyJwt, None) => private_key_jwt(reader),
        (Method::ManagedIdentity, None) => Some(ClientAuthenticationSettings::ManagedIdentity),
        (Method::None, None) => known(ClientAuthentication::None),
        (Method::Basic | Method::Post, None) => {
            reader.mistake(CLIENT_SECRET, "it is not set, and CLIENT_AUTH_METHOD needs it".to_owned());
            None
        }
        (Method::PrivateKeyJwt | Method::ManagedIdentity | Method::None, Some(_)) => {
            reader.mistake(CLIENT_SECRET, "it is set, though CLIENT_AUTH_METHOD needs none".to_owned());
            None
        }
    }
}

fn private_key_jwt(reader: &mut Reader<'_>) -> Option<ClientAuthenticationSettings> {
    let key_id = reader.optional(CLIENT_KEY_ID).map(str::to_owned);
    match (reader.optional(CLIENT_PRIVATE_KEY), reader.optional(CLIENT_KEY_NAME)) {
        (Some(pem), None) => {
            let pem = Zeroizing::new(pem.replace("\\n", "\n"));
            let key = PrivateKeyJwt::from_pem(&pem, key_id);
            let key = key.map_err(|error| reader.mistake(CLIENT_PRIVATE_KEY, format!("it is {error}"))).ok()?;
            Some(ClientAuthenticationSettings::Known(ClientAuthentication::Assertion(Arc::new(key))))
        }
        (None, Some(_)) => {
            let name = reader.parse_or(CLIENT_KEY_NAME, String::new(), key_vault_name)?;
            let Some(vault) = reader.optional(KEY_VAULT_URL) else {
                reader.mistake(CLIENT_KEY_NAME, "KEY_VAULT_URL is not set".to_owned());
                return None;
            };
            let vault = key_vault_url(vault)?; // `keys` reports a URL that can't be used
            Some(ClientAuthenticationSettings::KeyVaultKey { vault, name, key_id })
        }
        (None, None) => {
            let problem = "neither it nor CLIENT_KEY_NAME is set, and CLIENT_AUTH_METHOD needs one";
            reader.mistake(CLIENT_PRIVATE_KEY, problem.to_owned());
            None
        }
        (Some(_), Some(_)) => {
            reader.mistake(CLIENT_KEY_NAME, "CLIENT_PRIVATE_KEY is set too".to_owned());
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
