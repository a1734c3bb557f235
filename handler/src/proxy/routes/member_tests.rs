//! Route members `host` and `token`.

use super::*;
use crate::proxy::TokenPlacement;

#[test]
fn a_routes_host_is_its_own_the_settings_or_that_of_its_upstreams_platform() {
    let json = r#"[{"path":"/","upstream":"http://a"},
        {"path":"/azure","upstream":"https://a.azurewebsites.net"},
        {"path":"/public","upstream":"https://a.azurewebsites.net","host":"public"},
        {"path":"/own","upstream":"http://a","host":"upstream"}]"#;
    let (public, own) = (UpstreamHost::Public, UpstreamHost::Own);
    for (setting, expected) in [
        (None, [public, own, public, own]),
        (Some(public), [public, public, public, own]),
        (Some(own), [own, own, public, own]),
    ] {
        let table = RouteTable::parse(json).unwrap().with_host(setting);

        let hosts = ["/", "/azure", "/public", "/own"].map(|path| table.find(path).unwrap().unwrap().host());

        assert_eq!(hosts, expected, "{setting:?}");
    }
}

#[test]
fn every_host_of_an_upstream_is_listed_once() {
    let table = RouteTable::parse(
        r#"[{"path":"/","upstream":"http://a"},{"path":"/x","upstream":"http://a"},
            {"path":"/own","upstream":"http://a","host":"upstream"},{"path":"/b","upstream":"http://b"}]"#,
    )
    .unwrap();

    let mut listed: Vec<_> = table
        .first_by_upstream_and_host()
        .map(|route| (route.upstream().name().to_owned(), route.host().as_str()))
        .collect();
    listed.sort();

    assert_eq!(listed, [("a", "public"), ("a", "upstream"), ("b", "public")].map(|(a, b)| (a.to_owned(), b)));
}

#[test]
fn a_token_has_its_place_and_no_client_any_of_them() {
    let table = RouteTable::parse(
        r#"[{"path":"/","upstream":"http://a"},{"path":"/none","upstream":"http://a","token":"none"},
            {"path":"/own","upstream":"http://a","token":{"header":"X-Access-Token"}}]"#,
    )
    .unwrap();

    let token = |path: &str| table.find(path).unwrap().unwrap().token().clone();

    assert_eq!((token("/"), token("/none")), (TokenPlacement::Bearer, TokenPlacement::None));
    assert_eq!(token("/own").header().unwrap(), "x-access-token");
    assert_eq!(table.identity_header_names().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-access-token"]);
}

#[test]
fn no_rule_is_lost_by_a_null_or_a_repeated_member() {
    let row = |members: &str| format!(r#"[{{"path":"/","upstream":"http://a",{members}}}]"#);
    for (members, expected) in [
        (r#""require":null"#, "a condition is an object"),
        (r#""require":{"scope":"a"},"require":{"scope":"b"}"#, "is repeated"),
        (r#""require":{"scope":"a","scope":"b"}"#, "is repeated"),
        (r#""require":{"any":[{"claim":"a","equals":"x","equals":"y"}]}"#, "is repeated"),
        (r#""access":"session","access":"anonymous""#, "is repeated"),
    ] {
        let mistakes = RouteTable::parse(&row(members)).unwrap_err();

        assert!(format!("{mistakes:?}").contains(expected), "{members}: {mistakes:?}");
    }
}
