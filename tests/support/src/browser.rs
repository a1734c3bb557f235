//! A browser in a few lines: it keeps cookies and follows where it is sent, and shows every byte of a response.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;

use url::Url;

use crate::http::{Response, read_response};
use crate::{LIMIT, Provider};

/// Headers of a navigation.
pub(crate) const NAVIGATION: [(&str, &str); 2] = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];

/// Keeps the cookies of one site.
#[derive(Clone, Debug)]
pub struct Browser {
    origin: String,
    gateway_path: String,
    /// Names and values, as they were set.
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser without cookies, for the site at this origin.
    #[must_use]
    pub fn new(origin: &str) -> Self {
        Self { origin: origin.to_owned(), gateway_path: String::new(), cookies: BTreeMap::new() }
    }

    /// The same behind a gateway, which puts this path before that of each request.
    #[must_use]
    pub fn behind_gateway(origin: &str, gateway_path: &str) -> Self {
        Self { gateway_path: gateway_path.to_owned(), ..Self::new(origin) }
    }

    /// Origin of the site.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The same person at another instance of the site.
    #[must_use]
    pub fn at(&self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self.clone() }
    }

    /// Signs in on the way to `path`; the response of the page it leads to.
    pub fn sign_in(&mut self, path: &str, provider: &Provider) -> Response {
        let to_signin = self.navigate(path);
        self.sign_in_by(to_signin.header("location").expect("a redirect to sign-in"), provider)
    }

    /// Signs in by this URL of `signin`; the response of the page it leads to.
    pub fn sign_in_by(&mut self, signin: &str, provider: &Provider) -> Response {
        let to_provider = self.navigate(signin);
        let back = provider.approve(to_provider.header("location").expect("a redirect to the provider"));
        let to_page = self.navigate(&back);
        assert_eq!(to_page.status, 303, "{}", to_page.text());
        let location = to_page.header("location").expect("a redirect to the page").to_owned();
        self.navigate(&location)
    }

    /// A navigation by `GET`. Redirects are not followed.
    pub fn navigate(&mut self, path: &str) -> Response {
        self.send("GET", path, &NAVIGATION, b"")
    }

    /// A request of a script by `GET`.
    pub fn fetch(&mut self, path: &str) -> Response {
        self.send("GET", path, &[], b"")
    }

    /// A request of a script of the site itself.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Response {
        self.send("POST", path, &[("sec-fetch-site", "same-origin")], body)
    }

    /// Any request, with the cookies of the site.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let stream = self.begin(method, path, headers, body);
        let response = read_response(&stream, method).expect("a response");
        for cookie in response.headers_named("set-cookie") {
            let (name, rest) = cookie.split_once('=').expect("a cookie has a name");
            let value = rest.split(';').next().unwrap_or_default();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        response
    }

    /// Writes a request and doesn't wait for its response.
    #[must_use]
    pub fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let path = path.strip_prefix(&self.origin).unwrap_or(path);
        let address = Url::parse(&self.origin).expect("an origin").socket_addrs(|| None).expect("an address")[0];
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
        let gateway_path = &self.gateway_path;
        let mut head = format!("{method} {gateway_path}{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.cookies.is_empty() {
            head.push_str(&format!("cookie: {}\r\n", self.cookie_header()));
        }
        let is_framed = headers.iter().any(|(name, _)| matches!(*name, "content-length" | "transfer-encoding"));
        if !is_framed && (!body.is_empty() || method == "POST") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).expect("the server reads");
        stream.write_all(body).expect("the server reads");
        stream
    }

    /// All cookies as one `Cookie` header.
    #[must_use]
    pub fn cookie_header(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}
