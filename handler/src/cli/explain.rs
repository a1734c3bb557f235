//! `explain`: the route and the rules that decide about a request, and the headers that the upstream would get.
//!
//! Reads the configuration alone: no store, no provider, no upstream is asked.

use std::fs;

use actix_web::http::Method;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::config::{Configuration, dotted_claim};
use crate::endpoints::Destination;
use crate::oidc::{Claims, TargetGrant, TargetGrants};
use crate::proxy::{
    ASSERTION_HEADER, Access, Facts, RequestTarget, Route, SignInDemand, TargetError, TokenPlacement, Verdict,
    identity_headers, is_forwarded, with_claim_headers,
};
use crate::token_target::TokenTarget;

/// A request that somebody asks about.
pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    /// A file with the person's claims, as `me` responds.
    pub(super) claims: Option<&'a str>,
}

/// The lines that explain what happens to a request.
pub(super) fn explain(
    question: &Question<'_>,
    configuration: &Configuration,
    now: Timestamp,
) -> Result<Vec<String>, String> {
    let method = Method::from_bytes(question.method.as_bytes());
    let is_forwarded = method.as_ref().map_or(true, is_forwarded);
    let unforwarded = || format!("refused   400 bad_request: the method {} is never forwarded", question.method);
    let target = match RequestTarget::parse(question.target) {
        Ok(target) => target,
        Err(_) if !is_forwarded => return Ok(vec![unforwarded()]),
        Err(error) => return Ok(vec![refused(&error)]),
    };
    let claims = question.claims.map(read_claims).transpose()?;
    let claims = claims.as_ref().map(Claims::as_map);
    let route = match Destination::of(target.path(), &configuration.auth_prefix, &configuration.routes) {
        Destination::Endpoint(endpoint) => return Ok(vec![format!("own URL   {}", endpoint.names[0])]),
        Destination::Nothing => return Ok(vec!["refused   404 route_not_found: no route covers the path".to_owned()]),
        Destination::Refused(error) => return Ok(vec![refused(&error)]),
        Destination::Proxy(route) => route,
    };
    let mut lines =
        vec![format!("route     {} ({}) to {}", route.path(), access(route.access()), route.upstream().url())];
    if !is_forwarded {
        lines.push(unforwarded());
        return Ok(lines);
    }
    if let Some(target) = route.token_target() {
        let grants = configuration.provider.dialect.target_grants;
        lines.push(format!("token     of its own: {}", target_way(target, grants)));
    }
    if route.follows_step_up_challenges() {
        lines.push("follows   the application's step-up challenges".to_owned());
    }
    if route.access() == Access::Anonymous {
        lines.push("passes    without a person".to_owned());
        return Ok(lines);
    }
    if let Some(clients) = clients(route.access()) {
        lines.push(clients.to_owned());
    }
    let facts = claims.map(|claims| Facts { method: question.method, claims, now });
    match rules(&mut lines, target.path(), configuration, facts) {
        Ok(verdict) => lines.extend(result(&verdict, claims, route, configuration)),
        Err(error) => lines.push(refused(&error)),
    }
    Ok(lines)
}

fn refused(error: &TargetError) -> String {
    format!("refused   400 {}: {error}", error.code())
}

/// Result for a person or client with these claims, with the headers of one who passes.
fn result(
    verdict: &Verdict,
    claims: Option<&Map<String, Value>>,
    route: &Route,
    configuration: &Configuration,
) -> Vec<String> {
    let Some(claims) = claims else { return vec![without_claims(route.access()).to_owned()] };
    let mut lines = vec![outcome(verdict, route.access())];
    if *verdict == Verdict::Met {
        lines.extend(headers(configuration, route, claims));
    }
    lines
}

/// A line for every rule, and the verdict of all. Without claims the whole rules, of which none is tried.
fn rules(
    lines: &mut Vec<String>,
    path: &str,
    configuration: &Configuration,
    facts: Option<Facts<'_>>,
) -> Result<Verdict, TargetError> {
    let mut verdict = Verdict::Met;
    for (ruled, requirement) in configuration.routes.requirements(path)? {
        let path = ruled.path();
        lines.push(match facts.map(|facts| requirement.first_failure(facts)) {
            None => format!("rule      of {path}: {requirement}"),
            Some(None) => format!("rule      of {path}: met"),
            Some(Some(condition)) => format!("rule      of {path}: not met: {condition}"),
        });
        let dotted = requirement.dotted_claims().into_iter();
        lines.extend(dotted.map(|claim| format!("note      {}", dotted_claim(path, claim))));
        if let Some(facts) = facts {
            verdict = verdict.and(requirement.judge(facts));
        }
    }
    Ok(verdict)
}

fn outcome(verdict: &Verdict, access: Access) -> String {
    match (verdict, access) {
        (Verdict::Met, _) => "passes    with these headers".to_owned(),
        // RFC 9470 3: a client obtains such a token itself.
        (Verdict::NeedsSignIn(demand), Access::Bearer) => {
            format!("refused   401 step_up_required: the client needs a token with {}", parameters(demand))
        }
        (Verdict::NeedsSignIn(demand), _) => format!("sign-in   once more, with {}", parameters(demand)),
        (Verdict::Unmet, _) => "refused   403 access_denied".to_owned(),
    }
}

/// The headers of a person; on a route for API clients alone those of a client, whose token passes as it came.
fn headers(configuration: &Configuration, route: &Route, claims: &Map<String, Value>) -> Vec<String> {
    let preset = &configuration.header_preset;
    let headers = if route.access() == Access::Bearer {
        identity_headers(preset, &TokenPlacement::Bearer, claims, None, "<the client's access token>")
    } else {
        let access_token = route
            .token_target()
            .map_or_else(|| "<access token>".to_owned(), |target| format!("<access token of its own, {target}>"));
        identity_headers(preset, route.token(), claims, Some("<ID token>"), &access_token)
    };
    let headers = with_claim_headers(headers, claims, route.headers(), &configuration.claim_headers);
    let assertion = configuration.assertions.as_ref().and_then(|_| {
        let audience = route.assertion_audience(configuration.public_origin.as_str())?;
        Some(format!("          {ASSERTION_HEADER}: <a signed assertion for {audience}>"))
    });
    let line = |(name, value): (hyper::header::HeaderName, hyper::header::HeaderValue)| {
        format!("          {name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    headers.into_iter().map(line).chain(assertion).collect()
}

/// Words for a token of a route's own and the request that brings it.
pub(super) fn target_way(target: &TokenTarget, grants: TargetGrants) -> String {
    match grants.of(target).expect("a target that the provider has no way to is a mistake at start") {
        TargetGrant::TokenExchange => format!("{target}, by an exchange of the sign-in's token"),
        TargetGrant::Refresh => format!("{target}, by the refresh token"),
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Session => "session",
        Access::Anonymous => "anonymous",
        Access::Bearer => "bearer",
        Access::SessionOrBearer => "session_or_bearer",
    }
}

fn clients(access: Access) -> Option<&'static str> {
    match access {
        Access::Session | Access::Anonymous => None,
        Access::Bearer => Some("clients   by an access token alone: no session, no cookie, no page to sign in"),
        Access::SessionOrBearer => {
            Some("clients   by an access token, which passes as it came, without an ID token; the rules are the same")
        }
    }
}

fn without_claims(access: Access) -> &'static str {
    match access {
        Access::Session => {
            "sign-in   a navigation is redirected, a script gets 401; with --claims FILE the rules are tried"
        }
        Access::Anonymous => "passes    without a person",
        Access::Bearer => {
            "refused   401 bearer_required without an access token; with --claims FILE the rules are tried"
        }
        Access::SessionOrBearer => {
            "sign-in   a navigation is redirected, others need an access token; with --claims FILE the rules are tried"
        }
    }
}

fn parameters(demand: &SignInDemand) -> String {
    let acr = (!demand.acr_values.is_empty()).then(|| format!("acr_values={}", demand.acr_values.join(" ")));
    let max_age = demand.max_age.map(|seconds| format!("max_age={seconds}"));
    acr.into_iter().chain(max_age).collect::<Vec<_>>().join(" and ")
}

/// The claims that rules and headers see: as for a request, an unverified address is absent.
fn read_claims(path: &str) -> Result<Claims, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"))?;
    let claims: Claims = serde_json::from_str(&text)
        .map_err(|error| format!("the file {path:?} is no JSON object of claims: {error}"))?;
    Ok(claims.without_unverified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn explained(method: &str, target: &str, claims: Option<&Value>) -> String {
        let routes = r#"[
            {"path": "/", "upstream": "http://app.internal"},
            {"path": "/followed", "upstream": "http://app.internal", "step_up_challenges": "follow"},
            {"path": "/public", "upstream": "http://app.internal", "access": "anonymous"},
            {"path": "/orders", "upstream": "http://orders.internal", "token": {"resource": "https://orders.example"}},
            {"path": "/stock", "upstream": "http://stock.internal", "token": {"audience": "stock", "header": "X-T"}},
            {"path": "/api", "upstream": "http://api.internal", "access": "bearer", "require": {"max_age": "5min"}},
            {"path": "/both", "upstream": "http://api.internal", "access": "session_or_bearer"},
            {"path": "/ruled", "upstream": "http://app.internal"},
            {"path": "/ruled/strictly", "upstream": "http://app.internal", "require": {"claim": "sub", "present": true}},
            {"path": "/dotted", "upstream": "http://app.internal",
             "require": {"claim": "realm_access.roles", "equals": "admins"}},
            {"path": "/mail", "upstream": "http://app.internal",
             "require": {"claim": "email", "equals": "boss@example.com"}},
            {"path": "/admin", "upstream": "http://app.internal", "require": [
                {"claim": "groups", "equals": "admins"}, {"any": [{"methods": "GET"}, {"max_age": "5min"}]}
            ]}
        ]"#;
        let configuration = Configuration::read(&Environment::from([
            ("PUBLIC_BASE_URL", "https://app.example"),
            ("ROUTES", routes),
            ("OIDC_ISSUER_URL", "https://op.example"),
            ("CLIENT_ID", "app"),
            ("HEADER_PRESET", "oauth2-proxy"),
            ("API_ISSUERS", r#"[{"issuer": "https://op.example", "audience": "api"}]"#),
            ("HEADERS", r#"[{"name": "X-Mail", "claim": "email"}, {"name": "X-Forwarded-Email", "claim": "upn"}]"#),
        ]))
        .unwrap();
        let file = claims.map(|claims| {
            let path = std::env::temp_dir().join(format!("oauth-proxy-claims-{}.json", crate::random::guid_pair()));
            fs::write(&path, claims.to_string()).unwrap();
            path
        });
        let path = file.as_ref().map(|path| path.to_str().unwrap());
        let lines = explain(&Question { method, target, claims: path }, &configuration, NOW).unwrap();
        if let Some(file) = file {
            fs::remove_file(file).unwrap();
        }
        lines.join("\n")
    }

    #[test]
    fn the_deciding_route_and_rule_are_reported() {
        let ada = serde_json::json!({"sub": "ada", "groups": ["admins"]});
        let bob = serde_json::json!({"sub": "bob"});
        let eve = serde_json::json!({"sub": "eve", "email": "eve@example.com", "upn": "eve"});
        let unverified = serde_json::json!({"sub": "mallory", "email": "boss@example.com", "email_verified": false});
        let client = serde_json::json!({"sub": "job", "auth_time": NOW.as_unix()});
        let table: [(&str, &str, Option<&Value>, &[&str]); 25] = [
            ("CONNECT", "app.example:443", None, &["refused   400 bad_request: the method CONNECT is never forwarded"]),
            ("TRACE", "/x", None, &["route     / (session)", "refused   400 bad_request: the method TRACE is never"]),
            ("CONNECT", "/public", Some(&bob), &["refused   400 bad_request: the method CONNECT is never forwarded"]),
            (
                "GET",
                "/api",
                None,
                &[
                    "clients   by an access token alone",
                    "rule      of /api: the sign-in is not older than 5m",
                    "refused   401 bearer_required",
                ],
            ),
            (
                "GET",
                "/api",
                Some(&client),
                &[
                    "rule      of /api: met",
                    "passes    with these headers",
                    "authorization: Bearer <the client's access token>",
                ],
            ),
            ("GET", "/api", Some(&bob), &["refused   401 step_up_required: the client needs a token with max_age=300"]),
            (
                "GET",
                "/both",
                Some(&bob),
                &["clients   by an access token, which", "authorization: Bearer <access token>"],
            ),
            (
                "GET",
                "/admin",
                None,
                &["rule      of /admin: groups is admins and (the method is GET or", "sign-in   a navigation is"],
            ),
            (
                "GET",
                "/dotted",
                None,
                &[
                    "rule      of /dotted: realm_access.roles is admins",
                    "note      the rule of the route \"/dotted\" reads a claim named \"realm_access.roles\"",
                    "\"/realm_access/roles\", one whose own name has the dot \"/realm_access.roles\"",
                ],
            ),
            ("GET", "/dotted", Some(&bob), &["not met: realm_access.roles is admins", "note      the rule"]),
            (
                "GET",
                "/x",
                Some(&eve),
                &["x-mail: eve@example.com", "x-forwarded-email: eve\n", "x-forwarded-user: eve"],
            ),
            ("GET", "/mail", Some(&unverified), &["not met: email is boss@example.com", "refused   403 access_denied"]),
            ("GET", "/followed", None, &["follows   the application's step-up challenges"]),
            ("GET", "/public/x", None, &["route     /public (anonymous)", "passes    without a person"]),
            (
                "GET",
                "/x",
                None,
                &["route     / (session) to http://app.internal/", "sign-in   a navigation is redirected"],
            ),
            ("GET", "/x", Some(&bob), &["passes    with these headers", "x-forwarded-user: bob"]),
            ("GET", "/admin", Some(&ada), &["rule      of /admin: met", "x-forwarded-groups: admins"]),
            ("GET", "/admin", Some(&bob), &["of /admin: not met: groups is admins", "refused   403 access_denied"]),
            ("PUT", "/admin", Some(&ada), &["not older than 5m", "sign-in   once more, with max_age=300"]),
            ("GET", "/ADMIN", Some(&bob), &["route     / (session)", "of /admin: not met", "403 access_denied"]),
            (
                "GET",
                "/orders",
                Some(&bob),
                &[
                    "token     of its own: resource=https://orders.example, by the refresh token",
                    "authorization: Bearer <access token of its own, resource=https://orders.example>",
                ],
            ),
            (
                "GET",
                "/stock",
                Some(&bob),
                &[
                    "audience=stock, by an exchange of the sign-in's token",
                    "x-t: <access token of its own, audience=stock>",
                ],
            ),
            ("GET", "/oauth/me", None, &["own URL   me"]),
            ("GET", "/ruled/%ff", Some(&bob), &["route     /ruled (session)", "refused   400 target_ambiguous"]),
            ("GET", "/a/../b", None, &["refused   400 target_dot_segment"]),
        ];
        for (method, target, claims, expected) in table {
            let text = explained(method, target, claims);
            for part in expected {
                assert!(text.contains(part), "{method} {target}: {part:?} in {text}");
            }
        }
    }

    #[test]
    fn claims_that_cannot_be_read_are_reported() {
        assert!(read_claims("/no/such/file").unwrap_err().contains("cannot be read"));
        assert!(
            read_claims(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap_err().contains("no JSON object")
        );
    }
}
