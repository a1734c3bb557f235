//! Test fixtures that several modules share. Product code never sees them.

mod keys_on_reload;
pub(crate) mod scripted_provider;
mod sessions;
mod simulation;

pub(crate) use keys_on_reload::KeysOnReload;
pub(crate) use sessions::{Fixture, START, WriteOutcome, record_of};
