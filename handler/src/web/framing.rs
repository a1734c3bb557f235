//! The site that may show a response in a frame (`frame-ancestors` of CSP 3).
//!
//! Our pages refuse every frame, but for the one URL that the Provider's own page frames. Knows no URL.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use url::Url;

/// Lets pages of the issuer's origin frame this response, and no others.
pub fn allow_framing_by(issuer: &str, response: &mut HttpResponse) {
    let Ok(origin) = Url::parse(issuer).map(|url| url.origin().ascii_serialization()) else { return };
    let headers = response.headers_mut();
    let policy = headers.get(header::CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let policy = policy.unwrap_or(EMPTY_PAGE).replace(NO_FRAME, &format!("frame-ancestors {origin}"));
    let Ok(policy) = HeaderValue::from_str(&policy) else { return };
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.remove(header::X_FRAME_OPTIONS); // it cannot name another origin
}

const NO_FRAME: &str = "frame-ancestors 'none'";

/// The policy of a response that loads nothing.
const EMPTY_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(issuer: &str, before: Option<&str>) -> (Option<String>, bool) {
        let mut response = HttpResponse::Ok().insert_header((header::X_FRAME_OPTIONS, "DENY")).finish();
        if let Some(before) = before {
            let before = HeaderValue::from_str(before).unwrap();
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, before);
        }
        allow_framing_by(issuer, &mut response);
        let headers = response.headers();
        let policy = headers.get(header::CONTENT_SECURITY_POLICY).map(|policy| policy.to_str().unwrap().to_owned());
        (policy, headers.contains_key(header::X_FRAME_OPTIONS))
    }

    #[test]
    fn only_the_origin_of_the_issuer_may_frame_and_the_rest_of_the_policy_stays() {
        let page = Some("default-src 'none'; img-src data:; frame-ancestors 'none'");
        let table = [
            ("https://op.example", None, "default-src 'none'; frame-ancestors https://op.example"),
            ("https://op.example:8443/t/v2", None, "default-src 'none'; frame-ancestors https://op.example:8443"),
            ("https://\u{fc}.example/", None, "default-src 'none'; frame-ancestors https://xn--tda.example"),
            ("https://op.example/t", page, "default-src 'none'; img-src data:; frame-ancestors https://op.example"),
        ];
        for (issuer, before, expected) in table {
            assert_eq!(policy(issuer, before), (Some(expected.to_owned()), false), "{issuer}");
        }
    }
}
