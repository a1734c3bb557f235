//! `Clear-Site-Data` at a sign-out, and when another person signs in.
//!
//! Browsers obey it from https and loopback only. The caller decides who is another person.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use super::cookies::{CookieNames, cookies, set_cookie};
use super::person_cookie::PersonCookie;
use crate::proxy::OwnCookies;
use crate::sessions::IndexKey;

/// Types of data to clear (`CLEAR_SITE_DATA`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClearSiteData {
    /// Cached responses, and pages that *Back* would show.
    pub cache: bool,
    /// All cookies of the site, including those of other host names below its domain.
    pub cookies: bool,
    /// Storage of scripts: local storage, databases, service workers.
    pub storage: bool,
}

const NAME: HeaderName = HeaderName::from_static("clear-site-data");

/// Maximum application cookies deleted by name at a sign-in; more than browsers keep of one site.
const MAX_DELETED: usize = 200;

impl ClearSiteData {
    fn set(self, headers: &mut HeaderMap) {
        let types = [(self.cache, "\"cache\""), (self.cookies, "\"cookies\""), (self.storage, "\"storage\"")];
        let types: Vec<&str> = types.iter().filter(|(is_cleared, _)| *is_cleared).map(|(_, name)| *name).collect();
        if !types.is_empty() {
            let value = HeaderValue::from_str(&types.join(", ")).expect("quoted words are visible ASCII");
            headers.insert(NAME, value);
        }
    }
}

/// Clears the data that a browser keeps of one person.
#[derive(Clone)]
pub struct BrowserData {
    types: ClearSiteData,
    person: PersonCookie,
    own_cookies: OwnCookies,
    attributes: &'static str,
}

impl BrowserData {
    /// Clears `types` when the person in the cookie `person` leaves.
    #[must_use]
    pub fn new(types: ClearSiteData, person: PersonCookie, names: &CookieNames) -> Self {
        Self { types, person, own_cookies: names.own_cookies(), attributes: names.attributes() }
    }

    /// Adds the header to the response that ends a session.
    pub fn end(&self, headers: &mut HeaderMap) {
        self.types.set(headers);
        headers.append(SET_COOKIE, self.person.delete());
    }

    /// True if the cache is cleared.
    #[must_use]
    pub fn has_cache(&self) -> bool {
        self.types.cache
    }

    /// Adds the header to a response after the end: clears only the cache, once more.
    pub fn end_cache(&self, headers: &mut HeaderMap) {
        ClearSiteData { cache: self.types.cache, ..ClearSiteData::default() }.set(headers);
    }

    /// Adds the header to the response that starts a session of `person`: clears data that may be another person's.
    /// Without a name for the person that is everything.
    pub async fn begin(&self, person: Option<&IndexKey>, req: &HttpRequest, headers: &mut HeaderMap) {
        if let Some(person) = person
            && self.person.names(person, req).await
        {
            return;
        }
        // `"cookies"` would delete the new session's cookie too: the application's are deleted by name.
        ClearSiteData { cookies: false, ..self.types }.set(headers);
        if self.types.cookies {
            self.delete_cookies(req, headers);
        }
        headers.append(SET_COOKIE, person.map_or_else(|| self.person.delete(), |person| self.person.set(person)));
    }

    /// Deletes the application's cookies in the request, for the path `/` and this host name.
    fn delete_cookies(&self, req: &HttpRequest, headers: &mut HeaderMap) {
        let names = cookies(req).map(|(name, _)| name);
        let theirs = names.filter(|name| is_cookie_name(name) && !self.own_cookies.owns(name.as_bytes()));
        for name in theirs.take(MAX_DELETED) {
            headers.append(SET_COOKIE, set_cookie(name, "", Some(0), self.attributes));
        }
    }
}

/// True for a token (RFC 6265 4.1.1). Another name can't be written into `Set-Cookie` safely.
fn is_cookie_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::oidc::ResponseMode;
    use crate::sessions::IndexKind;
    use crate::testing::frozen_keys;

    const CACHE: ClearSiteData = ClearSiteData { cache: true, cookies: false, storage: false };
    const ALL: ClearSiteData = ClearSiteData { cache: true, cookies: true, storage: true };

    fn names() -> CookieNames {
        CookieNames::new("app", &"https://app.example".parse().unwrap())
    }

    fn data(types: ClearSiteData) -> BrowserData {
        let names = names();
        let person = PersonCookie::new(names.clone(), frozen_keys(), ResponseMode::Query);
        BrowserData::new(types, person, &names)
    }

    fn person(sub: &str) -> IndexKey {
        IndexKey::of(IndexKind::Subject, "https://op.example", "client", sub)
    }

    /// Response to a browser with these cookies when `sub` signs in: the types, and the cookies by name.
    async fn begin(types: ClearSiteData, cookie: &str, sub: Option<&str>) -> (Option<String>, Vec<String>) {
        let req = TestRequest::default().insert_header((header::COOKIE, cookie)).to_http_request();
        let mut headers = HeaderMap::new();
        data(types).begin(sub.map(person).as_ref(), &req, &mut headers).await;
        cleared(&headers)
    }

    fn cleared(headers: &HeaderMap) -> (Option<String>, Vec<String>) {
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        (headers.get(NAME).map(text), headers.get_all(SET_COOKIE).map(text).collect())
    }

    fn remembered(sub: &str) -> String {
        let set = data(CACHE).person.set(&person(sub));
        set.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    const DELETED: &str = "__Host-app-person=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax";

    #[test]
    fn a_sign_out_clears_what_is_configured_and_forgets_the_person() {
        for (types, expected) in [
            (ALL, Some("\"cache\", \"cookies\", \"storage\"")),
            (CACHE, Some("\"cache\"")),
            (ClearSiteData { storage: true, ..ClearSiteData::default() }, Some("\"storage\"")),
            (ClearSiteData::default(), None),
        ] {
            let mut headers = HeaderMap::new();
            data(types).end(&mut headers);
            assert_eq!(cleared(&headers), (expected.map(str::to_owned), vec![DELETED.to_owned()]));
        }
    }

    #[actix_web::test]
    async fn the_same_person_keeps_everything() {
        let cleared = begin(ALL, &format!("a=1; {}", remembered("ada")), Some("ada")).await;

        assert_eq!(cleared, (None, vec![]));
    }

    #[actix_web::test]
    async fn whoever_is_not_the_remembered_person_clears_the_cache_and_is_remembered() {
        let ada = remembered("ada");
        let (_, sealed) = ada.split_once('=').unwrap();
        for (cookie, why) in [
            (ada.clone(), "another person"),
            (String::new(), "nobody is remembered"),
            (format!("{}; {}", remembered("bob"), remembered("bob")), "two cookies"),
            ("__Host-app-person=1.c1.AAAA".to_owned(), "it doesn't open"),
            (format!("__Host-app-session={sealed}"), "another cookie"),
        ] {
            let (types, cookies) = begin(CACHE, &cookie, Some("bob")).await;

            assert_eq!(types.as_deref(), Some("\"cache\""), "{why}");
            let [set] = &cookies[..] else { panic!("{cookies:?}") };
            assert!(set.starts_with("__Host-app-person=1.c1."), "{set}");
            assert!(set.ends_with("; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax"), "{set}");
        }
    }

    #[actix_web::test]
    async fn a_person_who_cannot_be_named_clears_the_cache_and_nobody_is_remembered() {
        let cleared = begin(CACHE, &remembered("ada"), None).await;

        assert_eq!(cleared, (Some("\"cache\"".to_owned()), vec![DELETED.to_owned()]));
    }

    #[actix_web::test]
    async fn another_person_loses_the_applications_cookies_by_name_and_none_of_ours() {
        let cookie = "JSESSIONID=ada; __Host-app-session=ticket; __Host-app-login-1=x; __Secure-x=1; no-value; \
            b@d=1; =c; a=1";

        let (types, cookies) = begin(ALL, cookie, Some("bob")).await;

        assert_eq!(types.as_deref(), Some("\"cache\", \"storage\""));
        let deleted = |name: &str| format!("{name}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(cookies[..3], ["JSESSIONID", "__Secure-x", "a"].map(deleted));
        assert_eq!(cookies.len(), 4, "and the person's");
    }

    #[test]
    fn the_persons_cookie_comes_along_with_a_providers_form() {
        let person_cookie = PersonCookie::new(names(), frozen_keys(), ResponseMode::FormPost);

        assert!(person_cookie.set(&person("ada")).to_str().unwrap().ends_with("SameSite=None"));
    }
}
