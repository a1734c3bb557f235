//! An OAuth reverse proxy that runs as an Azure Functions custom handler beside API Management.
//!
//! Start reading at `endpoints`: a file per public URL. `oidc` is the protocol, `sessions` what is
//! remembered, `crypto` how it is sealed, `proxy` how everything else passes through.

pub mod clock;
pub mod crypto;
pub mod oidc;
pub mod proxy;
pub mod random;
pub mod return_url;
pub mod sessions;
