//! Settings of the sealing keys: versions of two secrets in a vault, or keys in the environment.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use zeroize::Zeroizing;

use super::Environment;
use super::reader::{Reader, Setting};
use crate::azure::KeyVaultKeysSettings;
use crate::crypto::{Key, KeyId, KeyRing};
use crate::duration::parse_duration;

pub(super) const KEY_VAULT_URL: Setting = Setting {
    name: "KEY_VAULT_URL",
    expected: "the https address of the vault that holds the keys, and then no COOKIE_KEYS and TOKEN_KEYS",
    example: "https://vault.vault.azure.net/",
};
const COOKIE_KEY_NAME: Setting = Setting {
    name: "COOKIE_KEY_NAME",
    expected: "the name of the secret whose versions seal cookies: 1 to 127 of a-z, A-Z, 0-9 and -",
    example: "cookie-key",
};
const TOKEN_KEY_NAME: Setting = Setting {
    name: "TOKEN_KEY_NAME",
    expected: "the name of the secret whose versions seal records, another than COOKIE_KEY_NAME",
    example: "token-key",
};
const KEY_RELOAD_INTERVAL: Setting =
    Setting { name: "KEY_RELOAD_INTERVAL", expected: "a duration from 1s to 1h", example: "5m" };
const KEY_ACTIVATION_DELAY: Setting = Setting {
    name: "KEY_ACTIVATION_DELAY",
    expected: "a duration of at most 1d that is longer than KEY_RELOAD_INTERVAL",
    example: "15m",
};
const COOKIE_KEYS: Setting = Setting {
    name: "COOKIE_KEYS",
    expected: "one or two keys as kid:base64(32 bytes), separated by a comma, the one that seals first (oauth-proxy generate-key)",
    example: "2026-11:<base64>",
};
const TOKEN_KEYS: Setting = Setting { name: "TOKEN_KEYS", ..COOKIE_KEYS };

/// Source of the keys.
#[derive(Debug)]
pub enum KeySettings {
    /// Keys of `COOKIE_KEYS` and `TOKEN_KEYS`, or generated ones.
    Static {
        /// Keys for cookies.
        cookie: KeyRing,
        /// Keys for records.
        token: KeyRing,
    },
    /// From a vault.
    KeyVault {
        /// The vault.
        url: Url,
        /// Names of its secrets, and the timing of rotation.
        settings: KeyVaultKeysSettings,
    },
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    environment: &Environment,
    warnings: &mut Vec<&'static str>,
) -> Option<KeySettings> {
    let Some(url) = reader.optional(KEY_VAULT_URL) else {
        let cookie = static_keys(reader, COOKIE_KEYS, environment, warnings);
        let token = static_keys(reader, TOKEN_KEYS, environment, warnings);
        let cookie = cookie?;
        let token = token?;
        if cookie.shares_a_key_with(&token) {
            reader.mistake(TOKEN_KEYS, "a key has the same bytes as one of COOKIE_KEYS".to_owned());
            return None;
        }
        return Some(KeySettings::Static { cookie, token });
    };
    let given = [COOKIE_KEYS, TOKEN_KEYS].into_iter().find(|setting| reader.optional(*setting).is_some());
    if let Some(setting) = given {
        reader.mistake(setting, "KEY_VAULT_URL is set too".to_owned());
    }
    let url = vault(reader, url);
    let settings = vault_keys(reader);
    match given {
        Some(_) => None,
        None => Some(KeySettings::KeyVault { url: url?, settings: settings? }),
    }
}

fn vault(reader: &mut Reader<'_>, text: &str) -> Option<Url> {
    let url = key_vault_url(text);
    if url.is_none() {
        reader.mistake(KEY_VAULT_URL, "its value is not an https origin".to_owned());
    }
    url
}

/// Parses an https origin. Plain http is refused on loopback too: Azure's library sends no token over it.
pub(super) fn key_vault_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        url.scheme() == "https" && url.path() == "/" && url.query().is_none() && url.username().is_empty()
    })
}

fn vault_keys(reader: &mut Reader<'_>) -> Option<KeyVaultKeysSettings> {
    let cookie_key_name = reader.parse_or(COOKIE_KEY_NAME, COOKIE_KEY_NAME.example.to_owned(), key_vault_name);
    let token_key_name = reader.parse_or(TOKEN_KEY_NAME, TOKEN_KEY_NAME.example.to_owned(), key_vault_name);
    let reload_interval = reader.parse_or(KEY_RELOAD_INTERVAL, Duration::from_secs(5 * 60), |text| {
        let allowed = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
        parse_duration(text).filter(|interval| allowed.contains(interval))
    });
    let activation_delay = reader.parse_or(KEY_ACTIVATION_DELAY, Duration::from_secs(15 * 60), |text| {
        parse_duration(text).filter(|delay| *delay <= Duration::from_secs(24 * 60 * 60))
    });
    let (cookie_key_name, token_key_name) = (cookie_key_name?, token_key_name?);
    let (reload_interval, activation_delay) = (reload_interval?, activation_delay?);
    if cookie_key_name == token_key_name {
        reader.mistake(TOKEN_KEY_NAME, "it is the same secret as COOKIE_KEY_NAME".to_owned());
        return None;
    }
    if activation_delay <= reload_interval {
        let problem = "it is not longer than KEY_RELOAD_INTERVAL, so instances would meet keys they don't know";
        reader.mistake(KEY_ACTIVATION_DELAY, problem.to_owned());
        return None;
    }
    Some(KeyVaultKeysSettings { cookie_key_name, token_key_name, reload_interval, activation_delay })
}

/// Parses the name of a secret or key (Key Vault, object identifiers).
pub(super) fn key_vault_name(text: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    ((1..=127).contains(&text.len()) && text.bytes().all(is_allowed)).then(|| text.to_owned())
}

fn static_keys(
    reader: &mut Reader<'_>,
    setting: Setting,
    environment: &Environment,
    warnings: &mut Vec<&'static str>,
) -> Option<KeyRing> {
    let Some(text) = reader.optional(setting) else {
        if environment.is_on_azure() {
            let problem = "a generated key would differ on every instance: set KEY_VAULT_URL";
            reader.mistake(setting, problem.to_owned());
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
