//! Outgoing connections to the Provider: trusted roots, and the proxies named by the environment.
//!
//! Sends no request and knows no Provider. Upstreams are reached directly and take the TLS configuration alone.

use std::sync::Arc;

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio_rustls::TlsConnector;

/// TLS configuration and proxies of outgoing connections; a clone shares both.
#[derive(Clone, Debug)]
pub struct Egress {
    tls: Arc<rustls::ClientConfig>,
    proxies: Proxies,
}

/// The proxies of `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`, without the hosts of `NO_PROXY`. The default is none.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Option<Arc<Matcher>>);

impl Egress {
    /// A connector for HTTP/1.1 that trusts the roots in `tls` and goes through `proxies`.
    #[must_use]
    pub fn new(tls: &rustls::ClientConfig, proxies: Proxies) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { tls: Arc::new(tls), proxies }
    }

    pub(crate) fn tls(&self) -> TlsConnector {
        Arc::clone(&self.tls).into()
    }

    /// The proxy for `url`; `None` for a direct connection.
    pub(crate) fn proxy(&self, url: &Uri) -> Option<Intercept> {
        self.proxies.0.as_ref()?.intercept(url)
    }
}

impl Proxies {
    /// Proxies from the variables' values; an empty value means unset. `all` is the fallback for both schemes.
    #[must_use]
    pub fn new(https: &str, http: &str, all: &str, no: &str) -> Self {
        Self(Some(Arc::new(Matcher::builder().https(https).http(http).all(all).no(no).build())))
    }

    /// True for the URL of an HTTP proxy, with or without TLS. A URL without a scheme is `http`.
    #[must_use]
    pub fn is_usable(url: &str) -> bool {
        let proxy = Matcher::builder().all(url).build().intercept(&Uri::from_static("http://op.example/"));
        proxy.is_some_and(|proxy| matches!(proxy.uri().scheme_str(), Some("http" | "https")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_speaks_http() {
        for url in ["http://proxy:3128", "https://user:pass@proxy.example", "proxy:3128", "http://[::1]:3128/"] {
            assert!(Proxies::is_usable(url), "{url}");
        }
        for url in ["socks5://proxy", "ftp://proxy", "http://", "/proxy", "a proxy"] {
            assert!(!Proxies::is_usable(url), "{url}");
        }
    }
}
