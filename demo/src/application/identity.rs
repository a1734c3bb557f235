//! Identity of the request: its headers, and the claims in the access token.
//!
//! The token is read, not verified: the application trusts the one who may reach it, as legacy applications do.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_proxy::clock::{Clock, SystemClock, Timestamp};
use serde_json::{Map, Value, json};

/// The headers that speak for the person (`HEADER_PRESET=sample`).
pub(super) const NAME: &str = "x-proxy-id-token-name";

/// `GET /identity`: what a script may want to know.
pub(super) async fn identity(req: HttpRequest) -> HttpResponse {
    let token = AccessToken::of(&req);
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "name": person(&req),
        "seconds_left": token.as_ref().map(|token| token.seconds_left(SystemClock.now())),
        "refreshed": token.as_ref().map(AccessToken::refreshed),
        "token_claims": token.as_ref().map(|token| token.claims().collect::<BTreeMap<_, _>>()),
    }))
}

/// The person's name, or none when nobody said who it is.
pub(super) fn person(req: &HttpRequest) -> Option<&str> {
    std::str::from_utf8(req.headers().get(NAME)?.as_bytes()).ok()
}

/// The claims of the Bearer token (RFC 6750 section 2.1, RFC 9068 section 2.2).
pub(super) struct AccessToken(Map<String, Value>);

impl AccessToken {
    /// The token of a request, if it has one that can be read.
    pub(super) fn of(req: &HttpRequest) -> Option<Self> {
        let token = req.headers().get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        serde_json::from_slice(&claims).ok().map(Self)
    }

    /// Remaining lifetime in seconds.
    pub(super) fn seconds_left(&self, now: Timestamp) -> i64 {
        (self.number("exp") - now.as_unix()).max(0)
    }

    /// Total lifetime in seconds.
    pub(super) fn lifetime(&self) -> i64 {
        (self.number("exp") - self.number("iat")).max(1)
    }

    /// Number of refreshes since the sign-in: the demo Provider counts them.
    pub(super) fn refreshed(&self) -> i64 {
        (self.number("generation") - 1).max(0)
    }

    /// Its claims in the order in which a person would read them.
    pub(super) fn claims(&self) -> impl Iterator<Item = (&str, String)> {
        const ORDER: [&str; 8] = ["sub", "iss", "aud", "client_id", "scope", "iat", "exp", "jti"];
        ORDER.into_iter().filter_map(|name| Some((name, text(name, self.0.get(name)?))))
    }

    fn number(&self, claim: &str) -> i64 {
        self.0.get(claim).and_then(Value::as_i64).unwrap_or_default()
    }
}

/// A claim as a person reads it: a NumericDate (RFC 7519 section 2) as the time of day.
fn text(name: &str, value: &Value) -> String {
    match (name, value) {
        ("iat" | "exp", Value::Number(seconds)) => {
            let of_day = seconds.as_i64().unwrap_or_default().rem_euclid(86_400);
            format!("{:02}:{:02}:{:02} UTC", of_day / 3_600, of_day / 60 % 60, of_day % 60)
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use oauth_proxy::clock::Timestamp;

    use super::AccessToken;

    #[test]
    fn the_claims_of_a_bearer_token_are_read() {
        // {"sub":"ada","iat":100,"exp":160,"generation":3}
        let claims = "eyJzdWIiOiJhZGEiLCJpYXQiOjEwMCwiZXhwIjoxNjAsImdlbmVyYXRpb24iOjN9";
        let bearer = format!("Bearer e30.{claims}.c2ln");
        let req = TestRequest::default().insert_header(("authorization", bearer)).to_http_request();

        let token = AccessToken::of(&req).unwrap();

        let claims: Vec<_> = token.claims().collect();
        let expected = [("sub", "ada"), ("iat", "00:01:40 UTC"), ("exp", "00:02:40 UTC")];
        assert_eq!(claims, expected.map(|(name, text)| (name, text.to_owned())));
        assert_eq!((token.lifetime(), token.refreshed()), (60, 2));
        assert_eq!(token.seconds_left(Timestamp::from_unix(130)), 30);
        assert_eq!(token.seconds_left(Timestamp::from_unix(200)), 0);
    }

    #[test]
    fn no_token_or_an_unreadable_one_is_none() {
        for value in ["", "Basic e30", "Bearer opaque", "Bearer a.b.c"] {
            let req = TestRequest::default().insert_header(("authorization", value)).to_http_request();
            assert!(AccessToken::of(&req).is_none(), "{value:?}");
        }
    }
}
