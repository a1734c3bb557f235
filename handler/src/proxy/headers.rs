//! Which headers pass, in each direction.
//!
//! Knows names only; who is signed in is the caller's business.

use actix_web::http::header as down;
use hyper::header as up;

use super::cookies::OwnCookies;
use super::origin_mapping::OriginMapping;

/// Whether a header belongs to one connection (RFC 9110 7.6.1), or to the framing each leg makes anew.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    match name.len() {
        2 => name == "te",
        5 => name == "proxy",
        6 => name == "expect",
        7 => matches!(name, "upgrade" | "trailer"),
        8 => name == "trailers",
        10 => matches!(name, "connection" | "keep-alive"),
        14 => matches!(name, "content-length" | "http2-settings"),
        16 => name == "proxy-connection",
        17 => name == "transfer-encoding",
        18 => name == "proxy-authenticate",
        19 => name == "proxy-authorization",
        _ => false,
    }
}

/// Whether only we, the platform or the gateway may say this: never a client. `name` is in lower case.
pub(super) fn is_forgeable(name: &str) -> bool {
    // CGI, WSGI and PHP fold every other character to `_`: `X_Forwarded_User` and `X.Forwarded.User` would arrive as ours.
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return true;
    }
    match name.as_bytes().first() {
        Some(b'x') => name.strip_prefix("x-").is_none_or(is_forgeable_extension),
        Some(b'c') => {
            matches!(name, "client-ip" | "client-cert" | "client-cert-chain" | "cf-connecting-ip")
                || name.starts_with("cf-access-")
        }
        Some(b'd') => name == "disguised-host",
        Some(b'f') => matches!(name, "forwarded" | "front-end-https" | "fastly-client-ip"),
        Some(b'i') => name.starts_with("impersonate-") || name == "iv-user",
        Some(b'o') => name.starts_with("ocp-apim-") || name.starts_with("oidc-"),
        Some(b'r') => name.starts_with("remote-"),
        Some(b's') => name.starts_with("ssl-client-") || name == "sm-user",
        Some(b't') => {
            name == "true-client-ip" || name.starts_with("tailscale-user-") || name.starts_with("teleport-jwt-")
        }
        Some(b'w') => name == "was-default-hostname",
        _ => false,
    }
}

/// The same, for what follows `x-`.
fn is_forgeable_extension(rest: &str) -> bool {
    let families: &[&str] = match rest.as_bytes().first() {
        Some(b'a') => &[
            "auth-request-",
            "arr-",
            "azure-",
            "amzn-oidc-",
            "authenticated-",
            "authentik-",
            "appengine-",
            "appservice-",
        ],
        Some(b'c') => &["client-ip", "client-cert", "client-port", "cluster-client-ip", "consumer-", "credential-"],
        Some(b'e') => &["envoy-"],
        Some(b'f') => &["forwarded", "functions-key"],
        Some(b'g') => &["gateway", "goog-authenticated-", "goog-iap-"],
        Some(b'h') => return rest == "host",
        Some(b'm') => &["ms-client-principal", "ms-token-", "ms-invocation-id", "ms-original-url", "ms-auth-"],
        Some(b'o') => &["original-"],
        Some(b'p') => &["proxy-", "pomerium-"],
        Some(b'r') => &["rewrite-url", "remote-", "real-ip"],
        Some(b's') => &["site-deployment-id", "ssl-", "scheme"],
        Some(b't') => &["true-client-ip"],
        Some(b'u') => &["url-scheme", "userinfo"],
        Some(b'w') => &["webauth-", "waws-"],
        Some(b'z') => &["zumo-auth"],
        _ => &[],
    };
    families.iter().any(|family| rest.starts_with(family))
}

/// The headers a `Connection` header names, in lower case. Usually none, and then nothing is allocated.
pub(super) fn named_by_connection<'v>(values: impl Iterator<Item = &'v [u8]>) -> Vec<String> {
    let mut named = Vec::new();
    for token in values.flat_map(|value| value.split(|byte| *byte == b',')) {
        let token = token.trim_ascii();
        let is_ours =
            token.is_empty() || token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close");
        if !is_ours {
            named.push(String::from_utf8_lossy(token).to_ascii_lowercase());
        }
    }
    named
}

/// Copies an Upstream's headers to the response in public names, without those of its connection and without cookies
/// named like ours.
pub(super) fn copy_response(
    from: &up::HeaderMap,
    own: &OwnCookies,
    mapping: OriginMapping<'_>,
    to: &mut down::HeaderMap,
) {
    let named = named_by_connection(from.get_all(up::CONNECTION).iter().map(up::HeaderValue::as_bytes));
    for (name, value) in from {
        let text = name.as_str();
        if is_hop_by_hop(text) || named.iter().any(|other| other == text) {
            continue;
        }
        if *name == up::SET_COOKIE && own.owns(value.as_bytes()) {
            continue;
        }
        let public = mapping.public_value(name, value.as_bytes());
        let name = down::HeaderName::from_bytes(text.as_bytes());
        let value = down::HeaderValue::from_bytes(public.as_deref().unwrap_or(value.as_bytes()));
        if let (Ok(name), Ok(value)) = (name, value) {
            to.append(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_must_not_say_is_taken_out() {
        for name in [
            "x-forwarded-for",
            "x-forwarded-user",
            "x-forwarded",
            "forwarded",
            "x-original-url",
            "x-rewrite-url",
            "x-ms-client-principal",
            "x-ms-client-principal-id",
            "x-ms-token-aad-id-token",
            "x-functions-key",
            "x-azure-functions-invocationid",
            "x-ms-invocation-id",
            "ocp-apim-subscription-key",
            "x-gateway-token",
            "x-proxy-id-token",
            "x-auth-request-user",
            "remote-user",
            "x-remote-user",
            "x-webauth-user",
            "x-arr-ssl",
            "x-waws-unencoded-url",
            "x-site-deployment-id",
            "disguised-host",
            "was-default-hostname",
            "client-ip",
            "x-azure-ref",
            "x-client-ip",
            "x-real-ip",
            "x_forwarded_user",
            "remote_user",
            "any_name",
            "x-ms.client-principal",
            "remote.user",
            "x-gateway~token",
            "any.name",
            "x-gateway",
            "oidc-claim-sub",
            "x-pomerium-jwt-assertion",
            "x-authentik-username",
            "x-consumer-username",
            "x-userinfo",
            "x-true-client-ip",
            "x-ms-original-url",
            "tailscale-user-login",
            "impersonate-user",
        ] {
            assert!(is_forgeable(name), "{name}");
        }
    }

    #[test]
    fn what_an_application_needs_stays() {
        for name in [
            "accept",
            "cookie",
            "x-csrf",
            "x-requested-with",
            "x-ms-client-request-id",
            "range",
            "if-none-match",
            "content-type",
            "x-request-id",
            "traceparent",
            "origin",
            "referer",
            "sec-fetch-mode",
            "x-xsrf-token",
        ] {
            assert!(!is_forgeable(name) && !is_hop_by_hop(name), "{name}");
        }
    }
}
