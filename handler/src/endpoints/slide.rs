//! Slide of the session cookie: issues it anew, so that a session in use does not reach its idle limit.

use crate::clock::Timestamp;
use crate::sessions::SessionTicket;
use crate::state::AppState;

/// Ticket to send with the response to a request of `requested_at`, if a slide is due and the session still lives.
///
/// The session may have ended during the request, and the browser may have a new one: the old cookie must not
/// overwrite it. So the session is looked up again: in the store if the response took a second or longer, as
/// another instance may have ended the session meanwhile. If the store is down nothing slides; a later response
/// will.
pub(super) async fn slide(ticket: &SessionTicket, requested_at: Timestamp, state: &AppState) -> Option<SessionTicket> {
    let slid = state.sessions.lifetime().slide(ticket, requested_at)?;
    let now = state.now();
    let is_alive = match now > requested_at {
        true => state.sessions.is_alive_in_store(ticket, now).await.unwrap_or(false),
        false => state.sessions.load(ticket, now).await.is_ok_and(|session| session.is_some()),
    };
    is_alive.then_some(slid)
}
