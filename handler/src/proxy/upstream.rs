//! Upstream: scheme, authority and base path of every request to it.
//!
//! Knows no connection; `pool` keeps those.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::header::HeaderValue;
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::authority::{Authority, default_port, is_same_host, normal_host};
use super::upstream_host::UpstreamHost;

/// Protected application that requests are forwarded to.
#[derive(Debug)]
pub struct Upstream {
    key: usize,
    name: Arc<str>,
    host: String,
    named_host: Host<String>,
    port: u16,
    default_host: UpstreamHost,
    tls: Option<ServerName<'static>>,
    host_header: HeaderValue,
    base_path: String,
}

/// Reason why a URL can't be an Upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Not an absolute `http` or `https` URL with a host.
    #[error("an upstream must be an absolute http or https URL")]
    NotHttp,
    /// A user, a password, a query or a fragment in the URL.
    #[error("an upstream URL must have no user, password, query or fragment")]
    Excess,
}

impl Upstream {
    /// Parses `https://host[:port][/base]`.
    ///
    /// # Errors
    /// If requests can't be forwarded to the URL.
    pub fn parse(text: &str) -> Result<Self, UpstreamError> {
        let url = Url::parse(text).map_err(|_| UpstreamError::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UpstreamError::NotHttp);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || text.contains(['?', '#', '@']) {
            return Err(UpstreamError::Excess);
        }
        let host = url.host().ok_or(UpstreamError::NotHttp)?;
        let port = url.port_or_known_default().ok_or(UpstreamError::NotHttp)?;
        let tls = (url.scheme() == "https").then(|| server_name(&host)).transpose()?;
        let name = url.authority();

        Ok(Self {
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            host_header: HeaderValue::from_str(name).map_err(|_| UpstreamError::NotHttp)?,
            name: name.into(),
            named_host: normal_host(&host.to_string()).ok_or(UpstreamError::NotHttp)?,
            default_host: UpstreamHost::default_for(&host.to_string()),
            host: connectable(&host),
            port,
            tls,
            base_path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The authority, for logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Base URL of every request, with a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}/", self.origin(), self.base_path)
    }

    /// Scheme and authority.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.name)
    }

    /// True if this names the upstream, whatever the scheme: an application takes the scheme from `X-Forwarded-Proto`.
    /// Another port of the same host is another server.
    pub(super) fn is_named_by(&self, named: &Authority) -> bool {
        let is_default = self.port == default_port(self.tls.is_some());
        let is_port = match named.port {
            Some(port) => port == self.port,
            None => is_default || named.effective_port(self.tls.is_some()) == self.port,
        };
        is_port && self.is_host(&named.host)
    }

    /// True if this is the upstream's host, whatever its spelling.
    pub(super) fn is_host(&self, host: &Host<String>) -> bool {
        is_same_host(&self.named_host, host)
    }

    /// Default `Host` for this upstream.
    pub(super) fn default_host(&self) -> UpstreamHost {
        self.default_host
    }

    /// True if requests to it cross a network in plain text: `http`, and not on loopback.
    #[must_use]
    pub fn is_open_to_the_network(&self) -> bool {
        let is_loopback = match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"), // RFC 6761 6.3
        };
        self.tls.is_none() && !is_loopback
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Identity of an Upstream within the process.
    pub(super) fn key(&self) -> usize {
        self.key
    }

    /// True for the same Upstream.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.key == other.key
    }

    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    pub(super) fn tls(&self) -> Option<&ServerName<'static>> {
        self.tls.as_ref()
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    /// Base path without a trailing slash; empty if there is none.
    pub(super) fn base_path(&self) -> &str {
        &self.base_path
    }
}

static NEXT_KEY: AtomicUsize = AtomicUsize::new(0);

fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, UpstreamError> {
    match host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned()).map_err(|_| UpstreamError::NotHttp),
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::from(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::from(*address))),
    }
}

/// Host for DNS: no brackets around IPv6.
fn connectable(host: &Host<&str>) -> String {
    match host {
        Host::Domain(name) => (*name).to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_keeps_authority_port_and_base_path() {
        let upstream = Upstream::parse("http://App.Internal:8080/base/").unwrap();

        assert_eq!(upstream.name(), "app.internal:8080");
        assert_eq!(upstream.address(), ("app.internal", 8080));
        assert_eq!(upstream.base_path(), "/base");
        assert_eq!(upstream.url(), "http://app.internal:8080/base/");
        assert!(upstream.tls().is_none());
    }

    #[test]
    fn an_ipv6_upstream_connects_without_brackets() {
        let upstream = Upstream::parse("https://[::1]").unwrap();

        assert_eq!(upstream.address(), ("::1", 443));
        assert_eq!(upstream.name(), "[::1]");
        assert!(upstream.tls().is_some());
    }

    #[test]
    fn urls_that_are_no_upstream_are_refused() {
        for (url, expected, why) in [
            ("", UpstreamError::NotHttp, "empty"),
            ("/app", UpstreamError::NotHttp, "relative"),
            ("app.internal", UpstreamError::NotHttp, "no scheme"),
            ("ftp://app", UpstreamError::NotHttp, "another scheme"),
            ("http://", UpstreamError::NotHttp, "no host"),
            ("http://user@app", UpstreamError::Excess, "a user"),
            ("http://:pw@app", UpstreamError::Excess, "a password"),
            ("http://app?x=1", UpstreamError::Excess, "a query"),
            ("http://app?", UpstreamError::Excess, "an empty query"),
            ("http://app/#x", UpstreamError::Excess, "a fragment"),
        ] {
            assert_eq!(Upstream::parse(url).unwrap_err(), expected, "{why}");
        }
    }
}
