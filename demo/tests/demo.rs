//! The demo as whoever tries it meets it: the real binary, HTTP as a browser speaks it, and nothing left behind.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/process.rs"]
mod process;

use std::net::TcpListener;

use actix_web::{App, HttpRequest, HttpServer, web};
use browser::Browser;
use process::Demo;
use tokio::net::TcpSocket;

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

    let told = demo.output_until("end_session: grace is signed out here too");
    for line in ["grace signs in", "exchanges the code of grace", "refresh #1 for grace", "person signed in"] {
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

#[actix_web::test]
async fn an_application_of_ones_own_takes_the_place_of_the_demos() {
    let own = HttpServer::new(|| App::new().default_service(web::to(what_arrived))).workers(1);
    let own = own.disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", own.addrs()[0]);
    actix_web::rt::spawn(own.run());
    let demo = Demo::start_with(&["--upstream", &format!("{url}/base")]);
    let mut browser = Browser::new(&demo.url);

    let form = browser.open("/public?a=1").await;
    let page = browser.submit(&form.url, &[("username", "ada"), ("password", "lovelace")]).await;

    assert!(form.url.contains("/authorize?"), "all of it needs a session: {}", form.url);
    assert_eq!((page.status, page.body.as_str()), (200, "/base/public?a=1 for Ada Lovelace, Bearer"));
}

#[actix_web::test]
async fn an_application_of_ones_own_may_go_without_the_access_token() {
    let own = HttpServer::new(|| App::new().default_service(web::to(what_arrived))).workers(1);
    let own = own.disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", own.addrs()[0]);
    actix_web::rt::spawn(own.run());
    let demo = Demo::start_with(&["--upstream", &url, "--token", "none"]);
    let mut browser = Browser::new(&demo.url);

    let form = browser.open("/").await;
    let page = browser.submit(&form.url, &[("username", "ada"), ("password", "lovelace")]).await;

    assert_eq!((page.status, page.body.as_str()), (200, "/ for Ada Lovelace, "));
}

async fn what_arrived(req: HttpRequest) -> String {
    let header = |name: &str| req.headers().get(name).map_or("", |value| value.to_str().unwrap());
    let scheme = header("authorization").split(' ').next().unwrap();
    format!("{} for {}, {scheme}", req.uri(), header("x-proxy-id-token-name"))
}

#[actix_web::test]
async fn an_application_that_is_not_up_is_told_and_waited_for() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap(); // ours, and refused until it listens
    let address = socket.local_addr().unwrap();
    let demo = Demo::start_with(&["--upstream", &format!("http://{address}")]);
    let mut browser = Browser::new(&demo.url);
    let form = browser.open("/").await;

    let down = browser.submit(&form.url, &[("username", "ada"), ("password", "lovelace")]).await;
    let own = HttpServer::new(|| App::new().default_service(web::to(what_arrived))).workers(1);
    let listener = socket.listen(16).unwrap().into_std().unwrap();
    actix_web::rt::spawn(own.disable_signals().listen(listener).unwrap().run());
    let up = browser.visit("/").await;

    demo.output_until(&format!("http://{address}/ is not reachable"));
    assert_eq!((down.status, up.status), (502, 200));
}

#[test]
fn help_and_mistakes_start_nothing() {
    let (help, usage) = process::run(&["--help"]);
    let (mistake, told) = process::run(&["--upstream", "localhost:3000"]);

    assert_eq!((help.code(), mistake.code()), (Some(0), Some(2)));
    assert!(usage.starts_with("Usage: cargo run -p demo"), "{usage}");
    assert!(told.contains("--upstream \"localhost:3000\"") && told.contains("Usage: "), "{told}");
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
