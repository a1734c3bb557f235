//! Tokens signed for this client: the ID token and the logout token, under the client's algorithm.

use super::jwt::{JwtError, VerifiedJwt};
use super::provider_cache::RefetchCause;
use super::signing_algorithm::check_algorithm;
use super::{ProviderError, ProviderMetadata, RelyingParty, VerificationKeys};
use crate::clock::Timestamp;

impl RelyingParty {
    /// Verifies signature and algorithm of a token that the Provider signed for this client.
    ///
    /// # Errors
    /// The outer one if the keys cannot be fetched: the token is neither valid nor invalid then.
    pub(super) async fn verify_for_client(
        &self,
        token: &str,
        explicit_type: Option<&str>,
        cause: RefetchCause,
        metadata: &ProviderMetadata,
        now: Timestamp,
    ) -> Result<Result<VerifiedJwt, JwtError>, ProviderError> {
        let verified = self.issuer.verify_with_current_keys(token, explicit_type, cause, metadata, now).await?;
        let Ok(verified) = verified else { return Ok(verified) };
        let keys = self.issuer.keys(metadata, now).await?; // cached, and newer ones if it took these
        Ok(self.check_algorithm(&verified, &keys, metadata).map(|()| verified))
    }

    /// Checks the algorithm against that of ID tokens (Back-Channel Logout 1.0, 2.6, step 3).
    pub(super) fn check_algorithm(
        &self,
        token: &VerifiedJwt,
        keys: &VerificationKeys,
        metadata: &ProviderMetadata,
    ) -> Result<(), JwtError> {
        check_algorithm(token.algorithm, self.settings().dialect.id_token_signing_algorithm, keys, metadata)
    }
}
