//! Fixtures and doubles that unit tests of several modules share.

mod keys_on_reload;
mod sessions;
mod simulation;

pub(crate) use keys_on_reload::KeysOnReload;
pub(crate) use sessions::{ContendedStore, Fixture, START, WriteOutcome, record_of};
