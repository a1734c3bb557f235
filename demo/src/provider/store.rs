//! State of the Provider, in memory: signed-in people, unused codes, grants that can be refreshed.
//!
//! Knows no HTTP. Every method takes the time as an argument.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use oauth_proxy::clock::Timestamp;
use oauth_proxy::random;

use super::keys::s256;

const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// A person who may sign in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) username: &'static str,
    pub(crate) password: &'static str,
    pub(crate) name: &'static str,
    pub(crate) email: &'static str,
}

/// The only two people of the demo; their passwords are on the sign-in page.
pub(crate) const USERS: [User; 2] = [
    User { username: "ada", password: "lovelace", name: "Ada Lovelace", email: "ada@example.com" },
    User { username: "grace", password: "hopper", name: "Grace Hopper", email: "grace@example.com" },
];

/// The person with this name and this password.
pub(crate) fn authenticate(username: &str, password: &str) -> Option<&'static User> {
    let user = USERS.iter().find(|user| user.username == username.trim().to_lowercase())?;
    is_same_secret(user.password, password).then_some(user)
}

/// Compares two secrets in constant time.
pub(crate) fn is_same_secret(ours: &str, theirs: &str) -> bool {
    verify_slices_are_equal(ours.as_bytes(), theirs.as_bytes()).is_ok()
}

/// A person signed in at the Provider, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login {
    pub(crate) user: &'static User,
    pub(crate) auth_time: Timestamp,
}

/// Grant of a person to a client, with the number of its refreshes.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) login: Login,
    pub(crate) scope: String,
    pub(crate) nonce: Option<String>,
    pub(crate) generation: u32,
    pub(crate) refresh_token: String,
}

/// Binding of a code (RFC 6749 section 4.1.3, RFC 7636 section 4.4).
#[derive(Clone, Debug)]
pub(crate) struct CodeBinding {
    pub(crate) redirect_uri: String,
    pub(crate) code_challenge: String,
}

struct Code {
    binding: CodeBinding,
    grant: String,
    expires: Timestamp,
    is_used: bool,
}

/// The memory of the Provider.
#[derive(Default)]
pub(crate) struct Store(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    logins: HashMap<String, Login>,
    codes: HashMap<String, Code>,
    pending: HashMap<String, Grant>,
    grants: HashMap<String, Grant>,
}

impl Store {
    /// Remembers a sign-in and returns the value of its cookie.
    pub(crate) fn begin_login(&self, login: Login) -> String {
        let id = random::guid_pair();
        self.tables().logins.insert(id.clone(), login);
        id
    }

    /// Login of this cookie.
    pub(crate) fn login(&self, cookie: &str) -> Option<Login> {
        self.tables().logins.get(cookie).copied()
    }

    /// Forgets a sign-in and says whose it was; an unknown cookie is no error.
    pub(crate) fn end_login(&self, cookie: &str) -> Option<Login> {
        self.tables().logins.remove(cookie)
    }

    /// Forgets every sign-in and every grant of a person.
    pub(crate) fn end_logins_of(&self, username: &str) {
        let mut tables = self.tables();
        tables.logins.retain(|_, login| login.user.username != username);
        tables.grants.retain(|_, grant| grant.login.user.username != username);
    }

    /// A new code for this login, good for one use within a minute.
    pub(crate) fn issue_code(
        &self,
        login: Login,
        scope: String,
        nonce: Option<String>,
        binding: CodeBinding,
        now: Timestamp,
    ) -> String {
        let (code, id) = (random::guid_pair(), random::guid_pair());
        let grant = Grant { login, scope, nonce, generation: 1, refresh_token: refresh_token(&id) };
        let mut tables = self.tables();
        tables.pending.insert(id.clone(), grant);
        let expires = now.plus(CODE_LIFETIME);
        tables.codes.insert(code.clone(), Code { binding, grant: id, expires, is_used: false });
        code
    }

    /// Exchanges a code once. RFC 6749 4.1.2: a second use ends what the first use started.
    pub(crate) fn redeem_code(&self, code: &str, redirect_uri: &str, verifier: &str, now: Timestamp) -> Option<Grant> {
        let mut tables = self.tables();
        let entry = tables.codes.get_mut(code)?;
        let id = entry.grant.clone();
        let is_reused = std::mem::replace(&mut entry.is_used, true);
        let is_bound = entry.binding.redirect_uri == redirect_uri
            && is_same_secret(&entry.binding.code_challenge, &s256(verifier)); // RFC 7636 section 4.6
        let is_expired = now > entry.expires;

        let pending = tables.pending.remove(&id);
        if is_reused {
            tables.grants.remove(&id);
        }
        let grant = pending.filter(|_| !is_reused && is_bound && !is_expired)?;
        tables.grants.insert(id, grant.clone());
        Some(grant)
    }

    /// Rotates a refresh token. RFC 9700 4.14.2: an old one ends the grant, for one of the two holders is a thief.
    pub(crate) fn rotate(&self, token: &str) -> Option<Grant> {
        let (id, _) = token.split_once('.')?;
        let mut tables = self.tables();
        let grant = tables.grants.get_mut(id)?;
        if !is_same_secret(&grant.refresh_token, token) {
            tables.grants.remove(id);
            return None;
        }
        grant.generation += 1;
        grant.refresh_token = refresh_token(id);
        Some(grant.clone())
    }

    /// Ends the grant of a refresh token and returns it; an unknown token is no error (RFC 7009 section 2.2).
    pub(crate) fn revoke(&self, token: &str) -> Option<Grant> {
        let (id, _) = token.split_once('.')?;
        self.tables().grants.remove(id)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refresh_token(grant: &str) -> String {
    format!("{grant}.{}", random::guid_pair())
}
