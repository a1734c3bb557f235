//! Watcher that closes the Upstream's connection when [`Cutoff`] completes after the response head.
//!
//! actix polls no response body while its client does not read, and hyper's task forwards the upload meanwhile. So a
//! separate task waits for the cutoff, but only for requests that stay open: a short one takes a slot in a list and
//! gives it back.

use std::cell::RefCell;
use std::future::pending;
use std::mem;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use actix_web::rt;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::sleep;

use super::cutoff::Cutoff;

/// Watches of one worker.
pub(super) struct Watches {
    list: RefCell<List>,
    period: Duration,
}

#[derive(Default)]
struct List {
    slots: Vec<Slot>,
    free: Vec<usize>,
    is_swept: bool,
}

enum Slot {
    Free,
    /// No task yet: most requests end in this state.
    Young {
        since: Instant,
        cutoff: Cutoff,
        driver: AbortHandle,
    },
    Running(JoinHandle<()>),
    Cut,
}

/// Watch over one request; dropping it ends its task.
pub(super) struct Watch {
    watches: Rc<Watches>,
    at: usize,
}

impl Watches {
    /// Watches that start a task for a request between one and two `period`s old.
    pub(super) fn new(period: Duration) -> Rc<Self> {
        Rc::new(Self { list: RefCell::default(), period })
    }

    /// Aborts `driver`, the task of the Upstream's connection, when `cutoff` completes. `None` if it never does.
    pub(super) fn start(self: &Rc<Self>, cutoff: Cutoff, driver: AbortHandle) -> Option<Watch> {
        if !cutoff.is_given() {
            return None;
        }
        let young = Slot::Young { since: Instant::now(), cutoff, driver };
        let mut list = self.list.borrow_mut();
        let at = list.free.pop().unwrap_or(list.slots.len());
        match list.slots.get_mut(at) {
            Some(slot) => *slot = young,
            None => list.slots.push(young),
        }
        if !mem::replace(&mut list.is_swept, true) {
            rt::spawn(Self::sweep(Rc::downgrade(self), self.period));
        }
        Some(Watch { watches: Rc::clone(self), at })
    }

    /// Starts due tasks periodically; ends when no request waits for one.
    async fn sweep(watches: Weak<Self>, period: Duration) {
        loop {
            sleep(period).await;
            let Some(watches) = watches.upgrade() else { return };
            if !watches.start_tasks(Instant::now()) {
                return;
            }
        }
    }

    /// Starts a task for each request that is a period old. False if no younger one is left.
    fn start_tasks(self: &Rc<Self>, now: Instant) -> bool {
        let mut list = self.list.borrow_mut();
        let mut is_any_left = false;
        for (at, slot) in list.slots.iter_mut().enumerate() {
            *slot = match mem::replace(slot, Slot::Free) {
                Slot::Young { since, cutoff, driver } if now.duration_since(since) >= self.period => {
                    Slot::Running(rt::spawn(Self::cut(Rc::downgrade(self), at, cutoff, driver)))
                }
                slot => {
                    is_any_left |= matches!(slot, Slot::Young { .. });
                    slot
                }
            };
        }
        list.is_swept = is_any_left;
        is_any_left
    }

    async fn cut(watches: Weak<Self>, at: usize, mut cutoff: Cutoff, driver: AbortHandle) {
        cutoff.or(pending::<()>()).await;
        // First: an aborted driver looks like the clean end of the body to its reader.
        if let Some(watches) = watches.upgrade() {
            watches.list.borrow_mut().slots[at] = Slot::Cut;
        }
        driver.abort();
    }
}

impl Watch {
    /// True once the connection was closed: the body is incomplete then.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self.watches.list.borrow().slots[self.at], Slot::Cut)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut list = self.watches.list.borrow_mut();
        let slot = mem::replace(&mut list.slots[self.at], Slot::Free);
        list.free.push(self.at);
        drop(list);
        if let Slot::Running(task) = slot {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn driver() -> JoinHandle<()> {
        rt::spawn(pending())
    }

    /// Completes when the sender sends; the sender sees if it is dropped.
    fn cutoff(end: oneshot::Receiver<()>) -> Cutoff {
        Cutoff::new(Some(Box::pin(async { end.await.unwrap() })))
    }

    async fn wait_for_its_task(watches: &Watches) {
        while !matches!(watches.list.borrow().slots[0], Slot::Running(_)) {
            yield_now().await;
        }
    }

    #[actix_web::test]
    async fn the_end_aborts_the_driver_though_nothing_polls_the_body() {
        let watches = Watches::new(Duration::ZERO);
        let driver = driver();
        let (end, ended) = oneshot::channel();
        let watch = watches.start(cutoff(ended), driver.abort_handle()).unwrap();

        end.send(()).unwrap();

        assert!(timeout(LIMIT, driver).await.unwrap().unwrap_err().is_cancelled());
        assert!(watch.is_cut());
    }

    #[actix_web::test]
    async fn a_dropped_watch_ends_its_task_and_leaves_the_driver() {
        let watches = Watches::new(Duration::ZERO);
        let driver = driver();
        let (mut end, ended) = oneshot::channel();
        let watch = watches.start(cutoff(ended), driver.abort_handle()).unwrap();
        wait_for_its_task(&watches).await;

        drop(watch);

        timeout(LIMIT, end.closed()).await.unwrap();
        assert!(!driver.is_finished());
    }

    #[actix_web::test]
    async fn a_watch_dropped_before_its_task_takes_its_future_along_and_leaves_its_slot_to_the_next() {
        let watches = Watches::new(LIMIT);
        let (end, ended) = oneshot::channel();
        drop(watches.start(cutoff(ended), driver().abort_handle()));
        let (_end, ended) = oneshot::channel();

        let _next = watches.start(cutoff(ended), driver().abort_handle());

        assert!(end.is_closed());
        assert_eq!(watches.list.borrow().slots.len(), 1);
    }

    #[actix_web::test]
    async fn sweeping_stops_when_every_exchange_has_its_task_and_starts_again_for_the_next() {
        let watches = Watches::new(Duration::ZERO);
        let (_end, ended) = oneshot::channel();
        let _watch = watches.start(cutoff(ended), driver().abort_handle());
        wait_for_its_task(&watches).await;
        assert!(!watches.list.borrow().is_swept);
        let next = driver();
        let (end, ended) = oneshot::channel();

        let _next = watches.start(cutoff(ended), next.abort_handle());
        end.send(()).unwrap();

        assert!(timeout(LIMIT, next).await.unwrap().unwrap_err().is_cancelled());
    }

    #[actix_web::test]
    async fn without_an_end_there_is_no_watch() {
        let watches = Watches::new(Duration::ZERO);

        assert!(watches.start(Cutoff::new(None), driver().abort_handle()).is_none());
    }
}
