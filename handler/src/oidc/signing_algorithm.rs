//! Algorithm of ID tokens and logout tokens (OIDC Core 3.1.3.7, 7; Back-Channel Logout 1.0, 2.6, step 3).
//!
//! Configured, or derived from metadata and keys, never more than one family.

use std::str::FromStr;

use jsonwebtoken::Algorithm;

use super::jwt::{ALGORITHMS, JwtError};
use super::{ProviderMetadata, VerificationKeys};

/// An accepted algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningAlgorithm(Algorithm);

/// Error for a name that is no accepted algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an asymmetric signature algorithm")]
pub struct UnknownAlgorithm;

impl FromStr for SigningAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        let known = ALGORITHMS.into_iter().find(|known| format!("{known:?}") == name);
        known.map(Self).ok_or(UnknownAlgorithm)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    RsaPkcs1,
    RsaPss,
    Ecdsa,
    EdDsa,
    NotAccepted,
}

/// Checks a token's algorithm: the configured one, otherwise any of the family derived from metadata and keys.
pub(super) fn check_algorithm(
    algorithm: Algorithm,
    configured: Option<SigningAlgorithm>,
    keys: &VerificationKeys,
    metadata: &ProviderMetadata,
) -> Result<(), JwtError> {
    let is_accepted = match configured {
        Some(SigningAlgorithm(configured)) => algorithm == configured,
        None => derived(keys, metadata).contains(&algorithm),
    };
    if is_accepted { Ok(()) } else { Err(JwtError::Algorithm) }
}

/// Algorithms common to metadata and keys, of one family: that of RS256 if possible, which is the default of a
/// client's registration (`id_token_signed_response_alg`), otherwise that of the first in our order.
fn derived(keys: &VerificationKeys, metadata: &ProviderMetadata) -> Vec<Algorithm> {
    let advertised = &metadata.id_token_signing_alg_values_supported;
    let is_advertised = |algorithm: &Algorithm| {
        let name = format!("{algorithm:?}");
        advertised.is_empty() || advertised.contains(&name)
    };
    let has_key = |algorithm: &Algorithm| keys.candidates(None, *algorithm).is_ok();
    let mut left: Vec<_> = ALGORITHMS.into_iter().filter(is_advertised).filter(has_key).collect();
    // RS256 is the first of `ALGORITHMS`.
    let Some(family) = left.first().copied().map(family) else { return left };
    left.retain(|algorithm| self::family(*algorithm) == family);
    left
}

const fn family(algorithm: Algorithm) -> Family {
    match algorithm {
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => Family::RsaPkcs1,
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => Family::RsaPss,
        Algorithm::ES256 | Algorithm::ES384 => Family::Ecdsa,
        Algorithm::EdDSA => Family::EdDsa,
        _ => Family::NotAccepted, // the library's enum is open; `ALGORITHMS` holds none of these
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::scripted_provider::SigningKey;

    fn names(keys: &[&Value], advertised: &[&str]) -> String {
        let keys = VerificationKeys::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        let document = json!({
            "issuer": "https://op.example", "authorization_endpoint": "https://op.example/a",
            "token_endpoint": "https://op.example/t", "jwks_uri": "https://op.example/j",
            "id_token_signing_alg_values_supported": advertised,
        });
        let metadata = ProviderMetadata::parse(document.to_string().as_bytes(), "https://op.example").unwrap();
        let derived = derived(&keys, &metadata);
        derived.iter().map(|algorithm| format!("{algorithm:?}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn metadata_and_keys_leave_one_family_at_most() {
        let [rsa, ec, ed] =
            &[SigningKey::rs256("r"), SigningKey::es256("e"), SigningKey::ed25519("d")].map(|key| key.jwk);
        let mut declared = rsa.clone();
        declared["alg"] = "PS256".into();
        let table: [(&[&Value], &[&str], &str, &str); 9] = [
            (&[rsa], &["RS256"], "RS256", "as usual"),
            (&[rsa], &[], "RS256 RS384 RS512", "no list: the keys alone"),
            (&[rsa], &["PS256", "RS256", "ES256", "HS256"], "RS256", "everything the software can"),
            (&[rsa, ec, ed], &["EdDSA", "ES256", "RS256"], "RS256", "the registration's default family"),
            (&[rsa, ec], &["ES256"], "ES256", "another family by the metadata"),
            (&[ec, ed], &["EdDSA", "ES256"], "ES256", "one family without RS256"),
            (&[&declared], &["RS256", "PS256"], "PS256", "the key's own algorithm"),
            (&[rsa], &["ES256"], "", "metadata and keys that contradict each other"),
            (&[], &["RS256"], "", "no key"),
        ];
        for (keys, advertised, expected, reason) in table {
            assert_eq!(names(keys, advertised), expected, "{reason}");
        }
    }

    #[test]
    fn only_an_asymmetric_algorithm_has_a_name() {
        assert!("ES256".parse::<SigningAlgorithm>().is_ok());
        for name in ["HS256", "none", "es256", "RS1", ""] {
            assert_eq!(name.parse::<SigningAlgorithm>(), Err(UnknownAlgorithm), "{name}");
        }
    }
}
