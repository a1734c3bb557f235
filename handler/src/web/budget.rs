//! A budget for what strangers can cause: so often a second, by this process, and not more.
//!
//! Knows no request; a caller asks before the work and counts what turned out to be for nothing.

use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;

/// A number of failures that a second may have.
#[derive(Debug)]
pub struct Budget {
    most: u32,
    spent: Mutex<(Timestamp, u32)>,
}

impl Budget {
    /// A budget of so many a second.
    #[must_use]
    pub const fn per_second(most: u32) -> Self {
        Self { most, spent: Mutex::new((Timestamp::from_unix(0), 0)) }
    }

    /// True if nothing is left in the second of `now`.
    #[must_use]
    pub fn is_used_up(&self, now: Timestamp) -> bool {
        let (second, spent) = *self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        second == now && spent >= self.most
    }

    /// Counts one.
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
