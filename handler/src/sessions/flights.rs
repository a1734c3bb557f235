//! One piece of work per session at a time, which goes on when the request that began it is gone.
//!
//! A closed browser connection drops its request's future; a code or a refresh token that is being spent
//! must not be lost with it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::SessionKey;

/// The work under way, by session. A clone shares it.
#[derive(Clone)]
pub(super) struct Flights<T>(Arc<Mutex<HashMap<SessionKey, watch::Receiver<Option<T>>>>>);

/// Takes the session off the list even when its work panics.
struct Landing<T> {
    flights: Flights<T>,
    key: SessionKey,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Begins the work unless it is under way already; whoever wants its result waits on the answer.
    ///
    /// The work is a task of the worker that calls this.
    pub(super) fn launch<F>(&self, key: SessionKey, work: impl FnOnce() -> F) -> Flight<T>
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

impl<T> Flights<T> {
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
    pub(super) async fn land(mut self) -> Option<T> {
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
        let (flights, runs) = (Flights::default(), Rc::new(Cell::new(0)));
        let (release, released) = oneshot::channel::<()>();
        let counter = Rc::clone(&runs);
        let first = flights.launch(key(), move || async move {
            counter.set(counter.get() + 1);
            released.await.is_ok()
        });
        let second = flights.launch(key(), || async { unreachable!("the work is under way") });

        release.send(()).unwrap();

        assert_eq!((first.land().await, second.land().await, runs.get()), (Some(true), Some(true), 1));
    }

    #[actix_web::test]
    async fn the_work_goes_on_when_nobody_waits_any_more() {
        let flights = Flights::default();
        let (release, released) = oneshot::channel::<()>();
        let (finish, finished) = oneshot::channel::<()>();
        drop(flights.launch(key(), move || async move {
            let _ = released.await;
            finish.send(()).is_ok()
        }));

        release.send(()).unwrap();

        assert!(finished.await.is_ok());
    }

    #[actix_web::test]
    async fn work_that_panics_leaves_the_way_free() {
        let flights = Flights::<bool>::default();
        let failed = flights.launch(key(), || async { panic!("on purpose") });

        assert_eq!(failed.land().await, None);
        assert_eq!(flights.launch(key(), || async { true }).land().await, Some(true));
    }
}
