//! Scripted faults of requests, and request counters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

/// Fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with `Retry-After` in seconds.
    Throttled(u64),
    /// Another status.
    Status(u16),
    /// 403: the role is missing.
    NoRole,
    /// 403: the firewall refuses the network.
    Firewall,
    /// No response until [`Faults::mend`].
    Hang,
    /// The connection ends without a response.
    Reset,
}

/// The faults of one service, and its counts.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
    pub(crate) mended: Notify,
}

#[derive(Default)]
struct State {
    scripted: VecDeque<Fault>,
    lasting: Option<Fault>,
    calls: BTreeMap<String, usize>,
}

impl Faults {
    /// One fault for one more request, after those already scripted.
    pub fn script(&self, fault: Fault) {
        self.state().scripted.push_back(fault);
    }

    /// A fault for every request until [`Self::mend`].
    pub fn break_down(&self, fault: Fault) {
        self.state().lasting = Some(fault);
    }

    /// Nothing goes wrong any more.
    pub fn mend(&self) {
        let mut state = self.state();
        state.scripted.clear();
        state.lasting = None;
        drop(state);
        self.mended.notify_waiters();
    }

    /// Number of requests of a kind.
    pub fn calls(&self, kind: &str) -> usize {
        self.state().calls.get(kind).copied().unwrap_or_default()
    }

    pub(crate) fn meet(&self) -> Option<Fault> {
        let mut state = self.state();
        state.scripted.pop_front().or(state.lasting)
    }

    /// True while not even a challenge comes.
    pub(crate) fn is_dead(&self) -> bool {
        let state = self.state();
        matches!(state.scripted.front().copied().or(state.lasting), Some(Fault::Hang | Fault::Reset))
    }

    pub(crate) fn count(&self, kind: &str) {
        *self.state().calls.entry(kind.to_owned()).or_default() += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
