//! The Provider ends a person's session by itself (OpenID Connect Back-Channel Logout 1.0).

use awc::Client;
use serde_json::json;
use uuid::Uuid;

use super::Provider;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Lifetime of a logout token in seconds.
const LIFETIME: i64 = 120;

impl Provider {
    /// Forgets the person's sign-ins and grants, and tells the handler. `Err` says what went wrong.
    pub(crate) async fn end_sessions_of(&self, username: &str) -> Result<(), String> {
        self.store.end_logins_of(username);
        self.story.record(self.part(), "revocation", &format!("ends the session of {username} and tells the handler"));
        let token = self.keys.sign("logout+jwt", &self.logout_claims(username)).map_err(|error| error.to_string())?;
        let sent = Client::default().post(&self.client.backchannel_logout_uri);
        let response = sent.send_form(&[("logout_token", token)]).await.map_err(|error| error.to_string())?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(format!("the handler responded {}", response.status()))
        }
    }

    /// Back-Channel Logout 1.0 section 2.4.
    fn logout_claims(&self, username: &str) -> serde_json::Value {
        let now = self.now().as_unix();
        json!({
            "iss": self.issuer, "aud": self.client.id, "sub": username, "iat": now, "exp": now + LIFETIME,
            "jti": Uuid::new_v4().to_string(), "events": { EVENT: {} },
        })
    }
}
