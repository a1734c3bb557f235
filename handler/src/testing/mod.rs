//! Test fixtures that several modules share. Product code never sees them.

mod keys_on_reload;
mod outages;
pub(crate) mod scripted_provider;
mod sessions;
mod simulation;
mod virtual_provider;
mod world;

pub(crate) use keys_on_reload::KeysOnReload;
pub(crate) use sessions::{
    ContendedStore, Fixture, START, WriteOutcome, first_parts, record_of, relying_party_settings,
};
