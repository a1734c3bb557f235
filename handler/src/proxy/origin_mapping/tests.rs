use super::*;

const PUBLIC: &str = "https://app.example";
const ONE: &str = r#"[{"path":"/","upstream":"http://inside:8080"}]"#;
const BASED: &str = r#"[{"path":"/","upstream":"http://inside:8080/base"}]"#;
const SEVERAL: &str = r#"[{"path":"/","upstream":"http://inside:8080"},
    {"path":"/api","upstream":"https://api.inside"},
    {"path":"/wiki","upstream":"http://wiki.inside/w"}]"#;

/// Public form of a header value in a response on the route `/`.
fn mapped(public: &str, routes: &str, name: HeaderName, value: &str) -> Option<String> {
    let public = PublicSide::new(public.parse().unwrap());
    let routes = RouteTable::parse(routes).unwrap();
    let mapping = OriginMapping { public: &public, route: routes.find("/").unwrap().unwrap(), routes: &routes };
    mapping.public_value(&name, value.as_bytes()).map(|value| String::from_utf8(value).unwrap())
}

fn check(public: &str, routes: &str, name: HeaderName, table: &[(&str, &str)]) {
    for (value, expected) in table {
        let stays = value == expected;
        let is = mapped(public, routes, name.clone(), value);
        assert_eq!(is.as_deref(), (!stays).then_some(*expected), "{name}: {value}");
    }
}

fn stay(public: &str, routes: &str, name: HeaderName, values: &[&str]) {
    for value in values {
        assert_eq!(mapped(public, routes, name.clone(), value), None, "{name}: {value}");
    }
}

#[test]
fn the_upstreams_own_origin_becomes_the_public_one() {
    let table = [
        ("http://inside:8080/", "https://app.example/"),
        ("http://inside:8080", "https://app.example"),
        ("http://inside:8080/dir/?a=1&b=%2F#top", "https://app.example/dir/?a=1&b=%2F#top"),
        ("http://inside:8080?x", "https://app.example?x"),
        ("http://inside:8080#x", "https://app.example#x"),
        ("HTTP://Inside:8080/Dir", "https://app.example/Dir"),
        ("http://inside.:8080/x", "https://app.example/x"),
        ("http://%69nside:8080/x", "https://app.example/x"),
        ("//inside:8080/x", "https://app.example/x"),
        ("https://inside:8080/x", "https://app.example/x"), // the scheme of X-Forwarded-Proto
        ("http://inside:8080/x?back=http://inside:8080/y", "https://app.example/x?back=http://inside:8080/y"),
        ("http://inside:8080//evil.example/", "https://app.example//evil.example/"),
        ("http://inside:8080\\@evil.example/", "https://app.example\\@evil.example/"),
    ];
    check(PUBLIC, ONE, LOCATION, &table);
    check(PUBLIC, ONE, CONTENT_LOCATION, &table);
}

#[test]
fn a_default_port_may_be_written_or_not() {
    for (upstream, location) in [
        ("http://inside", "http://inside/x"),
        ("http://inside", "http://inside:80/x"),
        ("http://inside:80", "http://inside/x"),
        ("http://inside", "https://inside/x"),
        ("https://inside", "https://inside:443/x"),
        ("https://inside:443", "https://inside/x"),
        ("https://inside", "http://inside/x"),
        ("https://inside", "//inside/x"),
        ("http://[::2]:81", "http://[0:0::2]:81/x"),
        ("http://127.0.0.1:81", "http://localhost:81/x"),
        ("http://localhost:81", "http://[::1]:81/x"),
    ] {
        let routes = format!(r#"[{{"path":"/","upstream":"{upstream}"}}]"#);
        let is = mapped(PUBLIC, &routes, LOCATION, location);
        assert_eq!(is.as_deref(), Some("https://app.example/x"), "{upstream} {location}");
    }
}

#[test]
fn the_public_host_with_another_scheme_or_port_becomes_the_public_origin() {
    let table = [
        ("http://app.example/dir/", "https://app.example/dir/"),
        ("http://app.example:8080/dir/", "https://app.example/dir/"), // nginx, from its own port
        ("http://app.example:80/dir/", "https://app.example/dir/"),
        ("https://app.example:8080/dir/", "https://app.example/dir/"),
        ("http://app.example:443/dir/", "https://app.example/dir/"),
        ("http://App.Example.:3000", "https://app.example"),
        ("//app.example:8080/x", "https://app.example/x"),
    ];
    check(PUBLIC, ONE, LOCATION, &table);
    let with_a_port = [
        ("https://app.example/x", "https://app.example:8443/x"),
        ("https://app.example:443/x", "https://app.example:8443/x"),
        ("//app.example/x", "https://app.example:8443/x"),
        ("https://app.example:8443/x", "https://app.example:8443/x"),
    ];
    check("https://app.example:8443", ONE, LOCATION, &with_a_port);
}

#[test]
fn everything_else_stays_as_it_is() {
    let values = [
        "",
        "/",
        "/dir/",
        "dir/",
        "?x",
        "#x",
        "//other.example/x",
        "https://app.example",
        "https://app.example/x",
        "HTTPS://App.Example:443/x",
        "//app.example/x",
        "https://app.example.evil.example/",
        "https://notapp.example/",
        "https://evil.example/http://inside:8080/",
        "https://op.example/authorize?redirect_uri=http%3A%2F%2Finside%3A8080%2F",
        "https://op.example/logout?back=http://inside:8080/",
        "http://inside:8080@evil.example/",
        "http://inside@evil.example/",
        "http://user@inside:8080/",
        "http://user:pw@app.example/",
        "http://inside/x", // another port of the upstream's host is another server
        "http://inside:8081/x",
        "http://inside.example:8080/x",
        "http://inside:8080x/",
        "ftp://inside:8080/x",
        "ws://inside:8080/x",
        "http:/inside:8080/x",
        "mailto:ada@inside",
    ];
    stay(PUBLIC, ONE, LOCATION, &values);
    stay(PUBLIC, ONE, CONTENT_LOCATION, &values);
    stay(PUBLIC, ONE, REFRESH, &values);
}

#[test]
fn other_headers_keep_every_name() {
    for name in
        ["link", "access-control-allow-origin", "content-security-policy", "x-url", "www-authenticate", "origin"]
    {
        stay(PUBLIC, ONE, HeaderName::from_static(name), &["http://inside:8080/x", "http://app.example:8080/x"]);
    }
}

#[test]
fn other_ports_of_a_developers_machine_are_other_programs() {
    let table = [
        ("http://localhost:8080/x", "http://localhost:7071/x"), // the upstream
        ("http://127.0.0.1:8080/x", "http://localhost:7071/x"),
        ("http://127.0.0.1:7071/x", "http://localhost:7071/x"), // cookies belong to one name
        ("https://localhost:7071/x", "http://localhost:7071/x"),
        ("http://localhost/x", "http://localhost:7071/x"),
        ("http://localhost:7071/x", "http://localhost:7071/x"),
        ("http://localhost:3000/authorize", "http://localhost:3000/authorize"), // a provider
        ("http://127.0.0.1:9/x", "http://127.0.0.1:9/x"),
    ];
    check("http://localhost:7071", r#"[{"path":"/","upstream":"http://127.0.0.1:8080"}]"#, LOCATION, &table);
}

#[test]
fn a_base_path_is_taken_off_where_a_request_gets_it() {
    let table = [
        ("http://inside:8080/base/dir/", "https://app.example/dir/"),
        ("http://inside:8080/base", "https://app.example/"),
        ("http://inside:8080/base?x=/base/y", "https://app.example/?x=/base/y"),
        ("http://inside:8080/base#x", "https://app.example/#x"),
        ("http://inside:8080/base\\x", "https://app.example/\\x"),
        ("http://app.example:8080/base/dir/", "https://app.example/dir/"),
        ("https://app.example/base/dir/", "https://app.example/dir/"),
        ("https://app.example/dir/", "https://app.example/dir/"),
        ("//app.example/base/x", "https://app.example/x"),
        ("/base/dir/?q", "/dir/?q"),
        ("/base", "/"),
        ("/base/base/x", "/base/x"),
        ("/base//evil.example/x", "https://app.example//evil.example/x"),
        ("/base/\\evil.example/x", "https://app.example/\\evil.example/x"),
        // URL Standard 4.4: browsers drop a tab, and the rest would name a server.
        ("/base/\t/evil.example/x", "https://app.example/\t/evil.example/x"),
        ("/base/%2Fevil.example/x", "https://app.example/%2Fevil.example/x"),
        ("/base/ü", "https://app.example/ü"),
        ("/baseball", "/baseball"),
        ("/other/base/", "/other/base/"),
        ("base/x", "base/x"),
        ("http://inside:8080/baseball", "https://app.example/baseball"),
        ("http://inside:8080/other", "https://app.example/other"),
        ("https://other.example/base/x", "https://other.example/base/x"),
    ];
    check(PUBLIC, BASED, LOCATION, &table);
    check(PUBLIC, ONE, LOCATION, &[("/base/x", "/base/x")]);
}

#[test]
fn the_upstream_of_another_route_is_public_where_that_route_leads_to_it() {
    let table = [
        ("https://api.inside/api/v1", "https://app.example/api/v1"),
        ("http://wiki.inside/w/wiki/Home?a#b", "https://app.example/wiki/Home?a#b"),
        ("https://api.inside/login", "https://api.inside/login"), // `/login` leads elsewhere
        ("https://api.inside/apix", "https://api.inside/apix"),
        ("http://wiki.inside/wiki/Home", "http://wiki.inside/wiki/Home"),
        ("http://wiki.inside:81/w/wiki/", "http://wiki.inside:81/w/wiki/"),
        ("http://inside:8080/api/v1", "https://app.example/api/v1"),
    ];
    check(PUBLIC, SEVERAL, LOCATION, &table);
}

#[test]
fn a_refresh_is_read_as_browsers_read_it() {
    let table = [
        ("0;url=http://inside:8080/x", "0;url=https://app.example/x"),
        ("5; URL=http://inside:8080/x;y", "5; URL=https://app.example/x;y"),
        ("0; url='http://inside:8080/x'", "0; url='https://app.example/x'"),
        ("0;url=\"http://inside:8080/x\" and more", "0;url=\"https://app.example/x\" and more"),
        ("0;url='http://inside:8080/x", "0;url='https://app.example/x"),
        (" 1.5 , Url = http://app.example:8080/x", " 1.5 , Url = https://app.example/x"),
        ("0 url=http://inside:8080/x", "0 url=https://app.example/x"),
        ("0;http://inside:8080/x", "0;https://app.example/x"),
        ("0;'//inside:8080/x'", "0;'https://app.example/x'"),
        ("0;url=/x", "0;url=/x"),
        ("0;url=https://op.example/?back=http://inside:8080/", "0;url=https://op.example/?back=http://inside:8080/"),
        ("5", "5"),
        ("5;", "5;"),
        ("5;url", "5;url"),
        ("5;url=", "5;url="),
        ("5;url='", "5;url='"),
        ("url=http://inside:8080/x", "url=http://inside:8080/x"),
        ("5url=http://inside:8080/x", "5url=http://inside:8080/x"),
    ];
    check(PUBLIC, ONE, REFRESH, &table);
    check(PUBLIC, BASED, REFRESH, &[("0;url='/base/x'", "0;url='/x'")]);
}

#[test]
fn a_cookies_domain_is_the_public_host() {
    let table = [
        ("a=1; Domain=inside; Path=/", "a=1; Domain=app.example; Path=/"),
        ("a=1;domain=inside", "a=1;domain=app.example"),
        ("a=1; DOMAIN = .Inside. ; Secure", "a=1; DOMAIN = app.example ; Secure"),
        ("a=1; Domain=inside:8080", "a=1; Domain=app.example"),
        ("a=1; Domain=app.example:8443", "a=1; Domain=app.example"),
        ("a=1; Domain=inside; Domain=inside", "a=1; Domain=app.example; Domain=app.example"),
        ("a=1; Domain=app.example", "a=1; Domain=app.example"),
        ("a=1; Domain=.App.Example", "a=1; Domain=.App.Example"),
        ("a=1; Domain=example", "a=1; Domain=example"),
        ("a=1; Domain=other.example", "a=1; Domain=other.example"),
        ("a=1; Domain=x.inside", "a=1; Domain=x.inside"),
        ("a=1; Domain=inside.example", "a=1; Domain=inside.example"),
        ("a=1; Domain=", "a=1; Domain="),
        ("a=1; Domain", "a=1; Domain"),
        ("a=1; Domain=a b", "a=1; Domain=a b"),
        ("Domain=inside; Path=/", "Domain=inside; Path=/"), // a cookie of that name
        ("a=http://inside:8080/; Path=/", "a=http://inside:8080/; Path=/"),
        ("a=1", "a=1"),
        ("", ""),
    ];
    check(PUBLIC, ONE, SET_COOKIE, &table);
    stay(PUBLIC, ONE, SET_COOKIE, &["a=1; Path=/base", "a=1; X-Domain=inside"]);
}

#[test]
fn a_cookies_path_is_public_below_a_base_path() {
    let table = [
        ("JSESSIONID=1; Path=/base; HttpOnly", "JSESSIONID=1; Path=/; HttpOnly"),
        ("a=1; path=/base/", "a=1; path=/"),
        ("a=1; Path=/base/x; Domain=inside", "a=1; Path=/x; Domain=app.example"),
        ("a=1; Path=/", "a=1; Path=/"),
        ("a=1; Path=/baseball", "a=1; Path=/baseball"),
        ("a=1; Path=base", "a=1; Path=base"),
    ];
    check(PUBLIC, BASED, SET_COOKIE, &table);
}

#[test]
fn bytes_beyond_ascii_pass_behind_the_authority_and_hide_nothing_in_it() {
    let public = PublicSide::new(PUBLIC.parse().unwrap());
    let routes = RouteTable::parse(ONE).unwrap();
    let mapping = OriginMapping { public: &public, route: routes.find("/").unwrap().unwrap(), routes: &routes };

    let path = mapping.public_value(&LOCATION, b"http://inside:8080/caf\xe9");
    let host = mapping.public_value(&LOCATION, b"http://inside\xe9:8080/");
    let cookie = mapping.public_value(&SET_COOKIE, b"a=\xe9; Domain=inside\xe9");

    assert_eq!(path.as_deref(), Some(&b"https://app.example/caf\xe9"[..]));
    assert_eq!((host, cookie), (None, None));
}

#[test]
fn a_destination_names_what_the_upstream_knows() {
    let destination = |upstream: &str, host: &str, value: &str| {
        let public = PublicSide::new(PUBLIC.parse().unwrap());
        let json = format!(r#"[{{"path":"/","upstream":"{upstream}","host":"{host}"}}]"#);
        let routes = RouteTable::parse(&json).unwrap();
        let mapping = OriginMapping { public: &public, route: routes.find("/").unwrap().unwrap(), routes: &routes };
        mapping.upstream_destination(value.as_bytes()).map(|value| String::from_utf8(value).unwrap())
    };
    for (upstream, host, value, expected) in [
        ("http://inside:8080", "upstream", "https://app.example/b%20c", Some("http://inside:8080/b%20c")),
        ("https://inside", "upstream", "HTTPS://APP.example:443/b", Some("https://inside/b")),
        ("http://inside/base", "upstream", "https://app.example/b", Some("http://inside/base/b")),
        ("http://inside/base", "upstream", "/b", Some("/base/b")),
        ("http://inside/base", "public", "https://app.example/b", Some("https://app.example/base/b")),
        ("http://inside/base", "public", "/b", Some("/base/b")),
        ("http://inside", "public", "https://app.example/b", None),
        ("http://inside", "upstream", "/b", None),
        ("http://inside", "upstream", "https://other.example/b", None),
        ("http://inside", "upstream", "https://app.example@other.example/b", None),
        ("http://inside", "upstream", "b", None),
    ] {
        assert_eq!(destination(upstream, host, value).as_deref(), expected, "{upstream} {host} {value}");
    }
}
