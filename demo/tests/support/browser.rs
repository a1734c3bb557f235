//! As much of a browser as a sign-in needs: cookies by host, redirects, forms, and the headers of a navigation.

use std::collections::HashMap;

use awc::http::{Method, header};
use awc::{Client, ClientRequest};
use serde_json::Value;
use url::Url;

/// One person's browser on the site of the demo.
pub(crate) struct Browser {
    client: Client,
    site: Url,
    cookies: HashMap<(String, String), String>,
}

/// Response to a request, its body as text.
pub(crate) struct Response {
    pub(crate) url: String,
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Browser {
    pub(crate) fn new(site: &str) -> Self {
        let client = Client::builder().disable_redirects().finish();
        Self { client, site: site.parse().unwrap(), cookies: HashMap::new() }
    }

    /// Navigates and follows redirects.
    pub(crate) async fn open(&mut self, target: &str) -> Response {
        let mut response = self.visit(target).await;
        while let Some(location) = response.location.take() {
            let next = Url::parse(&response.url).unwrap().join(&location).unwrap();
            response = self.visit(next.as_str()).await;
        }
        response
    }

    /// Navigates once.
    pub(crate) async fn visit(&mut self, target: &str) -> Response {
        let url = self.site.join(target).unwrap();
        let request = self.request(Method::GET, &url).insert_header(("Sec-Fetch-Mode", "navigate"));
        self.send(url, request, String::new()).await
    }

    /// Posts a form of the page and follows redirects.
    pub(crate) async fn submit(&mut self, target: &str, fields: &[(&str, &str)]) -> Response {
        let url = self.site.join(target).unwrap();
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .request(Method::POST, &url)
            .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
            .insert_header((header::ORIGIN, url.origin().ascii_serialization()))
            .insert_header(("Sec-Fetch-Mode", "navigate"));
        let response = self.send(url, request, body).await;
        let next = Url::parse(&response.url).unwrap().join(response.location.as_deref().expect("a redirect")).unwrap();
        self.open(next.as_str()).await
    }

    /// Sends a `GET` of a script.
    pub(crate) async fn get(&mut self, target: &str) -> Response {
        let url = self.site.join(target).unwrap();
        let request = self.request(Method::GET, &url).insert_header(("Sec-Fetch-Mode", "cors"));
        self.send(url, request, String::new()).await
    }

    /// Sends a `POST` of a script.
    pub(crate) async fn post(&mut self, target: &str) -> Response {
        let url = self.site.join(target).unwrap();
        let request = self
            .request(Method::POST, &url)
            .insert_header(("X-CSRF", "1"))
            .insert_header((header::ORIGIN, url.origin().ascii_serialization()))
            .insert_header(("Sec-Fetch-Mode", "cors"));
        self.send(url, request, String::new()).await
    }

    /// The person as the application's scripts see them: the JSON of `/identity`.
    pub(crate) async fn identity(&mut self) -> Value {
        self.get("/identity").await.json()
    }

    fn request(&self, method: Method, url: &Url) -> ClientRequest {
        let host = url.host_str().unwrap();
        let cookies = self.cookies.iter().filter(|((of, _), _)| of == host);
        let line: Vec<_> = cookies.map(|((_, name), value)| format!("{name}={value}")).collect();
        self.client.request(method, url.as_str()).insert_header((header::COOKIE, line.join("; ")))
    }

    async fn send(&mut self, url: Url, request: ClientRequest, body: String) -> Response {
        let mut response = request.send_body(body).await.unwrap();
        for line in response.headers().get_all(header::SET_COOKIE) {
            self.keep(url.host_str().unwrap(), line.to_str().unwrap());
        }
        let location = response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
        let body = String::from_utf8(response.body().await.unwrap().to_vec()).unwrap();
        Response { url: url.into(), status: response.status().as_u16(), location, body }
    }

    fn keep(&mut self, host: &str, line: &str) {
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        let key = (host.to_owned(), name.to_owned());
        if line.contains("Max-Age=0") {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }
}
