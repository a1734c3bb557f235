use serde_json::{Map, json};

use super::*;
use crate::clock::Timestamp;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn requirement(json: Value) -> Requirement {
    Requirement::parse(&json, None).unwrap()
}

fn judge(require: Value, method: &str, claims: Value) -> Verdict {
    requirement(require).judge(Facts { method, claims: claims.as_object().unwrap(), now: NOW })
}

fn demand(acr_values: &[&str], max_age: Option<u64>) -> Verdict {
    let acr_values = acr_values.iter().map(|value| (*value).to_owned()).collect();
    Verdict::NeedsSignIn(Box::new(SignInDemand { acr_values, max_age, claims: None }))
}

#[test]
fn conditions_on_claims_meet_lists_and_text_alike() {
    let admins = json!({"claim": "groups", "equals": "admins"});
    let table = [
        (&admins, json!({"groups": ["staff", "admins"]}), true, "an element of a list"),
        (&admins, json!({"groups": "admins"}), true, "one value as text"),
        (&admins, json!({"groups": ["Admins"]}), false, "another case"),
        (&admins, json!({"groups": ["admins "]}), false, "a blank more"),
        (&admins, json!({"groups": "staff,admins"}), false, "a list within text"),
        (&admins, json!({"groups": [["admins"]]}), false, "a list within a list"),
        (&admins, json!({"groups": {"admins": true}}), false, "an object"),
        (&admins, json!({"groups": null}), false, "null"),
        (&admins, json!({}), false, "no claim"),
        (&json!({"claim": "level", "one_of": [3, 4]}), json!({"level": 4}), true, "a number"),
        (&json!({"claim": "level", "one_of": [3, 4]}), json!({"level": "4"}), true, "a number as text"),
        (
            &json!({"claim": "email_verified", "equals": true}),
            json!({"email_verified": "true"}),
            true,
            "a boolean as text",
        ),
        (
            &json!({"claim": "email_verified", "equals": true}),
            json!({"email_verified": false}),
            false,
            "the other boolean",
        ),
        (&json!({"claim": "employee", "present": true}), json!({"employee": 0}), true, "any number"),
        (&json!({"claim": "employee", "present": true}), json!({"employee": ""}), false, "empty text"),
        (&json!({"claim": "employee", "present": true}), json!({"employee": []}), false, "an empty list"),
        (&json!({"claim": "employee", "present": true}), json!({"employee": {}}), false, "an empty object"),
        (
            &json!({"claim": "/realm_access/roles", "equals": "a"}),
            json!({"realm_access": {"roles": ["a"]}}),
            true,
            "a pointer",
        ),
        (
            &json!({"claim": "/realm_access/roles", "equals": "a"}),
            json!({"realm_access": ["a"]}),
            false,
            "a pointer past the end",
        ),
        (
            &json!({"claim": "https://acme.example/role", "equals": "a"}),
            json!({"https://acme.example/role": "a"}),
            true,
            "a URL as name",
        ),
        (&json!({"claim": "/a~1b", "equals": "a"}), json!({"a/b": "a"}), true, "an escaped pointer"),
        (&json!({"scope": "b"}), json!({"scope": "a b c"}), true, "a scope of several"),
        (&json!({"scope": "b"}), json!({"scp": ["a", "b"]}), true, "a list of scopes"),
        (&json!({"scope": ["a", "b"]}), json!({"scp": "a"}), false, "one scope of two"),
        (&json!({"scope": "b"}), json!({"scope": "bb"}), false, "a longer scope"),
        (&json!({"tenant": "t1"}), json!({"tid": "t1"}), true, "the tenant"),
        (&json!({"tenant": ["t1", "t2"]}), json!({"tid": "t3"}), false, "another tenant"),
    ];
    for (require, claims, expected, reason) in table {
        let verdict = judge(require.clone(), "GET", claims);
        assert_eq!(verdict, if expected { Verdict::Met } else { Verdict::Unmet }, "{reason}");
    }
}

#[test]
fn conditions_combine() {
    let require = json!([
        {"claim": "tid", "equals": "t1"},
        {"any": [{"methods": ["GET", "HEAD"]}, {"claim": "roles", "one_of": ["editor", "owner"]}]},
    ]);
    let table = [
        ("GET", json!({"tid": "t1"}), Verdict::Met),
        ("POST", json!({"tid": "t1"}), Verdict::Unmet),
        ("POST", json!({"tid": "t1", "roles": "owner"}), Verdict::Met),
        ("get", json!({"tid": "t1"}), Verdict::Unmet),
        ("GET", json!({"tid": "t2", "roles": ["owner"]}), Verdict::Unmet),
    ];
    for (method, claims, expected) in table {
        assert_eq!(judge(require.clone(), method, claims.clone()), expected, "{method} {claims}");
    }
}

#[test]
fn a_strong_or_recent_sign_in_is_demanded_only_where_it_would_help() {
    let strong = json!({"acr": ["gold", "silver"]});
    let recent = json!({"max_age": "15min"});
    let at = |seconds_ago: i64| json!({"auth_time": NOW.as_unix() - seconds_ago, "acr": "bronze"});
    let table = [
        (strong.clone(), json!({"acr": "silver"}), Verdict::Met, "strong enough"),
        (strong.clone(), json!({}), demand(&["gold", "silver"], None), "the Provider did not say"),
        (recent.clone(), at(900), Verdict::Met, "just recent enough"),
        (recent.clone(), at(961), demand(&[], Some(900)), "too old"),
        (recent.clone(), at(-61), demand(&[], Some(900)), "from the future"),
        (recent.clone(), json!({}), demand(&[], Some(900)), "no auth_time"),
        (recent.clone(), json!({"auth_time": NOW.as_unix().to_string()}), Verdict::Met, "a time as text"),
        (recent.clone(), json!({"auth_time": 1_800_000_000.5}), Verdict::Met, "a time with a fraction"),
        (recent.clone(), json!({"auth_time": "now"}), demand(&[], Some(900)), "a time in words"),
        (json!([strong, recent]), at(961), demand(&["gold", "silver"], Some(900)), "both"),
        (
            json!([{"claim": "groups", "equals": "a"}, strong]),
            json!({}),
            Verdict::Unmet,
            "a group that no sign-in gives",
        ),
        (
            json!({"any": [{"claim": "groups", "equals": "a"}, strong]}),
            json!({"groups": "a"}),
            Verdict::Met,
            "met without",
        ),
        (json!({"any": [strong, recent]}), json!({}), demand(&["gold", "silver"], None), "the first of two"),
        (json!([recent, {"max_age": "1min"}]), at(961), demand(&[], Some(60)), "the shorter of two"),
    ];
    for (require, claims, expected, reason) in table {
        assert_eq!(judge(require, "GET", claims), expected, "{reason}");
    }
}

#[test]
fn the_first_failure_is_reported_in_words() {
    let table = [
        (json!({"claim": "groups", "one_of": ["a", "b"]}), "groups is a or b"),
        (json!({"claim": "/realm_access/roles", "present": true}), "/realm_access/roles is present"),
        (json!({"scope": ["x", "y"]}), "scope has x and y"),
        (json!({"methods": ["PUT", "POST"]}), "the method is PUT or POST"),
        (json!({"acr": "gold"}), "acr is gold"),
        (json!({"max_age": "15min"}), "the sign-in is not older than 15m"),
        (json!([{"methods": "GET"}, {"tenant": "t"}]), "tid is t"),
        (
            json!({"any": [{"methods": "PUT"}, [{"acr": "1"}, {"acr": "2"}]]}),
            "(the method is PUT or (acr is 1 and acr is 2))",
        ),
    ];
    for (require, expected) in table {
        let facts = Facts { method: "GET", claims: &Map::new(), now: NOW };
        assert_eq!(requirement(require).first_failure(facts).as_deref(), Some(expected));
    }
    assert_eq!(
        requirement(json!({"methods": "GET"})).first_failure(Facts { method: "GET", claims: &Map::new(), now: NOW }),
        None
    );
}

#[test]
fn a_name_that_may_be_meant_as_a_path_is_noticed() {
    let require = requirement(json!([
        {"claim": "realm_access.roles", "equals": "a"},
        {"any": [{"claim": "cognito.level", "present": true}, {"claim": "/realm_access/roles.x", "equals": "a"}]},
        {"claim": "/employee.id", "present": true},
        {"claim": "https://acme.example/role", "equals": "a"},
        {"claim": "urn:acme.example:role", "equals": "a"},
        {"claim": "groups", "equals": "a.b"},
    ]));

    assert_eq!(require.dotted_claims(), ["realm_access.roles", "cognito.level"]);
}

#[test]
fn the_whole_rule_is_told_in_words() {
    let require = requirement(json!([
        {"claim": "/realm_access/roles", "equals": "admins"},
        {"any": [{"methods": "GET"}, {"max_age": "5min"}]},
    ]));

    assert_eq!(
        require.to_string(),
        "/realm_access/roles is admins and (the method is GET or the sign-in is not older than 5m)"
    );
    assert_eq!(requirement(json!({"tenant": "t"})).to_string(), "tid is t");
}

#[test]
fn the_claims_that_are_read_are_named() {
    let require = requirement(
        json!([{"claim": "/realm_access/roles", "equals": "a"}, {"any": [{"acr": "1"}, {"max_age": "1h"}, {"tenant": "t"}]}]),
    );

    assert_eq!(require.claims().collect::<Vec<_>>(), ["realm_access", "acr", "auth_time", "tid"]);
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    let table = [
        (json!("admins"), "require: a condition is an object"),
        (json!({}), "require: a condition has exactly one of"),
        (json!({"clam": "groups"}), "require: \"clam\" is no condition"),
        (json!({"claim": "groups"}), "require: a claim has exactly one of equals, one_of, present"),
        (json!({"claim": "groups", "equals": "a", "one_of": ["b"]}), "require: a claim has exactly one of"),
        (json!({"claim": "groups", "equal": "a"}), "require: \"equal\" is no member"),
        (json!({"claim": "", "equals": "a"}), "require: expected the name of a claim"),
        (json!({"claim": 1, "equals": "a"}), "require: expected the name of a claim"),
        (json!({"claim": "/", "equals": "a"}), "require: \"/\" points to no claim"),
        (json!({"claim": "groups", "equals": ""}), "require.equals: expected text"),
        (json!({"claim": "groups", "equals": null}), "require.equals: expected text"),
        (json!({"claim": "groups", "equals": ["a"]}), "require.equals: expected text"),
        (json!({"claim": "groups", "one_of": []}), "require.one_of: expected a list"),
        (json!({"claim": "groups", "one_of": "a"}), "require.one_of: expected a list"),
        (json!({"claim": "groups", "one_of": [{}]}), "require.one_of[0]: expected text"),
        (json!({"claim": "groups", "present": false}), "require.present: expected true"),
        (json!({"equals": "a"}), "require: equals needs a claim"),
        (json!({"all": []}), "require.all: expected a list"),
        (json!({"any": {"claim": "a", "present": true}}), "require.any: expected a list"),
        (json!([]), "require: expected a list"),
        (json!({"all": [{"acr": "1"}], "any": [{"acr": "1"}]}), "require: a condition has exactly one of"),
        (json!({"methods": ["get"]}), "require.methods: \"get\" is no method"),
        (json!({"methods": []}), "require.methods: expected text"),
        (json!({"methods": ["G T"]}), "require.methods: \"G T\" is no method"),
        (json!([{"methods": ["GET"]}, {"methods": ["POST"]}]), "require: two lists of methods have none in common"),
        (json!({"all": [{"methods": ["GET"]}, {"methods": "PUT"}]}), "require.all: two lists of methods"),
        (json!({"tenant": ""}), "require.tenant: expected text"),
        (json!({"scope": "a b"}), "require.scope: \"a b\" holds a blank"),
        (json!({"acr": "a b"}), "require.acr: \"a b\" holds a blank"),
        (json!({"acr": [1]}), "require.acr: expected text"),
        (json!({"max_age": 900}), "require.max_age: expected a time"),
        (json!({"max_age": "0s"}), "require.max_age: expected a time"),
        (json!({"max_age": "soon"}), "require.max_age: expected a time"),
        (json!({"any": [{"all": [{"any": [{"all": [{"any": [{"acr": "1"}]}]}]}]}]}), "conditions nest deeper than 4"),
    ];
    for (json, expected) in table {
        let error = Requirement::parse(&json, None).unwrap_err().to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let json =
        json!({"any": [{"clam": 1}, {"methods": ["get"]}, {"all": [{"claim": "a", "equals": ""}, {"max_age": 1}]}]});

    let RequirementError(mistakes) = Requirement::parse(&json, None).unwrap_err();

    let places: Vec<&str> = mistakes.iter().filter_map(|mistake| Some(mistake.split_once(": ")?.0)).collect();
    assert_eq!(
        places,
        ["require.any[0]", "require.any[1].methods", "require.any[2].all[0].equals", "require.any[2].all[1].max_age"],
    );
}
