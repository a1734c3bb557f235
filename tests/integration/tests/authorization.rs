//! The `Authorization` of the application itself, and the places of the access token.

use std::io::Write as _;

use serde_json::json;
use support::{Browser, Handler, Provider, Received, Response, Upstream, functions_host, run_to_end};

/// An application behind `Basic`, with a cache's word about its page; `/` is open, for the sign-in.
fn basic_application() -> Upstream {
    Upstream::responding(|request, _, stream| {
        let is_let_in = request.request_line == "GET /" || request.header("authorization") == Some("Basic YWRhOnB3");
        let response: &[u8] = match is_let_in {
            true => b"HTTP/1.1 200 OK\r\ncache-control: public, max-age=60\r\ncontent-length: 2\r\n\r\nok",
            false => {
                b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"Tomcat Manager\", charset=\"UTF-8\"\r\n\
                  content-length: 0\r\n\r\n"
            }
        };
        stream.write_all(response).is_ok()
    })
}

/// Runs a case directly, and behind the Functions host where there is one.
fn everywhere(upstream: impl Fn() -> Upstream, case: impl Fn(&Upstream, Browser)) {
    run(&upstream(), &case, Handler::start);
    if functions_host().is_some() {
        run(&upstream(), &case, |settings| Handler::start_behind_the_host(settings).unwrap());
    }
}

/// The handler before an Upstream with a route for each place of the token, and a browser that is signed in.
fn run(upstream: &Upstream, case: impl Fn(&Upstream, Browser), start: impl FnOnce(&[(&str, &str)]) -> Handler) {
    let provider = Provider::start();
    let route = |path: &str, access: &str| json!({"path": path, "upstream": upstream.url, "access": access});
    let with = |mut route: serde_json::Value, token: serde_json::Value| {
        route["token"] = token;
        route
    };
    let routes = json!([
        route("/", "session"),
        with(route("/bearer", "session"), json!("bearer")),
        with(route("/none", "session"), json!("none")),
        with(route("/header", "session"), json!({"header": "X-Access-Token"})),
        route("/open", "anonymous"),
        with(route("/open-bearer", "anonymous"), json!("bearer")),
        with(route("/open-none", "anonymous"), json!("none")),
        with(route("/open-header", "anonymous"), json!({"header": "X-Access-Token"})),
    ])
    .to_string();
    let settings = [("ROUTES", routes.as_str()), ("HEADER_PRESET", "oauth2-proxy")];
    let handler = start(&[&settings[..], &provider.settings()[..]].concat());
    let mut browser = Browser::new(&handler.origin);
    browser.sign_in("/", &provider);
    case(upstream, browser);
}

#[test]
fn a_basic_login_of_the_application_works() {
    everywhere(basic_application, |_, mut browser| {
        for path in ["/none/page", "/header/page", "/open-none/page"] {
            let asked = browser.fetch(path);
            let challenge = "Basic realm=\"Tomcat Manager\", charset=\"UTF-8\"";
            assert_eq!((asked.status, asked.header("www-authenticate")), (401, Some(challenge)), "{path}");

            let wrong = browser.send("GET", path, &[("authorization", "Basic YWRhOm5v")], b"");
            assert_eq!(wrong.status, 401, "{path}");

            let right = browser.send("GET", path, &[("authorization", "Basic YWRhOnB3")], b"");
            assert_eq!((right.status, right.text().as_str()), (200, "ok"), "{path}");
        }
    });
}

#[test]
fn a_response_to_a_signed_in_person_is_private_whoever_authorized_it() {
    everywhere(basic_application, |_, mut browser| {
        for path in ["/none/page", "/header/page"] {
            let page = browser.send("GET", path, &[("authorization", "Basic YWRhOnB3")], b"");

            let cache_control = page.header("cache-control").unwrap();
            assert!(cache_control.contains("private") && !cache_control.contains("public"), "{path}: {cache_control}");
        }
    });
}

#[test]
fn the_token_is_where_the_route_places_it_and_no_client_forges_it() {
    let seen = |received: &Received, name: &str| received.header(name).map(str::to_owned);
    everywhere(Upstream::start, |upstream, mut browser| {
        let token = "access-token-1";
        let bearer = format!("Bearer {token}");
        let table = [
            ("/x", Some(bearer.as_str()), None),
            ("/bearer/x", Some(bearer.as_str()), None),
            ("/none/x", Some("Basic YTpi"), None),
            ("/header/x", Some("Basic YTpi"), Some(token)),
            ("/open/x", None, None),
            ("/open-bearer/x", None, None),
            ("/open-none/x", Some("Basic YTpi"), None),
            ("/open-header/x", Some("Basic YTpi"), None),
        ];
        for (path, authorization, header) in table {
            let forged = [
                ("authorization", "Basic YTpi"),
                ("x-access-token", "forged"),
                ("X-ACCESS-TOKEN", "forged"),
                ("x_access_token", "forged"),
                ("x-access_token", "forged"),
                ("x.access.token", "forged"),
                ("x-forwarded-user", "forged"),
            ];

            browser.send("GET", path, &forged, b"");

            let received = upstream.last();
            assert_eq!(seen(&received, "authorization").as_deref(), authorization, "{path}");
            assert_eq!(seen(&received, "x-access-token").as_deref(), header, "{path}");
            assert!(!received.headers.iter().any(|(_, value)| value == "forged"), "{path}: {received:?}");
            let user = if path.starts_with("/open") { None } else { Some("ada") };
            assert_eq!(seen(&received, "x-forwarded-user").as_deref(), user, "{path}");
        }
    });
}

#[test]
fn a_route_without_a_token_still_needs_the_session() {
    everywhere(Upstream::start, |upstream, browser| {
        let before = upstream.received().len();
        let mut stranger = browser;
        stranger.cookies.clear();

        let refused: Response = stranger.send("GET", "/none/x", &[("authorization", "Basic YTpi")], b"");

        assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("session_required")));
        assert_eq!(upstream.received().len(), before);
    });
}

#[test]
fn a_place_that_is_none_is_a_mistake_of_the_routes() {
    for (token, problem) in [
        (json!("basic"), "the token \"basic\" is neither"),
        (json!({"target": "https://api.example"}), "is neither \"bearer\" nor \"none\" nor"),
        (json!({"resource": "api"}), "the resource \"api\" is no absolute URI without a fragment"),
        (json!({"audience": "a", "resource": "https://api.example"}), "one names the recipient"),
        (json!({"header": "Cookie"}), "the token's header \"Cookie\" already has another meaning"),
        (json!({"header": "X_Token"}), "the token's header \"X_Token\" is not 1 to 64 letters, digits and hyphens"),
    ] {
        let routes = json!([{"path": "/a", "upstream": "http://app.internal", "token": token}]).to_string();
        let settings = [
            ("PUBLIC_BASE_URL", "https://app.example"),
            ("OIDC_ISSUER_URL", "https://op.example"),
            ("CLIENT_ID", "client"),
            ("ROUTES", routes.as_str()),
        ];

        let (code, _, stderr) = run_to_end(&["check"], &settings);

        assert_eq!(code, 2, "{stderr}");
        assert!(
            stderr.contains("ROUTES: the route \"/a\": its token cannot be used") && stderr.contains(problem),
            "{stderr}"
        );
    }
}
