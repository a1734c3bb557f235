//! One piece of work per session at a time, which goes on when the request that began it is gone.
//!
//! A closed browser connection drops its request's future; a code or a refresh token that is being spent
//! must not be lost with it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::ticket::SessionKey;

/// The work under way, by session. A clone shares it.
#[derive(Clone)]
pub(super) struct SingleFlight<T>(Arc<Mutex<HashMap<SessionKey, watch::Receiver<Option<T>>>>>);

/// Takes the session off the list even when its work panics.
struct Landing<T> {
    flights: SingleFlight<T>,
    key: SessionKey,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Begins the work unless it is under way already; whoever wants its result waits on the answer.
    ///
    /// The work is a task of the worker that calls this.
    pub(super) fn join_or_start<F>(&self, key: SessionKey, work: impl FnOnce() -> F) -> Flight<T>
    where
        F: Future<Output = T> + 'static,
    {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(&key) {
            return Flight(flight.clone());
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver.clone());
        drop(flights);

        let landing = Landing { flights: Self(Arc::clone(&self.0)), key };
        let work = work();
        tokio::task::spawn_local(async move {
            let result = work.await;
            drop(landing); // before anyone hears of it: who comes next begins anew
            sender.send_replace(Some(result));
        });
        Flight(receiver)
    }
}

impl<T> SingleFlight<T> {
    fn flights(&self) -> MutexGuard<'_, HashMap<SessionKey, watch::Receiver<Option<T>>>> {
        // No code panics while the map is locked, so a poisoned one is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        self.flights.flights().remove(&self.key);
    }
}

/// Work under way.
pub(super) struct Flight<T>(watch::Receiver<Option<T>>);

impl<T: Clone> Flight<T> {
    /// The result; `None` when the work ended without one.
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
        SessionTicket::from_seed(&[1; 32], "", Timestamp::from_unix(0), Timestamp::from_unix(0)).sid.key()
    }

    #[actix_web::test]
    async fn whoever_comes_meanwhile_shares_the_work() {
        let (flights, runs) = (SingleFlight::default(), Rc::new(Cell::new(0)));
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
        let flights = SingleFlight::default();
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
        let flights = SingleFlight::<bool>::default();
        let failed = flights.join_or_start(key(), || async { panic!("on purpose") });

        assert_eq!(failed.wait().await, None);
        assert_eq!(flights.join_or_start(key(), || async { true }).wait().await, Some(true));
    }
}
