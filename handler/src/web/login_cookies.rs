//! Login cookies: each pending sign-in has its own, so that tabs don't break each other, and the oldest make room.
//!
//! A cookie is named after its login's tag, so two tabs that begin at the same moment share none. A sealed login that
//! is longer than a cookie may be is split: `<name>`, `<name>-1`, `<name>-2`.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use zeroize::Zeroizing;

use super::cookies::{CookieNames, cookies, set_cookie};
use crate::clock::Timestamp;
use crate::crypto::{KeySource, KeysUnavailable};
use crate::oidc::{PendingLogin, ResponseMode};
use crate::sessions::SessionTicket;

/// Maximum pending sign-ins of one browser: more than the dozen tabs that a browser restores at once.
const MAX_PENDING: usize = 16;

/// Maximum bytes of all login cookies in a `Cookie` header; the newest always fits. nginx accepts 8 KiB in one line by
/// default, and the application has cookies, too.
const MAX_BYTES: usize = 6 * 1024;

/// Maximum bytes of a cookie's value. RFC 6265 6.1 promises 4096 for name, value and attributes.
const MAX_VALUE: usize = 3840;

/// Maximum logins of a request that are opened at a sign-in. A browser has [`MAX_PENDING`], and a few more if tabs
/// begin at once; the rest wait for the next sign-in.
const MAX_OPENED: usize = 32;

/// Maximum cookies of one login: more than the longest return URL needs.
const MAX_PARTS: usize = 8;

/// Reads and writes the cookies of pending logins.
#[derive(Clone)]
pub struct LoginCookies {
    names: CookieNames,
    keys: Arc<dyn KeySource>,
    attributes: &'static str,
    response_mode: ResponseMode,
}

/// Client that a sign-in was begun for. Its cookie opens for no other: after a change of the settings, or at another
/// deployment with the same keys, the sign-in is unknown.
#[derive(Clone, Copy, Debug)]
pub struct LoginClient<'a> {
    /// The Provider's issuer.
    pub issuer: &'a str,
    /// Our client identifier.
    pub client_id: &'a str,
}

/// Content of a login's cookies, opened.
pub struct RememberedLogin {
    /// The pending sign-in.
    pub pending: PendingLogin,
    /// Ticket of the session that this sign-in will replace, if any.
    replaces: Option<Zeroizing<Vec<u8>>>,
    /// Sequence number, higher than those of the browser's other logins: orders logins of the same second.
    sequence: u64,
}

const VERSION: u8 = 2;

impl RememberedLogin {
    /// A pending sign-in of a browser with this session.
    #[must_use]
    pub fn new(pending: PendingLogin, session: Option<&SessionTicket>) -> Self {
        let replaces = session.map(SessionTicket::to_bytes);
        Self { pending, replaces, sequence: 0 }
    }

    /// Session that existed when the sign-in began.
    #[must_use]
    pub fn replaces(&self) -> Option<SessionTicket> {
        SessionTicket::from_bytes(self.replaces.as_ref()?).ok()
    }

    /// Serialises version, sequence, length and bytes of the ticket, and the pending login.
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let ticket = self.replaces.as_ref().map_or(&[][..], |ticket| ticket);
        let mut bytes = Zeroizing::new(vec![VERSION]);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.push(u8::try_from(ticket.len()).expect("a ticket has 73 bytes"));
        bytes.extend_from_slice(ticket);
        bytes.extend_from_slice(&self.pending.to_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, rest) = bytes.strip_prefix(&[VERSION])?.split_first_chunk::<8>()?;
        let (&length, rest) = rest.split_first()?;
        let (ticket, pending) = rest.split_at_checked(length.into())?;
        let pending = PendingLogin::from_bytes(pending)?;
        let replaces = Some(Zeroizing::new(ticket.to_vec())).filter(|ticket| !ticket.is_empty());
        Some(Self { pending, replaces, sequence: u64::from_be_bytes(*sequence) })
    }
}

impl LoginCookies {
    /// Login cookies with these names for one client, sealed by these keys, for responses by
    /// `response_mode`.
    #[must_use]
    pub fn new(
        names: &CookieNames,
        client: LoginClient<'_>,
        keys: Arc<dyn KeySource>,
        response_mode: ResponseMode,
    ) -> Self {
        let attributes = names.callback_attributes(response_mode);
        Self { names: names.bound_to(client.issuer, client.client_id), keys, attributes, response_mode }
    }

    /// Finds the login with this `state`, if this browser began it.
    ///
    /// # Errors
    /// If its key is unknown and the newest keys cannot be loaded now.
    pub async fn find(&self, req: &HttpRequest, state: &str) -> Result<Option<RememberedLogin>, KeysUnavailable> {
        let tag = PendingLogin::tag_of(state);
        match self.stored(req).iter().find(|stored| stored.tag == tag) {
            Some(stored) => self.open(stored).await,
            None => Ok(None),
        }
    }

    /// `Set-Cookie`s that store `login` and make room for it: they delete expired and unreadable logins, and the
    /// oldest beyond `MAX_PENDING` and `MAX_BYTES`.
    pub async fn remember(&self, req: &HttpRequest, mut login: RememberedLogin, now: Timestamp) -> Vec<HeaderValue> {
        if self.response_mode == ResponseMode::Query {
            login.replaces = None; // the session's cookie comes with the callback itself: SameSite=Lax, a GET
        }
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

    /// `Set-Cookie`s that delete the login with this `state`.
    #[must_use]
    pub fn forget(&self, req: &HttpRequest, state: &str) -> Vec<HeaderValue> {
        let tag = PendingLogin::tag_of(state);
        let stored = self.stored(req);
        let parts = stored.iter().filter(|stored| stored.tag == tag).flat_map(|stored| &stored.parts);
        let further = parts.filter(|part| part.number > 0).map(|part| self.delete(part.name));
        [self.delete(&self.names.login(&tag))].into_iter().chain(further).collect()
    }

    /// Name and value of each cookie that this login needs.
    fn sealed(&self, login: &RememberedLogin) -> Vec<(String, String)> {
        let name = self.names.login(&login.pending.tag());
        let value = self.names.seal(&name, &login.to_bytes(), &*self.keys);
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

    /// The request's login cookies, grouped by login.
    fn stored<'a>(&self, req: &'a HttpRequest) -> Vec<Stored<'a>> {
        let mut logins: Vec<Stored<'a>> = Vec::new();
        for (name, value) in cookies(req) {
            let Some(suffix) = name.strip_prefix(self.names.login_prefix()) else { continue };
            let (tag, number) = match suffix.split_once('-') {
                Some((tag, number)) => (tag, number.parse().unwrap_or(usize::MAX)),
                None => (suffix, 0),
            };
            // A deleted name is written into a header, so it must be valid.
            let is_ours = tag.len() == 8 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()) && number < MAX_PARTS;
            if !is_ours {
                continue;
            }
            let part = Part { number, name, value };
            match logins.iter().position(|login| login.tag == tag) {
                Some(at) => logins[at].parts.push(part),
                None if logins.len() == MAX_OPENED => {}
                None => logins.push(Stored { tag, parts: vec![part] }),
            }
        }
        logins
    }

    async fn open(&self, stored: &Stored<'_>) -> Result<Option<RememberedLogin>, KeysUnavailable> {
        let Some(value) = stored.value() else { return Ok(None) };
        let opened = self.names.open(&self.names.login(stored.tag), &value, &*self.keys).await?;
        Ok(opened.and_then(|opened| RememberedLogin::from_bytes(&opened)))
    }
}

/// Cookies of one login in a request.
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
    /// The whole value, if every part is present exactly once.
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

/// Bytes of one cookie in a `Cookie` header: `name=value; `.
fn cookie_bytes(name: &str, value: &str) -> usize {
    name.len() + value.len() + "=; ".len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::base64url;
    use crate::random;
    use crate::testing::frozen_keys;
    use actix_web::http::header;
    use actix_web::test::TestRequest;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const NAME: &str = "__Host-app-login-58badd9b";
    const PLAINTEXT: &str = "AgAAAAAAAAAHSQHDljz87o4z210aAeEIY8Foq0Lz1FFqreiQXhf0fKbOCbhThm1c589cbzS6Sfl3y-QAAAAAa0nSAAAAAABrSdRY\
        AAAAAGtKQoABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICBAQE\
        BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwAAAABrSdIAAAAAAAAA\
        Algvb3JkZXJzP3BhZ2U9Mg";
    const SEALED: &str = "1.c1.CQkJCQkJCQkJCQkJCQkJCXY9h9xrPkcEMIkGymL9Uum1GHI5q1tQ9I1L6IctVWlxf_lQTsVTlsF17C397hSf6jM46oeyhiU\
        YdP0rkjszg03i2Z5HHKFxwAl76AwoYf3FyqdAM5VBfOuMBvdsHpVbrOI6E4eRxO_4_Aq7P636S9Hk4rgquJ4-gqU5H-nM9yXKLjO\
        Otr__xl4hmqXU8rPGSy44_vIMOMTfx377IScSa47zXnUC7JjtlxZJG94mOd3yPnfPQv_l3litqI5rYabqr7LRTjHz3zpBS5wdSjU\
        zLAGrYD2X4qx2_DGHIGszETNm58FinmYX8Xl6a5A1bdmpM9Istvml0NoWhoWTuFgjs3kC";
    /// A login with this state and return URL, and the state as the Provider sends it.
    fn pending(state: [u8; 32], return_url: &str, now: Timestamp) -> (PendingLogin, String) {
        let secrets = [state, [2; 32], [4; 32], [3; 32]].concat();
        let numbers = [now.as_unix().to_be_bytes(), 600_u64.to_be_bytes()].concat();
        let pending = PendingLogin::from_bytes(&[&secrets, &numbers, return_url.as_bytes()].concat()).unwrap();
        (pending, state.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn frozen_login() -> (RememberedLogin, String) {
        let (pending, state) = pending([1; 32], "/orders?page=2", NOW);
        (RememberedLogin { sequence: 7, ..RememberedLogin::new(pending, Some(&session())) }, state)
    }

    fn request(cookies: &[(&str, &str)]) -> HttpRequest {
        let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        TestRequest::default().insert_header((header::COOKIE, pairs.join("; "))).to_http_request()
    }

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
        let (login, _) = frozen_login();

        assert_eq!(base64url(&login.to_bytes()), PLAINTEXT);
        assert_eq!(login_cookies().names.login(&login.pending.tag()), NAME);
    }

    #[actix_web::test]
    async fn a_login_cookie_opens_for_the_client_that_it_was_begun_for() {
        let names = CookieNames::new("app", &"https://app.example".parse().unwrap());
        let (_, state) = frozen_login();
        for (client, is_found) in [
            (CLIENT, true),
            (LoginClient { issuer: "https://op.example/", ..CLIENT }, false),
            (LoginClient { client_id: "client2", ..CLIENT }, false),
            (LoginClient { issuer: "https://op.example client", client_id: "" }, false),
        ] {
            let cookies = LoginCookies::new(&names, client, frozen_keys(), ResponseMode::Query);

            let found = cookies.find(&request(&[(NAME, SEALED)]), &state).await.unwrap();

            assert_eq!(found.is_some(), is_found, "{client:?}");
        }
    }

    #[actix_web::test]
    async fn cookies_that_are_not_ours_are_neither_opened_nor_deleted() {
        for (names, deleted, reason) in [
            (vec!["00000001".to_owned()], 1, "one that does not open"),
            (vec!["00000001".to_owned(), "00000001-1".to_owned()], 2, "one in two parts"),
            (vec!["\u{e9}".to_owned()], 0, "no ASCII: it could not be written into a header"),
            (vec!["0000000g".to_owned(), "1".to_owned(), "000000001".to_owned()], 0, "no tag of ours"),
            (vec!["00000001-8".to_owned(), "00000001-x".to_owned(), "00000001--1".to_owned()], 0, "no part of ours"),
            ((0..100).map(|number| format!("{number:08x}")).collect(), MAX_OPENED, "more than a browser has"),
        ] {
            let value = names.iter().map(|tag| format!("__Host-app-login-{tag}=x")).collect::<Vec<_>>().join("; ");
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            let req = TestRequest::default().insert_header((header::COOKIE, value)).to_http_request();
            let (login, _) = frozen_login();

            let set = login_cookies().remember(&req, login, NOW).await;

            assert_eq!(set.len(), deleted + 1, "{reason}");
        }
    }

    #[actix_web::test]
    async fn the_frozen_login_cookie_still_opens() {
        let (_, state) = frozen_login();

        let login = login_cookies().find(&request(&[(NAME, SEALED)]), &state).await.unwrap().unwrap();

        assert_eq!(base64url(&login.to_bytes()), PLAINTEXT);
        assert_eq!(login.pending.return_url(), "/orders?page=2");
        assert_eq!(login.replaces().unwrap().to_bytes(), session().to_bytes());
    }

    /// Cookie jar of a browser.
    #[derive(Default)]
    struct Jar(Vec<(String, String)>);

    impl Jar {
        fn request(&self) -> HttpRequest {
            let pairs: Vec<_> = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            request(&pairs)
        }

        fn take(&mut self, set: Vec<HeaderValue>) {
            for cookie in set {
                let cookie = cookie.to_str().unwrap();
                assert!(cookie.len() <= 4096, "{}", cookie.len());
                let (name, rest) = cookie.split_once('=').unwrap();
                self.0.retain(|(given, _)| given != name);
                if !rest.starts_with(';') {
                    self.0.push((name.to_owned(), rest.split(';').next().unwrap().to_owned()));
                }
            }
        }

        /// Begins a sign-in with a return URL of this length; returns its state.
        async fn begin(&mut self, cookies: &LoginCookies, length: usize, now: Timestamp) -> String {
            let (pending, state) = pending(random::bytes(), &format!("/{}", "a".repeat(length - 1)), now);
            let login = RememberedLogin::new(pending, Some(&session()));
            self.take(cookies.remember(&self.request(), login, now).await);
            state
        }

        async fn has(&self, cookies: &LoginCookies, state: &str) -> bool {
            cookies.find(&self.request(), state).await.unwrap().is_some()
        }
    }

    #[actix_web::test]
    async fn the_oldest_makes_room_by_number_and_by_bytes() {
        let cookies = login_cookies();
        for (length, kept, reason) in [
            (20, 16, "sixteen at most"),
            (340, 8, "half as many with long URLs"),
            (500, 6, "six with longer ones"),
            (3000, 1, "by their bytes"),
            (8192, 1, "the longest fills the room"),
        ] {
            let mut jar = Jar::default();
            let mut states = Vec::new();
            for _ in 0..20 {
                states.push(jar.begin(&cookies, length, NOW).await); // in one second: the sequence tells
            }

            let mut found = Vec::new();
            for state in &states {
                found.push(jar.has(&cookies, state).await);
            }

            let bytes: usize = jar.0.iter().map(|(name, value)| cookie_bytes(name, value)).sum();
            assert!(bytes <= MAX_BYTES || kept == 1, "{reason}: {bytes}"); // the newest always fits
            assert_eq!(found, [vec![false; 20 - kept], vec![true; kept]].concat(), "{reason}");
        }
    }

    #[actix_web::test]
    async fn an_instance_whose_clock_is_behind_drops_no_newer_login() {
        let cookies = login_cookies();
        let mut jar = Jar::default();
        let first = jar.begin(&cookies, 20, NOW).await;
        let second = jar.begin(&cookies, 20, Timestamp::from_unix(NOW.as_unix() - 60)).await;
        for _ in 0..15 {
            jar.begin(&cookies, 20, NOW).await;
        }

        assert_eq!((jar.has(&cookies, &first).await, jar.has(&cookies, &second).await), (false, true));
    }

    #[actix_web::test]
    async fn a_long_login_opens_from_all_of_its_parts_only_and_leaves_none() {
        let cookies = login_cookies();
        let mut jar = Jar::default();
        let state = jar.begin(&cookies, 8192, NOW).await;
        assert_eq!(jar.0.len(), 3);

        let mut shuffled = Jar(jar.0.iter().rev().cloned().collect());
        shuffled.0.push(("theirs".to_owned(), "x".to_owned()));
        assert!(shuffled.has(&cookies, &state).await, "in any order");
        for missing in 0..3 {
            let mut parts = jar.0.clone();
            parts.remove(missing);
            assert!(!Jar(parts).has(&cookies, &state).await, "without part {missing}");
        }
        let mut twice = jar.0.clone();
        twice.push(jar.0[1].clone());
        assert!(!Jar(twice).has(&cookies, &state).await, "with a part twice");
        let mut foreign = jar.0.clone();
        foreign.push((format!("{}-x", jar.0[0].0), "x".to_owned()));
        assert!(Jar(foreign).has(&cookies, &state).await, "beside a name that is none of ours");
        let forgotten = cookies.forget(&jar.request(), &state);
        jar.take(forgotten);
        assert!(jar.0.is_empty(), "{:?}", jar.0);
    }

    #[actix_web::test]
    async fn what_does_not_open_or_has_expired_goes() {
        let cookies = login_cookies();
        let mut jar = Jar::default();
        jar.begin(&cookies, 8192, NOW).await;
        jar.0.push(("__Host-app-login-00000000".to_owned(), "forged".to_owned()));
        jar.0.push(("__Host-app-login-00000000-1".to_owned(), "forged".to_owned()));

        let state = jar.begin(&cookies, 20, NOW.plus(PendingLogin::LIFETIME)).await;

        assert!(jar.has(&cookies, &state).await && jar.0.len() == 1, "{:?}", jar.0);
    }

    #[actix_web::test]
    async fn the_older_session_is_remembered_where_its_cookie_does_not_come_along() {
        let names = CookieNames::new("app", &"https://app.example".parse().unwrap());
        for (response_mode, is_remembered) in [(ResponseMode::Query, false), (ResponseMode::FormPost, true)] {
            let cookies = LoginCookies::new(&names, CLIENT, frozen_keys(), response_mode);
            let mut jar = Jar::default();
            let state = jar.begin(&cookies, 20, NOW).await;

            let login = cookies.find(&jar.request(), &state).await.unwrap().unwrap();

            assert_eq!(login.replaces().is_some(), is_remembered);
        }
    }
}
