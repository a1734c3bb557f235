//! Notice for people whose application's WebSockets do not pass.
//!
//! A refused handshake is invisible: the application retries, and its page stays empty. Browsers store no cookie of
//! its response, so each instance counts for itself, in memory, by session.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use actix_web::http::Method;
use quick_cache::sync::Cache;

use super::header_names::SEC_FETCH_DEST;
use super::{header_text, is_navigation};
use crate::clock::Timestamp;
use crate::sessions::SessionKey;

/// Counts the refused handshakes of a session; its person is shown one page.
#[derive(Debug)]
pub struct SocketNotice {
    sessions: Cache<SessionKey, Refusals>,
    /// False while no handshake was refused: then a request costs nothing here.
    has_counted: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Refusals {
    Counted { number: u32, since: Timestamp },
    Shown,
}

/// Refusals before the notice: an application that falls back to plain requests tries once or twice; one that needs its
/// socket retries.
const REFUSALS_BEFORE_NOTICE: u32 = 3;

/// Maximum interval in seconds between refusals that are counted together.
const WINDOW_SECONDS: i64 = 60;

/// Maximum sessions that are counted, 100 bytes each; the least used makes room.
const MAX_SESSIONS: usize = 1000;

impl SocketNotice {
    /// Counts a refused handshake of a session.
    pub fn count(&self, session: SessionKey, now: Timestamp) {
        let refusals = match self.sessions.get(&session) {
            Some(Refusals::Shown) => return,
            Some(Refusals::Counted { number, since }) if is_recent(since, now) => {
                Refusals::Counted { number: number.saturating_add(1), since }
            }
            _ => Refusals::Counted { number: 1, since: now },
        };
        self.sessions.insert(session, refusals);
        self.has_counted.store(true, Ordering::Relaxed);
    }

    /// True once per session, for a visit after enough refusals.
    pub fn is_due(&self, req: &HttpRequest, session: impl FnOnce() -> SessionKey, now: Timestamp) -> bool {
        if !self.has_counted.load(Ordering::Relaxed) || !is_visit(req) {
            return false;
        }
        let session = session();
        let refusals = self.sessions.get(&session);
        let is_due = refusals.is_some_and(|refusals| match refusals {
            Refusals::Counted { number, since } => number >= REFUSALS_BEFORE_NOTICE && is_recent(since, now),
            Refusals::Shown => false,
        });
        if is_due {
            self.sessions.insert(session, Refusals::Shown);
        } else if let Some(Refusals::Counted { .. }) = refusals {
            self.sessions.remove(&session); // each page asked once, and fell back
        }
        is_due
    }
}

impl Default for SocketNotice {
    fn default() -> Self {
        Self { sessions: Cache::new(MAX_SESSIONS), has_counted: AtomicBool::new(false) }
    }
}

fn is_recent(since: Timestamp, now: Timestamp) -> bool {
    (0..=WINDOW_SECONDS).contains(&(now.as_unix() - since.as_unix()))
}

/// True for a page that a person opens or reloads in a window.
fn is_visit(req: &HttpRequest) -> bool {
    let is_top = header_text(req, SEC_FETCH_DEST).is_none_or(|destination| destination == "document");
    *req.method() == Method::GET && is_navigation(req) && is_top
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::sessions::SessionTicket;

    const NOW: i64 = 1_800_000_000;
    const VISIT: (&str, &str) = ("navigate", "document");

    fn is_due(notice: &SocketNotice, method: &Method, fetch: (&str, &str), now: i64) -> bool {
        let request = TestRequest::with_uri("/").method(method.clone());
        let request = request.insert_header(("sec-fetch-mode", fetch.0)).insert_header(("sec-fetch-dest", fetch.1));
        notice.is_due(&request.to_http_request(), || session(1), Timestamp::from_unix(now))
    }

    fn session(byte: u8) -> SessionKey {
        let at = Timestamp::from_unix(NOW);
        SessionTicket::from_seed(&[byte; 32], "code", at, at).id.key()
    }

    fn refused(times: &[i64]) -> SocketNotice {
        let notice = SocketNotice::default();
        for at in times {
            notice.count(session(1), Timestamp::from_unix(NOW + at));
        }
        notice
    }

    #[test]
    fn a_visit_after_three_refusals_in_a_minute_is_told() {
        for (refusals, at, expected, reason) in [
            (&[0, 1, 2][..], 3, true, "a page that stays empty"),
            (&[0, 1, 2, 3, 4, 5], 60, true, "it asks on and on"),
            (&[0, 1], 2, false, "an application with a fallback"),
            (&[0, 1, 61], 62, false, "another minute"),
            (&[0, 1, 2], 61, false, "long ago"),
            (&[], 0, false, "no socket was refused"),
        ] {
            assert_eq!(is_due(&refused(refusals), &Method::GET, VISIT, NOW + at), expected, "{reason}");
        }
    }

    #[test]
    fn only_a_page_in_a_window_is_told() {
        for (method, fetch, reason) in [
            (Method::POST, VISIT, "a form"),
            (Method::GET, ("cors", "empty"), "a script"),
            (Method::GET, ("navigate", "iframe"), "a frame"),
        ] {
            assert!(!is_due(&refused(&[0, 1, 2]), &method, fetch, NOW + 3), "{reason}");
        }
    }

    #[test]
    fn pages_that_ask_once_each_and_fall_back_are_left_alone() {
        let notice = SocketNotice::default();
        for page in 0..5 {
            assert!(!is_due(&notice, &Method::GET, VISIT, NOW + page), "page {page}");
            notice.count(session(1), Timestamp::from_unix(NOW + page));
        }
    }

    #[test]
    fn a_session_is_told_once_and_others_are_not() {
        let notice = refused(&[0, 1, 2]);
        for _ in 0..2 {
            notice.count(session(2), Timestamp::from_unix(NOW));
        }

        assert!(is_due(&notice, &Method::GET, VISIT, NOW + 3));
        assert!(!is_due(&notice, &Method::GET, VISIT, NOW + 4));
        notice.count(session(1), Timestamp::from_unix(NOW + 5));
        assert!(!is_due(&notice, &Method::GET, VISIT, NOW + 5), "the person knows");
    }
}
