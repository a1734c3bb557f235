//! Local start as a developer does it: build, copy the sample, fill it in, `func start`.

use support::{Browser, Handler, Provider, Upstream};

#[test]
fn the_sample_filled_in_as_it_says_serves_under_the_host() {
    let (provider, upstream) = (Provider::start(), Upstream::start());
    let settings = [&[("UPSTREAM_URL", upstream.url.as_str())][..], &provider.settings()].concat();
    let Some(handler) = Handler::start_from_the_sample(&settings) else { return };

    let mut browser = Browser::new(&handler.origin);

    assert_eq!(browser.sign_in("/page", &provider).status, 200);
    assert_eq!(browser.fetch("/oauth/me").status, 200);
}
