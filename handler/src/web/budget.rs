//! Rate limit for work that strangers can cause: a maximum per second for an address, and one for the process.
//!
//! Knows no request. A caller takes units before the work, and gives them back if the work was useful.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;

/// Rate limit in units of work per second.
#[derive(Debug)]
pub struct Budget {
    of_process: u32,
    of_address: u32,
    spent: Mutex<Spent>,
}

/// Units spent in one second. The number of addresses is at most that of units.
#[derive(Debug, Default)]
struct Spent {
    second: Option<Timestamp>,
    by_all: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Budget {
    /// A limit per second for the process, and one for each address.
    #[must_use]
    pub fn per_second(of_process: u32, of_address: u32) -> Self {
        Self { of_process, of_address, spent: Mutex::default() }
    }

    /// Takes all of these units, or none and returns false if fewer are left in the second of `now`.
    #[must_use]
    pub fn take(&self, units: u32, address: Option<IpAddr>, now: Timestamp) -> bool {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.second != Some(now) {
            *spent = Spent { second: Some(now), ..Spent::default() };
        }
        let by_all = spent.by_all.saturating_add(units);
        let network = address.map(network);
        let by_address = network.and_then(|network| spent.by_address.get(&network)).copied().unwrap_or_default();
        let by_address = by_address.saturating_add(units);
        if by_all > self.of_process || (network.is_some() && by_address > self.of_address) {
            return false;
        }
        spent.by_all = by_all;
        if let Some(network) = network {
            spent.by_address.insert(network, by_address);
        }
        true
    }

    /// Returns units that were taken at `now`. Those of an earlier second are lost.
    pub fn give_back(&self, units: u32, address: Option<IpAddr>, now: Timestamp) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.second != Some(now) {
            return;
        }
        spent.by_all = spent.by_all.saturating_sub(units);
        if let Some(by_address) = address.and_then(|address| spent.by_address.get_mut(&network(address))) {
            *by_address = by_address.saturating_sub(units);
        }
    }
}

/// The network of one subscriber: an IPv4 address, or the first 64 bits of an IPv6 address (RFC 4291 2.5.4).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Timestamp = Timestamp::from_unix(1_800_000_000);
    const SECOND: Timestamp = Timestamp::from_unix(1_800_000_001);

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn each_second_has_its_budget() {
        let budget = Budget::per_second(2, 2);

        let in_first = [1, 2, 3].map(|_| budget.take(1, None, FIRST));
        let in_second = [1, 2, 3].map(|_| budget.take(1, None, SECOND));

        assert_eq!((in_first, in_second), ([true, true, false], [true, true, false]));
    }

    #[test]
    fn an_address_that_spends_its_own_leaves_the_others_theirs() {
        let budget = Budget::per_second(6, 2);

        for stranger in ["192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"] {
            let _ = budget.take(1, address(stranger), FIRST);
        }

        assert!(!budget.take(1, address("192.0.2.1"), FIRST));
        assert!(budget.take(2, address("192.0.2.2"), FIRST));
        assert!(budget.take(2, None, FIRST), "an unknown address has what the process has");
        assert!(!budget.take(1, address("192.0.2.3"), FIRST), "the process has spent its own");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one() {
        let budget = Budget::per_second(6, 1);

        assert!(budget.take(1, address("2001:db8:0:1::1"), FIRST));
        assert!(!budget.take(1, address("2001:db8:0:1:ffff::2"), FIRST));
        assert!(budget.take(1, address("2001:db8:0:2::1"), FIRST));
    }

    #[test]
    fn more_than_is_left_takes_nothing() {
        let budget = Budget::per_second(6, 2);

        assert!(!budget.take(3, address("192.0.2.1"), FIRST));
        assert!(budget.take(2, address("192.0.2.1"), FIRST));
    }

    #[test]
    fn what_was_given_back_can_be_taken_again_in_its_second() {
        let budget = Budget::per_second(2, 1);
        assert!(budget.take(1, address("192.0.2.1"), FIRST));
        budget.give_back(1, address("192.0.2.1"), FIRST);
        assert!(budget.take(1, address("192.0.2.1"), FIRST));

        assert!(budget.take(1, address("192.0.2.1"), SECOND));
        budget.give_back(1, address("192.0.2.1"), FIRST);

        assert!(!budget.take(1, address("192.0.2.1"), SECOND), "that of an earlier second is gone");
    }
}
