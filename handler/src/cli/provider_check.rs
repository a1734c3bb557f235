//! Diagnosis of the Provider for `check`: one line per problem, with the setting that fixes it.
//!
//! Sends nothing itself and changes nothing.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::oidc::{DiscoveryError, LogoutChannel, ProviderError};
use crate::telemetry::Causes;

/// Clock tolerance of the token checks: beyond it ID tokens are refused.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// One line: the problem, and the setting to change.
pub(super) fn diagnosis(error: &ProviderError, issuer: &str) -> String {
    match error {
        ProviderError::Metadata(DiscoveryError::Issuer { found }) => other_issuer(found, issuer),
        ProviderError::Metadata(DiscoveryError::Malformed(_)) => {
            format!(
                "{}: OIDC_ISSUER_URL must be the issuer of an OpenID Provider with a discovery document",
                Causes(error)
            )
        }
        ProviderError::MetadataMissing(status) => {
            format!("no metadata below OIDC_ISSUER_URL (status {status}): set the right tenant, realm or path in it")
        }
        ProviderError::Unreachable(text) => unreachable(text),
        ProviderError::EndpointMissing("userinfo_endpoint") => {
            "the metadata has no userinfo_endpoint: set USERINFO=false".to_owned()
        }
        ProviderError::EndpointMissing(name) => {
            format!("the metadata has no {name}, which a setting asks for: take that setting back")
        }
        ProviderError::NoResponse => {
            "no response within 8 s: check the host in OIDC_ISSUER_URL, firewall and egress".to_owned()
        }
        ProviderError::Metadata(DiscoveryError::Insecure { .. } | DiscoveryError::Member { .. })
        | ProviderError::Unreadable(_)
        | ProviderError::PushedResponse
        | ProviderError::Status(_)
        | ProviderError::Refused(_)
        | ProviderError::TokenResponse(_)
        | ProviderError::Keys(_)
        | ProviderError::Assertion(_)
        | ProviderError::Withheld => Causes(error).to_string(),
    }
}

/// Diagnosis of a differing issuer. OIDC Discovery 4.3: the issuers must be equal as text.
fn other_issuer(found: &str, issuer: &str) -> String {
    if found.contains('{') {
        return format!(
            "the metadata is a template for every tenant ({found}): set your own tenant's id in OIDC_ISSUER_URL, in \
             place of common or organizations"
        );
    }
    if found.trim_end_matches('/') == issuer.trim_end_matches('/') {
        return format!("the issuer differs by a slash at its end: set OIDC_ISSUER_URL={found}");
    }
    format!("the metadata is for issuer {found}: if that is your provider, set OIDC_ISSUER_URL={found}")
}

/// Diagnosis of a failed connection. Matches texts of rustls, of the resolver and of the operating system.
fn unreachable(text: &str) -> String {
    if let Some(rest) = text.strip_prefix("the proxy: ") {
        return format!("it cannot be reached: the proxy: {rest}");
    }
    let advice = [
        (
            "UnknownIssuer",
            "its certificate is not trusted: set SSL_CERT_FILE to a PEM file with its authority's certificate",
        ),
        (
            "not valid for name",
            "its certificate is for another name: set the host in OIDC_ISSUER_URL that it was issued for",
        ),
        (
            "NotValidForName",
            "its certificate is for another name: set the host in OIDC_ISSUER_URL that it was issued for",
        ),
        ("xpired", "its certificate has expired, or this machine's clock is wrong: renew it, or set the time"),
        ("invalid peer certificate", "its certificate cannot be used: set SSL_CERT_FILE, or renew it"),
        ("lookup address", "its name does not resolve: mend the host in OIDC_ISSUER_URL, or this machine's DNS"),
        ("resolving hostname", "its name does not resolve: mend the host in OIDC_ISSUER_URL, or this machine's DNS"),
        ("refused", "it refuses the connection: mend host or port in OIDC_ISSUER_URL, or start it"),
    ];
    let found = advice.into_iter().find(|(part, _)| text.contains(part));
    found.map_or_else(|| format!("it cannot be reached: {text}"), |(_, advice)| format!("{advice} ({text})"))
}

/// A line about a clock that is off by more than tokens tolerate.
pub(super) fn clock_difference(provider: Timestamp, ours: Timestamp) -> Option<String> {
    let ahead = ours.since(provider);
    let behind = provider.since(ours);
    let (difference, direction) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    (difference > CLOCK_TOLERANCE).then(|| {
        format!(
            "this machine is {} s {direction} the provider: tokens are refused beyond {} s; set the time, by NTP",
            difference.as_secs(),
            CLOCK_TOLERANCE.as_secs()
        )
    })
}

/// Logout URL below `base`, to be registered at the Provider.
pub(super) fn logout_channel(channel: LogoutChannel, base: &str) -> String {
    match channel {
        LogoutChannel::Back => format!("register {base}/backchannel-logout as its back-channel logout URL"),
        LogoutChannel::Front => format!("register {base}/frontchannel-logout as its front-channel logout URL"),
        LogoutChannel::None => {
            "it tells nobody of a logout: sessions end here by SESSION_MAX_LIFETIME, or when a refresh is refused"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logout_url_to_register_is_told() {
        let [back, front, none] = [LogoutChannel::Back, LogoutChannel::Front, LogoutChannel::None]
            .map(|channel| logout_channel(channel, "https://app.example/oauth"));

        assert_eq!(back, "register https://app.example/oauth/backchannel-logout as its back-channel logout URL");
        assert_eq!(front, "register https://app.example/oauth/frontchannel-logout as its front-channel logout URL");
        assert!(none.contains("SESSION_MAX_LIFETIME"));
    }

    #[test]
    fn a_mistake_names_the_setting_that_mends_it() {
        let other = |found: &str| ProviderError::Metadata(DiscoveryError::Issuer { found: found.to_owned() });
        let unreachable = |text: &str| ProviderError::Unreachable(text.into());
        let slash = "the issuer differs by a slash at its end: set OIDC_ISSUER_URL=";
        let table = [
            (other("https://op.example"), format!("{slash}https://op.example")),
            (other("https://op.example//"), format!("{slash}https://op.example//")),
            (other("https://op.example/{tenantid}/v2.0"), "set your own tenant's id in OIDC_ISSUER_URL".to_owned()),
            (other("https://other.example/"), "set OIDC_ISSUER_URL=https://other.example/".to_owned()),
            (ProviderError::MetadataMissing(404), "(status 404): set the right tenant".to_owned()),
            (ProviderError::EndpointMissing("userinfo_endpoint"), "set USERINFO=false".to_owned()),
            (ProviderError::EndpointMissing("x_endpoint"), "the metadata has no x_endpoint".to_owned()),
            (ProviderError::NoResponse, "check the host in OIDC_ISSUER_URL".to_owned()),
            (ProviderError::Status(503), "status 503".to_owned()),
            (unreachable("invalid peer certificate: UnknownIssuer"), "set SSL_CERT_FILE".to_owned()),
            (unreachable("invalid peer certificate: certificate not valid for name \"a\""), "another name".to_owned()),
            (unreachable("invalid peer certificate: certificate expired: x"), "this machine's clock".to_owned()),
            (unreachable("invalid peer certificate: BadSignature"), "cannot be used".to_owned()),
            (unreachable("failed to lookup address information: x"), "does not resolve".to_owned()),
            (unreachable("Connection refused (os error 111)"), "it refuses the connection".to_owned()),
            (unreachable("No route to host"), "it cannot be reached: No route to host".to_owned()),
        ];
        for (error, expected) in table {
            let line = diagnosis(&error, "https://op.example/");

            assert!(line.contains(&expected) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_clock_within_a_minute_is_good() {
        let ours = Timestamp::from_unix(1_800_000_000);
        let at = |seconds: i64| clock_difference(Timestamp::from_unix(1_800_000_000 + seconds), ours);

        for seconds in [-60, -1, 0, 1, 60] {
            assert_eq!(at(seconds), None, "{seconds}");
        }
        assert!(at(61).is_some_and(|line| line.starts_with("this machine is 61 s behind the provider")));
        assert!(at(-300).is_some_and(|line| line.starts_with("this machine is 300 s ahead of the provider")));
    }
}
