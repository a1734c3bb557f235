//! Cost of a route's rule over ten claims, and of three headers made of claims: what they add to a request.
//!
//! Prints nanoseconds of CPU a request, the median of nine rounds. `scripts/bench` runs it in the release build.

#![allow(clippy::unwrap_used, reason = "a benchmark has no caller to tell")]

use std::hint::black_box;

use oauth_proxy::clock::Timestamp;
use oauth_proxy::proxy::{ClaimHeaders, Facts, RouteTable, Verdict};
use serde_json::{Map, Value, json};

/// The handler's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;
const REQUESTS: u32 = 200_000;

fn main() {
    let routes = routes();
    let headers = ClaimHeaders::parse(&json!([
        {"name": "X-Remote-User", "claim": "preferred_username"},
        {"name": "X-Roles", "claim": "roles", "format": "list"},
        {"name": "X-Address", "claim": "address", "format": "json"},
    ]))
    .unwrap();
    let claims = claims();
    assert_eq!(request(&routes, &headers, &claims), 3, "every condition is evaluated, and every header is made");

    let mut nanoseconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = cpu_nanoseconds();
            for _ in 0..REQUESTS {
                black_box(request(black_box(&routes), black_box(&headers), black_box(&claims)));
            }
            (cpu_nanoseconds() - start) / f64::from(REQUESTS)
        })
        .collect();
    nanoseconds.sort_by(f64::total_cmp);
    println!("{:.0}", nanoseconds[ROUNDS / 2]);
}

/// Time that this process has run, by the kernel's count: whatever else runs on the machine takes none of it.
fn cpu_nanoseconds() -> f64 {
    let counts = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    counts.split(' ').next().unwrap().parse().unwrap()
}

/// Work of a request with a session for its rule and its headers. Returns the number of headers.
fn request(routes: &RouteTable, headers: &ClaimHeaders, claims: &Map<String, Value>) -> usize {
    let facts = Facts { method: "GET", claims, now: Timestamp::from_unix(1_800_000_000) };
    let is_met = routes.requirements("/app/orders/17").unwrap().all(|(_, rule)| rule.judge(facts) == Verdict::Met);
    let made: Vec<_> = headers.of(claims).collect();
    if is_met { black_box(made).len() } else { 0 }
}

/// A rule with a condition on each of ten claims, all of which must hold.
fn routes() -> RouteTable {
    let require = json!([
        {"claim": "groups", "equals": "group-19"},
        {"claim": "roles", "one_of": ["reader", "owner"]},
        {"claim": "department", "equals": "it"},
        {"claim": "employee_id", "present": true},
        {"claim": "/realm_access/roles", "equals": "admin"},
        {"claim": "country", "one_of": ["DE", "AT", "CH"]},
        {"scope": ["orders.read", "orders.write"]},
        {"tenant": "6f1d8e0a-7f5b-4b3e-9c58-0a1c5b8e6f42"},
        {"acr": ["phr", "mfa"]},
        {"max_age": "10min"},
    ]);
    let table = json!([
        {"path": "/", "upstream": "https://app.internal"},
        {"path": "/app", "upstream": "https://app.internal", "require": require},
    ]);
    RouteTable::parse(&table.to_string()).unwrap()
}

fn claims() -> Map<String, Value> {
    let groups: Vec<String> = (0..20).map(|number| format!("group-{number}")).collect();
    let claims = json!({
        "sub": "ada",
        "groups": groups,
        "roles": ["writer", "auditor", "owner"],
        "department": "it",
        "employee_id": 4711,
        "realm_access": {"roles": ["default", "offline_access", "admin"]},
        "country": "CH",
        "scope": "openid profile orders.read orders.write",
        "tid": "6f1d8e0a-7f5b-4b3e-9c58-0a1c5b8e6f42",
        "acr": "mfa",
        "auth_time": 1_799_999_900,
        "preferred_username": "ada@example.com",
        "address": {"locality": "Zürich", "country": "CH"},
    });
    claims.as_object().unwrap().clone()
}
