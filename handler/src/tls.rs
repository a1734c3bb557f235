//! TLS trust for Providers and Upstreams: the machine's own roots (`SSL_CERT_FILE` included), or Mozilla's
//! where the machine has none, as in an empty container.

use std::io;
use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, Error, RootCertStore};

/// A client configuration for outgoing connections, TLS 1.2 and 1.3.
///
/// # Panics
/// Never: the library's own provider supports the library's own versions.
#[must_use]
pub fn client_config() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "root certificate of this machine not readable");
    }
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// True if the peer showed a certificate that is not accepted.
pub(crate) fn is_certificate_error(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|source| source.downcast_ref::<Error>());
    matches!(tls, Some(Error::InvalidCertificate(_)))
}

/// The failure of a TLS handshake, with the mistake to mend if it is a common one.
pub(crate) fn with_hint(error: io::Error) -> io::Error {
    let tls = error.get_ref().and_then(|source| source.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            io::Error::new(error.kind(), format!("{error}; a private CA's certificates go into SSL_CERT_FILE"))
        }
        // The first bytes of a plain HTTP response, read as a TLS record.
        Some(Error::InvalidMessage(_)) => {
            io::Error::new(error.kind(), format!("{error}; that port does not speak TLS: is its URL http?"))
        }
        Some(_) | None => error,
    }
}
