//! HTTP/1.1 response forms on real sockets: accepted ones, refused ones, and the bytes of our requests.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::egress::Proxies;
use crate::oidc::relying_party::tests::{complete, settings, token_response};
use crate::oidc::{
    ClientAuthentication, CompletedRefresh, LoginError, LoginHints, PersonClaims, RefreshError, RefreshToken,
    RelyingParty,
};
use crate::testing::scripted_provider::{Reply, ScriptedProvider, SigningKey, http, no_trust};
use crate::testing::scripted_proxy::{Conduct, ScriptedProxy};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const DOCUMENTS: [&str; 4] =
    ["/.well-known/openid-configuration", "/jwks_uri", "/token_endpoint", "/userinfo_endpoint"];

/// Encoder of a JSON document as an HTTP response.
type Form = fn(&str) -> Reply;

fn party(provider: &ScriptedProvider, egress: &Egress) -> RelyingParty {
    RelyingParty::new(Arc::new(settings(&provider.origin, ClientAuthentication::None, true)), Arc::default(), egress)
}

/// Sign-in whose Provider sends each of `documents` in this form.
async fn sign_in(
    party: &RelyingParty,
    provider: &ScriptedProvider,
    key: &SigningKey,
    documents: &[&str],
    form: Form,
) -> Result<String, LoginError> {
    let plain: Form = |body| Reply::Raw(200, "", body.to_owned());
    let form_of = |path: &str| if documents.contains(&path) { form } else { plain };
    let reply = |path: &str, document: &Value| provider.reply(path, form_of(path)(&document.to_string()));
    reply(DOCUMENTS[0], &provider.metadata());
    reply(DOCUMENTS[1], &json!({ "keys": [key.jwk] }));
    reply(DOCUMENTS[3], &json!({"sub": "ada", "email": "ada@op.example"}));
    let (_, pending) = party.begin_login("/", &LoginHints::default(), NOW).await?;
    reply(DOCUMENTS[2], &token_response(provider, key, &pending, NOW));
    let login = complete(party, &pending, NOW).await?;
    Ok(format!("{} {}", login.tokens.access_token.expose(), login.claims.text("email").unwrap_or("-")))
}

/// Refresh with rotation whose token endpoint responds in this form.
async fn refresh(
    party: &RelyingParty,
    provider: &ScriptedProvider,
    form: Form,
) -> Result<CompletedRefresh, RefreshError> {
    let tokens = json!({"access_token": "new", "token_type": "Bearer", "refresh_token": "next", "expires_in": 60});
    provider.reply("/token_endpoint", form(&tokens.to_string()));
    let known: PersonClaims = serde_json::from_value(json!({"id_token": {"sub": "ada"}, "userinfo": {}})).unwrap();
    party.refresh(&RefreshToken::new("old".to_owned()), None, &known, &|| true, NOW).await
}

fn bytes(head: &str, body: &[u8]) -> Vec<u8> {
    [head.as_bytes(), body].concat()
}

fn after(interim: &str, body: &str) -> Reply {
    Reply::Bytes([interim, &http(200, "content-type: application/json\r\n", body)].concat().into())
}

fn chunked(body: &str, size: usize) -> Vec<u8> {
    let mut wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.as_bytes().chunks(size) {
        wire.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
    }
    wire.extend(b"0\r\nx-trailer: 1\r\n\r\n");
    wire
}

fn coded(coding: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n", body.len());
    Reply::Bytes(bytes(&head, body))
}

fn gzip(body: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn bare_deflate(body: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const EARLY_HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";

/// Accepted forms of a document.
const READABLE: &[(&str, Form)] = &[
    ("100", |body| after("HTTP/1.1 100 Continue\r\n\r\n", body)),
    ("102", |body| after("HTTP/1.1 102 Processing\r\n\r\n", body)),
    ("103", |body| after(EARLY_HINTS, body)),
    ("several interim responses", |body| {
        after(&["HTTP/1.1 100 Continue\r\n\r\n", EARLY_HINTS, EARLY_HINTS].concat(), body)
    }),
    ("103 and chunks, byte by byte", |body| Reply::Trickle([EARLY_HINTS.as_bytes(), &chunked(body, 7)].concat())),
    ("103 and a body that ends with the connection", |body| {
        Reply::Bytes([EARLY_HINTS, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", body].concat().into())
    }),
    ("no length, Connection: close", |body| {
        Reply::Bytes(bytes("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", body.as_bytes()))
    }),
    ("no length, no word of it", |body| Reply::Bytes(bytes("HTTP/1.1 200 OK\r\n\r\n", body.as_bytes()))),
    ("HTTP/1.0", |body| Reply::Bytes(bytes("HTTP/1.0 200 OK\r\n\r\n", body.as_bytes()))),
    ("HTTP/1.0 with a length", |body| Reply::Bytes(http(200, "", body).replacen("HTTP/1.1", "HTTP/1.0", 1).into())),
    ("one chunk", |body| Reply::Bytes(chunked(body, usize::MAX))),
    ("chunks of a byte", |body| Reply::Bytes(chunked(body, 1))),
    ("byte by byte", |body| Reply::Trickle(http(200, "", body).into())),
    ("a connection that stays open", |body| Reply::Held(http(200, "connection: keep-alive\r\n", body).into())),
    ("chunks on a connection that stays open", |body| Reply::Held(chunked(body, 16))),
    ("gzip", |body| coded("gzip", &gzip(body))),
    ("X-GZIP", |body| coded("X-GZIP", &gzip(body))),
    ("gzip in two members", |body| {
        let (start, end) = body.split_at(body.len() / 2);
        coded("gzip", &[gzip(start), gzip(end)].concat())
    }),
    ("deflate", |body| coded("deflate", &zlib(body))),
    ("deflate without zlib", |body| coded("deflate", &bare_deflate(body))),
    ("identity", |body| coded("identity", body.as_bytes())),
    ("gzip without a length", |body| {
        Reply::Bytes(bytes("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", &gzip(body)))
    }),
    ("a wrong content type", |body| Reply::Raw(200, "content-type: text/html; charset=latin1\r\n", body.to_owned())),
    ("no content type", |body| Reply::Raw(200, "", body.to_owned())),
    ("an obsolete line fold", |body| Reply::Raw(200, "x-folded: one\r\n two\r\n", body.to_owned())),
    ("a header beyond ASCII", |body| Reply::Raw(200, "x-name: caf\u{e9}\r\n", body.to_owned())),
    ("the length twice", |body| Reply::Bytes(http(200, &format!("content-length: {}\r\n", body.len()), body).into())),
    ("no reason phrase", |body| Reply::Bytes(http(200, "", body).replacen(" Scripted", "", 1).into())),
    ("bytes behind the body", |body| Reply::Bytes([&http(200, "", body), "HTTP/1.1 200 OK\r\n\r\n"].concat().into())),
    ("100 KiB of space", |body| Reply::Raw(200, "", format!("{}{body}", " ".repeat(100 * 1024)))),
];

#[actix_web::test]
async fn a_sign_in_and_a_rotation_work_in_every_form_of_http() {
    for (name, form) in READABLE {
        let (provider, key) = ScriptedProvider::start();
        let party = party(&provider, &no_trust());

        let signed_in = sign_in(&party, &provider, &key, &DOCUMENTS, *form).await;
        let refreshed = refresh(&party, &provider, *form).await;

        assert_eq!(signed_in.as_deref().ok(), Some("access ada@op.example"), "{name}: {signed_in:?}");
        let refreshed = refreshed.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(refreshed.tokens.refresh_token.unwrap().expose(), "next", "{name}");
        assert_eq!(provider.received("/token_endpoint").len(), 2, "{name}: each token was sent once");
    }
}

/// Refused forms: name, error code of a sign-in, cause at a refresh, and true if the Provider may have rotated.
const UNREADABLE: &[(&str, Form, &str, &str, bool)] = &[
    (
        "a length that is too long",
        |body| Reply::Bytes(http(200, "", body).replacen("length: ", "length: 1", 1).into()),
        "provider_unavailable",
        r#"Unreadable("it ends early")"#,
        true,
    ),
    (
        "a length that is too short",
        |body| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len() - 1);
            Reply::Bytes(bytes(&head, body.as_bytes()))
        },
        "token_response_invalid",
        "TokenResponse(Malformed)",
        true,
    ),
    (
        "two lengths",
        |body| Reply::Bytes(http(200, "content-length: 2\r\n", body).into()),
        "provider_unavailable",
        NOT_HTTP,
        true,
    ),
    (
        "a length that is no number",
        |body| Reply::Bytes(bytes("HTTP/1.1 200 OK\r\ncontent-length: all\r\n\r\n", body.as_bytes())),
        "provider_unavailable",
        NOT_HTTP,
        true,
    ),
    (
        "half a chunk",
        |body| Reply::Bytes(bytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n", body.as_bytes())),
        "provider_unavailable",
        r#"Unreadable("it ends early")"#,
        true,
    ),
    (
        "chunks without a last one",
        |body| {
            let mut wire = chunked(body, 16);
            wire.truncate(wire.len() - b"0\r\nx-trailer: 1\r\n\r\n".len());
            Reply::Bytes(wire)
        },
        "provider_unavailable",
        r#"Unreadable("it ends early")"#,
        true,
    ),
    (
        "no length, half a document",
        |body| Reply::Bytes(bytes("HTTP/1.1 200 OK\r\n\r\n", &body.as_bytes()[..body.len() / 2])),
        "token_response_invalid",
        "TokenResponse(Malformed)",
        true,
    ),
    (
        "too much, with a length",
        |body| Reply::Raw(200, "", format!("{}{body}", " ".repeat(MAX_BODY_LENGTH))),
        "provider_unavailable",
        TOO_MUCH,
        true,
    ),
    (
        "too much, without a length",
        |_| Reply::Endless("HTTP/1.1 200 OK\r\n\r\n", "                                "),
        "provider_unavailable",
        TOO_MUCH,
        true,
    ),
    (
        "too much, in chunks",
        |_| Reply::Endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "4\r\n    \r\n"),
        "provider_unavailable",
        TOO_MUCH,
        true,
    ),
    (
        "too much, when expanded",
        |body| coded("gzip", &gzip(&format!("{}{body}", " ".repeat(MAX_BODY_LENGTH)))),
        "provider_unavailable",
        TOO_MUCH,
        true,
    ),
    (
        "a header section without end",
        |_| Reply::Endless("HTTP/1.1 200 OK\r\n", "x-more: and more\r\n"),
        "provider_unavailable",
        NOT_HTTP,
        true,
    ),
    (
        "a header line without end",
        |_| Reply::Endless("HTTP/1.1 200 OK\r\nx-more: ", "and more"),
        "provider_unavailable",
        NOT_HTTP,
        true,
    ),
    (
        "brotli",
        |body| coded("br", body.as_bytes()),
        "provider_unavailable",
        r#"Unreadable("its content coding is unknown")"#,
        true,
    ),
    (
        "two codings",
        |body| coded("gzip, gzip", &gzip(body)),
        "provider_unavailable",
        r#"Unreadable("its content coding is unknown")"#,
        true,
    ),
    (
        "half a gzip",
        |body| coded("gzip", &gzip(body)[..20]),
        "provider_unavailable",
        r#"Unreadable("its content coding is damaged")"#,
        true,
    ),
    (
        "gzip that is none",
        |body| coded("gzip", body.as_bytes()),
        "provider_unavailable",
        r#"Unreadable("its content coding is damaged")"#,
        true,
    ),
    (
        "another protocol",
        |_| Reply::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec()),
        "provider_unavailable",
        NOT_HTTP,
        true,
    ),
    (
        "another protocol that nobody asked for",
        |_| Reply::Bytes(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n".to_vec()),
        "provider_unavailable",
        "Status(101)",
        true,
    ),
    (
        "an interim response and the end",
        |_| Reply::Bytes(EARLY_HINTS.into()),
        "provider_unavailable",
        "NoResponse",
        true,
    ),
    ("nothing", |_| Reply::Reset, "provider_unavailable", "NoResponse", true),
    (
        "half a head",
        |_| Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()),
        "provider_unavailable",
        "NoResponse",
        true,
    ),
    (
        "a redirect",
        |_| Reply::Raw(307, "location: /userinfo_endpoint\r\n", String::new()),
        "provider_unavailable",
        "Status(307)",
        false,
    ),
    (
        "103 and a redirect",
        |_| Reply::Bytes([EARLY_HINTS, &http(302, "location: /userinfo_endpoint\r\n", "")].concat().into()),
        "provider_unavailable",
        "Status(302)",
        false,
    ),
    (
        "103 and maintenance",
        |_| Reply::Bytes([EARLY_HINTS, &http(503, "", "")].concat().into()),
        "provider_unavailable",
        "Status(503)",
        false,
    ),
];

const NOT_HTTP: &str = r#"Unreadable("it is no HTTP/1.1, or its header section has more than 64 KiB")"#;
const TOO_MUCH: &str = r#"Unreadable("it has more than 256 KiB")"#;

#[actix_web::test]
async fn a_response_that_cannot_be_read_has_its_own_reason_and_ends_no_session() {
    for (name, form, code, cause, expected) in UNREADABLE {
        let (provider, key) = ScriptedProvider::start();
        let party = party(&provider, &no_trust());

        let signed_in = sign_in(&party, &provider, &key, &["/token_endpoint"], *form).await.unwrap_err();
        let refreshed = refresh(&party, &provider, *form).await.unwrap_err();

        assert_eq!(signed_in.code(), *code, "{name}");
        let RefreshError::Unavailable { is_ambiguous, source, .. } = refreshed else { panic!("{name}: {refreshed:?}") };
        assert_eq!((format!("{source:?}").as_str(), is_ambiguous), (*cause, *expected), "{name}");
        assert_eq!(provider.received("/token_endpoint").len(), 2, "{name}: each token was sent once");
        assert!(provider.received("/userinfo_endpoint").is_empty(), "{name}: no redirect is followed");
    }
}

#[actix_web::test]
async fn an_oauth_error_is_read_in_every_form_of_http() {
    let (provider, _) = ScriptedProvider::start();
    let party = party(&provider, &no_trust());
    let error = r#"{"error":"invalid_grant"}"#;
    let table = [
        ("103", Reply::Bytes([EARLY_HINTS, &http(400, "", error)].concat().into())),
        ("no length", Reply::Bytes(bytes("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", error.as_bytes()))),
        ("gzip", Reply::Bytes(bytes("HTTP/1.1 400 Bad Request\r\ncontent-encoding: gzip\r\n\r\n", &gzip(error)))),
    ];
    for (name, reply) in table {
        provider.reply("/token_endpoint", reply);

        let refused =
            party.refresh(&RefreshToken::new("old".to_owned()), None, &PersonClaims::default(), &|| true, NOW).await;

        assert_eq!(refused.unwrap_err().code(), "refresh_refused", "{name}");
    }
}

#[actix_web::test]
async fn a_request_says_who_sends_it_and_what_it_takes() {
    let (provider, key) = ScriptedProvider::start();

    sign_in(&party(&provider, &no_trust()), &provider, &key, &[], |_| Reply::Reset).await.unwrap();

    let authority = provider.origin.strip_prefix("http://").unwrap();
    for (path, content_type) in DOCUMENTS.into_iter().zip([None, None, Some("application/x-www-form-urlencoded"), None])
    {
        let [request] = &provider.received(path)[..] else { panic!("{path} is asked once") };
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        assert_eq!(header("user-agent"), Some(concat!("apim-oauth-proxy/", env!("CARGO_PKG_VERSION"))), "{path}");
        assert_eq!((header("accept"), header("accept-encoding")), (Some("application/json"), Some("identity")));
        assert_eq!((header("host"), header("connection")), (Some(authority), Some("close")), "{path}");
        assert_eq!((header("content-type"), header("proxy-authorization")), (content_type, None), "{path}");
    }
}

#[actix_web::test]
async fn a_sign_in_works_over_tls_that_ends_without_its_own_end() {
    let (provider, key, tls) = ScriptedProvider::start_tls();
    let party = party(&provider, &Egress::new(&tls, Proxies::default()));

    let signed_in = sign_in(&party, &provider, &key, &DOCUMENTS, |body| {
        Reply::Bytes(bytes("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", body.as_bytes()))
    });

    assert_eq!(signed_in.await.unwrap(), "access ada@op.example");
}

#[actix_web::test]
async fn a_body_with_a_length_that_tls_cuts_is_no_body() {
    let (provider, key, tls) = ScriptedProvider::start_tls();
    let party = party(&provider, &Egress::new(&tls, Proxies::default()));
    let form: Form = |body| Reply::Bytes(http(200, "", body).replacen("length: ", "length: 1", 1).into());

    let signed_in = sign_in(&party, &provider, &key, &["/token_endpoint"], form).await;

    assert_eq!(signed_in.unwrap_err().to_string(), "the provider's response cannot be read: it ends early");
}

fn through(proxy: &ScriptedProxy, no_proxy: &str) -> Proxies {
    Proxies::new(&format!("http://us%40er:p%3Aw@{}", proxy.authority), "", "", no_proxy)
}

#[actix_web::test]
async fn a_sign_in_goes_through_the_proxy_in_a_tunnel_that_hides_it() {
    for greeting in
        ["HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 OK\r\n\r\n"]
    {
        let (provider, key, tls) = ScriptedProvider::start_tls();
        let proxy = ScriptedProxy::start(Conduct::Forward(greeting));
        let party = party(&provider, &Egress::new(&tls, through(&proxy, "op.example")));

        let signed_in = sign_in(&party, &provider, &key, &[], |_| Reply::Reset).await;

        assert_eq!(signed_in.unwrap(), "access ada@op.example");
        let authority = provider.origin.strip_prefix("https://").unwrap();
        let heads = proxy.heads();
        assert_eq!(heads.len(), 4, "a tunnel for each request");
        for head in heads {
            let lines: Vec<&str> = head.lines().collect();
            assert_eq!(lines[0], format!("CONNECT {authority} HTTP/1.1"));
            assert!(lines.contains(&&*format!("host: {authority}")), "{head}");
            assert!(lines.contains(&"proxy-authorization: Basic dXNAZXI6cDp3"), "us@er:p:w in {head}");
            assert!(lines.contains(&concat!("user-agent: apim-oauth-proxy/", env!("CARGO_PKG_VERSION"))), "{head}");
        }
        assert_eq!(provider.received("/token_endpoint")[0].headers.get("proxy-authorization"), None);
    }
}

#[actix_web::test]
async fn plain_http_goes_to_the_proxy_as_a_whole_url() {
    let (provider, key) = ScriptedProvider::start();
    let proxy = ScriptedProxy::start(Conduct::Forward(""));
    let proxies = Proxies::new("", &format!("http://u:p@{}", proxy.authority), "", "");
    let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
    let party = party(&provider, &Egress::new(&tls.with_no_client_auth(), proxies));

    let signed_in = sign_in(&party, &provider, &key, &[], |_| Reply::Reset).await;

    assert_eq!(signed_in.unwrap(), "access ada@op.example");
    let heads = proxy.heads();
    let line = format!("POST {}/token_endpoint HTTP/1.1\r\n", provider.origin);
    let token_request = heads.iter().find(|head| head.starts_with(&line)).unwrap().to_lowercase();
    assert!(token_request.contains("proxy-authorization: basic dtpw\r\n"), "{token_request}");
}

#[actix_web::test]
async fn a_proxy_that_refuses_a_plain_request_is_a_status() {
    let (provider, _) = ScriptedProvider::start();
    let proxy = ScriptedProxy::start(Conduct::Refuse("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"));
    let proxies = Proxies::new("", &format!("http://{}", proxy.authority), "", "");
    let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
    let party = party(&provider, &Egress::new(&tls.with_no_client_auth(), proxies));

    let error = party.begin_login("/", &LoginHints::default(), NOW).await.unwrap_err();

    assert!(matches!(error, ProviderError::Status(407)) && !error.may_have_acted(), "{error:?}");
}

#[actix_web::test]
async fn a_host_of_no_proxy_is_reached_directly() {
    for no_proxy in ["localhost", "127.0.0.1, LOCALHOST", "*"] {
        let (provider, key, tls) = ScriptedProvider::start_tls();
        let proxy = ScriptedProxy::start(Conduct::Refuse("HTTP/1.1 403 Forbidden\r\n\r\n"));
        let party = party(&provider, &Egress::new(&tls, through(&proxy, no_proxy)));

        let signed_in = sign_in(&party, &provider, &key, &[], |_| Reply::Reset).await;

        assert_eq!((signed_in.unwrap().as_str(), proxy.heads().len()), ("access ada@op.example", 0), "{no_proxy}");
    }
}

#[actix_web::test]
async fn what_fails_before_the_request_was_written_was_not_sent() {
    let (provider, _, trust) = ScriptedProvider::start_tls();
    let (plain, _) = ScriptedProvider::start();
    let over = |tls: &rustls::ClientConfig, proxies| Egress::new(tls, proxies);
    let direct = |url: String| (url, over(&trust, Proxies::default()));
    let proxied = |conduct| (provider.origin.clone(), over(&trust, through(&ScriptedProxy::start(conduct), "")));
    let down = "127.0.0.1:1"; // a port of the system that a parallel test cannot be given
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let other_name = provider.origin.replace("localhost", "127.0.0.1");
    let no_trust = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
    let dead_proxy = Proxies::new(&format!("http://{down}"), "", "", "");
    let secure_proxy = Proxies::new(&format!("https://{down}"), "", "", "");
    let untrusted_proxy = Proxies::new(&other_name, "", "", "");
    let table = [
        (direct("https://nowhere.invalid".to_owned()), "", "no such name"),
        (direct(format!("http://{down}")), "refused", "no such port"),
        (direct(format!("https://{down}")), "refused", "no such port, TLS"),
        (direct(plain.origin.replace("http:", "https:")), "tls handshake eof", "no TLS"),
        (direct(other_name.clone()), "not valid for name", "a certificate of another name"),
        (
            (provider.origin.clone(), over(&no_trust.with_no_client_auth(), Proxies::default())),
            "SSL_CERT_FILE",
            "untrusted",
        ),
        (direct(format!("https://{}", silent.local_addr().unwrap())), "timed out", "a TLS server that is silent"),
        (
            proxied(Conduct::Refuse("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")),
            "the proxy: it refuses the tunnel with status 407",
            "407",
        ),
        (proxied(Conduct::Refuse("HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nhttp")), "status 403", "403"),
        (proxied(Conduct::Refuse("HTTP/1.1 502 Bad Gateway\r\n\r\n")), "status 502", "502"),
        (proxied(Conduct::Refuse("HTTP/1.1 103 Early Hints\r\n\r\n")), "the proxy: ", "an interim response alone"),
        (proxied(Conduct::Refuse("SSH-2.0\r\n\r\n")), "the proxy: ", "no proxy"),
        (proxied(Conduct::Refuse("")), "the proxy: ", "a proxy that hangs up"),
        (proxied(Conduct::Refuse("HTTP/1.1 200 OK\r\n\r\n")), "", "a tunnel that ends at once"),
        (proxied(Conduct::Refuse("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")), "corrupt", "a tunnel to no TLS"),
        (proxied(Conduct::Silence), "timed out", "a proxy that is silent"),
        ((provider.origin.clone(), over(&trust, dead_proxy)), "the proxy: ", "a proxy that is down"),
        ((provider.origin.clone(), over(&trust, secure_proxy)), "the proxy: ", "the same with TLS"),
        (
            (provider.origin.clone(), over(&trust, untrusted_proxy)),
            "the proxy: ",
            "a proxy with a certificate of another name",
        ),
    ];
    let attempts = table.into_iter().map(|((url, egress), why, name)| async move {
        let request = Request {
            method: Method::POST,
            url: &url,
            authorization: None,
            content_type: "application/x-www-form-urlencoded",
            body: "code=once".to_owned(),
        };
        let error = send(&egress, request).await.err().unwrap_or_else(|| panic!("{name}: it was sent"));
        assert!(matches!(&error, ProviderError::Unreachable(told) if told.contains(why)), "{name}: {error:?}");
        assert!(!error.may_have_acted());
    });

    join_all(attempts).await;

    assert!(provider.received("/").is_empty() && plain.received("/").is_empty());
}
