//! Sealing of cookies and records (AES-256-GCM under keys derived by HKDF-SHA256).
//!
//! Knows no HTTP, no store and no plaintext format. Every failure to open looks the same.

mod cipher;
mod encoding;
mod envelope;
mod keys;
mod plaintext;
mod record_part;
mod session_seed;
mod static_keys;

pub use encoding::{base64url, base64url_decode};
pub use envelope::{CookieContext, open_claims, open_cookie, open_form, seal_claims, seal_cookie, seal_form};
pub use keys::{Key, KeyError, KeyId, KeyRing, KeySource, KeysUnavailable, OpenError, open_with_reload};
pub use plaintext::Plaintext;
pub use record_part::{PartContext, RecordCipher, RecordPart, SealedPart};
pub use session_seed::derive_session;
pub use static_keys::StaticKeys;
