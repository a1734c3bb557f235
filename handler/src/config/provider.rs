//! Settings of the Provider and of our registration there.

use std::sync::Arc;

use url::Url;
use zeroize::Zeroizing;

use super::group_overage;
use super::keys::{KEY_VAULT_URL, key_vault_name, key_vault_url};
use super::reader::{Reader, Setting};
use super::{provider_dialect, provider_profile, routes};
use crate::oidc::{
    ClientAuthentication, ClientRegistration, GroupOverage, PrivateKeyJwt, ProviderDialect, ResponseMode, Scope,
};
use crate::proxy::RouteTable;
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
const TRUSTED_AUDIENCES: Setting = Setting {
    name: "TRUSTED_AUDIENCES",
    expected: "audiences that ID and logout tokens may name beside CLIENT_ID, separated by commas",
    example: "api://orders,https://api.example",
};

#[derive(Clone, Copy)]
enum Method {
    Basic,
    Post,
    PrivateKeyJwt,
    ManagedIdentity,
    None,
}

/// The Provider, our registration there, and our client authentication.
#[derive(Debug)]
pub struct ProviderSettings {
    /// Issuer identifier, byte for byte (`OIDC_ISSUER_URL`).
    pub issuer: String,
    /// Our registration at the Provider.
    pub registration: ClientRegistration,
    /// The client authentication at the Provider's endpoints.
    pub authentication: ClientAuthenticationSettings,
    /// True if UserInfo is requested at sign-in and after a refresh.
    pub userinfo: bool,
    /// Audiences that ID and logout tokens may name beside the client identifier (`TRUSTED_AUDIENCES`).
    pub trusted_audiences: Vec<String>,
    /// Deviations of the Provider from the standards: its profile (`PROVIDER`), overridden by settings.
    pub dialect: ProviderDialect,
    /// Source of a person's groups when the ID token only refers to them.
    pub group_overage: GroupOverage,
}

/// Client authentication: ready to use, or signed by a service of Azure.
#[derive(Debug)]
pub enum ClientAuthenticationSettings {
    /// A secret or key of the settings, or none.
    Known(ClientAuthentication),
    /// The managed identity's token (`CLIENT_AUTH_METHOD=managed_identity`).
    ManagedIdentity,
    /// A key in a vault (`CLIENT_KEY_NAME`).
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
    route_table: Option<&RouteTable>,
) -> Option<ProviderSettings> {
    let profile = provider_profile::read(reader);
    if let (Some(profile), Some(table)) = (profile, route_table) {
        routes::check_targets(reader, table, profile.id, profile.target_grants);
    }
    let follows_challenges = route_table.is_some_and(RouteTable::follows_step_up_challenges);
    let issuer = issuer(reader);
    let metadata_url = provider_dialect::metadata_url(reader, issuer.as_deref());
    let client_id = reader.required(CLIENT_ID).and(reader.verbatim(CLIENT_ID));
    let authentication = authentication(reader);
    let defaults = profile.unwrap_or_default(); // after a mistake, for the mistakes that follow
    let mut scopes = reader.parse_or(SCOPES, scopes(defaults.scopes)?, scopes);
    let offline = scopes.as_mut().map(|scopes| defaults.offline_access.ask(scopes)).unwrap_or_default();
    let dialect = provider_dialect::read(reader, defaults, offline, follows_challenges);
    let response_mode = reader.parse_or(RESPONSE_MODE, ResponseMode::Query, |text| match text {
        "query" => Some(ResponseMode::Query),
        "form_post" => Some(ResponseMode::FormPost),
        _ => None,
    });
    let userinfo = reader.parse_or(USERINFO, false, |text| text.parse().ok());
    let trusted_audiences = reader.parse_or(TRUSTED_AUDIENCES, Vec::new(), audiences);

    let group_overage = group_overage::read(reader, issuer.as_deref());

    profile?;
    Some(ProviderSettings {
        issuer: issuer?,
        registration: ClientRegistration {
            client_id: client_id?.to_owned(),
            redirect_uri: origin?.url(&format!("{}/callback", auth_prefix?)),
            scopes: scopes?,
            response_mode: response_mode?,
        },
        authentication: authentication?,
        userinfo: userinfo?,
        trusted_audiences: trusted_audiences?,
        dialect: ProviderDialect { metadata_url: metadata_url?, ..dialect? },
        group_overage: group_overage?,
    })
}

/// Parses the issuer. OIDC Discovery 4.3 compares issuers as text, so it is kept byte for byte.
fn issuer(reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.required(OIDC_ISSUER_URL)?;
    if let Some(issuer) = text.strip_suffix("/.well-known/openid-configuration") {
        reader.mistake(OIDC_ISSUER_URL, format!("it is the URL of the metadata: set OIDC_ISSUER_URL={issuer}"));
        return None;
    }
    if text.contains(['{', '}']) {
        reader.mistake(OIDC_ISSUER_URL, "it is a template: put your tenant's id in place of the braces".to_owned());
        return None;
    }
    let is_usable = Url::parse(text).is_ok_and(|url| {
        is_https_or_loopback(&url) && url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
    });
    if !is_usable {
        reader.mistake(OIDC_ISSUER_URL, "its value is not an https URL without query and fragment".to_owned());
    }
    is_usable.then(|| text.to_owned())
}

fn authentication(reader: &mut Reader<'_>) -> Option<ClientAuthenticationSettings> {
    let secret = reader.verbatim(CLIENT_SECRET).map(|secret| Zeroizing::new(secret.to_owned()));
    if secret.as_ref().is_some_and(|secret| secret.trim_start().starts_with("@Microsoft.KeyVault(")) {
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

/// Parses audiences. Two commas in a row, or one at an end, are refused as a typo that could hide a name.
fn audiences(text: &str) -> Option<Vec<String>> {
    let audiences: Vec<String> = text.split(',').map(|audience| audience.trim().to_owned()).collect();
    audiences.iter().all(|audience| !audience.is_empty()).then_some(audiences)
}

/// Parses scopes. RFC 6749 3.3: scope tokens; OIDC Core 3.1.2.1: `openid` is one of them.
fn scopes(text: &str) -> Option<Vec<String>> {
    let scopes: Vec<String> = Scope::parse(text)?.as_str().split(' ').map(str::to_owned).collect();
    scopes.iter().any(|scope| scope == "openid").then_some(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Configuration;
    use crate::config::environment::Environment;

    const BASE: [(&str, &str); 4] = [
        ("PUBLIC_BASE_URL", "https://app.example"),
        ("UPSTREAM_URL", "https://app.internal"),
        ("OIDC_ISSUER_URL", "https://op.example"),
        ("CLIENT_ID", "client"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<ProviderSettings, Vec<&'static str>> {
        let mut variables = std::collections::BTreeMap::from(BASE);
        variables.extend(changes.iter().copied());
        let environment: Environment = variables.into_iter().collect();
        let read = Configuration::read(&environment).map(|configuration| configuration.provider);
        read.map_err(|mistakes| mistakes.iter().map(|mistake| mistake.variable).collect())
    }

    #[test]
    fn an_identifier_and_a_secret_are_taken_as_they_are() {
        for value in ["plain", " leading", "trailing ", "in ner", " a+b%20:c=&\"d\" ", "+", "%", "é"] {
            let provider = read(&[("CLIENT_ID", value), ("CLIENT_SECRET", value)]).unwrap();

            let ClientAuthenticationSettings::Known(ClientAuthentication::ClientSecretBasic(secret)) =
                provider.authentication
            else {
                panic!("{value:?} is no secret")
            };
            assert_eq!((&*provider.registration.client_id, secret.as_str()), (value, value));
        }
        assert_eq!(read(&[("CLIENT_ID", "client\n")]).unwrap().registration.client_id, "client");
    }

    #[test]
    fn a_blank_identifier_or_secret_is_none() {
        assert_eq!(read(&[("CLIENT_ID", "  ")]).unwrap_err(), ["CLIENT_ID"]);
        let provider = read(&[("CLIENT_SECRET", " \n")]).unwrap();
        let ClientAuthenticationSettings::Known(ClientAuthentication::None) = provider.authentication else {
            panic!("a blank secret is taken for one")
        };
    }

    #[test]
    fn a_reference_that_was_not_replaced_is_no_secret_however_it_is_indented() {
        for value in ["@Microsoft.KeyVault(SecretUri=x)", "  @Microsoft.KeyVault(SecretUri=x)"] {
            assert_eq!(read(&[("CLIENT_SECRET", value)]).unwrap_err(), ["CLIENT_SECRET"]);
        }
    }

    #[test]
    fn where_an_application_may_ask_for_claims_the_provider_is_told_so() {
        let route = |member: &str| format!(r#"[{{"path":"/","upstream":"https://app.internal"{member}}}]"#);
        let (follow, pass) = (route(r#","step_up_challenges":"follow""#), route(""));
        let capable = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
        let own = r#"claims={"access_token":{"acrs":null}}"#;
        let both = r#"{"access_token":{"acrs":null,"xms_cc":{"values":["cp1"]}}}"#;
        for (routes, provider, parameters, expected) in [
            (&follow, "entra", "", Some([Some(capable), Some(capable)])),
            (&follow, "entra", own, Some([Some(both), Some(capable)])),
            (&follow, "generic", "", Some([None, None])),
            (&follow, "b2c", "", Some([None, None])),
            (&pass, "entra", "", Some([None, None])),
            (&pass, "entra", "claims=x", None),
        ] {
            let changes = [
                ("UPSTREAM_URL", ""),
                ("ROUTES", routes),
                ("PROVIDER", provider),
                ("AUTHORIZE_PARAMETERS", parameters),
            ];

            let dialect = read(&changes).unwrap().dialect;

            let told = [&dialect.authorize_parameters, &dialect.token_parameters]
                .map(|parameters| parameters.claims().ok().flatten().map(|claims| claims.to_json()));
            let expected = expected.map(|both| both.map(|claims| claims.map(str::to_owned)));
            assert!(expected.is_none_or(|expected| expected == told), "{provider} {parameters}: {told:?}");
        }
        let setting = |name| [("UPSTREAM_URL", ""), ("ROUTES", follow.as_str()), (name, "claims=x")];
        for name in ["AUTHORIZE_PARAMETERS", "TOKEN_PARAMETERS"] {
            assert_eq!(read(&setting(name)).unwrap_err(), [name]);
        }
    }

    #[test]
    fn trusted_audiences_are_a_list_without_gaps() {
        let table: [(&str, Option<&[&str]>); 8] = [
            ("", Some(&[])),
            (" ", Some(&[])),
            ("api", Some(&["api"])),
            ("api://a, https://b.example/ ", Some(&["api://a", "https://b.example/"])),
            ("a b", Some(&["a b"])),
            ("a,,b", None),
            ("a,", None),
            (",", None),
        ];
        for (value, expected) in table {
            let read = read(&[("TRUSTED_AUDIENCES", value)]);
            match expected {
                Some(expected) => assert_eq!(read.unwrap().trusted_audiences, expected, "{value:?}"),
                None => assert_eq!(read.unwrap_err(), ["TRUSTED_AUDIENCES"], "{value:?}"),
            }
        }
    }
}
