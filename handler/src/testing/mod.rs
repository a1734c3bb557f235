//! Test fixtures that several modules share. Product code never sees them.

mod frozen_keys;
mod keys_on_reload;
mod outages;
pub(crate) mod scripted_provider;
pub(crate) mod scripted_proxy;
mod seeded;
mod sessions;
mod simulation;
mod virtual_provider;
mod virtual_store;
mod world;

pub(crate) use frozen_keys::frozen_keys;
pub(crate) use keys_on_reload::KeysOnReload;
pub(crate) use sessions::{
    ContendedStore, Fixture, START, WriteOutcome, first_parts, record_of, relying_party_settings,
};
