//! Issuing of an OpenID Provider: codes bound by PKCE, grants whose refresh tokens rotate, and signatures.
//!
//! The Providers of the demo and of the integration tests are made of it. Knows no HTTP, no clock, no people and no
//! faults.

mod grants;
mod keys;

pub use grants::{CodeBinding, Grant, Grants, Secret, is_same_secret};
pub use keys::{Expired, SigningKey, at_hash, s256};
