//! Early end of a forwarded request: a future that cuts it on completion.
//!
//! Polled only while the request waits, so that short requests do not pay for it. Knows no session.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use futures_core::future::LocalBoxFuture;

/// Future that cuts a request, or none.
pub(super) struct Cutoff(State);

enum State {
    Never,
    Running(LocalBoxFuture<'static, ()>),
    Over,
}

impl Cutoff {
    pub(super) fn new(future: Option<LocalBoxFuture<'static, ()>>) -> Self {
        Self(future.map_or(State::Never, State::Running))
    }

    /// True if there is a future.
    pub(super) fn is_given(&self) -> bool {
        !matches!(self.0, State::Never)
    }

    /// True once the future has completed; until then it wakes the task of `cx`.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if let State::Running(future) = &mut self.0
            && future.as_mut().poll(cx).is_ready()
        {
            self.0 = State::Over;
        }
        matches!(self.0, State::Over)
    }

    /// The output of `work`, or `None` when this completes first.
    pub(super) async fn or<F: Future>(&mut self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.is_over(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}
