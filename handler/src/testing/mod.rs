//! Test fixtures that several modules share. Product code never sees them.

pub(crate) mod scripted_provider;
