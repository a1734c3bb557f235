//! Headers of App Service authentication: the provider's name, and the client principal with claims, id and name.
//!
//! Follows published dumps of App Service, named in `docs/migrating.md`. The caller decides which address is usable.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderName;
use serde_json::{Map, Value, json};

const NAME_TYPE: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
const ROLE_TYPE: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";

/// Claims that App Service renames, in the same way for Entra ID and Google. All others, `name`, `roles`,
/// `groups` and `preferred_username` among them, keep theirs.
const CLAIM_TYPES: [(&str, &str); 12] = [
    ("acr", "http://schemas.microsoft.com/claims/authnclassreference"),
    ("amr", "http://schemas.microsoft.com/claims/authnmethodsreferences"),
    ("email", NAME_TYPE),
    ("family_name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"),
    ("given_name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"),
    ("idp", "http://schemas.microsoft.com/identity/claims/identityprovider"),
    ("oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"),
    ("scp", "http://schemas.microsoft.com/identity/claims/scope"),
    ("sub", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"),
    ("tid", "http://schemas.microsoft.com/identity/claims/tenantid"),
    ("unique_name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"),
    ("upn", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"),
];

/// References of distributed claims (OIDC Core 5.6.2), which are no claims about the person.
const REFERENCES: [&str; 2] = ["_claim_names", "_claim_sources"];

/// Provider name in App Service's headers: `X-MS-CLIENT-PRINCIPAL-IDP`, and part of the token headers' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EasyAuthProvider {
    name: String,
    id_token: HeaderName,
    access_token: HeaderName,
}

impl EasyAuthProvider {
    /// App Service's name for Entra ID.
    pub const AAD: &'static str = "aad";

    /// Parses a provider name: 1 to 32 of `a-z 0-9 -`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&name.len()) || !name.bytes().all(is_allowed) {
            return None;
        }
        let header = |token| HeaderName::try_from(format!("x-ms-token-{name}-{token}")).ok();
        Some(Self { name: name.to_owned(), id_token: header("id-token")?, access_token: header("access-token")? })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn id_token_header(&self) -> HeaderName {
        self.id_token.clone()
    }

    pub(super) fn access_token_header(&self) -> HeaderName {
        self.access_token.clone()
    }

    fn is_aad(&self) -> bool {
        self.name == Self::AAD
    }
}

pub(super) struct ClientPrincipal<'a> {
    pub(super) provider: &'a EasyAuthProvider,
    pub(super) claims: &'a Map<String, Value>,
    /// `email`, if it may be used.
    pub(super) email: Option<&'a str>,
}

impl<'a> ClientPrincipal<'a> {
    /// Identifier of the person: `oid` from Entra ID, `sub` from any other provider, whose `oid` identifies nobody.
    pub(super) fn id(&self) -> Option<&'a str> {
        self.text(if self.provider.is_aad() { "oid" } else { "sub" })
    }

    /// Name of the person: address or account name; never `name`, which people choose.
    pub(super) fn name(&self) -> Option<&'a str> {
        let account = if self.provider.is_aad() { self.text("upn") } else { None };
        self.email.or(account).or_else(|| self.text("preferred_username"))
    }

    /// Base64 of the JSON with every claim, one entry for each element of a list.
    pub(super) fn encode(&self) -> String {
        let mut list = Vec::with_capacity(self.claims.len());
        let claims = self.claims.iter().filter(|(name, _)| !REFERENCES.contains(&name.as_str()));
        // `name_typ` makes the address the person's name.
        for (name, value) in claims.filter(|(name, _)| *name != "email" || self.email.is_some()) {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            list.extend(values.iter().filter(|value| !value.is_null()).map(|value| claim(name, value)));
        }
        let principal = json!({
            "auth_typ": self.provider.name, "claims": list, "name_typ": NAME_TYPE, "role_typ": ROLE_TYPE,
        });
        STANDARD.encode(principal.to_string())
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.claims.get(name)?.as_str()
    }
}

fn claim(name: &str, value: &Value) -> Value {
    let renamed = CLAIM_TYPES.iter().find(|(known, _)| *known == name);
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    json!({ "typ": renamed.map_or(name, |(_, uri)| uri), "val": text })
}
