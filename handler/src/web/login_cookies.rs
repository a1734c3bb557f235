//! The cookies of sign-ins that have begun: one each, at most four, so that tabs don't break each other and
//! abandoned ones don't pile up.
//!
//! A cookie is named by its login's tag, so two tabs that begin at the same moment share none.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cookies::{CookieNames, cookies, set_cookie};
use crate::clock::Timestamp;
use crate::crypto::{KeySource, KeysUnavailable, base64url, base64url_decode};
use crate::oidc::{PendingLogin, ResponseMode};
use crate::sessions::SessionTicket;

/// How many sign-ins of one browser may be pending.
const MOST: usize = 4;

/// How many login cookies of one request are opened at a sign-in. A browser has [`MOST`], and a few more if tabs begin at
/// once; those beyond wait for the next sign-in.
const MAX_OPENED: usize = 16;

/// Reads and writes the cookies of pending logins.
#[derive(Clone)]
pub struct LoginCookies {
    names: CookieNames,
    keys: Arc<dyn KeySource>,
    attributes: &'static str,
}

/// The client that a sign-in was begun for. Its cookie opens for no other: after a change of the settings, or at another
/// deployment with the same keys, it is as if the sign-in were unknown.
#[derive(Clone, Copy, Debug)]
pub struct LoginClient<'a> {
    /// The Provider.
    pub issuer: &'a str,
    /// Our name there.
    pub client_id: &'a str,
}

/// What one such cookie holds, sealed.
#[derive(Serialize, Deserialize)]
pub struct RememberedLogin {
    /// The sign-in that began.
    pub pending: PendingLogin,
    /// The ticket of the session that this sign-in will replace, if there was one.
    replaces: Option<Zeroizing<String>>,
}

impl RememberedLogin {
    /// What to remember of a sign-in that began in a browser with this session.
    #[must_use]
    pub fn new(pending: PendingLogin, session: Option<&SessionTicket>) -> Self {
        let replaces = session.map(|ticket| Zeroizing::new(base64url(&ticket.to_bytes())));
        Self { pending, replaces }
    }

    /// The session that was there when the sign-in began.
    #[must_use]
    pub fn replaces(&self) -> Option<SessionTicket> {
        let bytes = Zeroizing::new(base64url_decode(self.replaces.as_ref()?)?);
        SessionTicket::from_bytes(&bytes).ok()
    }
}

impl LoginCookies {
    /// The login cookies of these names for one client, sealed by these keys, for answers that come back by `response_mode`.
    #[must_use]
    pub fn new(
        names: &CookieNames,
        client: LoginClient<'_>,
        keys: Arc<dyn KeySource>,
        response_mode: ResponseMode,
    ) -> Self {
        let attributes = match response_mode {
            ResponseMode::Query => names.attributes(),
            ResponseMode::FormPost => names.cross_site_attributes(),
        };
        Self { names: names.bound_to(client.issuer, client.client_id), keys, attributes }
    }

    /// The login with this `state`, if this browser began it.
    ///
    /// # Errors
    /// When its key is unknown and the newest keys cannot be had now.
    pub async fn find(&self, req: &HttpRequest, state: &str) -> Result<Option<RememberedLogin>, KeysUnavailable> {
        let name = self.names.login(&PendingLogin::tag_of(state));
        let mut values = cookies(req).filter(|(given, _)| *given == name);
        let (Some((_, value)), None) = (values.next(), values.next()) else { return Ok(None) };
        self.open(&name, value).await
    }

    /// The `Set-Cookie`s that remember `login` and make room for it: the oldest, and what is over, go.
    pub async fn remember(&self, req: &HttpRequest, login: &RememberedLogin, now: Timestamp) -> Vec<HeaderValue> {
        let mut living = Vec::new();
        let mut gone = Vec::new();
        for (name, value) in cookies(req).filter(|(name, _)| self.is_login(name)).take(MAX_OPENED) {
            match self.open(name, value).await.map(|login| login.filter(|login| !login.pending.is_expired(now))) {
                Ok(Some(login)) => living.push((login.pending.issued_at(), name)),
                Ok(None) => gone.push(name),
                Err(_) => {} // it may be good: it is left alone
            }
        }
        living.sort_unstable();
        let excess = (living.len() + 1).saturating_sub(MOST);
        gone.extend(living.drain(..excess).map(|(_, name)| name));

        let name = self.names.login(&login.pending.tag());
        let plaintext = Zeroizing::new(serde_json::to_vec(login).expect("a pending login is plain data"));
        let value = self.names.seal(&name, &plaintext, &*self.keys);
        let set = set_cookie(&name, &value, Some(PendingLogin::LIFETIME.as_secs()), self.attributes);
        gone.into_iter().map(|name| self.delete(name)).chain([set]).collect()
    }

    /// The `Set-Cookie` that forgets the login with this `state`.
    #[must_use]
    pub fn forget(&self, state: &str) -> HeaderValue {
        self.delete(&self.names.login(&PendingLogin::tag_of(state)))
    }

    /// True for a name of ours, and not one that only begins alike: what is deleted is written into a header.
    fn is_login(&self, name: &str) -> bool {
        let tag = name.strip_prefix(self.names.login_prefix());
        tag.is_some_and(|tag| tag.len() == 8 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    fn delete(&self, name: &str) -> HeaderValue {
        set_cookie(name, "", Some(0), self.attributes)
    }

    async fn open(&self, name: &str, value: &str) -> Result<Option<RememberedLogin>, KeysUnavailable> {
        let opened = self.names.open(name, value, &*self.keys).await?;
        Ok(opened.and_then(|opened| serde_json::from_slice(&opened).ok()))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;
    use actix_web::test::TestRequest;
    use serde_json::Value;

    use super::*;
    use crate::testing::frozen_keys;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const NAME: &str = "__Host-app-login-4ba69735";
    const PLAINTEXT: &str = r#"{
        "pending": {
            "state": "state",
            "nonce": "nonce",
            "code_verifier": "verifier",
            "session_seed": [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
            "return_url": "/orders?page=2",
            "max_age": 600,
            "issued_at": 1800000000
        },
        "replaces": "AcOWPPzujjPbXRoB4QhjwWirQvPUUWqt6JBeF_R8ps4JuFOGbVznz1xvNLpJ-XfL5AAAAABrSdIAAAAAAGtJ1FgAAAAAa0pCgA"
    }"#;
    const SEALED: &str = "1.c1.CQkJCQkJCQkJCQkJCQkJCQ8f97kFWi5qUOI9ctay2mZPTotekynFnZrvogBNyNJOdjGa5LkqDdOwRwZpn_Gd0rGowI3\
        0VQqIZkTtqBlF5lTCbfciboNdiTPKw39BDpPx84ClVrZ6JtmhNNpeM6d2ns8IPrW89sLK0TiWDYDIZuPJ0JUblq8Qs4sIMdj\
        ixgv7AAKgh5HO6G8Pq4vl3ILoegAJ0MUkD5334QiaUVZkAdWCKB0k0r7G_GApeqhRAqmXXRb2c97K_zbP09IJBcDLlofifR7\
        StUoxPfp6FldEDTiZWw6n0pxGp0hlXUcRY1YWi6JZ1HpHrz5Je-ASXO62e4pyroJ128y7Zu4D0EX7Rwa4IW86cQtddhC-JFJ\
        pCMLCy1wsGTdgDSPW9aoq_vT2--4zDA0OQkBDEk2M2HPtems6gj1u7rz3R2ckSoiT0K1EdrMT2bcNN2LNgaBFfx_vabmRxMu\
        CbbYb_LX0ew";

    fn login_cookies() -> LoginCookies {
        let names = CookieNames::new("app", &"https://app.example".parse().unwrap());
        LoginCookies::new(&names, CLIENT, frozen_keys(), ResponseMode::Query)
    }

    const CLIENT: LoginClient<'_> = LoginClient { issuer: "https://op.example", client_id: "client" };

    fn session() -> SessionTicket {
        let ticket = SessionTicket::from_seed(&[3; 32], "frozen", NOW, Timestamp::from_unix(1_800_028_800));
        SessionTicket { last_seen: Timestamp::from_unix(1_800_000_600), ..ticket }
    }

    #[test]
    fn the_frozen_login_never_changes() {
        let frozen: Value = serde_json::from_str(PLAINTEXT).unwrap();
        let pending = serde_json::from_value(frozen["pending"].clone()).unwrap();

        let login = RememberedLogin::new(pending, Some(&session()));

        assert_eq!(serde_json::to_value(&login).unwrap(), frozen);
        assert_eq!(login_cookies().names.login(&login.pending.tag()), NAME);
    }

    #[actix_web::test]
    async fn a_login_cookie_opens_for_the_client_that_it_was_begun_for() {
        let names = CookieNames::new("app", &"https://app.example".parse().unwrap());
        let req =
            TestRequest::default().insert_header((header::COOKIE, [NAME, "=", SEALED].concat())).to_http_request();
        for (client, is_found) in [
            (CLIENT, true),
            (LoginClient { issuer: "https://op.example/", ..CLIENT }, false),
            (LoginClient { client_id: "client2", ..CLIENT }, false),
            (LoginClient { issuer: "https://op.example client", client_id: "" }, false),
        ] {
            let cookies = LoginCookies::new(&names, client, frozen_keys(), ResponseMode::Query);

            let found = cookies.find(&req, "state").await.unwrap();

            assert_eq!(found.is_some(), is_found, "{client:?}");
        }
    }

    #[actix_web::test]
    async fn cookies_that_are_not_ours_are_neither_opened_nor_deleted() {
        let frozen: Value = serde_json::from_str(PLAINTEXT).unwrap();
        let login = RememberedLogin::new(serde_json::from_value(frozen["pending"].clone()).unwrap(), None);
        for (names, deleted, reason) in [
            (vec!["00000001".to_owned()], 1, "one that does not open"),
            (vec!["\u{e9}".to_owned()], 0, "no ASCII: it could not be written into a header"),
            (vec!["0000000g".to_owned(), "1".to_owned(), "000000001".to_owned()], 0, "no tag of ours"),
            ((0..100).map(|number| format!("{number:08x}")).collect(), MAX_OPENED, "more than a browser has"),
        ] {
            let value = names.iter().map(|tag| format!("__Host-app-login-{tag}=x")).collect::<Vec<_>>().join("; ");
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            let req = TestRequest::default().insert_header((header::COOKIE, value)).to_http_request();

            let set = login_cookies().remember(&req, &login, NOW).await;

            assert_eq!(set.len(), deleted + 1, "{reason}");
        }
    }

    #[actix_web::test]
    async fn the_frozen_login_cookie_still_opens() {
        let req =
            TestRequest::default().insert_header((header::COOKIE, [NAME, "=", SEALED].concat())).to_http_request();

        let login = login_cookies().find(&req, "state").await.unwrap().unwrap();

        assert!(login.pending.has_state("state"));
        assert_eq!(login.pending.return_url(), "/orders?page=2");
        assert_eq!(login.replaces().unwrap().to_bytes(), session().to_bytes());
    }
}
