//! State of the Provider, in memory: signed-in people, and what they approved.
//!
//! Knows no HTTP.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use issuing::{Grants, is_same_secret};
use oauth_proxy::clock::Timestamp;
use oauth_proxy::random;

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

/// A person signed in at the Provider, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login {
    pub(crate) user: &'static User,
    pub(crate) auth_time: Timestamp,
}

/// Approval of a person to a client: what its tokens say.
#[derive(Clone, Debug)]
pub(crate) struct Approval {
    pub(crate) login: Login,
    pub(crate) scope: String,
    pub(crate) nonce: Option<String>,
}

/// The memory of the Provider.
pub(crate) struct Store {
    logins: Mutex<HashMap<String, Login>>,
    pub(crate) grants: Grants<Approval>,
}

impl Default for Store {
    fn default() -> Self {
        Self { logins: Mutex::default(), grants: Grants::new(|_| random::guid_pair()) }
    }
}

impl Store {
    /// Remembers a sign-in and returns the value of its cookie.
    pub(crate) fn begin_login(&self, login: Login) -> String {
        let id = random::guid_pair();
        self.logins().insert(id.clone(), login);
        id
    }

    /// Login of this cookie.
    pub(crate) fn login(&self, cookie: &str) -> Option<Login> {
        self.logins().get(cookie).copied()
    }

    /// Forgets a sign-in and says whose it was; an unknown cookie is no error.
    pub(crate) fn end_login(&self, cookie: &str) -> Option<Login> {
        self.logins().remove(cookie)
    }

    /// Forgets every sign-in and every grant of a person.
    pub(crate) fn end_logins_of(&self, username: &str) {
        self.logins().retain(|_, login| login.user.username != username);
        self.grants.end_where(|approval| approval.login.user.username == username);
    }

    fn logins(&self) -> MutexGuard<'_, HashMap<String, Login>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
