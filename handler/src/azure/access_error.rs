//! Why a service of Azure gives nothing, in the words of whoever must mend it: role, network, name.

use std::error::Error;

use azure_core::error::ErrorKind;
use azure_core::http::StatusCode;

/// What is missing between us and a service of Azure.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No token: the identity, or the endpoint that hands out its tokens.
    #[error("there is no token for it: the identity (AZURE_CREDENTIAL, AZURE_CLIENT_ID) gives none")]
    Identity(#[source] Source),
    /// The service knows us and lets us do nothing.
    #[error("it refuses our identity: the role {role} is missing, or not yet in force")]
    Role {
        /// The role that is needed.
        role: &'static str,
        /// What the service said.
        #[source]
        source: Source,
    },
    /// The service's firewall refuses our address.
    #[error("its firewall refuses this network: a private endpoint or a network rule is missing")]
    Network(#[source] Source),
    /// What was asked for is not there.
    #[error("there is no {what} of this name")]
    Name {
        /// The kind of thing.
        what: &'static str,
        /// What the service said.
        #[source]
        source: Source,
    },
    /// The service wants fewer requests.
    #[error("it asks for patience: too many requests")]
    Throttled(#[source] Source),
    /// No answer: a name that resolves to nothing, a closed port, a certificate nobody trusts, a service that is down.
    #[error("it gives no answer: name resolution, network, certificate, or an outage")]
    Unreachable(#[source] Source),
    /// An answer that is of no use.
    #[error("its answer is of no use: {0}")]
    Answer(&'static str),
    /// No answer in the time that a request has.
    #[error("it gives no answer in time")]
    Timeout,
}

/// What a library said.
#[derive(Debug)]
pub struct Source(Box<dyn Error + Send + Sync>);

impl std::fmt::Display for Source {
    /// One line of at most 300 characters: some libraries print pages.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        let line: String =
            text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(300).collect();
        f.write_str(&line)
    }
}

impl Error for Source {}

impl Source {
    pub(super) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

impl AccessError {
    /// Reads an error of Azure's own libraries. `what` was asked for, and `role` allows to ask for it.
    pub(super) fn of(error: azure_core::Error, what: &'static str, role: &'static str) -> Self {
        let said = error.to_string();
        match error.kind() {
            ErrorKind::Credential => return Self::Identity(Source::new(error)),
            ErrorKind::HttpResponse { .. }
            | ErrorKind::Connection
            | ErrorKind::Io
            | ErrorKind::DataConversion
            | ErrorKind::Other => {}
        }
        let Some(status) = error.http_status() else { return Self::Unreachable(Source::new(error)) };
        let source = Source::new(error);
        match status {
            StatusCode::Unauthorized => Self::Role { role, source },
            // ForbiddenByFirewall, ForbiddenByConnection: the vault's own words for its network rules.
            StatusCode::Forbidden if said.contains("ForbiddenBy") && !said.contains("ForbiddenByRbac") => {
                Self::Network(source)
            }
            StatusCode::Forbidden if said.contains("not authorized and caller is not a trusted service") => {
                Self::Network(source)
            }
            StatusCode::Forbidden => Self::Role { role, source },
            StatusCode::NotFound => Self::Name { what, source },
            StatusCode::TooManyRequests => Self::Throttled(source),
            _ => Self::Unreachable(source),
        }
    }
}
