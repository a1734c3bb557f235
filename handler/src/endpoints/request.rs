//! A request as the endpoints see it, and the parts of it that several of them parse.

use actix_web::HttpRequest;
use actix_web::web::Payload;

use crate::clock::Timestamp;
use crate::proxy::RequestTarget;
use crate::return_url::ReturnUrl;
use crate::web::{Error, Passed, RequestId};

/// One request on its way to an endpoint.
pub struct Request<'a> {
    /// As the server read it.
    pub http: &'a HttpRequest,
    /// Its checked target.
    pub target: RequestTarget<'a>,
    /// When it came.
    pub now: Timestamp,
    /// Its name in logs and pages.
    pub id: &'a RequestId,
    /// The gateway's proof, verified, and the client address that it told.
    pub passed: Passed,
}

impl Request<'_> {
    /// The first value of a query parameter, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.target.query().unwrap_or_default().as_bytes());
        pairs.into_iter().find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
    }
}

/// A Provider's form (`application/x-www-form-urlencoded`), still encoded.
pub(super) async fn form(payload: Payload) -> Result<String, Error> {
    let form = payload.to_bytes_limited(MAX_FORM).await;
    let form = form.map_err(|_| Error::Request("the form is too large"))?;
    let form = form.map_err(|_| Error::Request("the form did not arrive"))?;
    String::from_utf8(form.into()).map_err(|_| Error::Request("the form is not text"))
}

/// `value` as a return URL that doesn't lead back to our own URLs.
pub(super) fn return_url(value: Option<&str>, auth_prefix: &str) -> Option<ReturnUrl> {
    value?.parse::<ReturnUrl>().ok().filter(|url| !url.is_under(auth_prefix))
}

/// The largest form that a Provider sends, with room to spare.
const MAX_FORM: usize = 64 * 1024;
