//! Request as the endpoints see it, and the parts that several of them parse.

use actix_web::HttpRequest;
use actix_web::web::Payload;

use crate::clock::Timestamp;
use crate::proxy::RequestTarget;
use crate::return_url::{ReturnUrl, ReturnUrlError};
use crate::state::AppState;
use crate::web::{Error, RequestId, VerifiedGateway, Viewer};

/// A request on its way to an endpoint.
pub struct Request<'a> {
    /// The server's request.
    pub http: &'a HttpRequest,
    /// The validated target.
    pub target: RequestTarget<'a>,
    /// Time of arrival.
    pub now: Timestamp,
    /// Request identifier in logs and on pages.
    pub id: &'a RequestId,
    /// The verified proof of the gateway, and the client address that the gateway sent.
    pub gateway: VerifiedGateway,
}

impl Request<'_> {
    /// The person who sees a page in response.
    #[must_use]
    pub fn viewer<'a>(&'a self, state: &'a AppState) -> Viewer<'a> {
        Viewer::of(self.http, self.id, &state.page_design)
    }

    /// The first value of a query parameter, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        first(self.pairs(), name)
    }

    /// The query's parameters, decoded.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, String)> {
        pairs(self.target.query().unwrap_or_default())
    }

    /// All readings of a query parameter: decoded as a form, and with each `+` kept literally, as in a link that nobody
    /// encoded. Empty if the parameter is missing or empty.
    #[must_use]
    pub fn readings(&self, name: &str) -> Vec<String> {
        let unencoded = self.target.query().unwrap_or_default().replace('+', "%2B");
        let values = [self.query(name), first(pairs(&unencoded), name)];
        let mut readings: Vec<String> = values.into_iter().flatten().filter(|value| !value.is_empty()).collect();
        readings.dedup();
        readings
    }
}

/// Decoded parameters of a query or a form (`application/x-www-form-urlencoded`). A page that escapes its links twice
/// separates them by `&amp;`, so a leading `amp;` of a name is removed.
pub(super) fn pairs(urlencoded: &str) -> Vec<(String, String)> {
    let pairs = url::form_urlencoded::parse(urlencoded.as_bytes());
    pairs.map(|(name, value)| (name.trim_start_matches("amp;").to_owned(), value.into_owned())).collect()
}

fn first(pairs: Vec<(String, String)>, name: &str) -> Option<String> {
    pairs.into_iter().find(|(given, _)| given == name).map(|(_, value)| value)
}

/// Body of a Provider's form (`application/x-www-form-urlencoded`), still encoded.
pub(super) async fn form(request: &Request<'_>, payload: Payload, state: &AppState) -> Result<String, Error> {
    let form = state.provider_forms.read(request.http, payload, MAX_PROVIDER_FORM).await?;
    String::from_utf8(form.into()).map_err(|_| Error::Request("the form is not text"))
}

/// Parses a path or URL of the public origin as return URL. `None` below our own prefix, except for the page where a
/// sign-in in another tab ends.
///
/// # Errors
/// If it is too long.
pub(super) fn return_url(value: Option<&str>, state: &AppState) -> Result<Option<ReturnUrl>, Error> {
    let Some(value) = value else { return Ok(None) };
    let path = state.public_origin.path_of(value);
    match path.as_deref().unwrap_or(value).parse::<ReturnUrl>() {
        Ok(url) => Ok(Some(url).filter(|url| may_return_to(url, &state.auth_prefix))),
        Err(ReturnUrlError::Length) => Err(Error::ReturnUrlTooLong),
        Err(ReturnUrlError::NotAPath | ReturnUrlError::Character | ReturnUrlError::Segment) => Ok(None),
    }
}

fn may_return_to(url: &ReturnUrl, auth_prefix: &str) -> bool {
    url.as_str().strip_prefix(auth_prefix) == Some("/resend") || !url.is_under(auth_prefix)
}

/// Maximum size of a Provider's form, with a margin.
const MAX_PROVIDER_FORM: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn readings(query: &str) -> Vec<String> {
        let http = TestRequest::default().to_http_request();
        let uri = format!("/oauth/frontchannel-logout?{query}");
        let target = RequestTarget::parse(&uri).unwrap();
        let id = RequestId::of(&http);
        let request =
            Request { http: &http, target, now: Timestamp::from_unix(0), id: &id, gateway: VerifiedGateway::default() };
        request.readings("sid")
    }

    #[test]
    fn the_end_of_a_sign_in_in_another_tab_is_the_only_url_of_ours_to_return_to() {
        let lead = |url: &str| may_return_to(&url.parse().unwrap(), "/oauth");

        assert!(lead("/oauth/resend") && lead("/form"));
        for url in
            ["/oauth", "/oauth/signin", "/oauth/resend/", "/oauth/resend?x=1", "/OAuth/resend", "/oauth/%72esend"]
        {
            assert!(!lead(url), "{url}");
        }
    }

    #[test]
    fn a_parameter_is_read_as_browsers_send_it() {
        let table: [(&str, &[&str], &str); 15] = [
            ("sid=a", &["a"], "as specified"),
            ("iss=https://op.example/t&sid=a", &["a"], "an issuer that nobody encoded"),
            ("iss=x&amp;sid=a", &["a"], "a link that was escaped twice"),
            ("iss=x&amp;amp;sid=a", &["a"], "or three times"),
            ("amp;sid=a", &["a"], "the first of them"),
            ("sid=a%2Bb", &["a+b"], "an encoded plus"),
            ("sid=a+b", &["a b", "a+b"], "a plus: a blank in a form, itself where nobody encoded"),
            ("sid=a%20b", &["a b"], "a blank, as a browser encodes it"),
            ("sid=a/b==", &["a/b=="], "base64 that nobody encoded"),
            ("sid=a|b{c}^`", &["a|b{c}^`"], "what browsers send raw"),
            ("sid=%C3%A9", &["é"], "beyond ASCII"),
            ("sid=100%", &["100%"], "a percent sign for itself"),
            ("sid=a&sid=b", &["a"], "the first of two"),
            ("sid=", &[], "empty"),
            ("", &[], "none"),
        ];
        for (query, expected, reason) in table {
            assert_eq!(readings(query), expected, "{reason}");
        }
    }
}
