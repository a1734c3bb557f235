//! Test fixtures shared by several modules, and the tests of several instances in virtual time.

mod contended_store;
mod fixture;
mod frozen_keys;
mod keys_on_reload;
mod outages;
pub(crate) mod scripted_provider;
pub(crate) mod scripted_proxy;
mod scripted_store;
mod seeded;
mod simulation;
mod virtual_provider;
mod virtual_store;
mod world;

pub(crate) use contended_store::ContendedStore;
pub(crate) use fixture::{Fixture, START, first_parts, record_of, relying_party_settings};
pub(crate) use frozen_keys::frozen_keys;
pub(crate) use keys_on_reload::KeysOnReload;
pub(crate) use scripted_store::WriteOutcome;
