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

#[cfg(test)]
mod tests {
    use crate::sessions::scene::{Fate, START, Scene};

    #[actix_web::test]
    async fn a_store_that_is_down_ends_no_session_and_revokes_nothing() {
        let scene = Scene::new();
        let ticket = scene.signed_in().await;
        scene.store.script([Fate::Failed]);

        let refused = scene.sessions.sign_out(&ticket, &scene.party, START).await;

        assert!(matches!(refused, Err(crate::sessions::StoreError::Unavailable(_))));
        assert!(scene.sessions.load(&ticket, START).await.unwrap().is_some());
        assert_eq!(scene.revoked(), Vec::<String>::new());
    }

    #[actix_web::test]
    async fn a_tombstone_whose_reply_is_lost_is_a_sign_out_all_the_same() {
        let scene = Scene::new();
        let ticket = scene.signed_in().await;
        scene.store.script([Fate::ReplyLost]);

        let cold = scene.sessions.sign_out(&ticket, &scene.party, START).await.unwrap().unwrap();

        assert_eq!(cold.refresh_token.unwrap().expose(), "refresh-1", "it is there to be revoked");
        assert!(scene.sessions.load(&ticket, START).await.unwrap().is_none());
    }
}
