//! The end of the process by SIGTERM.

use std::io::Write as _;
use std::sync::{Mutex, mpsc};

use serde_json::json;
use support::{Browser, Handler, Provider, Upstream, read_response, wait_until};

#[test]
fn a_request_under_way_is_finished_after_sigterm() {
    let (respond, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::responding(move |_, _, stream| {
        told.lock().unwrap().recv().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok()
    });
    let routes = json!([{ "path": "/", "upstream": upstream.url, "access": "anonymous" }]).to_string();
    let provider = Provider::start();
    let mut handler = Handler::start(&[&[("ROUTES", routes.as_str())][..], &provider.settings()].concat());
    let request = Browser::new(&handler.origin).begin("GET", "/slow", &[], b"");
    wait_until("the upstream works on it", || !upstream.received().is_empty());

    handler.terminate();
    wait_until("it stops", || handler.output().text().contains("stopping"));
    respond.send(()).unwrap();

    let response = read_response(&request, "GET").unwrap();
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    assert_eq!(handler.wait(), Some(0));
}

#[test]
fn a_second_sigterm_ends_the_process_whatever_is_under_way() {
    let upstream = Upstream::responding(|_, reader, _| std::io::copy(reader, &mut std::io::sink()).is_err());
    let routes = json!([{ "path": "/", "upstream": upstream.url, "access": "anonymous" }]).to_string();
    let provider = Provider::start();
    let mut handler = Handler::start(&[&[("ROUTES", routes.as_str())][..], &provider.settings()].concat());
    let _request = Browser::new(&handler.origin).begin("GET", "/slow", &[], b"");
    wait_until("the upstream works on it", || !upstream.received().is_empty());

    handler.terminate();
    wait_until("it stops", || handler.output().text().contains("stopping"));
    handler.terminate();

    assert_eq!(handler.wait(), Some(0));
    wait_until("it is logged", || handler.output().text().contains("stopped without drain: second signal"));
}

#[test]
fn no_line_of_a_request_is_lost_at_the_end() {
    const REQUESTS: usize = 200;
    let provider = Provider::start();
    let mut handler = Handler::start(&[&[("UPSTREAM_URL", "http://127.0.0.1:9")][..], &provider.settings()].concat());
    let mut browser = Browser::new(&handler.origin);
    let lines = |handler: &Handler| handler.output().text().matches(r#"route="signedout" status=200"#).count();
    for _ in 0..REQUESTS {
        browser.fetch("/oauth/signedout");
    }

    handler.terminate();

    assert_eq!(handler.wait(), Some(0));
    wait_until("every line is there", || lines(&handler) == REQUESTS);
}
