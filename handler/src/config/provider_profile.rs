//! Profiles of known Providers (`PROVIDER`), one row of data each: requirements beyond the standards, from the
//! Provider's documentation. `docs/providers.md` has a section for each row.
//!
//! Defaults only: a setting wins over a row. No other file tells Providers apart.

use super::reader::{Reader, Setting};
use crate::oidc::{ClaimAlias, LogoutChannel, LogoutDialect, OwnLogout, RequestParameters, TargetGrant, TargetGrants};

const PROVIDER: Setting = Setting {
    name: "PROVIDER",
    expected: "one of generic, entra, external-id, b2c, auth0, okta, google, cognito, keycloak, adfs",
    example: "entra",
};

/// Request for offline access, which `offline_access` in the scopes stands for (OIDC Core 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfflineAccess {
    /// By the scope.
    Scope,
    /// By parameters of the authorization request; the scope is refused.
    Parameters(&'static str),
    /// Always granted; the scope is refused.
    Implied,
}

/// One Provider.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProviderProfile {
    /// Its value of `PROVIDER`.
    pub(super) id: &'static str,
    /// The default of `SCOPES`.
    pub(super) scopes: &'static str,
    pub(super) offline_access: OfflineAccess,
    /// True if `scope` in a token response names the access token's scopes, not the grant's.
    pub(super) scope_is_of_access_token: bool,
    /// Ways to an access token for another target than the sign-in's.
    pub(super) target_grants: TargetGrants,
    pub(super) logout: LogoutDialect,
    /// The claim that becomes `logout_hint`.
    pub(super) logout_hint_claim: Option<&'static str>,
    pub(super) claim_aliases: &'static [ClaimAlias],
    pub(super) logout_channel: Option<LogoutChannel>,
    /// Claims request that declares what we can do with a challenge.
    pub(super) client_capabilities: Option<&'static str>,
}

/// Ways of the standards: RFC 8707 2.2 and RFC 6749 6 at a refresh, RFC 8693 2.1 for an `audience`.
const STANDARD_TARGETS: TargetGrants = TargetGrants {
    resource: Some(TargetGrant::Refresh),
    audience: Some(TargetGrant::TokenExchange),
    scope: Some(TargetGrant::Refresh),
};

const NO_TARGETS: TargetGrants = TargetGrants { resource: None, audience: None, scope: None };

/// The scope names the resource, and a refresh token is good for all of them.
const TARGETS_BY_SCOPE: TargetGrants = TargetGrants { scope: Some(TargetGrant::Refresh), ..NO_TARGETS };

const GENERIC: ProviderProfile = ProviderProfile {
    id: "generic",
    scopes: "openid profile email offline_access",
    offline_access: OfflineAccess::Scope,
    scope_is_of_access_token: false,
    target_grants: STANDARD_TARGETS,
    logout: LogoutDialect::RpInitiated,
    logout_hint_claim: None,
    claim_aliases: &[],
    logout_channel: None,
    client_capabilities: None,
};

const ENTRA: ProviderProfile = ProviderProfile {
    id: "entra",
    scope_is_of_access_token: true,
    target_grants: TARGETS_BY_SCOPE,
    // Optional claim: it saves the person the choice of the account to sign out.
    logout_hint_claim: Some("login_hint"),
    claim_aliases: &[alias("preferred_username", &["upn"])],
    logout_channel: Some(LogoutChannel::Front),
    // Claims challenges are met; without it services such as Microsoft Graph send none.
    client_capabilities: Some(r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#),
    ..GENERIC
};

const PROFILES: [ProviderProfile; 10] = [
    GENERIC,
    ENTRA,
    ProviderProfile { id: "external-id", ..ENTRA },
    ProviderProfile {
        id: "b2c",
        scope_is_of_access_token: true,
        target_grants: TARGETS_BY_SCOPE,
        claim_aliases: &[ClaimAlias { standard: "email", own: &["emails"], is_first_of_list: true }],
        logout_channel: Some(LogoutChannel::Front),
        ..GENERIC
    },
    ProviderProfile {
        id: "auth0",
        // Multi-resource refresh tokens: the `audience` goes with the refresh.
        target_grants: TargetGrants { audience: Some(TargetGrant::Refresh), ..TARGETS_BY_SCOPE },
        logout: LogoutDialect::RpInitiatedOr(OwnLogout { path: "/v2/logout", return_parameter: "returnTo" }),
        logout_channel: Some(LogoutChannel::Back),
        ..GENERIC
    },
    ProviderProfile {
        id: "okta",
        target_grants: TargetGrants { audience: Some(TargetGrant::TokenExchange), ..TARGETS_BY_SCOPE },
        logout_channel: Some(LogoutChannel::None),
        ..GENERIC
    },
    ProviderProfile {
        id: "google",
        target_grants: NO_TARGETS,
        // Without `prompt=consent` only a person's first sign-in gets a refresh token.
        offline_access: OfflineAccess::Parameters("access_type=offline&prompt=consent"),
        logout_channel: Some(LogoutChannel::None),
        ..GENERIC
    },
    ProviderProfile {
        id: "cognito",
        target_grants: NO_TARGETS,
        offline_access: OfflineAccess::Implied,
        logout: LogoutDialect::Own(OwnLogout { path: "/logout", return_parameter: "logout_uri" }),
        claim_aliases: &[
            alias("preferred_username", &["cognito:username"]),
            alias("groups", &["cognito:groups"]),
            alias("roles", &["cognito:roles"]),
        ],
        logout_channel: Some(LogoutChannel::None),
        ..GENERIC
    },
    ProviderProfile {
        id: "keycloak",
        target_grants: TargetGrants { audience: Some(TargetGrant::TokenExchange), ..TARGETS_BY_SCOPE },
        // `offline_access` makes a session that no sign-out at the Provider ends; a refresh token comes without it.
        scopes: "openid profile email",
        claim_aliases: &[alias("roles", &["realm_access", "roles"])],
        logout_channel: Some(LogoutChannel::Back),
        ..GENERIC
    },
    ProviderProfile {
        id: "adfs",
        target_grants: TargetGrants { resource: Some(TargetGrant::Refresh), ..NO_TARGETS },
        scopes: "openid profile email",
        offline_access: OfflineAccess::Implied,
        claim_aliases: &[
            alias("preferred_username", &["upn"]),
            alias("name", &["unique_name"]),
            alias("groups", &["group"]),
            alias("roles", &["role"]),
        ],
        logout_channel: Some(LogoutChannel::Front),
        ..GENERIC
    },
];

impl OfflineAccess {
    /// Replaces `offline_access` in `scopes` by the Provider's own way, and returns the parameters to send. Scopes that
    /// the Provider refuses are removed.
    pub(super) fn ask(self, scopes: &mut Vec<String>) -> RequestParameters {
        let none = RequestParameters::default();
        let parameters = match self {
            Self::Scope => return none,
            Self::Implied => None,
            Self::Parameters(parameters) => Some(parameters),
        };
        let before = scopes.len();
        scopes.retain(|scope| scope != "offline_access");
        let Some(parameters) = parameters.filter(|_| scopes.len() < before) else { return none };
        RequestParameters::parse(parameters, &none).expect("the parameters of a row are a list of parameters")
    }
}

impl Default for ProviderProfile {
    fn default() -> Self {
        GENERIC
    }
}

const fn alias(standard: &'static str, own: &'static [&'static str]) -> ClaimAlias {
    ClaimAlias { standard, own, is_first_of_list: false }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<ProviderProfile> {
    reader.parse_or(PROVIDER, GENERIC, |text| PROFILES.into_iter().find(|profile| profile.id == text))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;
    use std::sync::{Arc, LazyLock};

    use serde_json::{Value, json};
    use url::Url;

    use super::*;
    use crate::clock::Timestamp;
    use crate::config::{Configuration, Environment, Mistakes};
    use crate::oidc::{
        AuthorizationResponse, ClientAuthentication, LoginHints, RefreshToken, RelyingParty, RelyingPartySettings,
        Response, ScriptedWire,
    };
    use crate::testing::scripted_provider::SigningKey;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rs256("k1"));

    const RECORDED: [(&str, &str); 10] = [
        ("generic", include_str!("../../tests/providers/generic.json")),
        ("entra", include_str!("../../tests/providers/entra.json")),
        ("external-id", include_str!("../../tests/providers/external-id.json")),
        ("b2c", include_str!("../../tests/providers/b2c.json")),
        ("auth0", include_str!("../../tests/providers/auth0.json")),
        ("okta", include_str!("../../tests/providers/okta.json")),
        ("google", include_str!("../../tests/providers/google.json")),
        ("cognito", include_str!("../../tests/providers/cognito.json")),
        ("keycloak", include_str!("../../tests/providers/keycloak.json")),
        ("adfs", include_str!("../../tests/providers/adfs.json")),
    ];

    fn recorded(id: &str) -> Value {
        let (_, text) = RECORDED.into_iter().find(|(recorded, _)| *recorded == id).unwrap();
        serde_json::from_str(text).unwrap()
    }

    fn configure(id: &str, recorded: &Value, changes: &[(&str, &str)]) -> Result<Configuration, Mistakes> {
        let of_the_record = |name: &str| {
            let change = changes.iter().find(|(changed, _)| *changed == name).map(|(_, value)| *value);
            change.or(recorded["settings"][name].as_str()).unwrap_or_default().to_owned()
        };
        let names = ["OIDC_ISSUER_URL", "METADATA_URL", "CLIENT_ID", "SCOPES", "AUTHORIZE_PARAMETERS"];
        let [issuer, metadata_url, client_id, scopes, parameters] = names.map(of_the_record);
        Configuration::read(&Environment::from([
            ("PUBLIC_BASE_URL", "https://app.example"),
            ("UPSTREAM_URL", "https://app.internal"),
            ("PROVIDER", id),
            ("OIDC_ISSUER_URL", &issuer),
            ("METADATA_URL", &metadata_url),
            ("CLIENT_ID", &client_id),
            ("SCOPES", &scopes),
            ("AUTHORIZE_PARAMETERS", &parameters),
        ]))
    }

    /// Relying party of a recorded Provider.
    struct Recorded {
        party: RelyingParty,
        record: Value,
        id_token: Rc<RefCell<String>>,
        forms: Rc<RefCell<Vec<BTreeMap<String, String>>>>,
    }

    impl Recorded {
        fn new(id: &str, changes: &[(&str, &str)]) -> Self {
            let record = recorded(id);
            let provider = configure(id, &record, changes).unwrap().provider;
            let settings = RelyingPartySettings {
                issuer: provider.issuer,
                registration: provider.registration,
                authentication: ClientAuthentication::None,
                userinfo: false,
                trusted_audiences: Vec::new(),
                group_overage: crate::oidc::GroupOverage::Ignore,
                dialect: provider.dialect,
            };
            let (id_token, forms) = (Rc::<RefCell<String>>::default(), Rc::<RefCell<Vec<_>>>::default());
            let keys = json!({ "keys": [KEY.jwk] });
            let (shown, kept, documents) = (Rc::clone(&id_token), Rc::clone(&forms), record.clone());
            let wire = ScriptedWire::new(move |request| {
                let url = Value::from(request.url.clone());
                let body = if url == documents["metadata_url"] {
                    documents["discovery"].clone()
                } else if url == documents["discovery"]["jwks_uri"] {
                    keys.clone()
                } else {
                    assert_eq!(url, documents["discovery"]["token_endpoint"]);
                    kept.borrow_mut().push(url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect());
                    let mut tokens = documents["token_response"].clone();
                    tokens["id_token"] = shown.borrow().as_str().into();
                    tokens
                };
                std::future::ready(Ok(Response::json(200, &body)))
            });
            let party = RelyingParty::scripted(Arc::new(settings), Arc::default(), wire);
            Self { party, record, id_token, forms }
        }

        fn issue(&self, nonce: Option<&str>) {
            let now = NOW.as_unix();
            let mut claims = self.record["id_token"].clone();
            claims["iss"] = self.record["discovery"]["issuer"].clone();
            claims["aud"] = self.record["settings"]["CLIENT_ID"].clone();
            claims["iat"] = now.into();
            claims["exp"] = (now + 300).into();
            if let Some(nonce) = nonce {
                claims["nonce"] = nonce.into();
            }
            *self.id_token.borrow_mut() = KEY.sign(&claims);
        }

        /// Query of the authorization request, without the values that change every time.
        async fn query(&self) -> BTreeMap<String, String> {
            let (request, _) = self.party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();
            let url = Url::parse(request.url()).unwrap();
            assert!(url.as_str().starts_with(self.record["discovery"]["authorization_endpoint"].as_str().unwrap()));
            let standard = ["client_id", "redirect_uri", "response_type", "state", "nonce", "code_challenge"];
            let further = url.query_pairs().into_owned();
            let further = further.filter(|(name, _)| !standard.contains(&&**name) && name != "code_challenge_method");
            further.collect()
        }
    }

    fn pairs(query: &BTreeMap<String, String>) -> String {
        query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    const APP: &str = "6f1d8e0a-7f5b-4b3e-9c58-0a1c5b8e6f42";

    #[tokio::test(flavor = "local")]
    async fn each_provider_is_asked_as_its_documentation_says() {
        let entra = format!("openid profile email offline_access {APP}/access");
        let b2c = format!("openid offline_access {APP}");
        let offline = "openid profile email offline_access";
        let plain = "openid profile email";
        let google = "access_type=offline&prompt=consent&scope=openid profile email";
        let google_scope = "openid https://www.googleapis.com/auth/userinfo.email \
            https://www.googleapis.com/auth/userinfo.profile";
        let table = [
            ("generic", format!("scope={offline}"), offline),
            ("entra", format!("scope={entra}"), &entra),
            ("external-id", format!("scope={offline}"), offline),
            ("b2c", format!("scope={b2c}"), &b2c),
            ("auth0", format!("audience=https://api.contoso.com&scope={offline}"), offline),
            ("okta", format!("scope={offline}"), offline),
            ("google", google.to_owned(), google_scope),
            ("cognito", format!("scope={plain}"), plain),
            ("keycloak", format!("scope={plain}"), "openid email profile"),
            ("adfs", format!("resource=https://app.contoso.com&scope={plain}"), plain),
        ];
        for (id, expected, refresh_scope) in table {
            let recorded = Recorded::new(id, &[]);

            assert_eq!(pairs(&recorded.query().await), expected, "{id}");

            let (request, pending) = recorded.party.begin_login("/", &LoginHints::default(), NOW).await.unwrap();
            let query: BTreeMap<_, _> = Url::parse(request.url()).unwrap().query_pairs().into_owned().collect();
            recorded.issue(Some(&query["nonce"]));
            let iss = match recorded.record["discovery"]["authorization_response_iss_parameter_supported"] {
                Value::Bool(true) => format!("&iss={}", recorded.record["discovery"]["issuer"].as_str().unwrap()),
                _ => String::new(),
            };
            let response = AuthorizationResponse::parse(&format!("code=c&state={}{iss}", query["state"])).unwrap();
            let login = recorded.party.complete_login(response, &pending, NOW).await.unwrap();
            let refresh_token = login.tokens.refresh_token.unwrap_or_else(|| RefreshToken::new(String::new()));
            recorded.issue(None);
            let scope = login.tokens.scope.as_ref();
            recorded.party.refresh(&refresh_token, scope, &login.claims, &|| true, NOW).await.unwrap();

            assert_eq!(recorded.forms.borrow()[1]["scope"], refresh_scope, "{id}");
        }
    }

    #[tokio::test(flavor = "local")]
    async fn each_provider_is_signed_out_of_in_its_dialect() {
        let out = "https%3A%2F%2Fapp.example%2Fout";
        let rp_initiated = |id: &str, hint: &str| {
            let record = recorded(id);
            let endpoint = record["discovery"]["end_session_endpoint"].as_str().unwrap();
            let client_id = record["settings"]["CLIENT_ID"].as_str().unwrap();
            let hint = if hint.is_empty() { String::new() } else { format!("logout_hint={hint}&") };
            let pairs =
                format!("id_token_hint=e&{hint}client_id={client_id}&post_logout_redirect_uri={out}&state=%2Fa");
            Some(format!("{endpoint}?{pairs}"))
        };
        let auth0 =
            format!("https://contoso.eu.auth0.com/v2/logout?client_id=jwP6qoZVyUBFqrEKEoTmEqXTyX4ltbnk&returnTo={out}");
        let cognito = format!(
            "https://contoso.auth.eu-west-1.amazoncognito.com/logout?client_id=1example23456789&logout_uri={out}"
        );
        for (id, expected) in [
            ("generic", rp_initiated("generic", "")),
            ("entra", rp_initiated("entra", "O.CiRhZGE")),
            ("external-id", rp_initiated("external-id", "O.external")),
            ("b2c", rp_initiated("b2c", "")),
            ("auth0", Some(auth0)),
            ("okta", rp_initiated("okta", "")),
            ("google", None),
            ("cognito", Some(cognito)),
            ("keycloak", rp_initiated("keycloak", "")),
            ("adfs", rp_initiated("adfs", "")),
        ] {
            let recorded = Recorded::new(id, &[]);
            let claims = serde_json::from_value(recorded.record["id_token"].clone()).unwrap();

            let request =
                recorded.party.logout_request(Some("e"), Some(&claims), "https://app.example/out", Some("/a"), NOW);

            assert_eq!(request.await.map(|request| request.url().to_owned()), expected, "{id}");
        }
    }

    #[test]
    fn claims_that_have_other_names_get_the_standard_ones() {
        for (id, expected) in [
            ("b2c", json!({"email": "ada@example.com"})),
            ("cognito", json!({"groups": ["admins"], "preferred_username": "ada"})),
            ("keycloak", json!({"roles": ["staff"], "preferred_username": "ada"})),
            (
                "adfs",
                json!({"preferred_username": "ada@contoso.com", "name": "CONTOSO\\ada", "roles": "staff",
                    "groups": ["CONTOSO\\Users"]}),
            ),
        ] {
            let record = recorded(id);
            let aliases = configure(id, &record, &[]).unwrap().provider.dialect.claim_aliases;
            let claims: crate::oidc::Claims = serde_json::from_value(record["id_token"].clone()).unwrap();

            let claims = claims.with_aliases(aliases);

            for (claim, value) in expected.as_object().unwrap() {
                assert_eq!(claims.as_map().get(claim), Some(value), "{id}: {claim}");
            }
        }
    }

    #[tokio::test(flavor = "local")]
    async fn a_setting_wins_over_the_profile() {
        let scopes = Recorded::new("keycloak", &[("SCOPES", "openid offline_access")]);
        assert_eq!(pairs(&scopes.query().await), "scope=openid offline_access");

        let other = Recorded::new("google", &[("AUTHORIZE_PARAMETERS", "prompt=select_account&hd=example.com")]);
        let expected = "access_type=offline&hd=example.com&prompt=select_account&scope=openid profile email";
        assert_eq!(pairs(&other.query().await), expected);

        let online = Recorded::new("google", &[("SCOPES", "openid email")]);
        assert_eq!(pairs(&online.query().await), "scope=openid email");

        let silent = Recorded::new("google", &[("AUTHORIZE_PARAMETERS", "prompt=")]);
        assert_eq!(pairs(&silent.query().await), "access_type=offline&scope=openid profile email");
    }

    #[test]
    fn every_row_is_recorded_and_documented() {
        let documentation = include_str!("../../../docs/providers.md");
        for profile in PROFILES {
            let id = profile.id;
            assert!(RECORDED.iter().any(|(recorded, _)| *recorded == id), "{id} has no recorded documents");
            assert!(documentation.contains(&format!("`PROVIDER={id}`")), "{id} has no section in docs/providers.md");
            assert!(PROVIDER.expected.contains(id), "{id} is not offered");
        }
    }
}
