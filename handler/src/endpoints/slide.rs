//! The session's cookie issued anew, so that a session in use doesn't end by idle time.

use crate::clock::Timestamp;
use crate::sessions::SessionTicket;
use crate::state::AppState;

/// The ticket to re-issue with the response to a request of `requested_at`, if that is due and the session still lives.
///
/// The session may have ended, and the browser begun another, while the request was worked on: the old cookie must not
/// overwrite the new one. So the session is loaded once more; the cache serves it unless the response took long. A store
/// that is down is no proof of life, and a later response slides.
pub(super) async fn slide(ticket: &SessionTicket, requested_at: Timestamp, state: &AppState) -> Option<SessionTicket> {
    let slid = state.sessions.lifetime().slide(ticket, requested_at)?;
    let session = state.sessions.load(ticket, state.now()).await;
    session.ok().flatten().map(|_| slid)
}
