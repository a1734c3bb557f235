//! The cookies of pending sign-ins: each has its own, so that tabs don't break each other, and the oldest make room.
//!
//! A cookie is named by its login's tag, so two tabs that begin at the same moment share none. A sealed login that is
//! longer than a cookie may be is cut into several: `<name>`, `<name>-1`, `<name>-2`.

use std::borrow::Cow;
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

/// Pending sign-ins of one browser: more than the dozen tabs that a browser restores at once.
const MAX_PENDING: usize = 16;

/// Bytes of all login cookies together in a `Cookie` header, except that the newest always fits. Servers on the way take
/// 16 KiB of headers or more.
const MAX_BYTES: usize = 12 * 1024;

/// Bytes of a cookie's value. RFC 6265 6.1 promises 4096 for name, value and attributes.
const MAX_VALUE: usize = 3840;

/// Reads and writes the cookies of pending logins.
#[derive(Clone)]
pub struct LoginCookies {
    names: CookieNames,
    keys: Arc<dyn KeySource>,
    attributes: &'static str,
}

/// The sealed content of a login's cookies.
#[derive(Serialize, Deserialize)]
pub struct RememberedLogin {
    /// The sign-in that began.
    pub pending: PendingLogin,
    /// The ticket of the session that this sign-in will replace, if there was one.
    replaces: Option<Zeroizing<String>>,
    /// Greater than that of every login that the browser already had: the order of those that begin in one second.
    #[serde(default, skip_serializing_if = "is_zero")]
    sequence: u64,
}

impl RememberedLogin {
    /// What to remember of a sign-in that began in a browser with this session.
    #[must_use]
    pub fn new(pending: PendingLogin, session: Option<&SessionTicket>) -> Self {
        let replaces = session.map(|ticket| Zeroizing::new(base64url(&ticket.to_bytes())));
        Self { pending, replaces, sequence: 0 }
    }

    /// The session that was there when the sign-in began.
    #[must_use]
    pub fn replaces(&self) -> Option<SessionTicket> {
        let bytes = Zeroizing::new(base64url_decode(self.replaces.as_ref()?)?);
        SessionTicket::from_bytes(&bytes).ok()
    }
}

impl LoginCookies {
    /// The login cookies of these names, sealed by these keys, for responses that come back by `response_mode`.
    #[must_use]
    pub fn new(names: CookieNames, keys: Arc<dyn KeySource>, response_mode: ResponseMode) -> Self {
        let attributes = match response_mode {
            ResponseMode::Query => names.attributes(),
            ResponseMode::FormPost => names.cross_site_attributes(),
        };
        Self { names, keys, attributes }
    }

    /// The login with this `state`, if this browser began it.
    ///
    /// # Errors
    /// When its key is unknown and the newest keys cannot be had now.
    pub async fn find(&self, req: &HttpRequest, state: &str) -> Result<Option<RememberedLogin>, KeysUnavailable> {
        let tag = PendingLogin::tag_of(state);
        match self.stored(req).iter().find(|stored| stored.tag == tag) {
            Some(stored) => self.open(stored).await,
            None => Ok(None),
        }
    }

    /// The `Set-Cookie`s that remember `login` and make room for it: what has expired or does not open goes, and the
    /// oldest beyond [`MAX_PENDING`] and [`MAX_BYTES`].
    pub async fn remember(&self, req: &HttpRequest, mut login: RememberedLogin, now: Timestamp) -> Vec<HeaderValue> {
        let stored = self.stored(req);
        let mut bytes: usize = stored.iter().map(Stored::bytes).sum();
        let mut living = Vec::new();
        let mut gone = Vec::new();
        for stored in &stored {
            match self.open(stored).await.map(|login| login.filter(|login| !login.pending.is_expired(now))) {
                Ok(Some(login)) => living.push((login.sequence, login.pending.issued_at(), stored)),
                Ok(None) => gone.push(stored),
                Err(_) => {} // it may be good: it is left alone
            }
        }
        living.sort_unstable_by_key(|(sequence, issued_at, _)| (*sequence, *issued_at));
        login.sequence = living.last().map_or(0, |(newest, ..)| newest.saturating_add(1));
        let set = self.sealed(&login);
        bytes += set.iter().map(|(name, value)| cookie_bytes(name, value)).sum::<usize>();
        bytes -= gone.iter().map(|gone| gone.bytes()).sum::<usize>();

        let mut oldest_first = living.into_iter().map(|(_, _, stored)| stored);
        while bytes > MAX_BYTES || oldest_first.len() >= MAX_PENDING {
            let Some(oldest) = oldest_first.next() else { break };
            bytes -= oldest.bytes();
            gone.push(oldest);
        }
        let deleted = gone.iter().flat_map(|gone| &gone.parts).map(|part| self.delete(part.name));
        let set = set.iter().map(|(name, value)| self.set(name, value));
        deleted.chain(set).collect()
    }

    /// The `Set-Cookie`s that forget the login with this `state`.
    #[must_use]
    pub fn forget(&self, req: &HttpRequest, state: &str) -> Vec<HeaderValue> {
        let tag = PendingLogin::tag_of(state);
        let stored = self.stored(req);
        let parts = stored.iter().filter(|stored| stored.tag == tag).flat_map(|stored| &stored.parts);
        let further = parts.filter(|part| part.number > 0).map(|part| self.delete(part.name));
        [self.delete(&self.names.login(&tag))].into_iter().chain(further).collect()
    }

    /// The name and value of each cookie that this login needs.
    fn sealed(&self, login: &RememberedLogin) -> Vec<(String, String)> {
        let name = self.names.login(&login.pending.tag());
        let plaintext = Zeroizing::new(serde_json::to_vec(login).expect("a pending login is plain data"));
        let value = self.names.seal(&name, &plaintext, &*self.keys);
        let parts = value.as_bytes().chunks(MAX_VALUE).map(String::from_utf8_lossy); // base64url: ASCII
        let named = |(number, part): (usize, Cow<'_, str>)| match number {
            0 => (name.clone(), part.into_owned()),
            number => (format!("{name}-{number}"), part.into_owned()),
        };
        parts.enumerate().map(named).collect()
    }

    fn set(&self, name: &str, value: &str) -> HeaderValue {
        set_cookie(name, value, Some(PendingLogin::LIFETIME.as_secs()), self.attributes)
    }

    fn delete(&self, name: &str) -> HeaderValue {
        set_cookie(name, "", Some(0), self.attributes)
    }

    /// The request's login cookies, those of one login together.
    fn stored<'a>(&self, req: &'a HttpRequest) -> Vec<Stored<'a>> {
        let mut logins: Vec<Stored<'a>> = Vec::new();
        for (name, value) in cookies(req) {
            let Some(suffix) = name.strip_prefix(self.names.login_prefix()) else { continue };
            let (tag, number) = match suffix.split_once('-') {
                Some((tag, number)) => (tag, number.parse().unwrap_or(usize::MAX)),
                None => (suffix, 0),
            };
            let part = Part { number, name, value };
            match logins.iter_mut().find(|login| login.tag == tag) {
                Some(login) => login.parts.push(part),
                None => logins.push(Stored { tag, parts: vec![part] }),
            }
        }
        logins
    }

    async fn open(&self, stored: &Stored<'_>) -> Result<Option<RememberedLogin>, KeysUnavailable> {
        let Some(value) = stored.value() else { return Ok(None) };
        let opened = self.names.open(&self.names.login(stored.tag), &value, &*self.keys).await?;
        Ok(opened.and_then(|opened| serde_json::from_slice(&opened).ok()))
    }
}

/// The cookies of one login, as a request brings them.
struct Stored<'a> {
    tag: &'a str,
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    number: usize,
    name: &'a str,
    value: &'a str,
}

impl<'a> Stored<'a> {
    /// The whole value, if every part is there exactly once.
    fn value(&self) -> Option<Cow<'a, str>> {
        if let [Part { number: 0, value, .. }] = self.parts[..] {
            return Some(Cow::Borrowed(value));
        }
        let part = |number| {
            let mut parts = self.parts.iter().filter(move |part| part.number == number);
            parts.next().map(|part| part.value)
        };
        (0..self.parts.len()).map(part).collect::<Option<String>>().map(Cow::Owned)
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| cookie_bytes(part.name, part.value)).sum()
    }
}

/// The bytes of one cookie in a `Cookie` header: `name=value; `.
fn cookie_bytes(name: &str, value: &str) -> usize {
    name.len() + value.len() + "=; ".len()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(sequence: &u64) -> bool {
    *sequence == 0
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
        pCMLCy1wsGTdgDSPW9aoq_vT2--4zDA0OQkBDEk2M2HPtems6gj1u7rz3R2ckSoiT0K1EdrMT2bcNN2LNgaBFKAKhpnaq8tZ\
        L3KN-2NwuoA";

    fn login_cookies() -> LoginCookies {
        let names = CookieNames::new("app", &"https://app.example".parse().unwrap());
        LoginCookies::new(names, frozen_keys(), ResponseMode::Query)
    }

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
    async fn the_frozen_login_cookie_still_opens() {
        let req =
            TestRequest::default().insert_header((header::COOKIE, [NAME, "=", SEALED].concat())).to_http_request();

        let login = login_cookies().find(&req, "state").await.unwrap().unwrap();

        assert!(login.pending.has_state("state"));
        assert_eq!(login.pending.return_url(), "/orders?page=2");
        assert_eq!(login.replaces().unwrap().to_bytes(), session().to_bytes());
    }
}
