//! Error responses of a Provider: codes, numbers and GUIDs in the log, plain words on the page, text nowhere.

use support::{Browser, Handler, Provider, Response, TokenReply, Upstream, wait_until};

struct Fixture {
    provider: Provider,
    handler: Handler,
    browser: Browser,
}

fn fixture() -> Fixture {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [&[("UPSTREAM_URL", upstream.url.as_str())][..], &provider.settings()[..]].concat();
    let handler = Handler::start(&settings);
    let browser = Browser::new(&handler.origin);
    Fixture { provider, handler, browser }
}

impl Fixture {
    /// The page of a callback with these parameters, to a sign-in that this browser began.
    fn callback(&mut self, parameters: &str) -> Response {
        let begun = self.browser.navigate("/oauth/signin?redirect=/wanted");
        let request = url::Url::parse(begun.header("location").unwrap()).unwrap();
        let state = request.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        self.browser.navigate(&format!("/oauth/callback?{parameters}&state={state}"))
    }

    /// The first line of the log with all of these.
    fn line(&self, parts: &[&str]) -> String {
        let output = self.handler.output();
        let find =
            || output.text().lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned);
        wait_until("the line is written", || find().is_some());
        find().unwrap()
    }
}

const TRACE: &str = "93eb6af6-43b5-4b16-ad6e-63cf2a050b00";
const CORRELATION: &str = "8f043819-8577-46b9-b330-a72e2e114665";

#[test]
fn a_refused_sign_in_is_audited_with_the_providers_codes_and_without_its_text() {
    let mut fixture = fixture();
    let description = "AADSTS90094%3A+ada%40person.example+needs+Contoso+HR";

    fixture.callback(&format!(
        "error=access_denied&error_subcode=cancel&error_description={description}&trace_id={TRACE}&correlation_id=ada"
    ));

    for part in ["audit", "request failed"] {
        let line = fixture.line(&[part, "admin_consent_required"]);
        for field in
            ["provider.error=\"access_denied\"", "provider.suberror=\"cancel\"", "provider.error_codes=\"90094\""]
        {
            assert!(line.contains(field), "{field} in {line}");
        }
        assert!(line.contains(&format!("provider.trace_id=\"{TRACE}\"")) && !line.contains("correlation_id"), "{line}");
    }
    let log = fixture.handler.output().text();
    assert!(!log.contains("person.example") && !log.contains("Contoso"), "{log}");
}

#[test]
fn a_refused_refresh_is_audited_with_the_providers_codes_and_without_its_text() {
    let mut fixture = fixture();
    fixture.browser.sign_in("/", &fixture.provider);
    let body = format!(
        r#"{{"error":"invalid_client","error_description":"AADSTS7000222: keys for app 'Contoso HR' are expired.",
            "error_codes":[7000222],"trace_id":"{TRACE}","correlation_id":"{CORRELATION}"}}"#
    );
    fixture.provider.script(TokenReply::Raw(401, "", body.leak()));

    let headers = [("x-csrf", "1"), ("sec-fetch-site", "same-origin")];
    let refused = fixture.browser.send("POST", "/oauth/refresh", &headers, b"");

    assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("renewal_refused")));
    let line = fixture.line(&["audit", "refresh_failed", "client_secret_expired"]);
    for field in ["provider.error=\"invalid_client\"", "provider.error_codes=\"7000222\""] {
        assert!(line.contains(field), "{field} in {line}");
    }
    assert!(line.contains(TRACE) && line.contains(CORRELATION), "{line}");
    let error = fixture.line(&["ERROR", "client_secret_expired"]);
    assert!(error.contains("invalid_client 7000222"), "{error}");
    assert!(!fixture.handler.output().text().contains("Contoso"));
}

#[test]
fn a_page_says_what_happened_and_offers_another_try_only_where_it_can_help() {
    let table = [
        ("error=access_denied", 403, "login_cancelled", "was cancelled", true),
        ("error=access_denied&error_description=AADSTS65004%3A+a", 403, "login_cancelled", "was cancelled", true),
        ("error=access_denied&error_description=AADSTS53003%3A+a", 403, "provider_refused", "service refused", true),
        ("error=interaction_required", 403, "interaction_required", "one more step", true),
        ("error=temporarily_unavailable", 503, "provider_unavailable", "in a moment", true),
        (
            "error=access_denied&error_description=AADSTS90094%3A+a",
            403,
            "admin_consent_required",
            "administrator",
            false,
        ),
        ("error=invalid_scope", 400, "authorization_request_refused", "what this application asks for", false),
        ("error=unauthorized_client", 400, "client_refused", "does not accept this application", false),
        ("error=invalid_request&error_description=AADSTS50011%3A+a", 400, "redirect_uri_refused", "address", false),
    ];
    let mut fixture = fixture();
    for (parameters, status, code, words, can_heal) in table {
        let page = fixture.callback(parameters);

        let text = page.text();
        assert_eq!(page.status, status, "{parameters}");
        assert!(text.contains(&format!("Reason <code>{code}</code> · Request <code>")), "{parameters}: {text}");
        assert!(text.contains(words), "{parameters}: {text}");
        assert_eq!(text.contains("href=\"/oauth/signin?redirect=%2Fwanted\""), can_heal, "{parameters}: {text}");
        assert_eq!(text.contains("tell the people who run this service the reason"), !can_heal, "{parameters}: {text}");
        assert_eq!(page.header("retry-after").is_some(), status == 503, "{parameters}");
    }
}

#[test]
fn a_provider_that_the_settings_describe_wrongly_is_no_matter_of_patience() {
    let upstream = Upstream::start();
    let elsewhere = Upstream::responding(|_, _, stream| {
        std::io::Write::write_all(stream, b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").is_ok()
    });
    let settings =
        [("UPSTREAM_URL", upstream.url.as_str()), ("OIDC_ISSUER_URL", &elsewhere.url), ("CLIENT_ID", "client")];
    let handler = Handler::start(&settings);

    let page = Browser::new(&handler.origin).navigate("/oauth/signin");

    assert_eq!((page.status, page.header("retry-after")), (502, None));
    let text = page.text();
    assert!(
        text.contains("provider_misconfigured") && text.contains("tell the people who run this service the reason"),
        "{text}"
    );
    assert!(!text.contains("/oauth/signin"), "{text}");
}
