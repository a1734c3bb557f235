//! Cache on its own; `relying_party/tests.rs` tests it over HTTP.

use std::cell::Cell;

use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// Result of a load at `now`, and true if it fetched; a fetch yields `fetched`.
async fn load(
    cached: &Cached<u32>,
    fetched: Result<u32, ProviderError>,
    now: Timestamp,
) -> (Result<u32, ProviderError>, bool) {
    let has_fetched = Cell::new(false);
    let fetch = async {
        has_fetched.set(true);
        fetched
    };
    let document = match cached.cached(now) {
        Some(outcome) => outcome,
        None => cached.load(now, fetch).await,
    };
    (document.map(|document| *document), has_fetched.get())
}

fn down() -> Result<u32, ProviderError> {
    Err(ProviderError::Status(503))
}

fn is_down(outcome: &Result<u32, ProviderError>) -> bool {
    matches!(outcome, Err(ProviderError::Status(503)))
}

#[actix_web::test]
async fn a_document_serves_for_an_hour() {
    let cached = Cached::default();

    assert!(matches!(load(&cached, Ok(1), NOW).await, (Ok(1), true)));
    assert!(matches!(load(&cached, Ok(2), after(3599)).await, (Ok(1), false)));
    assert!(matches!(load(&cached, Ok(2), after(3600)).await, (Ok(2), true)));
}

#[actix_web::test]
async fn the_last_good_document_serves_for_a_day_and_is_asked_for_once_a_minute() {
    let cached = Cached::default();
    load(&cached, Ok(1), NOW).await.0.unwrap();

    assert!(matches!(load(&cached, down(), after(3600)).await, (Ok(1), true)));
    assert!(matches!(load(&cached, down(), after(3659)).await, (Ok(1), false)));
    assert!(matches!(load(&cached, down(), after(3660)).await, (Ok(1), true)));
    assert!(matches!(load(&cached, down(), after(86_399)).await, (Ok(1), true)));
    let (outcome, has_fetched) = load(&cached, down(), after(86_460)).await;
    assert!(is_down(&outcome) && has_fetched);
}

#[actix_web::test]
async fn a_first_fetch_that_failed_is_tried_again_after_five_seconds() {
    let cached = Cached::default();

    let (first, has_fetched) = load(&cached, down(), NOW).await;
    assert!(is_down(&first) && has_fetched);
    let (second, has_fetched) = load(&cached, Ok(1), after(4)).await;
    assert!(is_down(&second) && !has_fetched);
    assert!(matches!(load(&cached, Ok(1), after(5)).await, (Ok(1), true)));
}

#[actix_web::test]
async fn a_clock_that_is_set_back_by_a_day_delays_nothing() {
    let cached = Cached::default();
    assert!(is_down(&load(&cached, down(), after(86_400)).await.0));

    assert!(matches!(load(&cached, Ok(1), NOW).await, (Ok(1), true)));
}

#[actix_web::test]
async fn every_waiter_takes_the_outcome_of_the_fetch() {
    let cached = Cached::default();
    let fetches = Cell::new(0);
    let fetch = || async {
        fetches.set(fetches.get() + 1);
        tokio::task::yield_now().await;
        down()
    };

    // At 8 s the first failure's backoff would be over, had the second load not waited for it.
    let (one, two) = tokio::join!(cached.load(NOW, fetch()), cached.load(after(8), fetch()));

    assert!(one.is_err() && two.is_err());
    assert_eq!(fetches.get(), 1);
}

#[actix_web::test]
async fn nobody_waits_for_a_fetch_while_the_last_good_document_serves() {
    let cached = Cached::default();
    load(&cached, Ok(1), NOW).await.0.unwrap();
    let never = std::future::pending();

    let one = cached.load(after(3600), never);
    let two = async { load(&cached, down(), after(3600)).await };
    let two = tokio::select! { biased; _ = one => None, two = two => Some(two) };

    assert!(matches!(two, Some((Ok(1), false))));
}

#[actix_web::test]
async fn an_unknown_key_is_sought_once_a_minute() {
    let cached = Cached::default();
    load(&cached, Ok(1), NOW).await.0.unwrap();
    let known = cached.cached(NOW).unwrap().unwrap();

    assert_eq!(cached.refetch(&known, RefetchCause::Response, NOW, async { down() }).await, None);
    assert_eq!(cached.refetch(&known, RefetchCause::Response, after(59), async { Ok(2) }).await, None);
    assert_eq!(cached.refetch(&known, RefetchCause::Response, after(60), async { Ok(3) }).await, Some(Arc::new(3)));
    // A caller that still holds the older document gets the newer one at once.
    assert_eq!(cached.refetch(&known, RefetchCause::Response, after(61), async { Ok(4) }).await, Some(Arc::new(3)));
}

#[actix_web::test]
async fn tokens_of_strangers_use_up_no_refetch_of_our_own() {
    let cached = Cached::default();
    load(&cached, Ok(1), NOW).await.0.unwrap();
    let known = cached.cached(NOW).unwrap().unwrap();

    assert_eq!(cached.refetch(&known, RefetchCause::Request, NOW, async { down() }).await, None);

    assert_eq!(cached.refetch(&known, RefetchCause::Response, NOW, async { Ok(2) }).await, Some(Arc::new(2)));
}

#[actix_web::test]
async fn a_made_up_key_keeps_an_honest_rotation_waiting_for_seconds() {
    let cached = Cached::default();
    load(&cached, Ok(1), NOW).await.0.unwrap();
    let known = cached.cached(NOW).unwrap().unwrap();

    assert_eq!(cached.refetch(&known, RefetchCause::Request, NOW, async { down() }).await, None);
    assert_eq!(cached.refetch(&known, RefetchCause::Request, after(4), async { Ok(2) }).await, None);
    assert_eq!(cached.refetch(&known, RefetchCause::Request, after(5), async { Ok(3) }).await, Some(Arc::new(3)));
}
