//! `oauth-proxy check` against Providers and upstreams that are not what the settings say: one line each, with what to
//! set.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, SystemTime};

use azure_doubles::AzureDoubles;
use serde_json::{Value, json};
use support::{Upstream, run_to_end};

/// A Provider on loopback that serves this metadata, in which `ORIGIN` stands for its own origin, and this header line.
fn provider(status: u16, metadata: Value, header: impl Into<String>) -> String {
    let header = header.into();
    let provider = Upstream::responding(move |request, _, stream| {
        let origin = format!("http://{}", request.header("host").unwrap());
        let body = match request.request_line.ends_with("/jwks") {
            true => include_str!("check_keys.json").to_owned(),
            false => metadata.to_string().replace("ORIGIN", &origin),
        };
        let length = body.len();
        let response = format!("HTTP/1.1 {status} Scripted\r\n{header}content-length: {length}\r\n\r\n{body}");
        stream.write_all(response.as_bytes()).is_ok()
    });
    provider.url
}

fn metadata(changes: Value) -> Value {
    let mut metadata = json!({
        "issuer": "ORIGIN", "authorization_endpoint": "ORIGIN/authorize", "token_endpoint": "ORIGIN/token",
        "jwks_uri": "ORIGIN/jwks",
    });
    metadata.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    metadata.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    metadata
}

/// Exit code and the lines about the provider and the clock.
fn check(issuer: &str, more: &[(&str, &str)]) -> (i32, Vec<String>) {
    let upstream = Upstream::start();
    let settings = [
        ("PUBLIC_BASE_URL", "https://app.example"),
        ("UPSTREAM_URL", upstream.url.as_str()),
        ("OIDC_ISSUER_URL", issuer),
        ("CLIENT_ID", "client"),
    ];
    let (code, stdout, stderr) = run_to_end(&["check"], &[&settings[..], more].concat());
    let about = |line: &&str| ["provider", "clock", "OIDC_ISSUER_URL"].iter().any(|name| line.contains(name));
    (code, stdout.lines().chain(stderr.lines()).filter(about).map(str::to_owned).collect())
}

#[test]
fn a_mistake_about_the_provider_is_one_line_that_says_what_to_set() {
    let good = provider(200, metadata(json!({})), "");
    let slash = provider(200, metadata(json!({"issuer": "ORIGIN/"})), "");
    let template = provider(200, metadata(json!({"issuer": "ORIGIN/{tenantid}/v2.0"})), "");
    let other = provider(200, metadata(json!({"issuer": "https://other.example"})), "");
    let no_tenant = provider(404, json!({}), "");
    let bad_tenant = provider(400, json!({"error": "invalid_tenant"}), "");
    let no_keys = provider(200, metadata(json!({"jwks_uri": null})), "");
    let doubles = AzureDoubles::start();
    let untrusted = doubles.issuer();
    let table = [
        (format!("{good}/.well-known/openid-configuration"), 2, format!("set OIDC_ISSUER_URL={good}")),
        (format!("{good}/"), 1, format!("differs by a slash at its end: set OIDC_ISSUER_URL={good}")),
        (slash.clone(), 1, format!("differs by a slash at its end: set OIDC_ISSUER_URL={slash}/")),
        (format!("{template}/common/v2.0"), 1, "set your own tenant's id in OIDC_ISSUER_URL".to_owned()),
        (format!("{good}/{{tenantid}}/v2.0"), 2, "it is a template: put your tenant's id".to_owned()),
        (other, 1, "set OIDC_ISSUER_URL=https://other.example".to_owned()),
        (no_tenant, 1, "no metadata below OIDC_ISSUER_URL (status 404): set the right tenant".to_owned()),
        (bad_tenant, 1, "no metadata below OIDC_ISSUER_URL (status 400): set the right tenant".to_owned()),
        (no_keys, 1, "jwks_uri".to_owned()),
        (untrusted, 1, "its certificate is not trusted: set SSL_CERT_FILE".to_owned()),
        ("https://nowhere.invalid".to_owned(), 1, "its name does not resolve: mend the host".to_owned()),
        ("http://127.0.0.1:1".to_owned(), 1, "it refuses the connection: mend host or port".to_owned()),
    ];
    for (issuer, expected_code, expected) in table {
        let (code, lines) = check(&issuer, &[]);

        assert_eq!((code, lines.len()), (expected_code, 1), "{issuer}: {lines:?}");
        assert!(lines[0].contains(&expected), "{issuer}: {lines:?}");
    }
}

#[test]
fn an_endpoint_that_a_setting_needs_is_named() {
    let (code, lines) = check(&provider(200, metadata(json!({})), ""), &[("USERINFO", "true")]);

    assert_eq!((code, lines.len()), (1, 1), "{lines:?}");
    assert!(lines[0].contains("the metadata has no userinfo_endpoint: set USERINFO=false"), "{lines:?}");
}

#[test]
fn a_certificate_file_makes_the_provider_trusted() {
    let doubles = AzureDoubles::start();
    let file = doubles.certificate_file().to_str().unwrap().to_owned();

    let (_, lines) = check(&doubles.issuer(), &[("SSL_CERT_FILE", &file)]);

    assert_eq!(lines, ["ok      provider"]);
}

#[test]
fn a_clock_that_is_off_is_reported_with_the_difference() {
    let at = |offset: i64| {
        let now = SystemTime::now();
        let seconds = Duration::from_secs(offset.unsigned_abs());
        let time = if offset < 0 { now - seconds } else { now + seconds };
        check(&provider(200, metadata(json!({})), format!("date: {}\r\n", httpdate::fmt_http_date(time))), &[])
    };

    for offset in [-30, 0, 30] {
        assert_eq!(at(offset), (0, vec!["ok      provider".to_owned()]), "{offset}");
    }
    for (offset, expected) in [(-300, "s ahead of the provider"), (300, "s behind the provider")] {
        let (code, lines) = at(offset);

        assert_eq!((code, lines.len()), (1, 2), "{lines:?}");
        let seconds = lines[1].strip_prefix("failed  clock: this machine is ").and_then(|rest| rest.split_once(' '));
        let (seconds, rest) = seconds.unwrap();
        assert!((295..=305).contains(&seconds.parse::<u32>().unwrap()) && rest.starts_with(expected), "{lines:?}");
    }
}

#[test]
fn a_provider_that_sends_no_date_is_no_failure() {
    for header in ["", "date: yesterday\r\n", "date: Thu, 01 Jan 1970\r\n"] {
        let (code, lines) = check(&provider(200, metadata(json!({})), header), &[]);

        assert_eq!((code, lines), (0, vec!["ok      provider".to_owned()]), "{header}");
    }
}

/// An Upstream that responds with `to_public` to `Host: app.example` and with `to_own` to any other; in them `OWN` is its
/// own authority.
fn upstream_by_name(to_public: &'static str, to_own: &'static str) -> Upstream {
    Upstream::responding(move |request, _, stream| {
        let own = stream.local_addr().unwrap().to_string();
        let response = if request.header("host") == Some("app.example") { to_public } else { to_own };
        let has_told = request.header("x-forwarded-proto") == Some("https")
            && request.header("x-forwarded-host") == Some("app.example")
            && request.header("x-forwarded-port") == Some("443");
        let response = if has_told { response } else { "500 Untold" };
        let head = response.replace("OWN", &own);
        stream.write_all(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n").as_bytes()).is_ok()
    })
}

#[test]
fn an_upstream_that_takes_another_name_is_one_line_that_says_what_to_set() {
    let issuer = provider(200, metadata(json!({})), "");
    let set_own = "and takes its own: set UPSTREAM_HOST=upstream, or \"host\": \"upstream\" in its routes";
    let set_public = "and takes the public one: set UPSTREAM_HOST=public, or \"host\": \"public\" in its routes";
    let table = [
        ("public", "200 OK", "200 OK", 0, "takes the public name, which is used, and its own"),
        ("public", "200 OK", "404 Not Found", 0, "takes the public name, which is used, not its own (status 404)"),
        ("public", "404 Not Found", "404 Not Found", 0, "no better than its own (status 404)"),
        ("public", "404 Not Found", "200 OK", 1, set_own),
        ("public", "421 Misdirected Request", "401 Unauthorized", 1, set_own),
        ("public", "301 Moved\r\nlocation: http://OWN/", "200 OK", 1, set_own),
        ("public", "302 Found\r\nlocation: http://OWN/login", "200 OK", 0, "takes the public name, which is used, and"),
        ("upstream", "200 OK", "404 Not Found", 1, set_public),
        ("upstream", "200 OK", "301 Moved\r\nlocation: https://app.example/", 1, set_public),
        (
            "upstream",
            "404 Not Found",
            "200 OK",
            0,
            "takes its own name, which is used, not the public one (status 404)",
        ),
        (
            "public",
            "301 Moved\r\nlocation: https://app.example/",
            "301 Moved\r\nlocation: https://OWN/",
            0,
            "it redirects / to itself under both names: does it read X-Forwarded-Proto",
        ),
    ];
    for (host, to_public, to_own, expected_code, expected) in table {
        let upstream = upstream_by_name(to_public, to_own);
        let settings = [
            ("PUBLIC_BASE_URL", "https://app.example"),
            ("UPSTREAM_URL", upstream.url.as_str()),
            ("UPSTREAM_HOST", host),
            ("OIDC_ISSUER_URL", issuer.as_str()),
            ("CLIENT_ID", "client"),
        ];

        let (code, stdout, _) = run_to_end(&["check"], &settings);

        let lines: Vec<&str> = stdout.lines().filter(|line| line.contains("upstream 127")).collect();
        assert_eq!((code, lines.len()), (expected_code, 1), "{to_public} {to_own}: {stdout}");
        assert!(lines[0].contains(expected), "{to_public} {to_own}: {stdout}");
    }
}

/// Exit code of `check`, and what it prints, with these settings for the upstream.
fn check_upstream(upstream: (&str, &str)) -> (i32, String) {
    let issuer = provider(200, metadata(json!({})), "");
    let (code, stdout, _) = run_to_end(
        &["check"],
        &[
            ("PUBLIC_BASE_URL", "https://app.example"),
            ("OIDC_ISSUER_URL", issuer.as_str()),
            ("CLIENT_ID", "client"),
            upstream,
        ],
    );
    (code, stdout)
}

/// URL of a server that responds 400 to whatever comes, as web servers do to a TLS handshake.
fn plain_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
                }
            });
        }
    });
    url
}

#[test]
fn an_upstream_under_the_wrong_scheme_is_one_line_that_says_which_is_right() {
    let plain = plain_server().replace("http://", "https://");
    let doubles = AzureDoubles::start();
    let tls = doubles.issuer().replace("https://", "http://");
    let refusing_tls = Upstream::responding(|_, _, stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").is_ok()
    });
    let table = [
        (plain, 1, "that port does not speak TLS: is its URL http?"),
        (tls, 1, "that port speaks TLS: write https in its URL"),
        (refusing_tls.url.clone(), 0, "responds with status 400"),
    ];
    for (url, expected_code, expected) in table {
        let (code, stdout) = check_upstream(("UPSTREAM_URL", &url));

        let lines: Vec<&str> = stdout.lines().filter(|line| line.contains("upstream 127")).collect();
        assert_eq!((code, lines.len()), (expected_code, 1), "{url}: {stdout}");
        assert!(lines[0].contains(expected), "{url}: {stdout}");
    }
}

#[test]
fn a_table_without_a_route_for_everything_is_mentioned() {
    let upstream = Upstream::start();
    let route = |path| json!([{"path": path, "upstream": upstream.url}]).to_string();
    let note = "note    no route has the path \"/\"";

    let (code, stdout) = check_upstream(("ROUTES", &route("/app")));
    assert!(code == 0 && stdout.contains(note), "{stdout}");

    let (code, stdout) = check_upstream(("ROUTES", &route("/")));
    assert!(code == 0 && !stdout.contains(note), "{stdout}");
}

#[test]
fn an_upstream_that_hangs_up_on_a_name_is_asked_for_the_other() {
    let upstream = Upstream::responding(|request, _, stream| {
        let is_known = request.header("host") != Some("app.example");
        is_known && stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_ok()
    });
    let issuer = provider(200, metadata(json!({})), "");
    let settings = [
        ("PUBLIC_BASE_URL", "https://app.example"),
        ("UPSTREAM_URL", upstream.url.as_str()),
        ("OIDC_ISSUER_URL", issuer.as_str()),
        ("CLIENT_ID", "client"),
    ];

    let (code, stdout, _) = run_to_end(&["check"], &settings);

    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("it does not respond: ") && stdout.contains("set UPSTREAM_HOST=upstream"), "{stdout}");
}
