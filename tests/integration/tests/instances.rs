//! Four instances that share nothing but Cosmos DB: one refresh for all, whoever dies, and a store that fails.

use std::io::Write as _;
use std::sync::{Mutex, mpsc};

use cosmos_emulator::{CosmosEmulator, Fault, Operation};
use support::{
    Browser, Handler, KEYS, Provider, Response, Reuse, TokenReply, Upstream, read_response, wait_for_lapse, wait_until,
};

struct Fixture {
    cosmos: CosmosEmulator,
    provider: Provider,
    upstream: Upstream,
    instances: Vec<Handler>,
    /// One person, at each of the instances.
    browsers: Vec<Browser>,
}

impl Fixture {
    fn start(number: usize, changes: &[(&str, &str)]) -> Self {
        Self::before(Upstream::start(), number, changes)
    }

    fn before(upstream: Upstream, number: usize, changes: &[(&str, &str)]) -> Self {
        let (cosmos, provider) = (CosmosEmulator::start(), Provider::start());
        let own = [("UPSTREAM_URL", upstream.url.as_str())];
        let settings = [&own[..], &KEYS[..], &cosmos.settings()[..], &provider.settings()[..], changes].concat();
        let mut instances = vec![Handler::start(&settings)];
        let origin = instances[0].origin.clone();
        let settings = [&settings[..], &[("PUBLIC_BASE_URL", origin.as_str())]].concat();
        instances.extend((1..number).map(|_| Handler::start(&settings)));
        let mut browser = Browser::new(&origin);
        browser.sign_in("/", &provider);
        let browsers = instances.iter().map(|instance| browser.at(&instance.origin)).collect();
        Self { cosmos, provider, upstream, instances, browsers }
    }

    /// Four instances, and a token that has lapsed for all of them.
    fn lapsed(reuse: Reuse) -> Self {
        let mut fixture = Self::start(4, &[("SESSION_CACHE_TTL", "0s")]);
        fixture.provider.set_reuse(reuse);
        fixture.provider.set_expires_in(1);
        assert_eq!(refresh(&mut fixture.browsers[0]).status, 200);
        fixture.provider.set_expires_in(3600);
        wait_for_lapse();
        fixture
    }
}

fn refresh(browser: &mut Browser) -> Response {
    browser.send("POST", "/oauth/refresh", &[("x-csrf", "1"), ("sec-fetch-site", "same-origin")], b"")
}

#[test]
fn two_hundred_requests_at_four_instances_cost_one_refresh_and_sign_nobody_out() {
    for reuse in [Reuse::EndsTheGrant, Reuse::HasGrace, Reuse::IsAllowed] {
        let fixture = Fixture::lapsed(reuse);
        let before = fixture.provider.refreshes();
        let (release, held) = mpsc::channel();
        fixture.provider.script(TokenReply::Held(held));

        let pending: Vec<_> = (0..200).map(|at| fixture.browsers[at % 4].begin("GET", "/page", &[], b"")).collect();
        wait_until("the provider is asked", || fixture.provider.refreshes() > before);
        release.send(()).unwrap();
        let statuses: Vec<u16> = pending.iter().map(|stream| read_response(stream, "GET").unwrap().status).collect();

        assert_eq!(statuses, vec![200; 200], "{reuse:?}");
        assert_eq!(fixture.provider.refreshes(), before + 1, "{reuse:?}");
    }
}

/// Step of its refresh at which an instance dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    AfterTheClaim,
    DuringTheCall,
    BeforeTheWrite,
    AfterTheWrite,
}

#[test]
fn an_instance_that_dies_in_its_refresh_costs_no_more_than_the_provider_makes_it_cost() {
    for death in [Death::AfterTheClaim, Death::DuringTheCall, Death::BeforeTheWrite, Death::AfterTheWrite] {
        // Each waits for the life of a lease: side by side.
        std::thread::scope(|scope| {
            for reuse in [Reuse::EndsTheGrant, Reuse::HasGrace, Reuse::IsAllowed] {
                scope.spawn(move || survive(death, reuse));
            }
        });
    }
}

fn survive(death: Death, reuse: Reuse) {
    let mut fixture = Fixture::lapsed(reuse);
    let before = fixture.provider.refreshes();
    die(&mut fixture, death);

    let response = fixture.browsers[1].fetch("/page");

    let calls = fixture.provider.refreshes() - before;
    let is_token_lost = matches!(death, Death::DuringTheCall | Death::BeforeTheWrite);
    let expected = if is_token_lost && reuse == Reuse::EndsTheGrant { 401 } else { 200 };
    assert_eq!(response.status, expected, "{death:?} {reuse:?}");
    assert_eq!(calls, if is_token_lost { 2 } else { 1 }, "{death:?} {reuse:?}");
}

fn die(fixture: &mut Fixture, death: Death) {
    let (control, before) = (&fixture.cosmos.control, fixture.provider.refreshes());
    let written = control.count(Operation::Replace).calls;
    let (release, held) = mpsc::channel();
    match death {
        Death::AfterTheClaim => control.script(Operation::Replace, Fault::HangAfter),
        Death::DuringTheCall => fixture.provider.script(TokenReply::Held(held)),
        Death::BeforeTheWrite | Death::AfterTheWrite => {
            control.script(Operation::Replace, Fault::Slow(std::time::Duration::ZERO));
            let fault = if death == Death::AfterTheWrite { Fault::HangAfter } else { Fault::Hang };
            control.script(Operation::Replace, fault);
        }
    }

    let _waiting = fixture.browsers[0].begin("GET", "/page", &[], b"");
    let writes = if matches!(death, Death::BeforeTheWrite | Death::AfterTheWrite) { 2 } else { 1 };
    wait_until("it is there", || control.count(Operation::Replace).calls >= written + writes);
    if death == Death::DuringTheCall {
        wait_until("the provider is asked", || fixture.provider.refreshes() > before);
    }
    if death == Death::AfterTheWrite {
        // The count goes up when the request comes; what it did shows in another instance's read.
        wait_until("it is written", || fixture.browsers[2].clone().fetch("/page").status == 200);
    }
    fixture.instances[0].kill();
    drop(release);
    if death == Death::DuringTheCall {
        // The provider goes on when its client is gone: it has spent the token.
        wait_until("the provider has responded", || fixture.provider.issued() > 2);
    }
}

#[test]
fn a_sign_out_at_one_instance_is_one_at_all_of_them() {
    let mut fixture = Fixture::start(4, &[("SESSION_CACHE_TTL", "0s")]);

    assert_eq!(fixture.browsers[3].post("/oauth/signout", b"").status, 303);

    let statuses: Vec<u16> = fixture.browsers[..3].iter_mut().map(|browser| browser.fetch("/page").status).collect();
    assert_eq!(statuses, [401, 401, 401]);
    wait_until("the token is revoked", || fixture.provider.revoked().len() == 1);
}

#[test]
fn a_sign_out_elsewhere_wins_over_a_refresh_that_is_under_way() {
    let mut fixture = Fixture::lapsed(Reuse::EndsTheGrant);
    let before = fixture.provider.refreshes();
    let (release, held) = mpsc::channel();
    fixture.provider.script(TokenReply::Held(held));
    let waiting = fixture.browsers[0].begin("GET", "/page", &[], b"");
    wait_until("the provider is asked", || fixture.provider.refreshes() > before);

    assert_eq!(fixture.browsers[1].post("/oauth/signout", b"").status, 303);
    release.send(()).unwrap();

    assert_eq!(read_response(&waiting, "GET").unwrap().status, 401);
    assert_eq!(fixture.browsers[2].fetch("/page").status, 401);
}

#[test]
fn a_burst_on_one_session_reads_once_and_writes_nothing() {
    let mut fixture = Fixture::start(1, &[("SESSION_CACHE_TTL", "60s")]);
    fixture.cosmos.control.forget();

    for _ in 0..30 {
        assert_eq!(fixture.browsers[0].fetch("/page").status, 200);
    }

    let count = |operation| fixture.cosmos.control.count(operation).calls;
    assert!(count(Operation::Read) <= 1, "{} reads", count(Operation::Read));
    assert_eq!((count(Operation::Create), count(Operation::Replace)), (0, 0));
}

#[test]
fn sliding_a_session_writes_nothing() {
    let mut fixture = Fixture::start(1, &[("SESSION_IDLE_TIMEOUT", "10s")]);
    fixture.cosmos.control.forget();
    let before = fixture.browsers[0].cookies.clone();

    wait_until("the cookie slides", || {
        assert_eq!(fixture.browsers[0].fetch("/page").status, 200);
        fixture.browsers[0].cookies != before
    });

    let count = |operation| fixture.cosmos.control.count(operation).calls;
    assert_eq!((count(Operation::Create), count(Operation::Replace)), (0, 0));
}

#[test]
fn a_store_in_trouble_is_told_of_and_signs_nobody_out() {
    let mut fixture = Fixture::start(1, &[("SESSION_CACHE_TTL", "0s")]);
    let troubles = [
        Fault::Throttled(std::time::Duration::from_secs(30)),
        Fault::Status(503),
        Fault::Status(401),
        Fault::Status(403),
        Fault::Reset,
        Fault::Hang,
    ];
    for trouble in troubles {
        fixture.cosmos.control.break_down(Operation::Read, trouble);

        let response = fixture.browsers[0].fetch("/page");

        assert_eq!(
            (response.status, response.json()["code"].as_str()),
            (503, Some("store_unavailable")),
            "{trouble:?}"
        );
        assert!(response.header("retry-after").is_some());
        fixture.cosmos.control.mend();
        wait_until("it recovers alone", || fixture.browsers[0].fetch("/page").status == 200);
    }
}

#[test]
fn sessions_in_the_cache_flow_while_the_store_is_down() {
    let mut fixture = Fixture::start(1, &[("SESSION_CACHE_TTL", "60s")]);
    assert_eq!(fixture.browsers[0].fetch("/page").status, 200);
    fixture.cosmos.control.go_down();

    assert_eq!(fixture.browsers[0].fetch("/page").status, 200);

    let ready = fixture.browsers[0].fetch("/oauth/health/ready");
    assert_eq!((ready.status, ready.json()["store"].as_str()), (503, Some("down")));
    fixture.cosmos.control.mend();
    wait_until("it recovers alone", || fixture.browsers[0].fetch("/oauth/health/ready").status == 200);
}

#[test]
fn a_moments_throttling_is_waited_for() {
    let mut fixture = Fixture::start(1, &[("SESSION_CACHE_TTL", "0s")]);
    fixture.cosmos.control.script(Operation::Read, Fault::Throttled(std::time::Duration::from_millis(50)));

    assert_eq!(fixture.browsers[0].fetch("/page").status, 200);
}

#[test]
fn a_write_whose_reply_is_lost_is_a_sign_in_a_refresh_and_a_sign_out_all_the_same() {
    let mut fixture = Fixture::start(2, &[("SESSION_CACHE_TTL", "0s")]);
    let control = &fixture.cosmos.control;
    for fault in [Fault::ReplyLost, Fault::CloseAfter] {
        control.script(Operation::Create, fault);
        let mut browser = Browser::new(&fixture.instances[0].origin);
        assert_eq!(browser.sign_in("/", &fixture.provider).status, 200, "{fault:?}");

        control.script(Operation::Replace, fault);
        assert_eq!(refresh(&mut browser).status, 200, "{fault:?}");

        control.script(Operation::Replace, fault);
        let old = browser.clone();
        assert_eq!(browser.post("/oauth/signout", b"").status, 303, "{fault:?}");
        assert_eq!(old.clone().fetch("/page").status, 401, "{fault:?}");
    }
    assert_eq!(fixture.browsers[1].fetch("/page").status, 200, "another's session lives");
    assert!(!fixture.upstream.received().is_empty());
}

/// Reads, creates and replacements from which `docs/operations.md` computes its request units.
#[test]
fn the_store_is_asked_as_often_as_the_documentation_says() {
    let mut fixture = Fixture::start(1, &[("SESSION_CACHE_TTL", "60s")]);
    let control = &fixture.cosmos.control;
    let asked = |act: &mut dyn FnMut()| {
        control.forget();
        act();
        [Operation::Read, Operation::Create, Operation::Replace].map(|kind| control.count(kind).calls)
    };
    let browser = &mut fixture.browsers[0];
    let mut other = Browser::new(&fixture.instances[0].origin);

    let page = asked(&mut || (0..30).for_each(|_| assert_eq!(browser.fetch("/page").status, 200)));
    let refreshed = asked(&mut || assert_eq!(refresh(browser).status, 200));
    let refused = asked(&mut || assert_eq!(other.fetch("/page").status, 401));
    // Someone whose index items are there, from another browser.
    let signed_in = asked(&mut || assert_eq!(other.sign_in("/", &fixture.provider).status, 200));
    let headers = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")];
    let signed_out = asked(&mut || assert_eq!(browser.send("POST", "/oauth/signout", &headers, b"").status, 200));

    assert_eq!(page, [0, 0, 0]);
    assert_eq!(refreshed, [1, 0, 2]);
    assert_eq!(refused, [0, 0, 0]);
    assert_eq!(signed_in, [3, 1, 2]);
    assert_eq!(signed_out, [1, 0, 1]);
}

#[test]
fn an_instance_that_is_asked_to_end_writes_the_token_that_its_refresh_brings() {
    let mut fixture = Fixture::lapsed(Reuse::EndsTheGrant);
    let before = fixture.provider.refreshes();
    let (release, held) = mpsc::channel();
    fixture.provider.script(TokenReply::Held(held));
    let hung_up = fixture.browsers[0].begin("GET", "/page", &[], b"");
    wait_until("the provider is asked", || fixture.provider.refreshes() > before);
    drop(hung_up);

    fixture.instances[0].terminate();
    wait_until("it stops", || fixture.instances[0].output().text().contains("stopping"));
    wait_until("it is not ready", || {
        let ready = fixture.browsers[0].fetch("/oauth/health/ready");
        ready.status == 503 && ready.json()["status"] == "draining"
    });
    release.send(()).unwrap();

    assert_eq!(fixture.instances[0].wait(), Some(0));
    assert_eq!(fixture.browsers[1].fetch("/page").status, 200);
    assert_eq!(fixture.provider.refreshes(), before + 1);
}

#[test]
fn a_slow_response_sets_no_cookie_of_a_session_that_another_instance_has_replaced() {
    let (respond, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let upstream = Upstream::responding(move |request, _, stream| {
        if request.request_line.contains("/slow") {
            held.lock().unwrap().recv().unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok()
    });
    let fixture = Fixture::before(upstream, 2, &[("SESSION_IDLE_TIMEOUT", "9s"), ("SESSION_CACHE_TTL", "60s")]);
    let (old, mut elsewhere) = (fixture.browsers[0].clone(), fixture.browsers[1].clone());
    wait_until("the cookie is to be issued again", || old.clone().fetch("/").header("set-cookie").is_some());
    let slow = old.begin("GET", "/slow", &[], b"");
    wait_until("the upstream works on it", || {
        fixture.upstream.received().iter().any(|seen| seen.request_line.contains("/slow"))
    });

    let to_provider = elsewhere.navigate("/oauth/signin");
    let back = fixture.provider.approve(to_provider.header("location").unwrap());
    let signed_in = elsewhere.navigate(back.strip_prefix(&fixture.instances[0].origin).unwrap_or(&back));
    assert_eq!(signed_in.status, 303, "{}", signed_in.text());
    wait_for_lapse(); // a second has passed: the response is a slow one
    respond.send(()).unwrap();

    let response = read_response(&slow, "GET").unwrap();
    assert_eq!((response.status, response.header("set-cookie")), (200, None));
}
