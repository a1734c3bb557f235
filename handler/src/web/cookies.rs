//! Our cookies: their names, and how they are read, set and deleted.
//!
//! Read byte for byte: a parser that percent-decodes names would take `__Host%2Dx` for `__Host-x`.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};

use crate::crypto::{CookieContext, KeySource, KeysUnavailable, Plaintext, open_cookie, open_with_reload, seal_cookie};
use crate::oidc::ResponseMode;
use crate::proxy::{OwnCookies, cookie_pairs};
use crate::public_origin::PublicOrigin;
use crate::sessions::SessionTicket;

/// Names and attributes of our cookies on one public origin.
#[derive(Clone, Debug)]
pub struct CookieNames {
    session: String,
    person: String,
    rounds: String,
    login_prefix: String,
    attributes: &'static str,
    origin: String,
}

/// Attributes in the order in which browsers show them; a deletion carries the same (RFC 6265 5.3 matches by them).
const SECURE: &str = "; Path=/; Secure; HttpOnly; SameSite=Lax";
/// Attributes of a cookie that another site's form must send back: browsers send `Lax` ones with links only.
const CROSS_SITE: &str = "; Path=/; Secure; HttpOnly; SameSite=None";
/// Attributes on loopback, where there is no TLS: neither `Secure` nor a prefix that demands it.
const LOOPBACK: &str = "; Path=/; HttpOnly; SameSite=Lax";

impl CookieNames {
    /// Names with the prefix `COOKIE_PREFIX`, behind `__Host-` on an https origin.
    #[must_use]
    pub fn new(prefix: &str, origin: &PublicOrigin) -> Self {
        let (host, attributes) = if origin.is_secure() { ("__Host-", SECURE) } else { ("", LOOPBACK) };
        Self {
            session: format!("{host}{prefix}-session"),
            person: format!("{host}{prefix}-person"),
            rounds: format!("{host}{prefix}-rounds"),
            login_prefix: format!("{host}{prefix}-login-"),
            attributes,
            origin: origin.as_str().to_owned(),
        }
    }

    /// Name of the session's cookie.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    pub(super) fn person(&self) -> &str {
        &self.person
    }

    pub(super) fn rounds(&self) -> &str {
        &self.rounds
    }

    /// Name of the cookie of the pending login with this tag.
    #[must_use]
    pub fn login(&self, tag: &str) -> String {
        [&self.login_prefix, tag].concat()
    }

    /// Cookies that no Upstream may see or set: these names, with and without the prefix that marks them.
    #[must_use]
    pub fn own_cookies(&self) -> OwnCookies {
        let plain = |name: &str| name.strip_prefix("__Host-").unwrap_or(name).to_owned();
        let ours = [&self.session, &self.person, &self.rounds, &self.login_prefix];
        let mut names: Vec<String> = ours.map(String::clone).into(); // the session's first: it is in every request
        for prefix in ["", "__Secure-", "__Host-", "__Http-", "__Host-Http-"] {
            let variants = ours.map(|name| format!("{prefix}{}", plain(name)));
            names.extend(variants.into_iter().filter(|variant| !ours.contains(&variant)));
        }
        OwnCookies::new(names)
    }

    /// The same names for one client at one Provider. Neither an origin nor an issuer contains a blank.
    pub(super) fn bound_to(&self, issuer: &str, client_id: &str) -> Self {
        Self { origin: format!("{} {issuer} {client_id}", self.origin), ..self.clone() }
    }

    pub(super) fn login_prefix(&self) -> &str {
        &self.login_prefix
    }

    pub(super) fn seal(&self, name: &str, plaintext: &[u8], keys: &dyn KeySource) -> String {
        seal_cookie(plaintext, CookieContext { name, origin: &self.origin }, &keys.cookie_keys())
    }

    /// Opens a value under its cookie's name; an unknown key triggers one reload.
    ///
    /// # Errors
    /// If that key may exist but cannot be loaded now: the value may be valid.
    pub(super) async fn open(
        &self,
        name: &str,
        value: &str,
        keys: &dyn KeySource,
    ) -> Result<Option<Plaintext>, KeysUnavailable> {
        let context = CookieContext { name, origin: &self.origin };
        open_with_reload(keys, || open_cookie(value, context, &keys.cookie_keys())).await
    }

    /// Attributes of a cookie that must come back with the Provider's response: with `form_post` from another site's
    /// form.
    pub(super) fn callback_attributes(&self, response_mode: ResponseMode) -> &'static str {
        match response_mode {
            ResponseMode::FormPost if self.attributes == SECURE => CROSS_SITE,
            ResponseMode::FormPost | ResponseMode::Query => self.attributes,
        }
    }

    pub(super) fn attributes(&self) -> &'static str {
        self.attributes
    }
}

/// Formats a `Set-Cookie` value (RFC 6265 4.1).
pub(super) fn set_cookie(name: &str, value: &str, max_age: Option<u64>, attributes: &str) -> HeaderValue {
    let max_age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = [name, "=", value, &max_age, attributes].concat();
    HeaderValue::from_str(&text).expect("names and sealed values are printable ASCII")
}

/// Reads and writes the session's cookie.
#[derive(Clone)]
pub struct SessionCookie {
    names: CookieNames,
    keys: Arc<dyn KeySource>,
}

impl SessionCookie {
    /// Session cookie with these names, sealed by these keys.
    #[must_use]
    pub fn new(names: CookieNames, keys: Arc<dyn KeySource>) -> Self {
        Self { names, keys }
    }

    /// Ticket in the request's cookie, if there is exactly one and it opens. No I/O unless its key is unknown.
    ///
    /// # Errors
    /// If its key is unknown and the newest keys cannot be loaded now.
    pub async fn read(&self, req: &HttpRequest) -> Result<Option<SessionTicket>, KeysUnavailable> {
        let mut values = cookies(req).filter(|(name, _)| *name == self.names.session);
        let (Some((name, value)), None) = (values.next(), values.next()) else { return Ok(None) };
        let opened = self.names.open(name, value, &*self.keys).await?;
        Ok(opened.and_then(|opened| SessionTicket::from_bytes(&opened).ok()))
    }

    /// True if the request has the cookie, whatever it holds.
    #[must_use]
    pub fn is_sent(&self, req: &HttpRequest) -> bool {
        cookies(req).any(|(name, _)| *name == self.names.session)
    }

    /// `Set-Cookie` of a ticket. A session cookie of the browser; its times are sealed inside it.
    #[must_use]
    pub fn set(&self, ticket: &SessionTicket) -> HeaderValue {
        let value = self.names.seal(&self.names.session, &ticket.to_bytes(), &*self.keys);
        set_cookie(&self.names.session, &value, None, self.names.attributes)
    }

    /// `Set-Cookie` that deletes it.
    #[must_use]
    pub fn delete(&self) -> HeaderValue {
        set_cookie(&self.names.session, "", Some(0), self.names.attributes)
    }
}

/// All `name=value` pairs of all `Cookie` headers, split at `;` only (RFC 6265 4.2.1), nothing decoded.
///
/// Split as bytes: old applications set cookies that are not ASCII, and those must not hide ours.
pub(super) fn cookies(req: &HttpRequest) -> impl Iterator<Item = (&str, &str)> {
    let pairs = req.headers().get_all(header::COOKIE).flat_map(|value| cookie_pairs(value.as_bytes()));
    pairs.filter_map(|pair| std::str::from_utf8(pair).ok()?.trim_ascii().split_once('='))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::crypto::KeyRing;
    use crate::testing::{KeysOnReload, frozen_keys};

    #[test]
    fn cookies_are_read_byte_for_byte() {
        let pairs = |pairs: &[(&'static str, &'static str)]| pairs.to_vec();
        let table = [
            (b"a=1; b=2".as_slice(), pairs(&[("a", "1"), ("b", "2")])),
            (b"a=1;b=2;", pairs(&[("a", "1"), ("b", "2")])),
            (b"a=b=c", pairs(&[("a", "b=c")])),
            (b"a=\"x; b=y\"", pairs(&[("a", "\"x"), ("b", "y\"")])),
            (b"a%2Db=1", pairs(&[("a%2Db", "1")])),
            (b"no-value; a=1", pairs(&[("a", "1")])),
            (b"theirs=\xfc; a=1", pairs(&[("a", "1")])),
            ("theirs=ü; a=1".as_bytes(), pairs(&[("theirs", "ü"), ("a", "1")])),
            (b"", pairs(&[])),
        ];
        for (value, expected) in table {
            let value = HeaderValue::from_bytes(value).unwrap();
            let req = TestRequest::default().insert_header((header::COOKIE, value)).to_http_request();
            assert_eq!(cookies(&req).collect::<Vec<_>>(), expected);
        }
    }

    fn names() -> CookieNames {
        CookieNames::new("app", &"https://app.example".parse().unwrap())
    }

    #[actix_web::test]
    async fn a_cookie_under_a_key_that_is_not_in_hand_opens_after_one_reload() {
        let newest = Arc::new(KeyRing::generate());
        let (theirs, ours) = (KeysOnReload::new(&newest), KeysOnReload::new(&newest));
        theirs.reload().await.unwrap();
        let names = names();
        let value = names.seal("__Host-app-session", b"ticket", &theirs);

        let opened = names.open("__Host-app-session", &value, &ours).await.unwrap().unwrap();

        assert_eq!((&opened[..], ours.reloads()), (b"ticket".as_slice(), 1));
    }

    #[actix_web::test]
    async fn a_cookie_that_no_key_opens_costs_one_reload_at_most() {
        let keys = KeysOnReload::new(&Arc::new(KeyRing::generate()));
        let names = names();

        for forged in ["1.unknown.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "not one of ours"] {
            assert!(names.open("__Host-app-session", forged, &keys).await.unwrap().is_none());
        }
        assert!(keys.reloads() <= 1, "only a key's name that is not in hand asks for keys");
    }

    #[actix_web::test]
    async fn the_frozen_session_cookie_still_opens() {
        let cookie = SessionCookie::new(names(), frozen_keys());
        let value = "1.c1.CQkJCQkJCQkJCQkJCQkJCXX-EeCX0Mk37J0dCBXJzcZTgOuXZQvbUQYa3jub2hvuHOzrWPYYhXKPTRD_9GuFfTD\
            3tuiGVyUzAzbPkjtYyvLzC55HHMo76cCaWxdHWoydbLv-4ZAm4QM7";
        let req = TestRequest::default().insert_header((header::COOKIE, ["__Host-app-session=", value].concat()));

        let ticket = cookie.read(&req.to_http_request()).await.unwrap().unwrap();

        assert_eq!(ticket.id.key().as_str(), "N-qJ5kyyOos8W9xrY2Kwi-WXktpo_axsprL4w--pom0");
        assert_eq!(ticket.last_seen.as_unix(), 1_800_000_600);
    }
}
