//! Session lifetime: idle and absolute limit, both independent of the lifetime of any token.

use std::time::Duration;

use super::ticket::SessionTicket;
use crate::clock::Timestamp;

/// Idle and absolute limit of a session.
///
/// ```
/// use std::time::Duration;
///
/// use oauth_proxy::clock::Timestamp;
/// use oauth_proxy::sessions::SessionLifetime;
///
/// let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
/// let lifetime = SessionLifetime { idle: minutes(30), absolute: minutes(480) };
/// let start = Timestamp::from_unix(1_800_000_000);
/// let ticket = lifetime.issue(&[1; 32], "code", start);
///
/// assert!(lifetime.is_alive(&ticket, start.plus(minutes(29))));
/// assert!(!lifetime.is_alive(&ticket, start.plus(minutes(30)))); // nobody used it
/// assert_eq!(lifetime.remaining(&ticket, start.plus(minutes(10))), minutes(20));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SessionLifetime {
    /// Maximum time without a request (`SESSION_IDLE_TIMEOUT`).
    pub idle: Duration,
    /// Maximum time since the sign-in (`SESSION_MAX_LIFETIME`).
    pub absolute: Duration,
}

impl SessionLifetime {
    /// Ticket of a sign-in with this seed and code, completed now.
    #[must_use]
    pub fn issue(&self, seed: &[u8; 32], code: &str, now: Timestamp) -> SessionTicket {
        SessionTicket::from_seed(seed, code, now, now.plus(self.absolute))
    }

    /// True while neither limit has passed.
    #[must_use]
    pub fn is_alive(&self, ticket: &SessionTicket, now: Timestamp) -> bool {
        now < ticket.expires_at && now < ticket.last_seen.plus(self.idle)
    }

    /// Time until the nearer limit; zero after it.
    #[must_use]
    pub fn remaining(&self, ticket: &SessionTicket, now: Timestamp) -> Duration {
        ticket.last_seen.plus(self.idle).min(ticket.expires_at).since(now)
    }

    /// Ticket to re-issue, once more than a tenth of the idle time has passed; `None` before.
    #[must_use]
    pub fn slide(&self, ticket: &SessionTicket, now: Timestamp) -> Option<SessionTicket> {
        let is_due = now.since(ticket.last_seen) > self.idle / 10;
        is_due.then(|| SessionTicket { last_seen: now, ..ticket.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SessionLifetime =
        SessionLifetime { idle: Duration::from_secs(1_800), absolute: Duration::from_secs(28_800) };
    const START: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn an_unused_session_ends_at_the_idle_limit() {
        let ticket = LIMITS.issue(&[1; 32], "code", START);

        assert!(LIMITS.is_alive(&ticket, after(1_799)));
        assert!(!LIMITS.is_alive(&ticket, after(1_800)));
    }

    #[test]
    fn a_used_session_ends_at_the_absolute_limit() {
        let used = SessionTicket { last_seen: after(28_799), ..LIMITS.issue(&[1; 32], "code", START) };

        assert!(LIMITS.is_alive(&used, after(28_799)));
        assert!(!LIMITS.is_alive(&used, after(28_800)));
        assert_eq!(LIMITS.remaining(&used, after(28_799)), Duration::from_secs(1));
    }

    #[test]
    fn a_cookie_slides_only_after_a_tenth_of_the_idle_time() {
        let ticket = LIMITS.issue(&[1; 32], "code", START);

        assert!(LIMITS.slide(&ticket, after(180)).is_none());
        let slid = LIMITS.slide(&ticket, after(181)).unwrap();
        assert_eq!((slid.last_seen, slid.expires_at), (after(181), ticket.expires_at));
    }
}
