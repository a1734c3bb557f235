//! Errors of Azure services, worded for the operator who must fix them: role, network, name.

use std::error::Error;

use azure_core::error::ErrorKind;
use azure_core::http::StatusCode;

/// Setting named in errors of Azure's own libraries, which only the vault uses. The store has a library of its own.
const VAULT_SETTING: &str = "KEY_VAULT_URL";

/// Obstacle between us and a service of Azure.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No token: the identity, or the endpoint that hands out its tokens.
    #[error("there is no token for it: the identity (AZURE_CREDENTIAL, AZURE_CLIENT_ID) gives none")]
    Identity(#[source] Source),
    /// The service recognises our identity but denies the operation.
    #[error("it refuses our identity: the role {role} is missing, or not yet in force")]
    Role {
        /// The required role.
        role: &'static str,
        /// Error of the service.
        #[source]
        source: Source,
    },
    /// The service's firewall refuses our address.
    #[error("its firewall refuses this network: a private endpoint or a network rule is missing")]
    Network(#[source] Source),
    /// The requested item does not exist.
    #[error("there is no {what} of this name")]
    Name {
        /// Kind of the missing item.
        what: &'static str,
        /// Error of the service.
        #[source]
        source: Source,
    },
    /// Too many requests (429).
    #[error("it responds with status 429: too many requests")]
    Throttled(#[source] Source),
    /// No response: a name that does not resolve, a closed port, an untrusted certificate, a lost connection.
    #[error("it cannot be reached: {}", obstacle(.source, .setting))]
    Unreachable {
        /// Setting that holds the service's address.
        setting: &'static str,
        /// Error of the library.
        #[source]
        source: Source,
    },
    /// A status that has no meaning of its own here.
    #[error("it responds with status {status}: an outage, or another service at this address")]
    Status {
        /// The status.
        status: u16,
        /// Error of the service.
        #[source]
        source: Source,
    },
    /// A malformed response.
    #[error("its response is of no use: {0}")]
    Response(&'static str),
    /// No response within the request's time budget.
    #[error("no response in time: a firewall that drops packets, a route that is missing, or an outage")]
    Timeout,
}

/// Error of a library, shortened for the log.
#[derive(Debug)]
pub struct Source(Box<dyn Error + Send + Sync>);

impl std::fmt::Display for Source {
    /// One line of at most 300 characters: some libraries print whole pages.
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
    /// Classifies an error of Azure's own libraries. `what` was requested, and `role` permits the request.
    pub(super) fn of(error: azure_core::Error, what: &'static str, role: &'static str) -> Self {
        let message = error.to_string();
        match error.kind() {
            ErrorKind::Credential => return Self::Identity(Source::new(error)),
            ErrorKind::HttpResponse { .. }
            | ErrorKind::Connection
            | ErrorKind::Io
            | ErrorKind::DataConversion
            | ErrorKind::Other => {}
        }
        let Some(status) = error.http_status() else { return Self::unreachable(VAULT_SETTING, error) };
        let source = Source::new(error);
        match status {
            StatusCode::Unauthorized => Self::Role { role, source },
            // ForbiddenByFirewall, ForbiddenByConnection: the vault's error codes for its network rules.
            StatusCode::Forbidden if message.contains("ForbiddenBy") && !message.contains("ForbiddenByRbac") => {
                Self::Network(source)
            }
            StatusCode::Forbidden if message.contains("not authorized and caller is not a trusted service") => {
                Self::Network(source)
            }
            StatusCode::Forbidden => Self::Role { role, source },
            StatusCode::NotFound => Self::Name { what, source },
            StatusCode::TooManyRequests => Self::Throttled(source),
            _ => Self::Status { status: u16::from(status), source },
        }
    }

    /// No response from the service whose address is in `setting`.
    pub(super) fn unreachable(setting: &'static str, error: impl Error + Send + Sync + 'static) -> Self {
        Self::Unreachable { setting, source: Source::new(error) }
    }
}

/// Cause and remedy of a failed connection. Matches texts of rustls, of the resolver and of the operating system.
fn obstacle(source: &Source, setting: &str) -> String {
    let text = source.to_string();
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if has(&["UnknownIssuer"]) {
        "its certificate is not trusted: set SSL_CERT_FILE to a PEM file with its authority's certificate".to_owned()
    } else if has(&["NotValidForName", "not valid for name"]) {
        format!("its certificate is for another name: mend {setting}, or look for a proxy in between")
    } else if has(&["invalid peer certificate"]) {
        "its certificate cannot be used: it has expired, or this machine's clock is wrong".to_owned()
    } else if has(&["lookup address", "dns error", "resolving hostname"]) {
        format!("its name does not resolve: mend {setting}, or link the private DNS zone to this network")
    } else if has(&["refused"]) {
        format!("it refuses the connection: mend host or port in {setting}")
    } else if has(&["timed out", "deadline has elapsed"]) {
        "no connection in time: a firewall drops the packets, or a route is missing".to_owned()
    } else if has(&["reset", "closed", "unexpected EOF", "close_notify", "IncompleteMessage"]) {
        "it ends the connection: a firewall or a proxy in between, or an outage".to_owned()
    } else {
        "network, certificate, or an outage".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_unreachable_service_names_its_cause_and_what_to_mend() {
        let table = [
            ("invalid peer certificate: UnknownIssuer", "set SSL_CERT_FILE"),
            ("invalid peer certificate: certificate not valid for name \"v\"", "for another name: mend KEY_VAULT_URL"),
            ("invalid peer certificate: NotValidForName", "for another name: mend KEY_VAULT_URL"),
            ("invalid peer certificate: Expired", "it has expired, or this machine's clock is wrong"),
            ("dns error: failed to lookup address information", "its name does not resolve: mend KEY_VAULT_URL"),
            ("tcp connect error: Connection refused (os error 111)", "refuses the connection: mend host or port"),
            ("tcp connect error: deadline has elapsed", "a firewall drops the packets"),
            ("operation timed out", "a firewall drops the packets"),
            ("Connection reset by peer (os error 104)", "it ends the connection"),
            ("peer closed connection without sending TLS close_notify", "it ends the connection"),
            ("connection closed before message completed", "it ends the connection"),
            ("No route to host (os error 113)", "network, certificate, or an outage"),
        ];
        for (text, expected) in table {
            let error = AccessError::unreachable("KEY_VAULT_URL", io::Error::other(text));
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
