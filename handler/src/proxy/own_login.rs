//! An application with an HTTP login of its own, whose `Authorization` we replace: its person would type the right
//! password for ever.

use hyper::StatusCode;
use hyper::header::{HeaderMap, WWW_AUTHENTICATE};

use super::once_a_minute::OnceAMinute;
use super::routes::Route;

/// True for a 401 with a scheme that browsers show a prompt for (RFC 7617, RFC 7616, RFC 4559).
pub(super) fn asks_for_login(status: u16, headers: &HeaderMap) -> bool {
    let mut challenges = headers.get_all(WWW_AUTHENTICATE).into_iter();
    status == StatusCode::UNAUTHORIZED && challenges.any(|challenge| is_prompted_for(challenge.as_bytes()))
}

/// True for `Basic`, `Digest`, `Negotiate` and `NTLM`.
pub(super) fn is_prompted_for(challenge: &[u8]) -> bool {
    let end = challenge.iter().position(|byte| *byte == b' ').unwrap_or(challenge.len());
    ["basic", "digest", "negotiate", "ntlm"]
        .iter()
        .any(|scheme| challenge[..end].eq_ignore_ascii_case(scheme.as_bytes()))
}

/// Logs that the route replaces the `Authorization` that its application asks for, once a minute.
pub(super) fn warn_if_replaced(status: u16, headers: &HeaderMap, route: &Route) {
    static LAST: OnceAMinute = OnceAMinute::new();
    if !route.token().passes_authorization() && asks_for_login(status, headers) && LAST.is_due() {
        tracing::warn!(
            code = "upstream_asks_for_login",
            route = route.path(),
            upstream.name = route.upstream().name(),
            "upstream login cannot succeed: Authorization holds the access token; set \"token\": \"none\" on the route"
        );
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_login_is_a_401_that_browsers_prompt_for() {
        for (status, challenges, expected) in [
            (401, &["Basic realm=\"Manager\""][..], true),
            (401, &["Bearer", "DIGEST nonce=1"], true),
            (401, &["Negotiate"], true),
            (401, &["NTLM"], true),
            (401, &["Bearer error=\"invalid_token\""], false),
            (401, &["Basically"], false),
            (401, &[], false),
            (200, &["Basic"], false),
        ] {
            let mut headers = HeaderMap::new();
            for challenge in challenges {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            assert_eq!(asks_for_login(status, &headers), expected, "{status} {challenges:?}");
        }
    }
}
