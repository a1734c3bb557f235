//! How long sessions live, where they are kept and what seals them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Environment;
use super::reader::{Reader, Setting};
use crate::crypto::{Key, KeyId, KeyRing};
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
const SESSION_STORE: Setting = Setting {
    name: "SESSION_STORE",
    expected: "memory, which forgets on restart and can't be used on Azure",
    example: "memory",
};
const COOKIE_KEYS: Setting = Setting {
    name: "COOKIE_KEYS",
    expected: "one or two keys as kid:base64(32 bytes), separated by a comma, newest first (oauth-proxy generate-key)",
    example: "2026-11:<base64>",
};
const TOKEN_KEYS: Setting = Setting { name: "TOKEN_KEYS", ..COOKIE_KEYS };

const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);

pub(super) struct Sessions {
    pub(super) lifetime: SessionLifetime,
    pub(super) cache_ttl: Duration,
    pub(super) refresh_before: RefreshBefore,
    pub(super) cookie_keys: KeyRing,
    pub(super) token_keys: KeyRing,
    pub(super) warnings: Vec<&'static str>,
}

pub(super) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Option<Sessions> {
    let mut warnings = Vec::new();
    let lifetime = lifetime(reader);
    let cache_ttl = reader.parse_or(SESSION_CACHE_TTL, Duration::from_secs(5), |text| {
        humantime::parse_duration(text).ok().filter(|ttl| *ttl <= Duration::from_secs(60))
    });
    let refresh_before = reader.parse_or(REFRESH_BEFORE_EXPIRY, RefreshBefore::Share(20), refresh_before);
    let store = store(reader, environment, &mut warnings);
    let cookie_keys = keys(reader, COOKIE_KEYS, environment, &mut warnings);
    let token_keys = keys(reader, TOKEN_KEYS, environment, &mut warnings);
    store?;
    Some(Sessions {
        lifetime: lifetime?,
        cache_ttl: cache_ttl?,
        refresh_before: refresh_before?,
        cookie_keys: cookie_keys?,
        token_keys: token_keys?,
        warnings,
    })
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
    let duration = humantime::parse_duration(text).ok()?;
    (Duration::from_secs(1)..=LONGEST).contains(&duration).then_some(duration)
}

fn refresh_before(text: &str) -> Option<RefreshBefore> {
    if let Some(share) = text.strip_suffix('%') {
        return share.parse().ok().filter(|share| (1..=50).contains(share)).map(RefreshBefore::Share);
    }
    humantime::parse_duration(text).ok().filter(|before| *before <= LONGEST).map(RefreshBefore::Duration)
}

fn store(reader: &mut Reader<'_>, environment: &Environment, warnings: &mut Vec<&'static str>) -> Option<()> {
    reader.parse_or(SESSION_STORE, (), |text| (text == "memory").then_some(()))?;
    if environment.is_on_azure() {
        reader.mistake(SESSION_STORE, "sessions in memory are lost with every instance on Azure".to_owned());
        return None;
    }
    warnings.push("sessions are kept in memory and end with this process (SESSION_STORE=memory)");
    Some(())
}

fn keys(
    reader: &mut Reader<'_>,
    setting: Setting,
    environment: &Environment,
    warnings: &mut Vec<&'static str>,
) -> Option<KeyRing> {
    let Some(text) = reader.optional(setting) else {
        if environment.is_on_azure() {
            reader.mistake(setting, "it is not set, and a generated key would differ on every instance".to_owned());
            return None;
        }
        let warning = "a key was generated, so everyone is signed out at the next start (COOKIE_KEYS, TOKEN_KEYS)";
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
        return Some(KeyRing::generate());
    };
    let keys: Option<Vec<(KeyId, Key)>> = text.split(',').map(key).collect();
    match keys.map(KeyRing::new) {
        Some(Ok(ring)) => Some(ring),
        Some(Err(error)) => {
            reader.mistake(setting, error.to_string());
            None
        }
        None => {
            reader.mistake(setting, "an entry is not kid:base64(32 bytes)".to_owned());
            None
        }
    }
}

fn key(entry: &str) -> Option<(KeyId, Key)> {
    let (kid, bytes) = entry.trim().split_once(':')?;
    let bytes = Zeroizing::new(STANDARD.decode(bytes).ok()?);
    Some((KeyId::parse(kid).ok()?, Key::from_bytes(&bytes).ok()?))
}
