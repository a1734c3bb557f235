//! Setting of the header preset, and the provider's name in App Service's headers.

use super::entra_cloud::EntraCloud;
use super::reader::{Reader, Setting};
use crate::proxy::{EasyAuthProvider, HeaderPreset};

const HEADER_PRESET: Setting =
    Setting { name: "HEADER_PRESET", expected: "one of none, sample, oauth2-proxy, easyauth", example: "oauth2-proxy" };
const EASYAUTH_PROVIDER: Setting = Setting {
    name: "EASYAUTH_PROVIDER",
    expected: "the provider's name in App Service's headers: 1 to 32 of a-z, 0-9 and -",
    example: "aad",
};

/// Name for a provider that App Service does not name.
const OTHER_PROVIDER: &str = "oidc";

pub(super) fn read(reader: &mut Reader<'_>, issuer: Option<&str>) -> Option<HeaderPreset> {
    let default = match issuer.and_then(EntraCloud::of_issuer) {
        Some(_) => EasyAuthProvider::AAD,
        None if issuer == Some("https://accounts.google.com") => "google",
        None => OTHER_PROVIDER,
    };
    let provider = reader.parse_or(EASYAUTH_PROVIDER, EasyAuthProvider::new(default)?, EasyAuthProvider::new);
    let preset = reader.parse_or(HEADER_PRESET, Some(HeaderPreset::None), |text| match text {
        "none" => Some(Some(HeaderPreset::None)),
        "sample" => Some(Some(HeaderPreset::Sample)),
        "oauth2-proxy" => Some(Some(HeaderPreset::OAuth2Proxy)),
        "easyauth" => Some(provider.map(HeaderPreset::EasyAuth)), // none after a mistake in its own setting
        _ => None,
    });
    preset.flatten()
}
