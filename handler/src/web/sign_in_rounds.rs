//! Sign-ins that a browser went through lately: the end of a loop that no single request can see.
//!
//! Counted in a cookie of the browser, so every instance knows. It proves nothing and is not sealed: a forged one leads
//! to a page instead of the Provider.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use sha2::{Digest as _, Sha256};

use super::cookies::{CookieNames, cookies, set_cookie};
use crate::claims_request::ClaimsRequest;
use crate::clock::Timestamp;
use crate::oidc::ResponseMode;
use crate::proxy::SignInDemand;

/// Cookie of the rounds.
#[derive(Clone, Debug)]
pub struct SignInRounds {
    names: CookieNames,
    attributes: &'static str,
}

/// Sign-ins of one browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rounds {
    /// Sign-ins for one page, finished since `since`.
    finished: u32,
    since: i64,
    page: [u8; 4],
    /// Demand that the last sign-in was to meet, and its beginning.
    demand: Option<([u8; 4], i64)>,
}

/// Maximum sign-ins that may follow each other. Nobody types a password three times in a minute.
const MAX_ROUNDS: u32 = 3;

/// Window of the count, in seconds.
const WINDOW: i64 = 60;

/// Maximum seconds of a sign-in that was demanded (`PendingLogin::LIFETIME`).
const DEMAND_LIFETIME: i64 = 600;

impl SignInRounds {
    /// The cookie of these names, for callbacks that come by `response_mode`.
    #[must_use]
    pub fn new(names: &CookieNames, response_mode: ResponseMode) -> Self {
        Self { names: names.clone(), attributes: names.callback_attributes(response_mode) }
    }

    /// The rounds of a request's browser; none for a cookie that is no count.
    #[must_use]
    pub fn read(&self, req: &HttpRequest) -> Rounds {
        let value = cookies(req).find(|(name, _)| *name == self.names.rounds()).map(|(_, value)| value);
        value.and_then(Rounds::parse).unwrap_or_default()
    }

    /// The `Set-Cookie` of these rounds.
    #[must_use]
    pub fn set(&self, rounds: Rounds) -> HeaderValue {
        let age = if rounds.demand.is_some() { DEMAND_LIFETIME } else { WINDOW };
        set_cookie(self.names.rounds(), &rounds.to_text(), Some(age.unsigned_abs()), self.attributes)
    }

    /// Deletes the cookie if the request has it: a sign-out begins the count anew.
    pub fn forget(&self, req: &HttpRequest, headers: &mut HeaderMap) {
        if cookies(req).any(|(name, _)| name == self.names.rounds()) {
            headers.append(SET_COOKIE, set_cookie(self.names.rounds(), "", Some(0), self.attributes));
        }
    }
}

impl Rounds {
    /// With one more sign-in that was finished, for the page at `path`. Tabs that a browser restores are no loop.
    #[must_use]
    pub fn finish(self, path: &str, now: Timestamp) -> Self {
        let (now, page) = (now.as_unix(), hash(path));
        if self.finished > 0 && self.page == page && self.is_counted_at(now) {
            Self { finished: self.finished.saturating_add(1), ..self }
        } else {
            Self { finished: 1, since: now, page, demand: self.demand }
        }
    }

    /// With a sign-in that begins, to meet `demand` or none.
    #[must_use]
    pub fn begin(self, demand: Option<&SignInDemand>, now: Timestamp) -> Self {
        Self { demand: demand.map(|demand| (digest(demand), now.as_unix())), ..self }
    }

    /// True if another sign-in for the page at `path` would be one of a loop.
    #[must_use]
    pub fn is_loop(&self, path: &str, now: Timestamp) -> bool {
        self.finished >= MAX_ROUNDS && self.page == hash(path) && self.is_counted_at(now.as_unix())
    }

    /// True if a sign-in of `signed_in_at` was to meet this demand, so that another would end no other way.
    #[must_use]
    pub fn has_tried(&self, demand: &SignInDemand, signed_in_at: Timestamp, now: Timestamp) -> bool {
        self.demand.is_some_and(|(digest_of_demand, begun_at)| {
            digest_of_demand == digest(demand)
                && signed_in_at.as_unix() >= begun_at
                && (0..=DEMAND_LIFETIME).contains(&(now.as_unix() - begun_at))
        })
    }

    /// True if no browser could still have the cookie by its `Max-Age`: two instances have different clocks.
    #[must_use]
    pub fn is_of_another_clock(&self, now: Timestamp) -> bool {
        self.finished > 0 && self.is_beyond_its_age(now.as_unix())
    }

    fn is_beyond_its_age(&self, now: i64) -> bool {
        !(-WINDOW..=DEMAND_LIFETIME + WINDOW).contains(&(now - self.since))
    }

    /// Within the window, or by clocks that differ: the browser drops the cookie in time.
    fn is_counted_at(&self, now: i64) -> bool {
        now - self.since <= WINDOW || self.is_beyond_its_age(now)
    }

    /// `2.1800000000.deadbeef`, or `2.1800000000.deadbeef.1800000030.0badcafe` with a demand.
    fn to_text(self) -> String {
        let counted = format!("{}.{}.{:08x}", self.finished, self.since, u32::from_be_bytes(self.page));
        match self.demand {
            None => counted,
            Some((digest, begun_at)) => format!("{counted}.{begun_at}.{:08x}", u32::from_be_bytes(digest)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (finished, since) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let page = u32::from_str_radix(parts.next()?, 16).ok()?.to_be_bytes();
        let demand = match (parts.next(), parts.next(), parts.next()) {
            (None, None, None) => None,
            (Some(begun_at), Some(digest), None) => {
                Some((u32::from_str_radix(digest, 16).ok()?.to_be_bytes(), begun_at.parse().ok()?))
            }
            _ => return None,
        };
        Some(Self { finished, since, page, demand })
    }
}

fn digest(demand: &SignInDemand) -> [u8; 4] {
    let claims = demand.claims.as_ref().map(ClaimsRequest::to_json).unwrap_or_default();
    hash(&format!("{}\n{:?}\n{claims}", demand.acr_values.join(" "), demand.max_age))
}

fn hash(text: &str) -> [u8; 4] {
    let digest = Sha256::digest(text);
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;
    use actix_web::test::TestRequest;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    fn demand(acr: &str, max_age: Option<u64>) -> SignInDemand {
        let acr_values = acr.split_terminator(' ').map(str::to_owned).collect();
        SignInDemand { acr_values, max_age, claims: None }
    }

    fn cookie() -> SignInRounds {
        SignInRounds::new(&CookieNames::new("app", &"https://app.example".parse().unwrap()), ResponseMode::Query)
    }

    fn finished(times: &[i64]) -> Rounds {
        times.iter().fold(Rounds::default(), |rounds, seconds| rounds.finish("/page", at(*seconds)))
    }

    #[test]
    fn three_sign_ins_in_a_minute_are_a_loop() {
        for (times, now, expected, reason) in [
            (&[0, 1, 2][..], 3, true, "three in a row"),
            (&[0, 20, 40], 60, true, "within the minute"),
            (&[0, 1], 2, false, "two"),
            (&[], 0, false, "none"),
            (&[0, 1, 2], 61, false, "a minute later"),
            (&[0, 1, 61], 62, false, "the count begins anew"),
            (&[0, 1, 2], -100, true, "another instance, whose clock is behind"),
            (&[0, 1, 2], 7200, true, "another instance, whose clock is ahead"),
        ] {
            assert_eq!(finished(times).is_loop("/page", at(now)), expected, "{reason}");
        }
    }

    #[test]
    fn a_count_that_no_browser_could_still_have_is_of_another_clock() {
        for (now, expected) in [(0, false), (-60, false), (660, false), (-61, true), (661, true)] {
            assert_eq!(finished(&[0]).is_of_another_clock(at(now)), expected, "{now}");
        }
        assert!(!Rounds::default().is_of_another_clock(at(0)));
    }

    #[test]
    fn pages_of_their_own_are_no_loop() {
        let tabs = (0..12).fold(Rounds::default(), |rounds, tab| rounds.finish(&format!("/tab/{tab}"), at(tab)));

        assert!(!tabs.is_loop("/tab/11", at(12)));
        assert!(!finished(&[0, 1, 2]).is_loop("/other", at(3)));
    }

    #[test]
    fn a_demand_is_tried_by_a_sign_in_that_it_began() {
        let asked = demand("mfa", Some(300));
        let rounds = Rounds::default().begin(Some(&asked), at(10));
        for (asked_again, signed_in_at, now, expected, reason) in [
            (&asked, 10, 20, true, "the sign-in that was to meet it"),
            (&asked, 9, 20, false, "the person turned back: an older sign-in"),
            (&asked, 20, 611, false, "too long ago"),
            (&demand("mfa", None), 20, 30, false, "another demand"),
            (&demand("phr", Some(300)), 20, 30, false, "another class"),
        ] {
            assert_eq!(rounds.has_tried(asked_again, at(signed_in_at), at(now)), expected, "{reason}");
        }
        assert!(!rounds.begin(None, at(15)).has_tried(&asked, at(20), at(20)), "an ordinary sign-in came after it");
    }

    #[test]
    fn the_cookie_brings_the_rounds_back() {
        let (plain, demanded) = (finished(&[0, 1]), finished(&[0]).begin(Some(&demand("mfa", None)), at(5)));
        for rounds in [plain, demanded] {
            let set = cookie().set(rounds);
            let value = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            let req = TestRequest::default().insert_header((header::COOKIE, value)).to_http_request();

            assert_eq!(cookie().read(&req), rounds);
        }
        assert_eq!(
            cookie().set(plain),
            "__Host-app-rounds=2.1800000000.c6377dd9; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn what_is_no_count_counts_nothing() {
        for value in
            ["", "x", "1", "1.x.0", "1.2", "-1.0.0", "1.2.zz", "1.2.0.3", "1.2.0.3.zz", "1.2.0.3.4.5", "4294967296.0.0"]
        {
            assert_eq!(Rounds::parse(value), None, "{value}");
        }
    }
}
