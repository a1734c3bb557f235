//! Cookies read and written by hand: Provider and application have one or two each.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};

/// The value of the cookie with this name.
pub(crate) fn cookie<'a>(req: &'a HttpRequest, name: &str) -> Option<&'a str> {
    cookies(req).find_map(|(found, value)| (found == name).then_some(value))
}

/// Every cookie of a request, as name and value.
pub(crate) fn cookies(req: &HttpRequest) -> impl Iterator<Item = (&str, &str)> {
    let lines = req.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// A cookie until the browser closes. `value` is ours: letters, digits and `-`, `_`, `.` only.
pub(crate) fn set_cookie(name: &str, value: &str) -> HeaderValue {
    header_value(format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax"))
}

/// Takes a cookie away.
pub(crate) fn delete_cookie(name: &str) -> HeaderValue {
    header_value(format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"))
}

fn header_value(line: String) -> HeaderValue {
    HeaderValue::try_from(line).unwrap_or_else(|_| HeaderValue::from_static(""))
}
