//! Signed token as a container (RFC 7515, compact form): header, payload, signature. Knows no claim.
//!
//! Parsed here instead of by the library: every member that decides something must occur once, with the right type.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::unique_json::UniqueJson;

/// Maximum token length; a longer one is refused undecoded. A person in two hundred groups needs 16 KiB.
const MAX_LENGTH: usize = 64 * 1024;

/// A parsed token, not yet verified.
pub(super) struct Jws<'a> {
    pub(super) header: Map<String, Value>,
    payload: &'a str,
    /// Signing input: header and payload as they were signed.
    pub(super) signed: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if payload.contains('.') {
            return None; // five parts are an encrypted token
        }
        Some(Self { header: object(header)?, payload, signed, signature })
    }

    /// The payload; to be used only after the signature has been verified.
    pub(super) fn payload(&self) -> Option<Map<String, Value>> {
        object(self.payload)
    }
}

/// RFC 7515 4 and RFC 7519 4 let a reader take the last of two members of one name; two readers that choose differently
/// let a value pass a check and another one be used.
fn object(part: &str) -> Option<Map<String, Value>> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    match serde_json::from_slice(&json).ok()? {
        UniqueJson(Value::Object(members)) => Some(members),
        UniqueJson(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_token_is_three_parts_with_objects_in_two() {
        let text = token(r#"{"alg":"RS256"}"#, r#"{"sub":"ada"}"#);

        let jws = Jws::parse(&text).unwrap();

        assert_eq!(jws.header["alg"], "RS256");
        assert_eq!(jws.payload().unwrap()["sub"], "ada");
        assert_eq!(format!("{}.{}", jws.signed, jws.signature), text);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let header = URL_SAFE_NO_PAD.encode("{}");
        let table = [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            header.clone(),
            format!("{header}.{header}"),
            format!("{header}.{header}.a.b"),
            format!("{header}.{header}.a.b.c"),
            format!("{header}=.{header}.a"),
            format!(" {header}.{header}.a"),
            token("[]", "{}"),
            token("{} {}", "{}"),
            token(r#"{"alg":"RS256","alg":"none"}"#, "{}"),
            token(&format!(r#"{{"x":"{}"}}"#, "a".repeat(MAX_LENGTH)), "{}"),
            token(&"[".repeat(20_000), "{}"),
        ];
        for text in table {
            assert!(Jws::parse(&text).is_none(), "{text:.60}");
        }
    }

    #[test]
    fn a_payload_that_names_a_member_twice_is_refused() {
        for payload in [r#"{"sub":"ada","sub":"eve"}"#, r#"{"realm_access":{"roles":["user"],"roles":["admin"]}}"#] {
            assert!(Jws::parse(&token("{}", payload)).unwrap().payload().is_none(), "{payload}");
        }
    }
}
