//! Single flight per key, such as a session: one piece of work at a time, which continues when its first caller disconnects.
//!
//! Callers on any worker share the result.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::background::Background;

/// Work in progress, by key. A clone shares it.
#[derive(Clone)]
pub(super) struct SingleFlight<K: Eq + Hash, T> {
    flights: Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>,
    background: Background,
}

/// Removes the key from the list even if its work panics.
struct Entry<K: Eq + Hash, T> {
    flights: Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>,
    key: K,
}

impl<K: Clone + Eq + Hash + 'static, T: Clone + Send + Sync + 'static> SingleFlight<K, T> {
    /// Empty; work will run in `background`.
    pub(super) fn new(background: Background) -> Self {
        Self { flights: Arc::default(), background }
    }

    /// Joins the work in progress for this key, or starts it as a task of the calling worker.
    pub(super) fn join_or_start<F>(&self, key: K, work: impl FnOnce() -> F) -> Flight<T>
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

    /// Joins the work in progress for this key, if any.
    pub(super) fn join(&self, key: &K) -> Option<Flight<T>> {
        lock(&self.flights).get(key).cloned().map(Flight)
    }
}

fn lock<M>(map: &Mutex<M>) -> MutexGuard<'_, M> {
    // No code panics while the map is locked, so a poisoned map is still consistent.
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Eq + Hash, T> Drop for Entry<K, T> {
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
    use crate::sessions::{SessionKey, SessionTicket};

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
        let flights = SingleFlight::<_, bool>::new(Background::default());
        let failed = flights.join_or_start(key(), || async { panic!("on purpose") });

        assert_eq!(failed.wait().await, None);
        assert_eq!(flights.join_or_start(key(), || async { true }).wait().await, Some(true));
    }
}
