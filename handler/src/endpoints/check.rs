//! `GET check?method=&url=`: reports to the gateway the headers with which a client's request would be forwarded.
//!
//! For requests that the Functions host cannot pass, such as WebSockets: the gateway asks here and connects to the
//! Upstream itself. The response contains the access token, so it needs a proof of its own (`Purpose::Check`) that no
//! forwarded request carries. The client's `Cookie`, `Origin` and Fetch Metadata come with the call.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::header as up;

use super::Destination;
use super::admission::{Ruled, admit_client, admit_person, bearer_token};
use super::proxy::{client_identity, identity, route_token};
use super::request::Request;
use crate::proxy::{Access, OnceAMinute, RequestTarget, Route, first_unwritable, has_destination, is_forwarded};
use crate::state::AppState;
use crate::web::{Error, check_csrf, check_isolation, check_websocket_origin};

/// Responds 200 with the headers that the Upstream of `url` would get, or with the error that the request would get.
/// Never slides the session. `upgrade=websocket` asks for a handshake.
pub(super) async fn check(request: &Request<'_>, state: &AppState) -> Result<HttpResponse, Error> {
    let asked = Asked::parse(request)?;
    let target = RequestTarget::parse(&asked.url)?;
    let Destination::Proxy(route) = Destination::of(target.path(), &state.auth_prefix, &state.routes) else {
        return Err(Error::RouteNotFound);
    };
    if state.routes.isolates(target.path()) {
        check_isolation(&asked.method, &asked.headers)?;
    }
    let ruled = Ruled { method: asked.method.as_str(), path: target.path() };
    let mut headers = match route.access() {
        Access::Anonymous => Vec::new(),
        Access::Session => session_headers(&asked, ruled, request, route, state).await?,
        Access::SessionOrBearer if bearer_token(request.http)?.is_none() => {
            session_headers(&asked, ruled, request, route, state).await?
        }
        Access::Bearer | Access::SessionOrBearer => {
            let client = admit_client(ruled, request, state).await?;
            client_identity(&client, route, request.now, state)
        }
    };
    headers.extend_from_slice(state.public_side.forwarded_headers());
    headers.extend(application_cookies(request, state));
    if state.is_under_functions_host
        && let Some(name) = first_unwritable(&headers)
    {
        static LAST: OnceAMinute = OnceAMinute::new();
        if LAST.is_due() {
            tracing::warn!(
                request.id = request.id.as_str(),
                code = Error::HeaderNotAscii.code(),
                header.name = name.as_str(),
                "check refused: the Functions host cannot write a header of the response"
            );
        }
        return Err(Error::HeaderNotAscii);
    }

    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    for (name, value) in headers {
        response.insert_header((response_name(&name), response_value(&value)));
    }
    Ok(response.finish())
}

/// Client request that the gateway asks about.
struct Asked {
    method: Method,
    url: String,
    is_websocket: bool,
    /// The [`CLIENT_HEADERS`] that the client sent. A policy of API Management sends an absent one as an empty value.
    headers: HeaderMap,
}

/// Client headers that name the origin of its request.
const CLIENT_HEADERS: [&str; 4] = ["origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"];

impl Asked {
    fn parse(request: &Request<'_>) -> Result<Self, Error> {
        let method = request.query("method").and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        let is_websocket = match request.query("upgrade").as_deref() {
            None | Some("") => false,
            Some("websocket") => true,
            Some(_) => return Err(Error::Request("upgrade is not websocket")),
        };
        let method = method.ok_or(Error::Request("method is missing or no method"))?;
        if !is_forwarded(&method) {
            return Err(Error::Request("the method is not forwarded"));
        }
        if has_destination(&method) {
            return Err(Error::Request("COPY and MOVE have a Destination, which does not come along"));
        }
        let url = request.query("url").ok_or(Error::Request("url is missing"))?;
        Ok(Self { method, url, is_websocket, headers: client_headers(request.http.headers()) })
    }
}

/// The name in the types of the server. A header that went missing here would be one that says who the person is.
fn response_name(name: &up::HeaderName) -> HeaderName {
    HeaderName::from_bytes(name.as_str().as_bytes()).expect("both versions of http take the same names")
}

fn response_value(value: &up::HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).expect("both versions of http take the same values")
}

fn client_headers(sent: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in CLIENT_HEADERS {
        for value in sent.get_all(name).filter(|value| !value.is_empty()) {
            headers.append(HeaderName::from_static(name), value.clone());
        }
    }
    headers
}

/// Identity headers, after the same checks as for a forwarded request. At most one read of the store, unless a
/// token is requested. Waits for the refresh of a lapsed token, and starts one that is due: sockets alone would
/// never renew it.
async fn session_headers(
    asked: &Asked,
    ruled: Ruled<'_>,
    request: &Request<'_>,
    route: &Route,
    state: &AppState,
) -> Result<Vec<(up::HeaderName, up::HeaderValue)>, Error> {
    let ticket = state.session_cookie.read(request.http).await?.ok_or(Error::SessionRequired)?;
    if asked.is_websocket {
        check_websocket_origin(request.http, &state.public_origin)?;
    } else {
        check_csrf(&asked.method, &asked.headers, &state.public_origin)?;
    }
    let session = state.sessions.load_fresh(&ticket, &state.relying_party, request.now).await?;
    let session = session.ok_or(Error::SessionRequired)?;
    admit_person(ruled, &session.part.claims, &ticket, request, state)?;
    let route_token = route_token(&session, route, &ticket, request, state).await?;
    Ok(identity(&session.part, route_token.as_ref(), route, request.now, state))
}

/// `Cookie` header without our own cookies, so that the gateway needs no rule for them.
fn application_cookies(request: &Request<'_>, state: &AppState) -> Option<(up::HeaderName, up::HeaderValue)> {
    let kept: Vec<Vec<u8>> = request
        .http
        .headers()
        .get_all(header::COOKIE)
        .filter_map(|value| state.own_cookies.strip(value.as_bytes()))
        .map(Into::into)
        .collect();
    let value = up::HeaderValue::from_bytes(&kept.join(&b"; "[..])).expect("parts of header values make one");
    (!kept.is_empty()).then_some((up::COOKIE, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_for_an_upstream_is_one_of_a_response() {
        for byte in 0..=u8::MAX {
            let text = [b'x', byte, b'x'];
            if let Ok(name) = up::HeaderName::from_bytes(&text) {
                assert_eq!(response_name(&name).as_str(), name.as_str(), "{byte}");
            }
            if let Ok(value) = up::HeaderValue::from_bytes(&text) {
                assert_eq!(response_value(&value).as_bytes(), text, "{byte}");
            }
        }
    }
}
