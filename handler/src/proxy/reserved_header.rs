//! Names that a header of the operator's own cannot have, be it one with a claim (`HEADERS`) or with a route's token.
//!
//! Such a header takes the place of the client's on every request. So HTTP, browsers, hops in front and the application
//! must not give the name another meaning.

/// Content of a header that an operator names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// An access token, bare.
    AccessToken,
    /// A claim.
    Claim,
}

/// True if the name, in lower case, has a meaning of its own. The two contents differ in [`DIFFERENCES`] alone.
pub(super) fn is_reserved(name: &str, content: Content) -> bool {
    if NAMES.contains(&name) {
        return true;
    }
    match DIFFERENCES.iter().find(|(difference, _)| is_or_begins(name, difference)) {
        Some((_, admitted)) => *admitted != content,
        None => FAMILIES.iter().any(|family| name.starts_with(family)),
    }
}

/// True for the name itself, and for those of a family, whose prefix ends in `-`.
fn is_or_begins(name: &str, difference: &str) -> bool {
    name == difference || difference.ends_with('-') && name.starts_with(difference)
}

/// Names and families that one content may have and the other not; the first that covers a name decides.
const DIFFERENCES: &[(&str, Content)] = &[
    ("x-forwarded-access-token", Content::AccessToken), // oauth2-proxy's name for it
    // Names for a person, of oauth2-proxy, App Service and the sample: a token is no name.
    ("x-forwarded-", Content::Claim),
    ("x-ms-client-principal", Content::Claim),
    ("x-ms-client-principal-", Content::Claim),
    ("x-proxy-id-token-", Content::Claim),
    ("from", Content::Claim), // RFC 9110 10.1.2: the e-mail address of the person
];

const NAMES: &[&str] = &[
    // HTTP, of requests and of responses.
    "age",
    "authorization", // the default place of the token
    "cache-control",
    "connection",
    "cookie",
    "cookie2",
    "date",
    "early-data",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "link",
    "location",
    "max-forwards",
    "pragma",
    "prefer",
    "priority",
    "proxy", // HTTP_PROXY to CGI and its relatives (CVE-2016-5385)
    "range",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    // WebDAV (RFC 4918 10).
    "depth",
    "destination",
    "if",
    "lock-token",
    "overwrite",
    // Browsers and their scripts.
    "dnt",
    "last-event-id",
    "origin",
    "referer",
    "upgrade-insecure-requests",
    "user-agent",
    "x-csrf",
    "x-csrf-token",
    "x-requested-with",
    "x-xsrf-token",
    // Tracing.
    "baggage",
    "traceparent",
    "tracestate",
    "x-request-id",
    // The client, the connection and the target, as hops in front write them.
    "client-ip",
    "disguised-host",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "was-default-hostname",
    "x-client-ip",
    "x-client-port",
    "x-cluster-client-ip",
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-host",
    "x-override-url",
    "x-real-host",
    "x-real-ip",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
    "x-true-client-ip",
    "x-url-scheme",
    // Of our own: the identity assertion, and the ID token of the sample.
    "x-identity-assertion",
    "x-proxy-id-token",
];

const FAMILIES: &[&str] = &[
    // HTTP and browsers.
    "accept",
    "access-control-",
    "content-",
    "if-",
    "proxy-",
    "sec-",
    // The client, the connection and the target, as hops in front write them.
    "x-http-",
    "x-method-override",
    "x-original-",
    // The gateway, the platform, and tokens of App Service.
    "ocp-apim-",
    "x-appservice-",
    "x-arr-",
    "x-azure-",
    "x-functions-",
    "x-gateway-",
    "x-ms-auth-",
    "x-ms-invocation-id",
    "x-ms-original-url",
    "x-ms-token-",
    "x-waws-",
    // Commands to a web server or a framework.
    "x-accel-",
    "x-middleware-",
    "x-sendfile",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_another_meaning_is_reserved_for_both_contents() {
        for (name, reason) in [
            ("authorization", "the default place of the token"),
            ("host", "HTTP"),
            ("content-length", "the framing of the message"),
            ("transfer-encoding", "the framing of the message"),
            ("connection", "of one connection"),
            ("te", "of one connection"),
            ("proxy", "HTTP_PROXY to CGI"),
            ("trailers", "of one connection"),
            ("proxy-authorization", "for a proxy"),
            ("cookie", "the application's own"),
            ("set-cookie", "of a response"),
            ("location", "of a response"),
            ("if-match", "of the resource"),
            ("accept-language", "what the client reads"),
            ("via", "the hops before"),
            ("user-agent", "the browser"),
            ("origin", "the page that asks"),
            ("referer", "the page that asks"),
            ("sec-fetch-site", "the page that asks"),
            ("x-csrf-token", "the application's proof against forgery"),
            ("x-requested-with", "the application's proof against forgery"),
            ("destination", "WebDAV"),
            ("traceparent", "the trace"),
            ("x-request-id", "the trace"),
            ("forwarded", "the client's address"),
            ("x-forwarded-for", "the client's address"),
            ("x-real-ip", "the client's address"),
            ("x-forwarded-host", "the public origin"),
            ("x-original-url", "the target"),
            ("x-rewrite-url", "the target"),
            ("x-http-method-override", "the method"),
            ("x-method-override", "the method"),
            ("x-gateway-token", "the gateway's proof"),
            ("x-functions-key", "the host's key"),
            ("x-azure-clientip", "the platform"),
            ("x-ms-token-aad-access-token", "a token of App Service, which a preset sends"),
            ("x-proxy-id-token", "the ID token, which a preset sends"),
            ("x-identity-assertion", "the identity assertion"),
            ("x-accel-redirect", "a command to the web server"),
        ] {
            for content in [Content::AccessToken, Content::Claim] {
                assert!(is_reserved(name, content), "{name} for {content:?}: {reason}");
            }
        }
    }

    #[test]
    fn a_name_that_one_content_may_have_is_listed_with_its_reason() {
        for (name, admitted, reason) in [
            ("x-forwarded-access-token", Content::AccessToken, "oauth2-proxy's name for the token"),
            ("x-forwarded-user", Content::Claim, "oauth2-proxy's name for the person"),
            ("x-forwarded-groups", Content::Claim, "of the same family"),
            ("x-forwarded-department", Content::Claim, "a name of the same family that describes no request"),
            ("x-ms-client-principal", Content::Claim, "App Service's name for the person"),
            ("x-ms-client-principal-name", Content::Claim, "the same"),
            ("x-proxy-id-token-name", Content::Claim, "the sample's name for the person"),
            ("from", Content::Claim, "the person's e-mail address (RFC 9110 10.1.2)"),
        ] {
            for content in [Content::AccessToken, Content::Claim] {
                assert_eq!(is_reserved(name, content), content != admitted, "{name} for {content:?}: {reason}");
            }
        }
    }

    #[test]
    fn any_other_name_is_free_for_both() {
        for name in ["x-remote-user", "remote-user", "x-access-token", "x-amzn-oidc-accesstoken", "x-zumo-auth", "sso"]
        {
            for content in [Content::AccessToken, Content::Claim] {
                assert!(!is_reserved(name, content), "{name} for {content:?}");
            }
        }
    }
}
