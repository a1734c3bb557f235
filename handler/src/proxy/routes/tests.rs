//! The table: prefixes, spellings, mistakes.

use std::sync::Arc;

use super::*;

fn table() -> RouteTable {
    RouteTable::parse(
        r#"[{"path":"/","upstream":"http://a","access":"anonymous"},
            {"path":"/admin","upstream":"http://b"},
            {"path":"/admin/Public/","upstream":"http://c","access":"anonymous"},
            {"path":"/app","upstream":"http://b","access":"session"}]"#,
    )
    .unwrap()
}

#[test]
fn the_longest_prefix_on_a_segment_boundary_wins() {
    let table = table();

    for (path, expected) in [
        ("/", "/"),
        ("/x", "/"),
        ("/admin", "/admin"),
        ("/admin/", "/admin"),
        ("/admin/x", "/admin"),
        ("/administrator", "/"),
        ("/admin/Public", "/admin/Public"),
        ("/admin/Public/x", "/admin/Public"),
        ("/admin/Publicity", "/admin"),
        ("/app/x", "/app"),
    ] {
        assert_eq!(table.find(path).unwrap().unwrap().path(), expected, "{path}");
    }
}

#[test]
fn another_spelling_of_a_path_meets_the_requirement_of_every_route_it_may_mean() {
    let rule = |group: &str| format!(r#"{{"claim":"groups","equals":"{group}"}}"#);
    let json = format!(
        r#"[{{"path":"/","upstream":"http://a","require":{}}},
            {{"path":"/admin","upstream":"http://a","require":{}}},
            {{"path":"/admin/Keys","upstream":"http://a","require":{}}},
            {{"path":"/admin/open","upstream":"http://a"}},
            {{"path":"/Admin","upstream":"http://a"}}]"#,
        rule("staff"),
        rule("admins"),
        rule("owners"),
    );
    let table = RouteTable::parse(&json).unwrap();
    for (path, expected) in [
        ("/", &["/"][..]),
        ("/x", &["/"]),
        ("/administrator", &["/"]),
        ("/admin", &["/admin"]),
        ("/admin/x", &["/admin"]),
        ("/admin/open", &[]),
        ("/admin/open/x", &[]),
        ("/ADMIN/x", &["/", "/admin"]),
        ("/Admin/x", &["/admin"]),
        ("/%61dmin", &["/", "/admin"]),
        ("/%2561dmin", &["/", "/admin"]),
        ("//admin", &["/", "/admin"]),
        ("/admin;x/y", &["/", "/admin"]),
        ("/admin./y", &["/", "/admin"]),
        ("/admin%2fkeys", &["/", "/admin/Keys", "/admin"]),
        ("/admin/Keys/1", &["/admin/Keys"]),
        ("/admin/keys/1", &["/admin", "/admin/Keys"]),
        ("/admin//Keys", &["/admin", "/admin/Keys"]),
        ("/admin/OPEN", &["/admin"]),
    ] {
        let held = table.requirements(path).unwrap();
        let held: Vec<&str> = held.map(|(route, _)| route.path()).collect();
        assert_eq!(held, expected, "{path}");
    }
    assert_eq!(table.claims(), ["groups", "sub"]);
    let ambiguous = table.requirements("/%ff").map(|_| ());
    assert_eq!(ambiguous, Err(TargetError::Ambiguous), "bytes that are no UTF-8 have no one reading");
}

#[test]
fn another_spelling_of_a_path_gets_the_narrowest_access_that_it_may_mean() {
    let table = RouteTable::parse(
        r#"[{"path":"/","upstream":"http://a","access":"session_or_bearer"},
            {"path":"/open","upstream":"http://a","access":"anonymous"},
            {"path":"/open/me","upstream":"http://a"},
            {"path":"/admin","upstream":"http://a","access":"session"},
            {"path":"/api","upstream":"http://a","access":"bearer"},
            {"path":"/api/ui","upstream":"http://a","access":"session"},
            {"path":"/api/both","upstream":"http://a","access":"session_or_bearer"}]"#,
    )
    .unwrap();

    for (path, expected) in [
        ("/x", Ok(Access::SessionOrBearer)),
        ("/%6fpen", Ok(Access::SessionOrBearer)),
        ("/open/%6de", Ok(Access::Session)),
        ("/ADMIN", Ok(Access::Session)),
        ("//admin/x", Ok(Access::Session)),
        ("/%61pi/x", Ok(Access::Bearer)),
        ("/api;v=1", Ok(Access::Bearer)),
        ("/api/ui", Ok(Access::Session)),
        ("/api/both", Ok(Access::SessionOrBearer)),
        ("/api/BOTH", Ok(Access::Bearer)),
        ("/api/UI", Err(TargetError::Ambiguous)),
        ("/API/ui", Err(TargetError::Ambiguous)),
        ("/%ff", Err(TargetError::Ambiguous)),
    ] {
        assert_eq!(table.find(path).map(|found| found.unwrap().access()), expected, "{path}");
    }
}

#[test]
fn all_mistakes_of_all_rows_are_reported_at_once() {
    let rows = [
        (
            r#"{"path":"/a","upstream":"http://a","requires":{}}"#,
            "the route \"/a\": \"requires\" is no member of a route; did you mean require?",
        ),
        (
            r#"{"path":"/b","upstream":"http://a","acces":"bearer"}"#,
            "the route \"/b\": \"acces\" is no member of a route; did you mean access?",
        ),
        (
            r#"{"path":"/c","upstream":"http://a","access":"bearers"}"#,
            "the route \"/c\": its access \"bearers\" is none of session, anonymous",
        ),
        (r#"{"path":"/d","upstream":"http://a","access":"Session"}"#, "\"Session\" is none of"),
        (r#"{"path":"/e","upstream":"http://a","explain":"ask"}"#, "no require to explain"),
        (
            r#"{"path":"/f","upstream":"http://a","explain":["ask"],"require":[]}"#,
            "the route \"/f\": its explain is not text",
        ),
        (r#"{"path":"/g","upstream":"http://a","require":{"clam":"a"}}"#, "\"clam\" is no condition"),
        (
            r#"{"path":"/h","upstream":"http://a","access":"anonymous","require":{"acr":"1"}}"#,
            "require and access anonymous",
        ),
        (
            r#"{"path":"/i","upstream":"http://a","access":"anonymous","headers":[{"name":"X-A","claim":"a"}]}"#,
            "headers and access anonymous",
        ),
        (
            r#"{"path":"/j","upstream":"http://a","access":"bearer","cross_site":"allow"}"#,
            "cross_site allow and access bearer",
        ),
        (r#"{"path":"/k","upstream":"http://a","access":"bearer","isolate":true}"#, "isolate and access bearer"),
        (r#"{"path":"/l","upstream":"http://a","access":"bearer","streams":"end"}"#, "streams and access bearer"),
        (r#"{"path":"/m","upstream":"http://a","access":"bearer","token":"none"}"#, "token and access bearer"),
        (r#"{"path":"/n","upstream":"http://a","headers":[{"name":"Host","claim":"a"}]}"#, "a meaning of its own"),
        (
            r#"{"path":"/o","upstream":"http://a","token":{"header":"X-T"},"headers":[{"name":"x-t","claim":"a"}]}"#,
            "one header for a claim and for the token",
        ),
        (
            r#"{"path":"/q","upstream":"http://a","access":"anonymous","step_up_challenges":"follow"}"#,
            "step_up_challenges follow and access anonymous",
        ),
        (
            r#"{"path":"/r","upstream":"http://a","access":"bearer","step_up_challenges":"follow"}"#,
            "step_up_challenges follow and access bearer",
        ),
        (r#"{"path":"/s","upstream":"http://a","step_up_challenges":true}"#, "its step_up_challenges is not text"),
        (r#"{"path":"/t","upstream":"http://a","step_up_challenges":"yes"}"#, "\"yes\" is neither pass nor follow"),
        (r#"{"path":"/a/","upstream":"ftp://a"}"#, "the route \"/a/\": its upstream cannot be used"),
        (r#"{"path":"/u","upstream":"http://a","isolate":"yes"}"#, "its isolate is not true or false"),
        (r#"{"path":"/v","upstream":"http://a","stepup_challenges":"follow"}"#, "did you mean step_up_challenges?"),
        (r#"{"path":"/w","upstream":"http://a","colour":"red"}"#, "\"colour\" is no member of a route "),
        (r#"{"path":"/x"}"#, "the route \"/x\": it has no upstream"),
        (
            r#"{"paths":"/y","upstream":"http://a"}"#,
            "route 25 of the list: \"paths\" is no member of a route; did you mean path?",
        ),
        (r#"{"upstream":"http://a"}"#, "route 26 of the list: it has no path"),
        (r#"{"path":null,"upstream":"http://a"}"#, "route 27 of the list: it has no path"),
        (r#"{"path":7,"upstream":"http://a"}"#, "route 28 of the list: its path is not text"),
        (r#""/z""#, "route 29 of the list: it is no JSON object"),
        (
            r#"{"path":"/p","upstream":"http://a"},{"path":"/p/","upstream":"http://a"}"#,
            "the route \"/p/\": its path occurs twice",
        ),
    ];
    let json = format!("[{}]", rows.map(|(row, _)| row).join(","));

    let mistakes = RouteTable::parse(&json).unwrap_err();

    let text = |error: &RouteError| {
        let source = std::error::Error::source(error).map(ToString::to_string);
        format!("{error} {}", source.unwrap_or_default())
    };
    let found: Vec<String> = mistakes.iter().map(text).collect();
    assert_eq!(found.len(), rows.len(), "{found:#?}");
    for (found, (row, expected)) in found.iter().zip(rows) {
        assert!(found.contains(expected), "{row}: {found}");
    }
}

#[test]
fn an_access_admits_only_what_a_wider_one_does() {
    let only = |one: Access, other: Access| one.admits_only(other);

    assert!(only(Access::Session, Access::SessionOrBearer) && only(Access::Bearer, Access::Anonymous));
    assert!(!only(Access::SessionOrBearer, Access::Bearer) && !only(Access::Anonymous, Access::SessionOrBearer));
    assert!(!only(Access::Session, Access::Bearer));
}

#[test]
fn another_spelling_of_a_session_route_still_needs_the_session() {
    let table = table();

    for path in [
        "/%61dmin/public;/users",
        "/%61dmin/public%253b/users",
        "/ADMIN/public;/users",
        "/%61dmin/Public",
        "/admin%3f",
        "/admin%3fx",
        "/admin%23x",
        "/admin%253fx",
        "/%61dmin",
        "/%2561dmin",
        "/ADMIN/x",
        "//admin",
        "/admin;x=1/y",
        "/admin%2fx",
        "/admin%5cx",
        "/admin%20/x",
        "/admin./x",
        "/%2Fadmin",
    ] {
        assert_eq!(table.find(path).unwrap().unwrap().access(), Access::Session, "{path}");
    }
}

#[test]
fn only_paths_near_a_session_route_below_are_restricted() {
    let advised = RouteTable::parse(
        r#"[{"path":"/","upstream":"http://a"},
            {"path":"/public","upstream":"http://a","access":"anonymous"}]"#,
    )
    .unwrap();
    let risky = table();

    let access = |table: &RouteTable, path| table.find(path).map(|route| route.unwrap().access());

    assert_eq!(access(&advised, "/public/caf%E9"), Ok(Access::Anonymous));
    assert_eq!(access(&advised, "/PUBLIC"), Ok(Access::Session));
    assert_eq!(access(&risky, "/caf%C3%A9"), Ok(Access::Anonymous));
    assert_eq!(access(&risky, "/caf%E9"), Err(TargetError::Ambiguous));
    assert_eq!(access(&risky, "/admin/caf%E9"), Ok(Access::Session));
    assert_eq!(access(&risky, "/admin/Public/caf%E9"), Ok(Access::Anonymous));
}

#[test]
fn session_routes_below_an_anonymous_one_are_risky() {
    let risky = |json: &str| {
        let table = RouteTable::parse(json).unwrap();
        table.risky().map(|(above, below)| format!("{above} {below}")).collect::<Vec<_>>()
    };
    let row = |path: &str, access: &str| format!(r#"{{"path":"{path}","upstream":"http://a","access":"{access}"}}"#);
    let rows = |rows: &[(&str, &str)]| {
        format!("[{}]", rows.iter().map(|(path, access)| row(path, access)).collect::<Vec<_>>().join(","))
    };

    for (routes, expected) in [
        (rows(&[("/", "session"), ("/public", "anonymous")]), vec![]),
        (rows(&[("/", "anonymous")]), vec![]),
        (rows(&[("/public", "anonymous"), ("/admin", "session")]), vec![]),
        (rows(&[("/", "anonymous"), ("/admin", "session")]), vec!["/ /admin"]),
        (rows(&[("/", "anonymous"), ("/admin", "session"), ("/admin/x", "anonymous")]), vec!["/ /admin"]),
        (rows(&[("/App", "anonymous"), ("/app/admin", "session")]), vec!["/App /app/admin"]),
        (rows(&[("/index.php", "anonymous"), ("/admin", "session")]), vec!["/index.php /admin"]),
    ] {
        assert_eq!(risky(&routes), expected, "{routes}");
    }
}

#[test]
fn a_path_no_route_covers_finds_nothing() {
    let table = RouteTable::parse(r#"[{"path":"/app","upstream":"http://a"}]"#).unwrap();

    assert!(table.find("/other").unwrap().is_none());
}

#[test]
fn routes_to_one_url_share_the_upstream() {
    let table = table();

    let admin = table.find("/admin").unwrap().unwrap().upstream();

    assert!(Arc::ptr_eq(admin, table.find("/app").unwrap().unwrap().upstream()));
}

#[test]
fn a_single_upstream_covers_everything_with_a_session() {
    let table = RouteTable::single("http://app:81/base").unwrap();

    let route = table.find("/any/thing").unwrap().unwrap();

    assert_eq!((route.access(), route.upstream().name()), (Access::Session, "app:81"));
}

#[test]
fn streams_end_with_their_session_unless_the_route_says_otherwise() {
    let table = RouteTable::parse(
        r#"[{"path":"/","upstream":"http://a"},
            {"path":"/end","upstream":"http://a","streams":"end"},
            {"path":"/events","upstream":"http://a","streams":"outlive"}]"#,
    )
    .unwrap();

    let streams = |path: &str| table.find(path).unwrap().unwrap().streams();

    assert_eq!([streams("/"), streams("/end"), streams("/events")], [Streams::End, Streams::End, Streams::Outlive]);
}

#[test]
fn a_route_is_isolated_if_it_says_so() {
    let table = RouteTable::parse(
        r#"[{"path":"/","upstream":"http://a"},{"path":"/api","upstream":"http://a","isolate":true}]"#,
    )
    .unwrap();

    let is_isolated = |path: &str| table.isolates(path);

    assert_eq!([is_isolated("/x"), is_isolated("/api/x")], [false, true]);
    for spelling in ["/API/x", "/%61pi", "//api", "//x/api", "/api.json", "/index.php/api", "/%FF"] {
        assert!(is_isolated(spelling), "{spelling}");
    }
}

#[test]
fn forms_of_other_sites_pass_only_where_every_reading_of_the_path_allows_them() {
    let table = RouteTable::parse(
        r#"[{"path":"/","upstream":"http://a"},
            {"path":"/pay","upstream":"http://a","cross_site":"allow"},
            {"path":"/pay/admin","upstream":"http://a","cross_site":"refuse"},
            {"path":"/pay/Hook","upstream":"http://a","cross_site":"allow"},
            {"path":"/saml","upstream":"http://a","access":"session","cross_site":"allow"}]"#,
    )
    .unwrap();
    let allows = |path: &str| table.allows_cross_site(path, table.find(path).unwrap().unwrap());

    for path in ["/pay", "/pay/", "/pay/return", "/pay/Hook/1", "/saml/acs", "/pay/a%20b", "/pay//return", "/pay/hook"]
    {
        assert!(allows(path), "{path}");
    }
    for path in [
        "/",
        "/other",
        "/payment",
        "/PAY",
        "/pay/admin",
        "/pay/Admin",
        "/pay//admin",
        "/pay/%61dmin",
        "/pay/%2561dmin/x",
        "/pay/admin;x=1",
        "/pay%2fadmin",
        "/pay/admin%20/x",
        "/%70ay",
    ] {
        assert!(!allows(path), "{path}");
    }
    let single = RouteTable::single("http://a").unwrap();
    assert!(!single.allows_cross_site("/", single.find("/").unwrap().unwrap()));
}

#[test]
fn tables_with_a_mistake_are_refused() {
    for (json, why) in [
        ("", "no JSON"),
        ("{}", "no list"),
        ("[]", "no route"),
        (r#"[{"path":"/"}]"#, "no upstream"),
        (r#"[{"upstream":"http://a"}]"#, "no path"),
        (r#"[{"path":"/","upstream":"http://a","acess":"anonymous"}]"#, "an unknown member"),
        (r#"[{"path":"/","upstream":"http://a","access":"public"}]"#, "an unknown access"),
        (r#"[{"path":"/","upstream":"http://a","streams":"survive"}]"#, "an unknown end of streams"),
        (r#"[{"path":"/","upstream":"http://a","host":"app.example"}]"#, "an unknown host"),
        (r#"[{"path":"/","upstream":"http://a","token":"basic"}]"#, "an unknown token"),
        (r#"[{"path":"/","upstream":"http://a","token":{"header":"Host"}}]"#, "a header that has a meaning"),
        (r#"[{"path":"/","upstream":"http://a","assertion":""}]"#, "an empty audience"),
        (r#"[{"path":"/","upstream":"http://a","assertion":["a"]}]"#, "a list of audiences"),
        (r#"[{"path":"/","upstream":"http://a","access":"anonymous","assertion":true}]"#, "an assertion about nobody"),
        (r#"[{"path":"/public/*","upstream":"http://a"}]"#, "a pattern"),
        (r#"[{"path":"/public/**","upstream":"http://a"}]"#, "a pattern of Ant"),
        (r#"[{"path":"/public/.*","upstream":"http://a"}]"#, "a regular expression"),
        (r#"[{"path":"/","upstream":"http://a","isolate":"yes"}]"#, "an isolation that is no truth value"),
        (
            r#"[{"path":"/","upstream":"http://a","isolate":true,"cross_site":"allow"}]"#,
            "isolation against forms of other sites that are allowed",
        ),
        (
            r#"[{"path":"/","upstream":"http://a","access":"anonymous","cross_site":"allow"}]"#,
            "forms of other sites on a route that takes every request",
        ),
        (r#"[{"path":"/","upstream":"http://a","cross_site":"none"}]"#, "no way to treat other sites"),
        (r#"[{"path":"/","upstream":"http://a","cross_site":true}]"#, "a truth value"),
        (r#"[{"path":"app","upstream":"http://a"}]"#, "no leading slash"),
        (r#"[{"path":"/a//b","upstream":"http://a"}]"#, "an empty segment"),
        (r#"[{"path":"/a/../b","upstream":"http://a"}]"#, "a dot segment"),
        (r#"[{"path":"/a%20b","upstream":"http://a"}]"#, "an escape"),
        (r#"[{"path":"/a?b","upstream":"http://a"}]"#, "a query"),
        (r#"[{"path":"/a","upstream":"a"}]"#, "no URL"),
        (r#"[{"path":"/a","upstream":"http://a"},{"path":"/a/","upstream":"http://b"}]"#, "twice"),
    ] {
        assert!(RouteTable::parse(json).is_err(), "{why}");
    }
}
