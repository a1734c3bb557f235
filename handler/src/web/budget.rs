//! Rate limit for events that strangers can cause: a maximum per second and process.
//!
//! Knows no request; a caller asks before the work and counts the useless ones.

use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;

/// Rate limit of failures per second.
#[derive(Debug)]
pub struct Budget {
    most: u32,
    spent: Mutex<(Timestamp, u32)>,
}

impl Budget {
    /// A limit of `most` per second.
    #[must_use]
    pub const fn per_second(most: u32) -> Self {
        Self { most, spent: Mutex::new((Timestamp::from_unix(0), 0)) }
    }

    /// True if the limit is reached in the second of `now`.
    #[must_use]
    pub fn is_used_up(&self, now: Timestamp) -> bool {
        let (second, spent) = *self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        second == now && spent >= self.most
    }

    /// Counts one failure.
    pub fn spend(&self, now: Timestamp) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        *spent = if spent.0 == now { (now, spent.1.saturating_add(1)) } else { (now, 1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_budget() {
        let budget = Budget::per_second(2);
        let [first, second] = [1_800_000_000, 1_800_000_001].map(Timestamp::from_unix);

        assert!(!budget.is_used_up(first));
        budget.spend(first);
        assert!(!budget.is_used_up(first));
        budget.spend(first);

        assert!(budget.is_used_up(first) && !budget.is_used_up(second));
        budget.spend(second);
        assert!(!budget.is_used_up(second));
    }
}
