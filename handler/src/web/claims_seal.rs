//! A claims request of an application, sealed into the sign-in's URL: no link of a stranger can ask the Provider for claims.
//!
//! Nothing is stored. What does not open is ignored: the application asks again.

use std::sync::Arc;
use std::time::Duration;

use super::kept_form::KeptForm;
use crate::claims_request::ClaimsRequest;
use crate::clock::Timestamp;
use crate::crypto::{KeySource, open_claims, seal_claims};
use crate::public_origin::PublicOrigin;

/// Parameter of `signin` with a sealed claims request.
pub const CLAIMS: &str = "claims";

/// Lifetime of a sealed request: that of a form whose page links to the sign-in.
const LIFETIME: Duration = KeptForm::LIFETIME;

/// Seals and opens claims requests on the public origin.
#[derive(Clone)]
pub struct ClaimsSeal {
    origin: String,
    keys: Arc<dyn KeySource>,
}

impl ClaimsSeal {
    /// The seal of this origin, with these keys.
    #[must_use]
    pub fn new(origin: &PublicOrigin, keys: Arc<dyn KeySource>) -> Self {
        Self { origin: origin.as_str().to_owned(), keys }
    }

    /// The request as the value of [`CLAIMS`]; `None` without a key.
    #[must_use]
    pub fn seal(&self, claims: &ClaimsRequest, now: Timestamp) -> Option<String> {
        self.keys.is_ready().ok()?;
        let plaintext = [&now.as_unix().to_be_bytes()[..], claims.to_json().as_bytes()].concat();
        Some(seal_claims(&plaintext, &self.origin, &self.keys.cookie_keys()))
    }

    /// Opens a value of [`Self::seal`]; `None` for any other, and for one that is too old.
    #[must_use]
    pub fn open(&self, sealed: &str, now: Timestamp) -> Option<ClaimsRequest> {
        self.keys.is_ready().ok()?;
        let plaintext = open_claims(sealed, &self.origin, &self.keys.cookie_keys()).ok()?;
        let (sealed_at, json) = plaintext.split_first_chunk::<8>()?;
        let is_fresh = now < Timestamp::from_unix(i64::from_be_bytes(*sealed_at)).plus(LIFETIME);
        ClaimsRequest::parse_of_challenge(json).ok().filter(|_| is_fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::seal_form;
    use crate::testing::frozen_keys;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const ORIGIN: &str = "https://app.example";

    fn seal() -> ClaimsSeal {
        ClaimsSeal::new(&ORIGIN.parse().unwrap(), frozen_keys())
    }

    fn request() -> ClaimsRequest {
        ClaimsRequest::parse(br#"{"access_token":{"acrs":{"value":"c1"}}}"#).unwrap()
    }

    #[test]
    fn a_sealed_request_opens_for_a_day() {
        let sealed = seal().seal(&request(), NOW).unwrap();

        assert_eq!(seal().open(&sealed, NOW), Some(request()));
        assert_eq!(seal().open(&sealed, NOW.plus(LIFETIME)), None);
    }

    #[test]
    fn what_we_did_not_seal_for_this_is_ignored() {
        let other_origin = ClaimsSeal::new(&"https://other.example".parse().unwrap(), frozen_keys());
        let form =
            seal_form(&[&[0x7f; 8][..], request().to_json().as_bytes()].concat(), ORIGIN, &frozen_keys().cookie_keys());
        for sealed in [
            String::new(),
            request().to_json(),
            "1.unknown.AAAA".to_owned(),
            other_origin.seal(&request(), NOW).unwrap(),
            form,
        ] {
            assert_eq!(seal().open(&sealed, NOW), None, "{sealed}");
        }
    }
}
