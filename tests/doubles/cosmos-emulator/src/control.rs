//! Test control of the emulator: faults and counters.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use crate::Operation;

/// Fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with `x-ms-retry-after-ms`.
    Throttled(Duration),
    /// Another status, with no effect on the data.
    Status(u16),
    /// The response comes later.
    Slow(Duration),
    /// No response until [`Control::mend`].
    Hang,
    /// The connection ends and nothing was done.
    Reset,
    /// It is done, and the connection ends without a response.
    ReplyLost,
    /// It is done, and no response comes until [`Control::mend`].
    HangAfter,
    /// It is done, and the connection ends after the response (`Connection: close`).
    CloseAfter,
}

/// Calls and their request units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// Number of requests, including failed ones.
    pub calls: usize,
    /// Request units charged by the responses.
    pub request_units: f64,
}

/// The other end of a running emulator.
#[derive(Default)]
pub struct Control {
    state: Mutex<State>,
    pub(crate) mended: Notify,
}

/// A change of an item behind everyone's back.
#[derive(Clone)]
pub(crate) struct Patch {
    pub(crate) id: String,
    pub(crate) pointer: String,
    pub(crate) value: serde_json::Value,
}

#[derive(Default)]
struct State {
    ahead: Duration,
    scripted: BTreeMap<Operation, std::collections::VecDeque<Fault>>,
    lasting: BTreeMap<Operation, Fault>,
    is_down: bool,
    bearers: Vec<String>,
    patches: Vec<Patch>,
    created: Vec<String>,
    counts: BTreeMap<Operation, Count>,
}

impl Control {
    /// Moves the emulator's clock on: items whose time to live ends are gone.
    pub fn advance(&self, by: Duration) {
        self.state().ahead += by;
    }

    /// Sets how far the emulator's clock is ahead of the machine's.
    pub fn set_ahead(&self, by: Duration) {
        self.state().ahead = by;
    }

    /// One fault for one more request, after those already scripted.
    pub fn script(&self, operation: Operation, fault: Fault) {
        self.state().scripted.entry(operation).or_default().push_back(fault);
    }

    /// A fault for every request of this kind until [`Self::mend`].
    pub fn break_down(&self, operation: Operation, fault: Fault) {
        self.state().lasting.insert(operation, fault);
    }

    /// Every connection ends without a response until [`Self::mend`].
    pub fn go_down(&self) {
        self.state().is_down = true;
    }

    /// Nothing goes wrong any more, and pending requests get their response.
    pub fn mend(&self) {
        let mut state = self.state();
        state.scripted.clear();
        state.lasting.clear();
        state.is_down = false;
        drop(state);
        self.mended.notify_waiters();
    }

    /// Lets this Entra token in.
    pub fn accept_bearer(&self, token: &str) {
        self.state().bearers.push(token.to_owned());
    }

    /// Sets a member of an item, by its JSON pointer (RFC 6901), before the item's next use: what else only time would do.
    pub fn set(&self, id: &str, pointer: &str, value: serde_json::Value) {
        self.state().patches.push(Patch { id: id.to_owned(), pointer: pointer.to_owned(), value });
    }

    /// The identifiers of the items that were created, in order.
    pub fn created(&self) -> Vec<String> {
        self.state().created.clone()
    }

    /// Counters since the start or [`Self::forget`].
    pub fn count(&self, operation: Operation) -> Count {
        self.state().counts.get(&operation).copied().unwrap_or_default()
    }

    /// Counts from zero again.
    pub fn forget(&self) {
        self.state().counts.clear();
    }

    pub(crate) fn ahead(&self) -> Duration {
        self.state().ahead
    }

    pub(crate) fn is_down(&self) -> bool {
        self.state().is_down
    }

    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.state().bearers.iter().any(|accepted| accepted == token)
    }

    /// Counts a request and says what goes wrong with it.
    pub(crate) fn meet(&self, operation: Operation) -> Option<Fault> {
        let mut state = self.state();
        state.counts.entry(operation).or_default().calls += 1;
        let scripted = state.scripted.get_mut(&operation).and_then(std::collections::VecDeque::pop_front);
        scripted.or_else(|| state.lasting.get(&operation).copied())
    }

    pub(crate) fn note(&self, id: &str) {
        self.state().created.push(id.to_owned());
    }

    pub(crate) fn patches(&self, id: &str) -> Vec<Patch> {
        let mut state = self.state();
        let (due, others) = std::mem::take(&mut state.patches).into_iter().partition(|patch| patch.id == id);
        state.patches = others;
        due
    }

    pub(crate) fn charge(&self, operation: Operation, request_units: f64) {
        self.state().counts.entry(operation).or_default().request_units += request_units;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
