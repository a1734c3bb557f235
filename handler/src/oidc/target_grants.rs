//! Ways by which a Provider issues an access token for another target than the sign-in's. Data: it names no Provider.

use crate::token_target::{Recipient, TokenTarget};

/// Way by which a Provider issues an access token for another target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetGrant {
    /// A refresh with the parameter, by the session's refresh token.
    Refresh,
    /// Token Exchange with the parameter, by the session's access token.
    TokenExchange,
}

/// Ways of a Provider, by the member that names the target. `None`: the Provider has no such parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetGrants {
    /// Way of a target with a `resource`.
    pub resource: Option<TargetGrant>,
    /// Way of a target with an `audience`.
    pub audience: Option<TargetGrant>,
    /// Way of a target that is a `scope` alone.
    pub scope: Option<TargetGrant>,
}

impl TargetGrants {
    /// Way to a token for `target`, if the Provider has one.
    #[must_use]
    pub fn of(&self, target: &TokenTarget) -> Option<TargetGrant> {
        match target.recipient() {
            Some((Recipient::Resource, _)) => self.resource,
            Some((Recipient::Audience, _)) => self.audience,
            None => self.scope,
        }
    }
}
