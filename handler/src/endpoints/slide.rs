//! The session's cookie issued anew, so that a session in use doesn't end by idle time.

use crate::clock::Timestamp;
use crate::sessions::SessionTicket;
use crate::state::AppState;

/// The ticket to re-issue with the response to a request of `requested_at`, if that is due and the session still lives.
///
/// The session may have ended, and the browser begun another, while the request was worked on: the old cookie must not
/// overwrite the new one. So the session is looked up once more: in the store if the response took a second or longer, as
/// another instance may have ended the session meanwhile. A store that is down is no proof of life, and a later response
/// slides.
pub(super) async fn slide(ticket: &SessionTicket, requested_at: Timestamp, state: &AppState) -> Option<SessionTicket> {
    let slid = state.sessions.lifetime().slide(ticket, requested_at)?;
    let now = state.now();
    let is_alive = match now > requested_at {
        true => state.sessions.is_alive_in_store(ticket, now).await.unwrap_or(false),
        false => state.sessions.load(ticket, now).await.is_ok_and(|session| session.is_some()),
    };
    is_alive.then_some(slid)
}
