//! Races that a schedule ran into, so that a test can show that each was met.

use std::time::Duration;

use super::plan::LAPSE;
use super::schedule::{End, Evidence, MAIN, OTHER, Response};
use crate::sessions::SignInError;
use crate::testing::virtual_provider::{Illness, RefreshCall, TokenExchange};
use crate::testing::virtual_store::CallOutcome;

/// Names of the races in one schedule.
pub(super) fn met(evidence: &Evidence) -> Vec<String> {
    let mut met = Vec::new();
    let mut see = |name: &str, is_met: bool| {
        if is_met {
            met.push(name.to_owned());
        }
    };
    let calls = evidence.provider.refresh_calls();
    let in_flight = Duration::from_secs(3);
    let written = evidence.store.generations(&evidence.main.id.key());
    let ahead = &evidence.plan.ahead;
    see("clocks differ by 20 s and more", ahead.iter().max().unwrap() - ahead.iter().min().unwrap() >= 20);
    see("a write was repeated", evidence.store.count(CallOutcome::Repeated) > 0);
    see("a reply was lost", evidence.store.count(CallOutcome::ReplyLost) > 0);
    see("several generations", written.len() >= 2);
    let unknown = calls.iter().filter(|call| call.illness.is_some_and(|illness| illness.is_ambiguous()));
    let early = unknown.filter(|call| call.at < LAPSE && !call.token.contains('+')).count();
    see("two unknown outcomes while a token lives", early >= 2);
    see(
        "calls after the token lapsed",
        calls.iter().filter(|call| call.illness.is_some() && call.at > LAPSE).count() >= 2,
    );
    see(
        "a lost response to a token that was spent",
        calls.iter().any(|call| call.illness.is_some() && call.granted.is_some()),
    );
    see("a refusal", calls.iter().any(|call| evidence.provider.has_refused(&call.token)));
    let by = |instance: Option<usize>| calls.iter().rev().find(|call| Some(call.instance) == instance);
    let is_unwritten = by(evidence.killed).is_some_and(|call| {
        !written.iter().any(|generation| {
            let at = generation.written_at - evidence.started;
            at >= call.at && at < call.at + Duration::from_secs(4)
        })
    });
    see("an instance died in a refresh", is_unwritten);
    see("an instance was drained", evidence.drained.is_some());
    met_by_routes(&calls, evidence, &mut see);
    met_by_exchanges(&calls, evidence, &mut see);
    for end in &evidence.ends {
        let Some((at, is_confirmed)) = end.finished else { continue };
        let races = calls.iter().any(|call| call.at + in_flight > end.began && call.at < at);
        see(&format!("{:?} was confirmed", end.verb), is_confirmed);
        see(&format!("{:?} raced a refresh", end.verb), is_confirmed && races);
        see("an end failed", !is_confirmed);
    }
    for sign_in in &evidence.sign_ins {
        let outcomes: Vec<_> = sign_in.deliveries.iter().filter_map(|delivery| delivery.finished.as_ref()).collect();
        let is_refused = |outcome: &Result<_, SignInError>| matches!(outcome, Err(SignInError::LoggedOut));
        see("a sign-in was refused", outcomes.iter().any(|(_, outcome)| is_refused(outcome)));
        let began = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).count();
        see("a callback began a session", began > 0);
        see("a callback was good twice", began > 1);
        let killed = sign_in.deliveries.iter().any(|delivery| delivery.finished.is_none());
        see("an instance died in a callback", killed && evidence.killed.is_some());
    }
    met
}

/// Races of the calls for routes' tokens.
fn met_by_routes(calls: &[RefreshCall], evidence: &Evidence, see: &mut impl FnMut(&str, bool)) {
    let is_for_route = |call: &&RefreshCall| call.audience.is_some();
    let of_routes: Vec<&RefreshCall> = calls.iter().filter(is_for_route).collect();
    let has = |illness: Illness| of_routes.iter().any(|call| call.illness == Some(illness));
    see("a target was refused", has(Illness::RefusesTarget));
    see("a grant was refused for one target", has(Illness::RefusesGrant));
    see("a token for another audience came with a rotation", has(Illness::IgnoresTarget) && evidence.plan.rotates);
    let follows = |pair: &[RefreshCall]| {
        pair[0].audience.is_some() && pair[0].is_unanswered() && pair[1].audience.is_none() && pair[1].is_success()
    };
    see("a refresh cleared a route's doubt", calls.windows(2).any(follows));
    let both_unanswered = |pair: &[RefreshCall]| {
        pair[0].audience.is_some() && pair[0].is_unanswered() && pair[1].is_unanswered() && pair[1].at < LAPSE
    };
    see("a route's call and a refresh without a response", calls.windows(2).any(both_unanswered));
    let last_of_killed = calls.iter().rev().find(|call| Some(call.instance) == evidence.killed);
    see("an instance died after a route's call", last_of_killed.is_some_and(|call| call.audience.is_some()));
    let races = |end: &End| {
        let under_way = |call: &&&RefreshCall| call.at < end.began && end.began < call.at + Duration::from_secs(2);
        of_routes.iter().find(under_way).is_some_and(|call| call.is_success())
    };
    see("a sign-out raced a route's call", evidence.ends.iter().any(races));
    let responses = |wanted: fn(&Response) -> bool| {
        evidence.requests.iter().filter(|request| request.target.is_some() && wanted(&request.response)).count()
    };
    see("routes got tokens", responses(|response| matches!(response, Response::Token(_))) > 0);
    see("a route was refused", responses(|response| matches!(response, Response::Refused)) > 0);
    see("a route had no token", responses(|response| matches!(response, Response::Unavailable)) > 0);
    see("a route found the session ended", responses(|response| matches!(response, Response::SignedOut)) > 0);
}

/// Races of the exchanges for routes' tokens.
fn met_by_exchanges(calls: &[RefreshCall], evidence: &Evidence, see: &mut impl FnMut(&str, bool)) {
    let exchanges = evidence.provider.token_exchanges();
    let any = |is_met: &dyn Fn(&TokenExchange) -> bool| exchanges.iter().any(is_met);
    see("an exchange was refused for its target", any(&|exchange| exchange.illness == Some(Illness::RefusesTarget)));
    see("an exchange was refused for its grant", any(&|exchange| exchange.illness == Some(Illness::RefusesGrant)));
    see("an exchange ignored its target", any(&|exchange| exchange.illness == Some(Illness::IgnoresTarget)));
    see("an exchange hung", any(&|exchange| exchange.illness == Some(Illness::Hang)));
    see("a subject token was refused", any(&TokenExchange::is_stale));
    see("a lost response to an exchange", any(&|exchange| exchange.illness.is_some() && exchange.granted.is_some()));
    see("a response to an exchange was repeated", any(&|exchange| exchange.is_repeated));
    let has_refresh_token = evidence.plan.exchange_policy.has_refresh_token;
    see("an exchange brought a refresh token", has_refresh_token && any(&TokenExchange::is_success));
    let is_of = |exchange: &TokenExchange, grant| exchange.grant.as_deref() == Some(grant) && exchange.is_success();
    let is_both = any(&|exchange| is_of(exchange, MAIN)) && any(&|exchange| is_of(exchange, OTHER));
    see("two persons got tokens by exchange", is_both);
    let written = evidence.store.generations(&evidence.main.id.key());
    let follows = |exchange: &TokenExchange| {
        let waited = |at: Duration| at <= exchange.sent && exchange.sent < at + Duration::from_secs(1);
        written.iter().any(|generation| waited(generation.written_at - evidence.started))
    };
    see("an exchange waited for a refresh", any(&follows));
    let is_waited_for = |exchange: &TokenExchange| {
        let end = exchange.responded.unwrap_or(exchange.sent + Duration::from_secs(8));
        let is_next = |call: &RefreshCall| call.audience.is_none() && end <= call.at;
        calls.iter().any(|call| is_next(call) && call.at < end + Duration::from_secs(2))
    };
    see("a refresh waited for an exchange", any(&is_waited_for));
    let failed = |exchange: &TokenExchange| {
        let last = calls.iter().rfind(|call| call.audience.is_none() && call.at < exchange.sent);
        last.is_some_and(|call| call.illness.is_some() && exchange.sent < call.at + Duration::from_secs(20))
    };
    see("an exchange during a backoff of the session", any(&failed));
    let is_under_way = |exchange: &TokenExchange, at: Duration| {
        exchange.sent < at && exchange.responded.is_none_or(|responded| at < responded)
    };
    let departed = |instance: Option<usize>| {
        let at = evidence.departed.filter(|_| instance.is_some()).unwrap_or_default();
        any(&|exchange| Some(exchange.instance) == instance && is_under_way(exchange, at))
    };
    see("an instance died in an exchange", departed(evidence.killed));
    see("an instance was drained in an exchange", departed(evidence.drained));
    let raced = |end: &End| any(&|exchange| is_of(exchange, MAIN) && is_under_way(exchange, end.began));
    see("an end raced an exchange", evidence.ends.iter().any(raced));
    let is_late = |end: &End, exchange: &TokenExchange| {
        let ended = end.finished.filter(|(_, is_confirmed)| *is_confirmed).map(|(at, _)| at);
        is_of(exchange, MAIN) && ended.is_some_and(|at| exchange.responded.is_some_and(|responded| at < responded))
    };
    see("an exchange found the session ended", evidence.ends.iter().any(|end| any(&|exchange| is_late(end, exchange))));
}
