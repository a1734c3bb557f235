//! The session of a browser's cookie: the ticket in it, its record in the database, and the attempts to open that.

use actix_web::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_proxy::crypto::{CookieContext, OpenError, PartContext, Plaintext, RecordCipher, RecordPart, SealedPart};
use oauth_proxy::crypto::{base64url_decode, open_cookie};
use oauth_proxy::sessions::{RequestPart, SessionTicket};
use serde_json::Value;

use super::Inspector;
use crate::cookies::cookie;

/// The handler's cookie on an http origin, where no `__Host-` is possible.
const COOKIE: &str = "oauth-proxy-session";

/// A session as its cookie names it.
pub(super) struct Session {
    /// The cookie's value.
    pub(super) cookie: String,
    /// The content of the cookie.
    pub(super) ticket: SessionTicket,
}

impl Inspector {
    /// The session of the browser that asks, if it has one.
    pub(super) fn session(&self, req: &HttpRequest) -> Option<Session> {
        let cookie = cookie(req, COOKIE)?.to_owned();
        let context = CookieContext { name: COOKIE, origin: &self.addresses.handler };
        let opened = open_cookie(&cookie, context, &self.cookie_keys).ok()?;
        let ticket = SessionTicket::from_bytes(&opened).ok()?;
        Some(Session { cookie, ticket })
    }

    /// The session's item in the database.
    pub(super) fn item(&self, session: &Session) -> Option<Value> {
        self.database.item(session.ticket.id.key().as_str())
    }

    /// Opens one part of an item with the database, both keys and this secret.
    pub(super) fn open(
        &self,
        item: &Value,
        part: RecordPart,
        id: &[u8; 16],
        secret: &[u8; 32],
    ) -> Result<Plaintext, OpenError> {
        let name = match part {
            RecordPart::Request => "request",
            RecordPart::Refresh => "refresh",
            RecordPart::Route(_) => return Err(OpenError::Invalid), // no route of the demo has a token of its own
        };
        let sealed = sealed_part(&item["parts"][name]).ok_or(OpenError::Invalid)?;
        let issuer = &self.addresses.provider;
        let cipher = RecordCipher { id, secret, issuer, client_id: &self.client_id };
        let context = PartContext {
            part,
            generation: item["generation"].as_u64().unwrap_or_default(),
            access_token_expires_at: item["access_token_expires_at"].as_i64(),
            refresh_at: item["refresh_at"].as_i64(),
        };
        cipher.open(&sealed, context, &self.token_keys)
    }

    /// Person of the session: `sub` in its access token.
    pub(super) fn subject(&self, session: &Session) -> Option<String> {
        let ticket = &session.ticket;
        let opened =
            self.open(&self.item(session)?, RecordPart::Request, ticket.id.as_bytes(), ticket.secret.as_bytes());
        let part = RequestPart::from_bytes(&opened.ok()?)?;
        Some(token_claims(part.access_token.expose())?["sub"].as_str()?.to_owned())
    }
}

/// The header part of a cookie: `COOKIE=value`.
pub(super) fn cookie_header(value: &str) -> String {
    format!("{COOKIE}={value}")
}

/// The claims of a JWT, unverified.
pub(super) fn token_claims(token: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?).ok()
}

fn sealed_part(part: &Value) -> Option<SealedPart> {
    Some(SealedPart {
        kid: part["kid"].as_str()?.to_owned(),
        salt: base64url_decode(part["salt"].as_str()?)?.try_into().ok()?,
        ciphertext: base64url_decode(part["ciphertext"].as_str()?)?,
    })
}
