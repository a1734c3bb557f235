//! Setting of the routes: `ROUTES`, or `UPSTREAM_URL` alone for a single route.

use super::reader::{Reader, Setting};
use crate::oidc::TargetGrants;
use crate::proxy::{RouteError, RouteTable, Upstream, UpstreamHost};

const UPSTREAM_URL: Setting = Setting {
    name: "UPSTREAM_URL",
    expected: "the absolute http or https URL of the application",
    example: "https://app.internal",
};
const ROUTES: Setting = Setting {
    name: "ROUTES",
    expected: "a JSON list of {path, upstream, access, streams, host, token, isolate, cross_site, headers, assertion, require, explain, step_up_challenges}, and then no UPSTREAM_URL",
    example: r#"[{"path":"/","upstream":"https://app.internal"},{"path":"/public","upstream":"https://app.internal","access":"anonymous"}]"#,
};

const UPSTREAM_HOST: Setting = Setting {
    name: "UPSTREAM_HOST",
    expected: "the authority that upstreams see in Host: public (that of PUBLIC_BASE_URL) or upstream (their own)",
    example: "public",
};

pub(super) fn read(reader: &mut Reader<'_>, warnings: &mut Vec<&'static str>) -> Option<RouteTable> {
    let host = reader.parse_or(UPSTREAM_HOST, None, |text| UpstreamHost::parse(text).map(Some));
    let table = read_table(reader, warnings)?;
    Some(table.with_host(host?))
}

fn read_table(reader: &mut Reader<'_>, warnings: &mut Vec<&'static str>) -> Option<RouteTable> {
    let table = match (reader.optional(ROUTES), reader.optional(UPSTREAM_URL)) {
        (Some(_), Some(_)) => {
            reader.mistake(ROUTES, "UPSTREAM_URL is set too".to_owned());
            return None;
        }
        (Some(json), None) => RouteTable::parse(json)
            .map_err(|errors| errors.iter().for_each(|error| reader.mistake(ROUTES, problem(error))))
            .ok()?,
        (None, _) => RouteTable::single(reader.required(UPSTREAM_URL)?)
            .map_err(|error| reader.mistake(UPSTREAM_URL, error.to_string()))
            .ok()?,
    };
    warnings.extend(table.risky().map(risky_order));
    warnings.extend(table.dotted_claims().map(|(route, claim)| &*dotted_claim(route.path(), claim).leak()));
    warnings.extend(table.upstreams().filter(|upstream| upstream.is_open_to_the_network()).map(plain_http));
    Some(table)
}

/// Reports every route whose token the Provider cannot issue.
pub(super) fn check_targets(reader: &mut Reader<'_>, routes: &RouteTable, profile: &str, grants: TargetGrants) {
    let members = [("resource", grants.resource), ("audience", grants.audience), ("scope", grants.scope)];
    let known: Vec<&str> = members.iter().filter_map(|(name, grant)| grant.and(Some(*name))).collect();
    for (route, target) in routes.token_targets().filter(|(_, target)| grants.of(target).is_none()) {
        let path = route.path();
        let remedy = match known.as_slice() {
            [] => "has no way to a token for another target than the sign-in's".to_owned(),
            known => format!("names a target by {}", known.join(" or ")),
        };
        reader.mistake(
            ROUTES,
            format!("the route {path:?} asks for a token with {target}, and PROVIDER={profile} {remedy}"),
        );
    }
}

/// Warning about two routes in a risky order. Leaked once at start-up.
fn risky_order((anonymous, session): (&str, &str)) -> &'static str {
    let warning = format!(
        "the route {session:?} needs a session below the anonymous route {anonymous:?}: a spelling of it that only the \
         upstream understands would be anonymous. Let {anonymous:?} need the session and list what is public (ROUTES)"
    );
    warning.leak()
}

/// Warning about a route that no request reaches. Leaked once at start-up.
pub(super) fn hidden(path: &str, prefix: &str) -> &'static str {
    let warning = format!(
        "the route {path:?} is never reached: everything below AUTH_PREFIX ({prefix}) is the service's own. Set another \
         AUTH_PREFIX, or leave the route out"
    );
    warning.leak()
}

/// Note about a rule that may mean a claim within another one.
#[must_use]
pub fn dotted_claim(path: &str, claim: &str) -> String {
    let pointer = claim.replace('.', "/");
    format!(
        "the rule of the route {path:?} reads a claim named {claim:?}: a claim within another one is written \
         \"/{pointer}\", one whose own name has the dot \"/{claim}\" (ROUTES)"
    )
}

fn plain_http(upstream: &Upstream) -> &'static str {
    let name = upstream.name();
    format!("tokens and bodies reach the upstream {name} over plain http, readable for the network between: use https")
        .leak()
}

fn problem(error: &RouteError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(" ({source})"));
    format!("{error}{}", source.unwrap_or_default())
}
