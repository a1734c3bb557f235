//! Unused codes, and grants that can be refreshed.
//!
//! Times are seconds of Unix time, and arguments.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::keys::s256;

/// Lifetime of a code in seconds.
const CODE_LIFETIME: i64 = 60;

/// Compares two secrets in constant time.
#[must_use]
pub fn is_same_secret(ours: &str, theirs: &str) -> bool {
    verify_slices_are_equal(ours.as_bytes(), theirs.as_bytes()).is_ok()
}

/// Purpose of a text that `Grants` asks for. Outside a test nobody may guess one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// Authorization code.
    Code,
    /// Identifier of a grant, the first part of its refresh tokens; without a full stop.
    Grant,
    /// Second part of a refresh token, new at each rotation.
    RefreshToken,
}

/// Binding of a code (RFC 6749 section 4.1.3, RFC 7636 section 4.4).
#[derive(Clone, Debug)]
pub struct CodeBinding {
    /// The `redirect_uri` of the authorization request.
    pub redirect_uri: String,
    /// The `code_challenge` of the authorization request, by S256.
    pub code_challenge: String,
}

/// Grant of a person to a client.
#[derive(Clone, Debug)]
pub struct Grant<P> {
    /// Approval of the person that it was made of.
    pub approval: P,
    /// 1 for the exchange of the code, one more for each refresh.
    pub generation: u32,
    /// The only refresh token that is not used.
    pub refresh_token: String,
}

struct Code<P> {
    binding: CodeBinding,
    expires_at: i64,
    /// Taken by the first use.
    approval: Option<P>,
    grant: String,
}

struct Tables<P> {
    codes: HashMap<String, Code<P>>,
    grants: HashMap<String, Grant<P>>,
}

/// Codes and grants in memory, each with the approval `P` that it was made of.
pub struct Grants<P> {
    tables: Mutex<Tables<P>>,
    secret: Box<dyn Fn(Secret) -> String + Send + Sync>,
}

impl<P: Clone> Grants<P> {
    /// None yet. `secret` makes a text that it made never before.
    pub fn new(secret: impl Fn(Secret) -> String + Send + Sync + 'static) -> Self {
        let tables = Mutex::new(Tables { codes: HashMap::new(), grants: HashMap::new() });
        Self { tables, secret: Box::new(secret) }
    }

    /// A new code for this approval, good for one use within a minute.
    pub fn issue_code(&self, approval: P, binding: CodeBinding, now: i64) -> String {
        let (code, grant) = ((self.secret)(Secret::Code), (self.secret)(Secret::Grant));
        let issued = Code { binding, expires_at: now + CODE_LIFETIME, approval: Some(approval), grant };
        self.tables().codes.insert(code.clone(), issued);
        code
    }

    /// Exchanges a code once. RFC 6749 4.1.2: a second use ends what the first use started.
    pub fn redeem_code(&self, code: &str, redirect_uri: &str, verifier: &str, now: i64) -> Option<Grant<P>> {
        let mut tables = self.tables();
        let Tables { codes, grants } = &mut *tables;
        let code = codes.get_mut(code)?;
        let Some(approval) = code.approval.take() else {
            grants.remove(&code.grant);
            return None;
        };
        let is_bound =
            code.binding.redirect_uri == redirect_uri && is_same_secret(&code.binding.code_challenge, &s256(verifier)); // RFC 7636 section 4.6
        if !is_bound || now > code.expires_at {
            return None;
        }
        let grant = Grant { approval, generation: 1, refresh_token: self.refresh_token(&code.grant) };
        grants.insert(code.grant.clone(), grant.clone());
        Some(grant)
    }

    /// Rotates a refresh token. RFC 9700 4.14.2: an old one ends the grant, for one of the two holders is a thief.
    pub fn rotate(&self, token: &str) -> Option<Grant<P>> {
        let (id, _) = token.split_once('.')?;
        let mut tables = self.tables();
        let grant = tables.grants.get_mut(id)?;
        if !is_same_secret(&grant.refresh_token, token) {
            tables.grants.remove(id);
            return None;
        }
        grant.generation += 1;
        grant.refresh_token = self.refresh_token(id);
        Some(grant.clone())
    }

    /// Ends the grant of a refresh token and returns it; an unknown token is no error (RFC 7009 section 2.2).
    pub fn revoke(&self, token: &str) -> Option<Grant<P>> {
        let (id, _) = token.split_once('.')?;
        self.tables().grants.remove(id)
    }

    /// Ends every grant of an approval for which `is_over` holds.
    pub fn end_where(&self, is_over: impl Fn(&P) -> bool) {
        self.tables().grants.retain(|_, grant| !is_over(&grant.approval));
    }

    fn refresh_token(&self, grant: &str) -> String {
        format!("{grant}.{}", (self.secret)(Secret::RefreshToken))
    }

    fn tables(&self) -> MutexGuard<'_, Tables<P>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
