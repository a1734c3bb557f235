//! Methods: the safe ones, by the registry of RFC 9110 16.1, and those that are never forwarded.

use actix_web::http::Method;

/// True for a safe method (RFC 9110 9.2.1; the registry's column *Safe*).
#[must_use]
pub fn is_safe(method: &Method) -> bool {
    matches!(
        method.as_str(),
        "GET" | "HEAD" | "OPTIONS" | "TRACE" // RFC 9110 9.3
            | "PROPFIND" // RFC 4918 9.1
            | "REPORT" // RFC 3253 3.6
            | "SEARCH" // RFC 5323 2
            | "QUERY" // draft-ietf-httpbis-safe-method-w-body
            | "PRI" // RFC 9113 3.4
    )
}

/// False for `CONNECT` and `TRACE`, which are for the next hop (RFC 9110 9.3.6, 9.3.8): a response to `TRACE` would show
/// the person's token. In any case: some servers and frameworks fold it.
#[must_use]
pub fn is_forwarded(method: &Method) -> bool {
    !["CONNECT", "TRACE"].iter().any(|name| method.as_str().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_for_the_next_hop_are_not_forwarded() {
        let is_forwarded = |name: &str| is_forwarded(&Method::from_bytes(name.as_bytes()).unwrap());

        assert!(["TRACE", "CONNECT", "trace", "Connect"].into_iter().all(|name| !is_forwarded(name)));
        assert!(["GET", "OPTIONS", "PROPFIND", "BREW", "get"].into_iter().all(is_forwarded));
    }

    #[test]
    fn methods_are_safe_as_registered() {
        let method = |name: &str| Method::from_bytes(name.as_bytes()).unwrap();
        for safe in ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY", "PRI"] {
            assert!(is_safe(&method(safe)), "{safe}");
        }
        for unsafe_ in [
            "POST",
            "PUT",
            "PATCH",
            "DELETE",
            "CONNECT",
            "ACL",
            "BASELINE-CONTROL",
            "BIND",
            "CHECKIN",
            "CHECKOUT",
            "COPY",
            "LABEL",
            "LINK",
            "LOCK",
            "MERGE",
            "MKACTIVITY",
            "MKCALENDAR",
            "MKCOL",
            "MKREDIRECTREF",
            "MKWORKSPACE",
            "MOVE",
            "ORDERPATCH",
            "PROPPATCH",
            "REBIND",
            "UNBIND",
            "UNCHECKOUT",
            "UNLINK",
            "UNLOCK",
            "UPDATE",
            "UPDATEREDIRECTREF",
            "VERSION-CONTROL",
            "BREW",
            "get",
            "Propfind",
        ] {
            assert!(!is_safe(&method(unsafe_)), "{unsafe_}");
        }
    }
}
