//! Settings for a Provider's deviations from the standards, over the defaults of its profile.

use url::Url;

use super::provider_profile::ProviderProfile;
use super::reader::{Reader, Setting};
use crate::claims_request::ClaimsRequest;
use crate::oidc::{ProviderDialect, PushedAuthorizationRequests, RequestParameters};
use crate::transport_security::is_https_or_loopback;

const METADATA_URL: Setting = Setting {
    name: "METADATA_URL",
    expected: "the https URL of the provider's metadata, where it is not below OIDC_ISSUER_URL (http only for an issuer on loopback)",
    example: "https://tenant.b2clogin.com/tenant.onmicrosoft.com/policy/v2.0/.well-known/openid-configuration",
};
const AUTHORIZE_PARAMETERS: Setting = Setting {
    name: "AUTHORIZE_PARAMETERS",
    expected: "further parameters of authorization requests as name=value, percent-encoded, joined by &; none that the proxy sends itself",
    example: "audience=https%3A%2F%2Fapi.example&prompt=consent",
};
const TOKEN_PARAMETERS: Setting = Setting {
    name: "TOKEN_PARAMETERS",
    expected: "further parameters of code exchanges and refreshes as name=value, percent-encoded, joined by &; none that the proxy sends itself",
    example: "resource=https%3A%2F%2Fapi.example",
};
const ID_TOKEN_SIGNING_ALG: Setting = Setting {
    name: "ID_TOKEN_SIGNING_ALG",
    expected: "one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
    example: "RS256",
};
const PUSHED_AUTHORIZATION_REQUESTS: Setting =
    Setting { name: "PUSHED_AUTHORIZATION_REQUESTS", expected: "one of auto, always, never", example: "auto" };

/// Reads everything but the metadata's URL, which is read with the issuer. `offline` requests offline access. Where an
/// application may ask for claims, the Provider is told so.
pub(super) fn read(
    reader: &mut Reader<'_>,
    profile: ProviderProfile,
    offline: RequestParameters,
    follows_challenges: bool,
) -> Option<ProviderDialect> {
    let mut authorize_parameters = parameters(reader, AUTHORIZE_PARAMETERS, offline);
    let mut token_parameters = parameters(reader, TOKEN_PARAMETERS, RequestParameters::default());
    if follows_challenges {
        authorize_parameters = with_capabilities(reader, AUTHORIZE_PARAMETERS, authorize_parameters, profile);
        token_parameters = with_capabilities(reader, TOKEN_PARAMETERS, token_parameters, profile);
    }
    let algorithm = reader.parse_or(ID_TOKEN_SIGNING_ALG, None, |text| text.parse().ok().map(Some));
    let pushed = reader.parse_or(PUSHED_AUTHORIZATION_REQUESTS, PushedAuthorizationRequests::Auto, |text| match text {
        "auto" => Some(PushedAuthorizationRequests::Auto),
        "always" => Some(PushedAuthorizationRequests::Always),
        "never" => Some(PushedAuthorizationRequests::Never),
        _ => None,
    });
    Some(ProviderDialect {
        metadata_url: None,
        authorize_parameters: authorize_parameters?,
        token_parameters: token_parameters?,
        id_token_signing_algorithm: algorithm?,
        pushed_authorization_requests: pushed?,
        scope_is_of_access_token: profile.scope_is_of_access_token,
        target_grants: profile.target_grants,
        logout: profile.logout,
        logout_hint_claim: profile.logout_hint_claim,
        claim_aliases: profile.claim_aliases,
        logout_channel: profile.logout_channel,
    })
}

/// URL of the metadata if it is not at the issuer: B2C and External ID use another host. The outer `None` is a
/// mistake.
#[allow(clippy::option_option, reason = "a setting that is optional, and None after a mistake as everywhere here")]
pub(super) fn metadata_url(reader: &mut Reader<'_>, issuer: Option<&str>) -> Option<Option<String>> {
    let is_secure_issuer = issuer.is_some_and(|issuer| issuer.starts_with("https:"));
    reader.parse_or(METADATA_URL, None, |text| {
        let url = Url::parse(text).ok()?;
        let is_usable = is_https_or_loopback(&url)
            && (url.scheme() == "https" || !is_secure_issuer)
            && url.fragment().is_none()
            && url.username().is_empty();
        is_usable.then(|| Some(url.into()))
    })
}

/// The parameters with the profile's client capabilities in their claims request.
fn with_capabilities(
    reader: &mut Reader<'_>,
    setting: Setting,
    parameters: Option<RequestParameters>,
    profile: ProviderProfile,
) -> Option<RequestParameters> {
    let parameters = parameters?;
    if let Err(error) = parameters.claims() {
        reader.mistake(setting, format!("claims: {error}, and step_up_challenges of a route add to it"));
        return None;
    }
    Some(match profile.client_capabilities.and_then(|json| ClaimsRequest::parse(json.as_bytes()).ok()) {
        Some(capabilities) => parameters.and_claims(capabilities),
        None => parameters,
    })
}

/// Request parameters of a setting, over those of the profile.
fn parameters(reader: &mut Reader<'_>, setting: Setting, defaults: RequestParameters) -> Option<RequestParameters> {
    let Some(text) = reader.optional(setting) else { return Some(defaults) };
    let parameters = RequestParameters::parse(text, &defaults);
    parameters.map_err(|error| reader.mistake(setting, error.to_string())).ok()
}
