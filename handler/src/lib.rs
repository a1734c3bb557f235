//! An OAuth reverse proxy that runs as an Azure Functions custom handler beside API Management.
//!
//! Start reading at `endpoints`: a file per public URL. `oidc` is the protocol, `sessions` the session records and
//! their refresh, `crypto` the sealing, `proxy` the forwarding of everything else.

#![warn(clippy::unwrap_used)] // of the product alone: tests unwrap

pub mod app;
pub mod azure;
pub mod claims_request;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod duration;
pub mod egress;
pub mod endpoints;
pub mod nearest_word;
pub mod oidc;
pub mod percent;
pub mod proxy;
pub mod public_origin;
pub mod random;
pub mod return_url;
pub mod sessions;
pub mod state;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod token_target;
pub mod transport_security;
pub mod unique_json;
pub mod web;
