//! Settings of session lifetimes, and of the refresh of their tokens.

use std::time::Duration;

use super::reader::{Reader, Setting};
use crate::duration::parse_duration;
use crate::sessions::{RefreshBefore, SessionLifetime};

const SESSION_IDLE_TIMEOUT: Setting = Setting {
    name: "SESSION_IDLE_TIMEOUT",
    expected: "a duration from 1s to 31d that isn't longer than SESSION_MAX_LIFETIME",
    example: "30m",
};
const SESSION_MAX_LIFETIME: Setting =
    Setting { name: "SESSION_MAX_LIFETIME", expected: "a duration from 1s to 31d", example: "8h" };
const SESSION_CACHE_TTL: Setting =
    Setting { name: "SESSION_CACHE_TTL", expected: "a duration from 0s to 60s", example: "5s" };
const REFRESH_BEFORE_EXPIRY: Setting = Setting {
    name: "REFRESH_BEFORE_EXPIRY",
    expected: "a share of the token's lifetime from 1% to 50%, or a duration",
    example: "20%",
};
const MAX_DURATION: Duration = Duration::from_secs(31 * 24 * 60 * 60);

pub(super) struct Sessions {
    pub(super) lifetime: SessionLifetime,
    pub(super) cache_ttl: Duration,
    pub(super) refresh_before: RefreshBefore,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Sessions> {
    let lifetime = lifetime(reader);
    let cache_ttl = reader.parse_or(SESSION_CACHE_TTL, Duration::from_secs(5), |text| {
        parse_duration(text).filter(|ttl| *ttl <= Duration::from_secs(60))
    });
    let refresh_before = reader.parse_or(REFRESH_BEFORE_EXPIRY, RefreshBefore::Share(20), refresh_before);
    Some(Sessions { lifetime: lifetime?, cache_ttl: cache_ttl?, refresh_before: refresh_before? })
}

fn lifetime(reader: &mut Reader<'_>) -> Option<SessionLifetime> {
    let idle = reader.parse_or(SESSION_IDLE_TIMEOUT, Duration::from_secs(30 * 60), session_duration);
    let absolute = reader.parse_or(SESSION_MAX_LIFETIME, Duration::from_secs(8 * 60 * 60), session_duration);
    let (idle, absolute) = (idle?, absolute?);
    if idle > absolute {
        reader.mistake(SESSION_IDLE_TIMEOUT, "it is longer than SESSION_MAX_LIFETIME".to_owned());
        return None;
    }
    Some(SessionLifetime { idle, absolute })
}

fn session_duration(text: &str) -> Option<Duration> {
    let duration = parse_duration(text)?;
    (Duration::from_secs(1)..=MAX_DURATION).contains(&duration).then_some(duration)
}

fn refresh_before(text: &str) -> Option<RefreshBefore> {
    if let Some(share) = text.strip_suffix('%') {
        return share.parse().ok().filter(|share| (1..=50).contains(share)).map(RefreshBefore::Share);
    }
    parse_duration(text).filter(|before| *before <= MAX_DURATION).map(RefreshBefore::Duration)
}
