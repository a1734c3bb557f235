//! Person cookie: names, sealed, the person whose responses the browser may have cached.
//!
//! It outlives the session and the browser's window, as the cache does. It proves nothing and opens nothing: without
//! it, or with another person's, a sign-in clears the cache.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use subtle::ConstantTimeEq;

use super::cookies::{CookieNames, cookies, set_cookie};
use crate::crypto::KeySource;
use crate::oidc::ResponseMode;
use crate::sessions::IndexKey;

/// Maximum lifetime of a cookie in browsers (RFC 6265bis 5.5): 400 days.
const MAX_AGE_SECONDS: u64 = 400 * 24 * 60 * 60;

/// Characters of the person's key in the cookie: 132 bits are unique enough.
const LENGTH: usize = 22;

/// Reads and writes the person cookie.
#[derive(Clone)]
pub struct PersonCookie {
    names: CookieNames,
    keys: Arc<dyn KeySource>,
    attributes: &'static str,
}

impl PersonCookie {
    /// Person cookie with these names, sealed by these keys, for callbacks by `response_mode`.
    #[must_use]
    pub fn new(names: CookieNames, keys: Arc<dyn KeySource>, response_mode: ResponseMode) -> Self {
        let attributes = names.callback_attributes(response_mode);
        Self { names, keys, attributes }
    }

    /// True if the request's cookie names this person; false if it does not open.
    pub async fn names(&self, person: &IndexKey, req: &HttpRequest) -> bool {
        let name = self.names.person();
        let mut values = cookies(req).filter(|(given, _)| *given == name);
        let (Some((_, value)), None) = (values.next(), values.next()) else { return false };
        let opened = self.names.open(name, value, &*self.keys).await;
        opened.ok().flatten().is_some_and(|opened| opened[..].ct_eq(plaintext(person)).into())
    }

    /// `Set-Cookie` that names this person.
    #[must_use]
    pub fn set(&self, person: &IndexKey) -> HeaderValue {
        let value = self.names.seal(self.names.person(), plaintext(person), &*self.keys);
        set_cookie(self.names.person(), &value, Some(MAX_AGE_SECONDS), self.attributes)
    }

    /// `Set-Cookie` that deletes it.
    #[must_use]
    pub fn delete(&self) -> HeaderValue {
        set_cookie(self.names.person(), "", Some(0), self.attributes)
    }
}

fn plaintext(person: &IndexKey) -> &[u8] {
    let text = person.as_str().as_bytes();
    &text[..text.len().min(LENGTH)]
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::sessions::IndexKind;
    use crate::testing::frozen_keys;

    const FROZEN: &str = "1.c1.CQkJCQkJCQkJCQkJCQkJCSZnsehGZxRKZo1CfYWM53RKHtgS3ShHmLBL_hmRvzl9xkEf2xte";

    #[actix_web::test]
    async fn the_frozen_person_cookie_still_names_its_person() {
        let names = CookieNames::new("app", &"https://app.example".parse().unwrap());
        let cookie = PersonCookie::new(names, frozen_keys(), ResponseMode::Query);
        let req = TestRequest::default().insert_header((header::COOKIE, ["__Host-app-person=", FROZEN].concat()));
        let req = req.to_http_request();
        let person = |sub| IndexKey::of(IndexKind::Subject, "https://op.example", "client", sub);

        assert!(cookie.names(&person("ada"), &req).await);
        assert!(!cookie.names(&person("bob"), &req).await);
    }
}
