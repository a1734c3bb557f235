//! Sign-out: the tombstone first, which wins every race; then the refresh token is revoked.

use super::refresh::revoke;
use super::{ColdPart, SessionTicket, Sessions, StoreError};
use crate::clock::Timestamp;
use crate::oidc::RelyingParty;

impl Sessions {
    /// Ends a session, and revokes its refresh token in the background (RFC 7009). Returns what the Provider's own
    /// sign-out needs, if the session lived and opened.
    ///
    /// # Errors
    /// When the store cannot write the tombstone: the session then still lives.
    pub async fn sign_out(
        &self,
        ticket: &SessionTicket,
        relying_party: &RelyingParty,
        now: Timestamp,
    ) -> Result<Option<ColdPart>, StoreError> {
        let cold = self.end(ticket, now).await?;
        if let Some(refresh_token) = cold.as_ref().and_then(|cold| cold.refresh_token.clone()) {
            let relying_party = relying_party.clone();
            tokio::task::spawn_local(async move { revoke(Some(&refresh_token), &relying_party, now).await });
        }
        Ok(cold)
    }
}
