//! The parsers that meet the outside, each with the promise that it keeps whatever arrives.

use std::sync::LazyLock;

use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderMap, HeaderName, HeaderValue};
use actix_web::test::TestRequest;
use oauth_proxy::clock::Timestamp;
use oauth_proxy::crypto::{CookieContext, Key, KeyId, KeyRing, open_cookie};
use oauth_proxy::oidc::{
    AuthorizationResponse, ProviderMetadata, RequestParameters, TokenResponse, VerificationKeys, verify_signature,
};
use oauth_proxy::percent::is_under;
use oauth_proxy::proxy::{
    Access, ClientHeaderRules, HeaderRules, OwnCookies, RequestTarget, RouteTable, TokenPlacement, Upstream,
    copy_client_headers,
};
use oauth_proxy::public_origin::PublicOrigin;
use oauth_proxy::return_url::ReturnUrl;
use oauth_proxy::web::{Accent, Contact, Language, Logo};
use url::Url;

/// A parser and its promise.
pub struct Target {
    /// The folder of its corpus.
    pub name: &'static str,
    /// Parses, and panics if the promise is broken.
    pub run: fn(&[u8]),
}

/// Every one.
pub const TARGETS: &[Target] = &[
    Target { name: "target", run: target },
    Target { name: "route", run: route },
    Target { name: "routes", run: routes },
    Target { name: "cookie", run: cookie },
    Target { name: "sealed_cookie", run: sealed_cookie },
    Target { name: "headers", run: headers },
    Target { name: "header_lists", run: header_lists },
    Target { name: "return_url", run: return_url },
    Target { name: "authorization_response", run: authorization_response },
    Target { name: "token_response", run: token_response },
    Target { name: "discovery", run: discovery },
    Target { name: "jwks", run: jwks },
    Target { name: "jwt", run: jwt },
    Target { name: "language", run: language },
    Target { name: "settings", run: settings },
];

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A target that is accepted has no dot segment and no control byte, however often it is decoded.
pub(crate) fn target(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(target) = RequestTarget::parse(text) else { return };
    assert_eq!(target.as_str(), text);
    let decoded = decoded(target.path());
    assert!(!decoded.iter().any(u8::is_ascii_control));
    assert!(!decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| matches!(segment, b"." | b"..")));
}

static RISKY: LazyLock<RouteTable> = LazyLock::new(|| {
    let routes = r#"[{"path":"/","upstream":"http://a","access":"anonymous"},{"path":"/admin","upstream":"http://a"},
        {"path":"/api/v1/secret","upstream":"http://a"},{"path":"/admin/public","upstream":"http://a","access":"anonymous"}]"#;
    RouteTable::parse(routes).unwrap()
});

/// A path that is read as a session route, decoded and in any case, is never anonymous; nor is one of our own.
pub(crate) fn route(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(target) = RequestTarget::parse(text) else { return };
    let _ = is_under(target.path(), "/oauth");
    let Ok(Some(route)) = RISKY.find(target.path()) else { return };
    let decoded = decoded(target.path()).to_ascii_lowercase();
    let first = decoded.split(|byte| matches!(byte, b'/' | b'\\')).find(|segment| !segment.is_empty());
    if first == Some(b"admin") {
        assert!(route.access() == Access::Session || route.path() == "/admin/public", "{text}");
    }
}

/// The routes of an operator: a table or a mistake.
pub(crate) fn routes(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(table) = RouteTable::parse(text) {
        let _ = table.find("/admin/%61");
        assert!(table.upstreams().count() > 0);
    }
    let _ = Upstream::parse(text);
}

static OWN: LazyLock<OwnCookies> = LazyLock::new(|| {
    OwnCookies::new(vec!["__Host-oauth-proxy-session".to_owned(), "__Host-oauth-proxy-login-".to_owned()])
});

/// Of what passes on, nothing is ours, and nothing else is taken.
pub(crate) fn cookie(input: &[u8]) {
    let kept = OWN.strip(input).unwrap_or_default();
    assert!(!kept.split(|byte| *byte == b';').any(|pair| OWN.owns(pair)));
    if !input.split(|byte| *byte == b';').any(|pair| OWN.owns(pair)) {
        assert_eq!(&*kept, input);
    }
}

static RING: LazyLock<KeyRing> =
    LazyLock::new(|| KeyRing::new(vec![(KeyId::parse("k1").unwrap(), Key::from_bytes(&[1; 32]).unwrap())]).unwrap());

/// Nothing that was not sealed opens.
pub(crate) fn sealed_cookie(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let context = CookieContext { name: "__Host-oauth-proxy-session", origin: "https://app.example" };
    assert!(open_cookie(text, context, &RING).is_err());
}

fn client_rules() -> ClientHeaderRules<'static> {
    static STRIP: LazyLock<HeaderRules> = LazyLock::new(HeaderRules::default);
    ClientHeaderRules { strip: &STRIP, token: &TokenPlacement::Bearer, own_cookies: &OWN }
}

/// Of lines `name: value`, what passes on has no name that speaks for us, and no cookie of ours.
pub(crate) fn headers(input: &[u8]) {
    let from = header_map(input);
    let mut to = hyper::HeaderMap::new();
    if copy_client_headers(&from, client_rules(), &mut to).is_err() {
        return;
    }
    for (name, value) in &to {
        let name = name.as_str();
        assert!(!name.contains('_') && !name.starts_with("x-forwarded") && !name.starts_with("x-gateway"), "{name}");
        assert!(
            !["authorization", "connection", "transfer-encoding", "host", "te", "upgrade"].contains(&name),
            "{name}"
        );
        assert!(name != "cookie" || !value.as_bytes().split(|byte| *byte == b';').any(|pair| OWN.owns(pair)));
    }
}

fn header_map(lines: &[u8]) -> HeaderMap {
    let mut from = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(at + 1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(value)) {
            from.append(name, value);
        }
    }
    from
}

/// Lists of headers: no list lets in what speaks for us.
pub(crate) fn header_lists(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (strip, keep) = text.split_once('|').unwrap_or((text, ""));
    if let Ok(rules) = HeaderRules::parse(strip, keep) {
        for name in ["x-forwarded-user", "x-gateway-token", "x-ms-client-principal", "x-proxy-id-token", "a_b"] {
            assert!(rules.strips(name), "{text}");
        }
    }
}

/// The `Location` of an accepted value is on our origin by the grammar of browsers, too.
pub(crate) fn return_url(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(url) = text.parse::<ReturnUrl>() else { return };
    let base = Url::parse("https://app.example/oauth/callback").unwrap();
    let origin: PublicOrigin = "https://app.example".parse().unwrap();
    let location = origin.location(url.as_str());
    assert_eq!(base.join(&location).unwrap().origin(), base.origin(), "{text}");
    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
    assert!(!location.split(['?', '#']).next().unwrap_or_default().contains('\\'), "{text}");
}

/// A query or form with a state, and a code or an error.
pub(crate) fn authorization_response(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(response) = AuthorizationResponse::parse(text) {
        assert!(!response.state().is_empty() && response.code() != Some(""));
    }
}

/// Tokens, or a rule that is broken.
pub(crate) fn token_response(input: &[u8]) {
    let _ = TokenResponse::parse(input, NOW);
}

/// Metadata is the issuer's own, or none.
pub(crate) fn discovery(input: &[u8]) {
    if let Ok(metadata) = ProviderMetadata::parse(input, "https://op.example") {
        assert_eq!(metadata.issuer, "https://op.example");
        assert_eq!(metadata.jwks_uri.scheme(), "https");
    }
}

/// A set of keys, whatever is in it.
pub(crate) fn jwks(input: &[u8]) {
    if let Ok(keys) = VerificationKeys::parse(input) {
        assert!(verify_signature(TOKEN, &keys, None).is_err(), "no key of the corpus has signed it");
    }
}

/// A token whose signature is nobody's.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiJhZGEifQ.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static KEYS: LazyLock<VerificationKeys> = LazyLock::new(|| {
    let keys = crate::corpus("jwks").into_iter().next().unwrap();
    VerificationKeys::parse(&keys).unwrap()
});

/// ID, logout and gateway tokens: nothing that a key has not signed is believed.
pub(crate) fn jwt(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for explicit_type in [None, Some("logout+jwt"), Some("at+jwt")] {
        assert!(verify_signature(text, &KEYS, explicit_type).is_err());
    }
}

/// Any `Accept-Language` has a language.
pub(crate) fn language(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let request = TestRequest::default().insert_header((ACCEPT_LANGUAGE, value)).to_http_request();
    assert!(Language::ALL.contains(&Language::of(&request)));
}

/// Texts of settings that have a grammar of their own.
pub(crate) fn settings(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(origin) = text.parse::<PublicOrigin>() {
        assert!(!origin.as_str().ends_with('/'));
    }
    let _ = RequestParameters::parse(text, &RequestParameters::default());
    if let Ok(contact) = text.parse::<Contact>() {
        let html = contact.html();
        let link = html.strip_prefix("<a href=\"").and_then(|rest| rest.strip_suffix("</a>")?.split_once("\">"));
        let (href, text) = link.unwrap_or(("", &html));
        assert!(!href.contains(['<', '>', '"', ' ']) && !text.contains(['<', '>', '"']), "{html}");
    }
    if let Ok(accent) = text.parse::<Accent>() {
        assert!(!accent.css().contains(['<', '\\', '"']));
    }
    if let Ok(logo) = text.parse::<Logo>() {
        assert!(!logo.url().contains(['<', '"', ' ']));
    }
}

/// Decoded round by round, as a chain of readers would.
fn decoded(path: &str) -> Vec<u8> {
    let mut text = path.as_bytes().to_vec();
    loop {
        let next: Vec<u8> = url_decode(&text);
        if next.len() == text.len() {
            return next;
        }
        text = next;
    }
}

fn url_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let digits = text.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if text[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(text[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// The parser alone, for its cost.
pub(crate) fn target_only(input: &[u8]) {
    let _ = RequestTarget::parse(text(input));
}

/// The look-up alone, in a table with the risky order.
pub(crate) fn route_only(input: &[u8]) {
    let path = text(input);
    let _ = (is_under(path, "/oauth"), RISKY.find(path));
}

/// The filter alone.
pub(crate) fn cookie_only(input: &[u8]) {
    let _ = OWN.strip(input);
}

/// The copy alone.
pub(crate) fn headers_only(input: &[u8]) {
    let mut to = hyper::HeaderMap::new();
    let _ = copy_client_headers(&header_map(input), client_rules(), &mut to);
}

/// One verification.
pub(crate) fn jwt_once(input: &[u8]) {
    let _ = verify_signature(text(input), &KEYS, None);
}

fn text(input: &[u8]) -> &str {
    std::str::from_utf8(input).unwrap()
}
