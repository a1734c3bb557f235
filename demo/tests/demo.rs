//! The demo as whoever tries it meets it: the real binary, HTTP as a browser speaks it, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/process.rs"]
mod process;

use std::net::TcpListener;

use browser::Browser;
use process::Demo;

#[actix_web::test]
async fn someone_signs_in_is_refreshed_and_signs_out() {
    let demo = Demo::start();
    let mut browser = Browser::new(&demo.url);

    let form = browser.open("/").await;
    let home = browser.submit(&form.url, &[("username", "ada"), ("password", "lovelace")]).await;
    let before = browser.identity().await;
    let refresh = browser.post("/oauth/refresh").await;
    let after = browser.identity().await;
    let signed_out = browser.submit("/oauth/signout", &[]).await;
    let navigation = browser.visit("/").await;
    let script = browser.get("/identity").await;

    assert!(form.url.contains("/authorize?"), "{}", form.url);
    assert!(home.body.contains("Hello, Ada Lovelace"), "{}", home.body);
    assert_eq!((refresh.status, before["refreshed"].as_u64(), after["refreshed"].as_u64()), (200, Some(0), Some(1)));
    assert!(signed_out.body.contains("You are signed out"), "{}", signed_out.body);
    assert_eq!((navigation.status, navigation.location.as_deref()), (302, Some("/oauth/signin?redirect=%2F")));
    assert_eq!((script.status, script.json()["code"].as_str()), (401, Some("session_required")));
}

#[actix_web::test]
async fn the_terminal_tells_what_the_provider_was_asked() {
    let demo = Demo::start();
    let mut browser = Browser::new(&demo.url);

    let form = browser.open("/").await;
    browser.submit(&form.url, &[("username", "grace"), ("password", "hopper")]).await;
    browser.post("/oauth/refresh").await;
    browser.submit("/oauth/signout", &[]).await;

    let told = demo.told_until("end_session: grace is signed out here too");
    for line in ["grace signs in", "exchanges the code of grace", "refresh #1 for grace", "someone signed in"] {
        assert!(told.contains(line), "{line} in {told}");
    }
    assert!(!told.contains("eyJ") && !told.contains('\x1b'), "a token or a colour in {told}");
}

#[actix_web::test]
async fn the_application_is_open_where_the_route_says_so() {
    let demo = Demo::start();
    let mut browser = Browser::new(&demo.url);

    let public = browser.visit("/public").await;

    assert_eq!(public.status, 200);
    assert!(public.body.contains("Open to everyone") && !public.body.contains("authorization"), "{}", public.body);
}

#[actix_web::test]
async fn a_note_is_posted_redirected_and_shown_once() {
    let demo = Demo::start();
    let mut browser = Browser::new(&demo.url);
    let form = browser.open("/").await;
    browser.submit(&form.url, &[("username", "ada"), ("password", "lovelace")]).await;

    let noted = browser.submit("/notes", &[("text", "40 tons of <tea>")]).await;
    let again = browser.open("/").await;

    assert!(noted.body.contains("<q>40 tons of &lt;tea&gt;</q>"), "{}", noted.body);
    assert!(noted.body.contains("visit 2") && again.body.contains("visit 3"));
    assert!(!again.body.contains("40 tons of &lt;tea&gt;"));
}

#[test]
#[cfg(unix)]
fn asked_to_stop_it_ends_well_and_leaves_no_process() {
    let demo = Demo::start();

    let status = demo.terminate();

    assert!(status.success(), "{status}");
}

#[test]
fn killed_it_leaves_no_process_either() {
    let demo = Demo::start();

    let status = demo.kill();

    assert!(!status.success(), "{status}");
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();

    let (status, complaint) = process::run(&["--port", &port.to_string()]);

    assert_eq!(status.code(), Some(1));
    assert!(complaint.contains(&format!("Port {port} is not free")), "{complaint}");
}
