//! Single flight per session: one piece of work at a time, which continues when its first caller disconnects.
//!
//! Callers on any worker share the result.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::background::Background;
use super::ticket::SessionKey;

/// Work in progress, by session. A clone shares it.
#[derive(Clone)]
pub(super) struct SingleFlight<T> {
    flights: Arc<Mutex<HashMap<SessionKey, watch::Receiver<Option<T>>>>>,
    background: Background,
}

/// Removes the session from the list even if its work panics.
struct Entry<T> {
    flights: Arc<Mutex<HashMap<SessionKey, watch::Receiver<Option<T>>>>>,
    key: SessionKey,
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Empty; work will run in `background`.
    pub(super) fn new(background: Background) -> Self {
        Self { flights: Arc::default(), background }
    }

    /// Joins the work in progress for this session, or starts it as a task of the calling worker.
    pub(super) fn join_or_start<F>(&self, key: SessionKey, work: impl FnOnce() -> F) -> Flight<T>
    where
        F: Future<Output = T> + 'static,
    {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(&key) {
            return Flight(flight.clone());
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver.clone());
        drop(flights);

        let entry = Entry { flights: Arc::clone(&self.flights), key };
        let work = work();
        self.background.spawn(async move {
            let result = work.await;
            drop(entry); // before the result is seen: the next caller starts anew
            sender.send_replace(Some(result));
        });
        Flight(receiver)
    }

    /// Joins the work in progress for this session, if any.
    pub(super) fn join(&self, key: &SessionKey) -> Option<Flight<T>> {
        lock(&self.flights).get(key).cloned().map(Flight)
    }
}

fn lock<M>(map: &Mutex<M>) -> MutexGuard<'_, M> {
    // No code panics while the map is locked, so a poisoned map is still consistent.
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Drop for Entry<T> {
    fn drop(&mut self) {
        lock(&self.flights).remove(&self.key);
    }
}

/// Work in progress.
pub(super) struct Flight<T>(watch::Receiver<Option<T>>);

impl<T: Clone> Flight<T> {
    /// Waits for the result; `None` if the work ended without one.
    pub(super) async fn wait(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::clock::Timestamp;
    use crate::sessions::SessionTicket;

    fn key() -> SessionKey {
        SessionTicket::from_seed(&[1; 32], "", Timestamp::from_unix(0), Timestamp::from_unix(0)).id.key()
    }

    #[actix_web::test]
    async fn whoever_comes_meanwhile_shares_the_work() {
        let flights = SingleFlight::new(Background::default());
        let runs = Rc::new(Cell::new(0));
        let (release, released) = oneshot::channel::<()>();
        let counter = Rc::clone(&runs);
        let first = flights.join_or_start(key(), move || async move {
            counter.set(counter.get() + 1);
            released.await.is_ok()
        });
        let second = flights.join_or_start(key(), || async { unreachable!("the work is under way") });

        release.send(()).unwrap();

        assert_eq!((first.wait().await, second.wait().await, runs.get()), (Some(true), Some(true), 1));
    }

    #[actix_web::test]
    async fn the_work_goes_on_when_nobody_waits_any_more() {
        let flights = SingleFlight::new(Background::default());
        let (release, released) = oneshot::channel::<()>();
        let (finish, finished) = oneshot::channel::<()>();
        drop(flights.join_or_start(key(), move || async move {
            let _ = released.await;
            finish.send(()).is_ok()
        }));

        release.send(()).unwrap();

        assert!(finished.await.is_ok());
    }

    #[actix_web::test]
    async fn work_that_panics_leaves_the_way_free() {
        let flights = SingleFlight::<bool>::new(Background::default());
        let failed = flights.join_or_start(key(), || async { panic!("on purpose") });

        assert_eq!(failed.wait().await, None);
        assert_eq!(flights.join_or_start(key(), || async { true }).wait().await, Some(true));
    }
}
