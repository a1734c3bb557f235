//! `oauth-proxy`: serves, or runs one of its commands.

fn main() {}
