//! Redirect of pages under another name of this site to the same URL of `PUBLIC_BASE_URL`, before a cookie
//! is set that the callback would not get.
//!
//! A redirect to a fixed origin is harmless except for a loop: a proxy on the way may replace `Host`. Until
//! a request has come under the public name, only a few redirects are sent.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, Version};
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use super::header_names::GATEWAY_HOST;
use super::{VerifiedGateway, header_text, is_navigation, single_header};
use crate::public_origin::PublicOrigin;

/// Headers in which a proxy before us sends the original host name.
const FORWARDED_HOSTS: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-host"), HeaderName::from_static("x-original-host")];

/// Header of Azure Front Door, which replaces `Host`, and whose `X-Forwarded-Host` does not pass the Functions host.
const FRONT_DOOR: HeaderName = HeaderName::from_static("x-azure-fdid");

/// Maximum redirects before the first request under the public name. Browsers follow 20, so even the first person gets
/// through.
const MAX_UNCONFIRMED: u32 = 8;

/// Public host name, and the observations of this process about it.
pub struct PublicHost {
    origin: PublicOrigin,
    host: String,
    port: Option<u16>,
    is_enabled: bool,
    is_behind_functions_host: bool,
    was_seen: AtomicBool,
    unconfirmed: AtomicU32,
}

impl PublicHost {
    /// Host name of `origin`. `is_enabled` is the setting `REDIRECT_ALIASES`.
    #[must_use]
    pub fn new(origin: &PublicOrigin, is_enabled: bool, is_behind_functions_host: bool) -> Self {
        let url = Url::parse(origin.as_str()).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
        let port = url.as_ref().and_then(Url::port_or_known_default);
        Self {
            origin: origin.clone(),
            host,
            port,
            is_enabled,
            is_behind_functions_host,
            was_seen: AtomicBool::new(false),
            unconfirmed: AtomicU32::new(0),
        }
    }

    /// Redirect to `target` at the public origin, for a page that was opened under another name.
    #[must_use]
    pub fn redirect(&self, req: &HttpRequest, gateway: &VerifiedGateway, target: &str) -> Option<HttpResponse> {
        let authority = self.authority(req, gateway)?;
        // The first comparison is the quick one of almost every request.
        if authority == self.origin.authority() || self.is_public(authority) {
            if !self.was_seen.load(Ordering::Relaxed) {
                self.was_seen.store(true, Ordering::Relaxed);
            }
            return None;
        }
        // HTTP/1.0 is no browser, but a proxy such as nginx with its defaults, which replaces `Host`, too.
        let is_page = matches!(*req.method(), Method::GET | Method::HEAD)
            && is_navigation(req)
            && req.version() >= Version::HTTP_11;
        let is_alias = is_page && self.is_enabled && self.may_be_alias(authority) && !self.is_rewritten(req, gateway);
        if !is_alias || !self.may_redirect() {
            return None;
        }
        let response = HttpResponse::Found()
            .insert_header((header::LOCATION, self.origin.url(target)))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .finish();
        Some(response)
    }

    /// Authority that the browser used, if it can be known: sent by a proved gateway, or in `Host` if neither a gateway
    /// nor the Functions host is in between.
    fn authority<'a>(&self, req: &'a HttpRequest, gateway: &VerifiedGateway) -> Option<&'a str> {
        if gateway.is_proved {
            return single_header(req, GATEWAY_HOST);
        }
        if self.is_behind_functions_host { None } else { single_header(req, header::HOST) }
    }

    /// True for the public name at any port: a balancer may forward to another port under the same name.
    fn is_public(&self, authority: &str) -> bool {
        name_and_port(authority).0.eq_ignore_ascii_case(&self.host)
    }

    /// False for a `Host` that a proxy writes rather than a person types: an address or a name without a dot at a port
    /// that is not the public one, and any address in place of a name.
    fn may_be_alias(&self, authority: &str) -> bool {
        let (name, port) = name_and_port(authority);
        let is_same_port = match port {
            Some(port) => port.parse().ok() == self.port,
            None => self.port == self.default_port(),
        };
        let is_address = is_address(name);
        if name.is_empty() || (is_address && !is_local(&self.host)) {
            return false;
        }
        is_same_port || (!is_address && name.contains('.'))
    }

    fn default_port(&self) -> Option<u16> {
        Some(if self.origin.is_secure() { 443 } else { 80 })
    }

    /// True if a proxy before us says that the browser used the public name, or if it may do so unseen.
    fn is_rewritten(&self, req: &HttpRequest, gateway: &VerifiedGateway) -> bool {
        let named = |name: HeaderName| header_text(req, name).is_some_and(|hosts| self.names_public(hosts.split(',')));
        let forwarded = header_text(req, header::FORWARDED).is_some_and(|elements| {
            let pairs = elements.split([',', ';']).filter_map(|pair| pair.split_once('='));
            let hosts = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("host")).map(|(_, value)| value);
            self.names_public(hosts)
        });
        let is_hidden = gateway.is_proved && req.headers().contains_key(FRONT_DOOR);
        is_hidden || forwarded || FORWARDED_HOSTS.into_iter().any(named)
    }

    fn names_public<'a>(&self, mut hosts: impl Iterator<Item = &'a str>) -> bool {
        hosts.any(|host| self.is_public(host.trim().trim_matches('"')))
    }

    /// Limits redirects until a request under the public name was seen: each may be one turn of a loop.
    fn may_redirect(&self) -> bool {
        if self.was_seen.load(Ordering::Relaxed) {
            return true;
        }
        let sent = self
            .unconfirmed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sent| (sent <= MAX_UNCONFIRMED).then_some(sent + 1));
        if sent == Ok(MAX_UNCONFIRMED) {
            tracing::warn!(
                code = "alias_redirects_stopped",
                "redirects to PUBLIC_BASE_URL stopped: no request arrived under its name. A proxy replaces Host: let it \
                 pass Host or X-Forwarded-Host, or set REDIRECT_ALIASES=false"
            );
        }
        sent.is_ok_and(|sent| sent < MAX_UNCONFIRMED)
    }
}

/// Splits an authority. RFC 3986 3.2: an IPv6 address has colons of its own, in brackets.
fn name_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        _ => (authority, None),
    }
}

fn is_address(name: &str) -> bool {
    name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn is_local(name: &str) -> bool {
    let is_loopback = |address: IpAddr| address.is_loopback();
    name == "localhost" || name.trim_matches(['[', ']']).parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::LOCATION;
    use actix_web::test::TestRequest;

    use super::*;

    const PROVED: VerifiedGateway =
        VerifiedGateway { client_address: None, is_proved: true, purpose: crate::web::Purpose::Forward };
    const PAGE: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("accept", "text/html")];

    type Row = (&'static str, &'static [(&'static str, &'static str)], VerifiedGateway, bool, &'static str);

    fn public_host(origin: &str, is_behind_functions_host: bool) -> PublicHost {
        PublicHost::new(&origin.parse().unwrap(), true, is_behind_functions_host)
    }

    fn page(headers: &[(&str, &str)]) -> TestRequest {
        let start = TestRequest::get();
        PAGE.iter().chain(headers).fold(start, |request, header| request.append_header(*header))
    }

    /// Location to which a page opened with these headers is redirected.
    fn sent_to(host: &PublicHost, headers: &[(&str, &str)], gateway: VerifiedGateway) -> Option<String> {
        let response = host.redirect(&page(headers).to_http_request(), &gateway, "//a?b=[c]|d")?;
        assert_eq!((response.status().as_u16(), response.headers().get("set-cookie")), (302, None));
        Some(response.headers().get(LOCATION).unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn a_page_under_another_name_goes_to_the_same_url_of_the_public_origin() {
        let table: &[Row] = &[
            ("https://app.example", &[("host", "www.app.example")], VerifiedGateway::default(), true, "a second name"),
            (
                "https://app.example",
                &[("host", "www.app.example:8443")],
                VerifiedGateway::default(),
                true,
                "at another port",
            ),
            (
                "https://app.example",
                &[("host", "app")],
                VerifiedGateway::default(),
                true,
                "a short name in an intranet",
            ),
            ("https://app.example", &[("host", "app.example")], VerifiedGateway::default(), false, "the public name"),
            (
                "https://app.example",
                &[("host", "APP.example:443")],
                VerifiedGateway::default(),
                false,
                "in other letters",
            ),
            (
                "https://app.example",
                &[("host", "app.example:8080")],
                VerifiedGateway::default(),
                false,
                "at another port",
            ),
            (
                "https://app.example",
                &[("host", "app:7071")],
                VerifiedGateway::default(),
                false,
                "a service at a port of its own",
            ),
            ("https://app.example", &[("host", "10.0.0.7")], VerifiedGateway::default(), false, "an address"),
            (
                "https://app.example",
                &[("host", "127.0.0.1:7071")],
                VerifiedGateway::default(),
                false,
                "an address and a port",
            ),
            ("https://app.example", &[("host", "[::1]:7071")], VerifiedGateway::default(), false, "an IPv6 address"),
            ("https://app.example", &[("host", "")], VerifiedGateway::default(), false, "no name"),
            ("https://app.example", &[], VerifiedGateway::default(), false, "no Host"),
            (
                "http://127.0.0.1:7071",
                &[("host", "localhost:7071")],
                VerifiedGateway::default(),
                true,
                "a developer's other name",
            ),
            (
                "http://localhost:7071",
                &[("host", "127.0.0.1:7071")],
                VerifiedGateway::default(),
                true,
                "the other way round",
            ),
            (
                "http://localhost:8080",
                &[("host", "127.0.0.1:7071")],
                VerifiedGateway::default(),
                false,
                "behind another port",
            ),
            (
                "https://app.example",
                &[("host", "in.example"), ("x-forwarded-host", "app.example")],
                VerifiedGateway::default(),
                false,
                "a proxy that replaces Host and says so",
            ),
            (
                "https://app.example",
                &[("host", "in.example"), ("x-forwarded-host", "app.example, in.example")],
                VerifiedGateway::default(),
                false,
                "two of them",
            ),
            (
                "https://app.example",
                &[("host", "in.example"), ("forwarded", "for=192.0.2.7;proto=https;Host=\"app.example\"")],
                VerifiedGateway::default(),
                false,
                "RFC 7239",
            ),
            (
                "https://app.example",
                &[("host", "in.example"), ("x-original-host", "app.example")],
                VerifiedGateway::default(),
                false,
                "an application gateway",
            ),
            (
                "https://app.example",
                &[("host", "www.app.example"), ("x-forwarded-host", "www.app.example")],
                VerifiedGateway::default(),
                true,
                "an ingress that keeps Host",
            ),
            ("https://app.example", &[("x-gateway-host", "gw.azure-api.net")], PROVED, true, "the gateway's own name"),
            ("https://app.example", &[("x-gateway-host", "app.example")], PROVED, false, "the public name there"),
            ("https://app.example", &[("host", "www.app.example")], PROVED, false, "a gateway that names no host"),
            (
                "https://app.example",
                &[("x-gateway-host", "gw.azure-api.net"), ("x-gateway-host", "x.example")],
                PROVED,
                false,
                "or two",
            ),
            (
                "https://app.example",
                &[("x-gateway-host", "gw.azure-api.net"), ("x-azure-fdid", "f")],
                PROVED,
                false,
                "Front Door before the gateway",
            ),
            (
                "https://app.example",
                &[("x-gateway-host", "gw.azure-api.net"), ("x-original-host", "app.example")],
                PROVED,
                false,
                "an application gateway before the gateway",
            ),
            (
                "https://app.example",
                &[("host", "app.example"), ("x-gateway-host", "evil.example")],
                VerifiedGateway::default(),
                false,
                "a gateway that proved nothing",
            ),
        ];
        for (origin, headers, gateway, is_redirected, reason) in table {
            let expected = is_redirected.then(|| format!("{origin}//a?b=[c]|d"));
            assert_eq!(sent_to(&public_host(origin, false), headers, *gateway), expected, "{reason}");
        }
    }

    #[test]
    fn the_functions_hosts_own_host_says_nothing() {
        let host = public_host("https://app.example", true);

        assert_eq!(sent_to(&host, &[("host", "www.app.example")], VerifiedGateway::default()), None);
        assert!(sent_to(&host, &[("x-gateway-host", "www.app.example")], PROVED).is_some());
    }

    #[test]
    fn only_a_page_is_redirected() {
        let host = public_host("https://app.example", false);
        let alias = ("host", "www.app.example");
        let requests = [
            (TestRequest::get().append_header(alias), "a script"),
            (page(&[alias]).method(Method::POST), "a form"),
            (page(&[alias]).version(Version::HTTP_10), "a proxy of HTTP/1.0"),
            (page(&[alias, ("sec-purpose", "prefetch")]), "a prefetch"),
        ];
        for (request, reason) in requests {
            assert!(host.redirect(&request.to_http_request(), &VerifiedGateway::default(), "/").is_none(), "{reason}");
        }
        let head = page(&[alias]).method(Method::HEAD).to_http_request();
        assert!(host.redirect(&head, &VerifiedGateway::default(), "/").is_some());
    }

    #[test]
    fn a_proxy_that_replaces_host_makes_no_loop() {
        let host = public_host("https://app.example", false);
        let alias = [("host", "in.example")];

        let redirects = (0..100).filter(|_| sent_to(&host, &alias, VerifiedGateway::default()).is_some()).count();
        assert_eq!(redirects, 8);

        assert_eq!(sent_to(&host, &[("host", "app.example")], VerifiedGateway::default()), None);
        assert!(
            (0..100).all(|_| sent_to(&host, &alias, VerifiedGateway::default()).is_some()),
            "the public name does arrive"
        );
    }

    #[test]
    fn the_setting_turns_it_off() {
        let host = PublicHost::new(&"https://app.example".parse().unwrap(), false, false);

        assert_eq!(sent_to(&host, &[("host", "www.app.example")], VerifiedGateway::default()), None);
    }
}
