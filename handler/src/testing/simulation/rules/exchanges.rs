//! Rules of the routes whose tokens come by exchange.

use std::collections::HashMap;
use std::time::Duration;

use super::{CACHED, CALL, Subject, Violation, calls_of, confirmed_at, is_calm, seconds, shortest_backoff, violation};
use crate::clock::Timestamp;
use crate::testing::fixture::START;
use crate::testing::simulation::plan::{DUE, EXCHANGED, LAPSE, TargetOutage, Verb};
use crate::testing::simulation::schedule::{End, Evidence, MAIN, OTHER, Remains, Request, Response, StoredRouteToken};
use crate::testing::virtual_provider::{Illness, TokenExchange, UNWANTED, of_grant};
use crate::testing::virtual_store::StoreHealth;

/// Maximum time from the last look at a record until an exchange is sent: a write and a read of the store, with three
/// seconds each, and the Provider's metadata.
const SENDING: Duration = Duration::from_secs(14);

/// Maximum time for which the lease of a living holder is taken for that of a dead one, if its renewals fail.
const LOST_LEASE: Duration = Duration::from_secs(30);

/// Maximum time from a reason for a refresh until its call: the wait for the lease of another.
const REFRESH_DELAY: Duration = Duration::from_secs(25);

/// Maximum duration of a write.
const WRITE: Duration = Duration::from_secs(3);

/// Maximum time for which one call holds the lease: those of the Provider and of the store.
const HELD: Duration = Duration::from_secs(16);

pub(super) fn check(evidence: &Evidence, main: &Subject<'_>) -> Result<(), Violation> {
    let exchanges = evidence.provider.token_exchanges();
    if evidence.plan.other_requests.is_empty() {
        return Ok(());
    }
    let other = evidence.other_remains.as_ref().expect("a schedule that completes leaves remains");
    another_person_is_not_concerned(evidence, other)?;
    one_exchange_for_each_token(evidence, &exchanges)?;
    backoffs_of_exchanges_are_kept(evidence, &exchanges)?;
    current_subjects_are_sent(evidence, main.remains, MAIN, &exchanges)?;
    current_subjects_are_sent(evidence, other, OTHER, &exchanges)?;
    nothing_is_sent_after_the_end(evidence, main, &exchanges)?;
    tokens_are_their_sessions(evidence, &exchanges)?;
    tokens_are_of_their_generation(main.remains, &exchanges)?;
    tokens_are_of_their_generation(other, &exchanges)?;
    other_grants_are_dropped(evidence, main.remains)?;
    ends_revoke_tokens(evidence, main, &exchanges)?;
    refreshes_have_reasons(evidence, &exchanges)?;
    refreshes_are_in_time(evidence)?;
    exchanges_are_in_time(evidence, &exchanges)?;
    nothing_is_in_doubt(evidence)
}

/// True if an exchange for the target of this request was refused before its end.
pub(super) fn has_refused(evidence: &Evidence, request: &Request) -> bool {
    let exchanges = evidence.provider.token_exchanges();
    let is_of_target = |exchange: &&TokenExchange| Some(exchange.resource.as_str()) == request.target;
    exchanges.iter().filter(is_of_target).any(|exchange| exchange.is_refused() && exchange.sent < request.ended)
}

fn of<'a>(exchanges: &'a [TokenExchange], grant: &'a str) -> impl DoubleEndedIterator<Item = &'a TokenExchange> {
    exchanges.iter().filter(move |exchange| exchange.grant.as_deref() == Some(grant))
}

/// Rules 1 and 3 for the other person, whom nobody signs out.
fn another_person_is_not_concerned(evidence: &Evidence, remains: &Remains) -> Result<(), Violation> {
    let is_refused = |token: &String| evidence.provider.has_refused(token);
    if evidence.provider.chain(OTHER).iter().any(is_refused) {
        return Ok(());
    }
    if remains.is_alive.contains(&false) || !remains.is_refreshable || !remains.without_token.is_empty() {
        return violation(3, format!("nobody ended the session of {OTHER}: {remains:?}"));
    }
    match evidence.other_requests.iter().find(|request| matches!(request.response, Response::SignedOut)) {
        Some(request) => violation(3, format!("nobody ended the session of {request:?}")),
        None => Ok(()),
    }
}

/// Rule 4: one exchange for each target and generation, until its token is due.
fn one_exchange_for_each_token(evidence: &Evidence, exchanges: &[TokenExchange]) -> Result<(), Violation> {
    if !is_calm(evidence) {
        return Ok(());
    }
    for (index, exchange) in exchanges.iter().enumerate() {
        let is_same = |earlier: &&TokenExchange| {
            (&earlier.resource, &earlier.subject) == (&exchange.resource, &exchange.subject) && earlier.is_success()
        };
        let Some(earlier) = exchanges[..index].iter().rev().find(is_same) else { continue };
        let ahead = evidence.plan.ahead[exchange.instance] - evidence.plan.ahead[earlier.instance];
        // Due after three quarters of its lifetime, which begins when the call does.
        if exchange.sent + seconds(ahead.max(0)) + CALL < earlier.sent + earlier.expires_in * 3 / 4 {
            return violation(4, format!("two exchanges for one token: {earlier:?}, {exchange:?}"));
        }
    }
    Ok(())
}

/// Rule 5: one exchange for each backoff of its target.
fn backoffs_of_exchanges_are_kept(evidence: &Evidence, exchanges: &[TokenExchange]) -> Result<(), Violation> {
    // A backoff cannot be written to a failing store, and a dead holder writes none.
    if evidence.plan.store != StoreHealth::Well || evidence.killed.is_some() || evidence.plan.write_outage.is_some() {
        return Ok(());
    }
    let mut failing = HashMap::<_, (u32, &TokenExchange)>::new();
    for exchange in exchanges {
        let key = (&exchange.grant, &exchange.resource);
        if let Some((backoffs, last)) = failing.get(&key) {
            let ahead = evidence.plan.ahead[exchange.instance] - evidence.plan.ahead[last.instance];
            if exchange.sent + seconds(ahead.max(0)) < last.sent + shortest_backoff(*backoffs) {
                return violation(5, format!("no backoff after {last:?}: {exchange:?}"));
            }
        }
        if exchange.is_success() {
            failing.remove(&key);
        } else {
            let backoffs = failing.get(&key).map_or(0, |(backoffs, _)| *backoffs) + 1;
            failing.insert(key, (backoffs, exchange));
        }
    }
    Ok(())
}

/// Rule 9: an exchange sends the access token that its session's record contains, and that has not lapsed.
fn current_subjects_are_sent(
    evidence: &Evidence,
    remains: &Remains,
    grant: &str,
    exchanges: &[TokenExchange],
) -> Result<(), Violation> {
    let key = if grant == MAIN { Some(&evidence.main) } else { evidence.other.as_ref() };
    let generations = evidence.store.generations(&key.expect("the schedule has both").id.key());
    // A holder whose renewals failed may have lost its lease.
    let may_be_lost = evidence.plan.store != StoreHealth::Well || evidence.plan.write_outage.is_some();
    let late = if may_be_lost { LOST_LEASE } else { Duration::ZERO };
    for exchange in of(exchanges, grant) {
        let known = remains.access_tokens.iter().find(|(_, token)| **token == exchange.subject);
        let number = known.map_or(0, |(generation, _)| *generation);
        let next = generations.iter().find(|next| next.number == number + 1);
        let is_current = next.is_none_or(|next| exchange.sent <= next.written_at - evidence.started + late);
        if number == 0 || !is_current {
            return violation(9, format!("not the current subject: {exchange:?}, {:?}", remains.access_tokens));
        }
        let written = generations.iter().find(|written| written.number == number);
        let lapse = written.map_or(Some(START.plus(LAPSE)), |written| written.lapse);
        let now = on_clock_of(evidence, exchange.instance, exchange.sent);
        if lapse.is_some_and(|lapse| lapse.plus(SENDING) < now) {
            return violation(9, format!("a subject that lapsed at {lapse:?}, sent at {now:?}: {exchange:?}"));
        }
    }
    match exchanges.iter().find(|exchange| exchange.grant.is_none()) {
        Some(exchange) => violation(9, format!("no subject of a session: {exchange:?}")),
        None => Ok(()),
    }
}

/// Rule 9: nobody exchanges for a session whose end was confirmed, nor from an instance that drains.
fn nothing_is_sent_after_the_end(
    evidence: &Evidence,
    main: &Subject<'_>,
    exchanges: &[TokenExchange],
) -> Result<(), Violation> {
    let end = main.ends(evidence).filter_map(confirmed_at).min();
    let is_late =
        |exchange: &&TokenExchange, since: Option<Duration>| since.is_some_and(|since| exchange.sent > since + SENDING);
    if let Some(exchange) = of(exchanges, MAIN).find(|exchange| is_late(exchange, end)) {
        return violation(9, format!("an exchange after the end: {exchange:?}, {:?}", evidence.ends));
    }
    let of_drained = |exchange: &&TokenExchange| Some(exchange.instance) == evidence.drained;
    match exchanges.iter().filter(of_drained).find(|exchange| is_late(exchange, evidence.departed)) {
        Some(exchange) => violation(9, format!("an exchange of a drained instance: {exchange:?}")),
        None => Ok(()),
    }
}

/// Rule 9: a token serves its session and its target alone.
fn tokens_are_their_sessions(evidence: &Evidence, exchanges: &[TokenExchange]) -> Result<(), Violation> {
    let main = evidence.requests.iter().map(|request| (request, MAIN));
    let other = evidence.other_requests.iter().map(|request| (request, OTHER));
    for (request, grant) in main.chain(other) {
        let Response::Token(token) = &request.response else { continue };
        let exchange = exchanges.iter().find(|exchange| exchange.granted.as_ref() == Some(token));
        let wanted = request.target.filter(|target| EXCHANGED.contains(target));
        let is_right = match exchange {
            Some(exchange) => exchange.grant.as_deref() == Some(grant) && Some(exchange.resource.as_str()) == wanted,
            None => wanted.is_none(),
        };
        if !is_right || !token.contains(&of_grant(grant)) {
            return violation(9, format!("a token of another session or target: {request:?} of {grant}, {exchange:?}"));
        }
    }
    Ok(())
}

/// Rule 9: a stored token opens, and was first stored beside the access token that it was exchanged for.
fn tokens_are_of_their_generation(remains: &Remains, exchanges: &[TokenExchange]) -> Result<(), Violation> {
    for stored in &remains.route_tokens {
        let Some(token) = &stored.token else { return violation(9, format!("a token that does not open: {stored:?}")) };
        let Some(exchange) = exchanges.iter().find(|exchange| exchange.granted.as_ref() == Some(token)) else {
            continue;
        };
        // A refresh that clears a doubt carries it into the next generation.
        let is_earlier = |same: &StoredRouteToken| same.token == stored.token && same.generation < stored.generation;
        let is_carried = remains.route_tokens.iter().any(is_earlier);
        if remains.access_tokens.get(&stored.generation) != Some(&exchange.subject) && !is_carried {
            return violation(9, format!("a token of another generation: {stored:?}, {exchange:?}"));
        }
    }
    Ok(())
}

/// Rule 9: a refresh token that comes with an exchange is neither stored nor sent.
fn other_grants_are_dropped(evidence: &Evidence, remains: &Remains) -> Result<(), Violation> {
    let sent = evidence.provider.refresh_calls();
    let mut known = remains.stored.iter().chain(&remains.unwritten).chain(sent.iter().map(|call| &call.token));
    match known.find(|token| token.starts_with(UNWANTED)) {
        Some(token) => violation(9, format!("the refresh token of another grant: {token}")),
        None => Ok(()),
    }
}

/// Rule 9: the person's sign-out revokes the tokens in the record, and every end those that come later.
fn ends_revoke_tokens(evidence: &Evidence, main: &Subject<'_>, exchanges: &[TokenExchange]) -> Result<(), Violation> {
    // A store that fails may not say that the session has ended.
    let is_ill = evidence.plan.store != StoreHealth::Well || evidence.plan.write_outage.is_some();
    let has_lost_task = |end: &End| confirmed_at(end).is_none() || Some(end.instance) == evidence.drained;
    if is_ill || evidence.killed.is_some() || !main.remains.is_ended || main.ends(evidence).any(has_lost_task) {
        return Ok(());
    }
    let is_sign_out = main.ends(evidence).next().is_some() && main.ends(evidence).all(|end| end.verb == Verb::SignOut);
    for resource in EXCHANGED {
        let is_last = |exchange: &&TokenExchange| exchange.resource == resource && exchange.is_success();
        let Some(last) = of(exchanges, MAIN).rfind(is_last) else { continue };
        let stored = main.remains.route_tokens.iter().find(|stored| stored.token == last.granted);
        let is_expected = match stored {
            Some(stored) => is_sign_out && Some(stored.generation) == main.remains.generation,
            None => true,
        };
        if is_expected && !last.granted.as_ref().is_some_and(|token| evidence.provider.was_sent_to_revoke(token)) {
            return violation(9, format!("not revoked: {last:?}, {stored:?}, {:?}", evidence.ends));
        }
    }
    Ok(())
}

/// Rule 10: the session is refreshed when that is due or asked for, after a call that left its refresh token in doubt,
/// and once after refusals of its access token.
fn refreshes_have_reasons(evidence: &Evidence, exchanges: &[TokenExchange]) -> Result<(), Violation> {
    // A holder that died, or could not write, leaves a doubt: perhaps it sent a call.
    if evidence.plan.store != StoreHealth::Well || evidence.plan.write_outage.is_some() || evidence.killed.is_some() {
        return Ok(());
    }
    let calls = calls_of(evidence, MAIN);
    let generations = evidence.store.generations(&evidence.main.id.key());
    let mut refusals = first_refusals(evidence, exchanges);
    for call in calls.iter().filter(|call| call.audience.is_none()) {
        let is_in_time = |reason: Duration| reason <= call.at && call.at <= reason + REFRESH_DELAY;
        let written = generations.iter().rev().find(|written| written.written_at - evidence.started <= call.at);
        let due = written.map_or(Some(START.plus(DUE)), |written| written.due);
        let began = written.map_or(Duration::ZERO, |written| written.written_at - evidence.started);
        let now = on_clock_of(evidence, call.instance, call.at + Duration::from_secs(1));
        let is_due = due.is_some_and(|due| due <= now);
        let is_forced = evidence.plan.forced.iter().any(|(_, at)| is_in_time(*at));
        let of_routes = || calls.iter().filter(|earlier| earlier.audience.is_some() && earlier.at <= call.at);
        let is_in_doubt = of_routes().any(|earlier| earlier.is_unanswered() && earlier.at >= began);
        let is_refused = of_routes().any(|earlier| earlier.is_refused() && is_in_time(earlier.at));
        if is_due || is_forced || is_in_doubt || is_refused {
            continue;
        }
        if let Some(reason) = refusals.iter().position(|refused| is_in_time(*refused)) {
            refusals.remove(reason); // a reason for one refresh
        } else {
            return violation(
                10,
                format!("a refresh without a reason: {call:?}, due {due:?}, exchanges {exchanges:?}"),
            );
        }
    }
    Ok(())
}

/// Times of the exchanges that were refused for their subject token, the first in a row for each target.
fn first_refusals(evidence: &Evidence, exchanges: &[TokenExchange]) -> Vec<Duration> {
    let says_grant = evidence.plan.exchange_policy.refusal == "invalid_grant";
    let is_grants =
        |exchange: &TokenExchange| exchange.illness == Some(Illness::RefusesGrant) || exchange.is_stale() && says_grant;
    let mut refusals = Vec::new();
    for resource in EXCHANGED {
        let mut was_refused = false;
        for exchange in of(exchanges, MAIN).filter(|exchange| exchange.resource == resource) {
            if is_grants(exchange) && !was_refused {
                refusals.push(exchange.sent);
            }
            was_refused = is_grants(exchange);
        }
    }
    refusals
}

/// Rule 10: exchanges, even those without a response, hold no refresh up until the access token has lapsed.
fn refreshes_are_in_time(evidence: &Evidence) -> Result<(), Violation> {
    let Evidence { plan, .. } = evidence;
    let is_exchange = |outage: &TargetOutage| EXCHANGED.contains(&outage.target);
    let is_well = plan.store == StoreHealth::Well && plan.outages.is_empty() && plan.write_outage.is_none();
    if !is_well || plan.departure.is_some() || !plan.target_outages.iter().all(is_exchange) {
        return Ok(());
    }
    match evidence
        .requests
        .iter()
        .find(|request| request.target.is_none() && matches!(request.response, Response::Unavailable))
    {
        Some(request) => violation(10, format!("a refresh came late: {request:?}")),
        None => Ok(()),
    }
}

/// Rule 10: a backoff of the session, or a doubt about its refresh token, delays no exchange.
fn exchanges_are_in_time(evidence: &Evidence, exchanges: &[TokenExchange]) -> Result<(), Violation> {
    let Evidence { plan, .. } = evidence;
    if plan.store != StoreHealth::Well || plan.write_outage.is_some() || plan.departure.is_some() {
        return Ok(());
    }
    let calls = calls_of(evidence, MAIN);
    let generations = evidence.store.generations(&evidence.main.id.key());
    let delayed = |request: &&Request| matches!(request.response, Response::Unavailable);
    for request in evidence.requests.iter().filter(delayed) {
        let Some(target) = request.target.filter(|target| EXCHANGED.contains(target)) else { continue };
        let written = generations.iter().rev().find(|written| written.written_at - evidence.started <= request.began);
        let lapse = written.map_or(Some(START.plus(LAPSE)), |written| written.lapse);
        let has_lapsed = lapse.is_some_and(|lapse| lapse <= on_clock_of(evidence, request.instance, request.ended));
        // Whoever holds the lease meanwhile.
        let since = request.began.saturating_sub(HELD);
        let is_meanwhile = |at: Duration| since <= at && at <= request.ended;
        let is_held = calls.iter().any(|call| is_meanwhile(call.at))
            || of(exchanges, MAIN).any(|exchange| exchange.resource != target && is_meanwhile(exchange.sent));
        if !has_lapsed && !is_held && !is_backing_off(evidence, exchanges, request) {
            return violation(10, format!("an exchange came late: {request:?}, {calls:?}"));
        }
    }
    Ok(())
}

/// True if failures of the request's own target are a reason to wait.
fn is_backing_off(evidence: &Evidence, exchanges: &[TokenExchange], request: &Request) -> bool {
    // A success counts once it is written, and no cache has the record from before.
    let is_seen = |exchange: &TokenExchange| {
        exchange.responded.is_none_or(|responded| responded + WRITE + CACHED <= request.began)
    };
    let is_own = |exchange: &&TokenExchange| {
        let is_of_target = Some(exchange.resource.as_str()) == request.target;
        is_of_target && exchange.sent <= request.ended && (!exchange.is_success() || is_seen(exchange))
    };
    let own: Vec<_> = of(exchanges, MAIN).filter(is_own).collect();
    let failures = own.iter().rev().take_while(|exchange| !exchange.is_success()).count();
    let Some(last) = own.last().filter(|_| failures > 0) else { return false };
    let ahead = evidence.plan.ahead[last.instance] - evidence.plan.ahead[request.instance];
    let longest = Duration::from_secs((5_u64 << (failures - 1).min(8)).min(60));
    request.began <= last.sent + HELD + longest + seconds(ahead.max(0))
}

/// Rule 10: no exchange leaves the refresh token in doubt.
fn nothing_is_in_doubt(evidence: &Evidence) -> Result<(), Violation> {
    // A holder that dies, or cannot write, leaves its own call counted.
    if evidence.plan.store != StoreHealth::Well || evidence.killed.is_some() || evidence.plan.write_outage.is_some() {
        return Ok(());
    }
    let Some(since) = evidence.store.in_doubt_since(&evidence.main.id.key()) else { return Ok(()) };
    let calls = calls_of(evidence, MAIN);
    if calls.iter().any(|call| call.is_unanswered() && call.at <= since - evidence.started) {
        return Ok(());
    }
    violation(10, format!("in doubt since {:?}: {calls:?}", since - evidence.started))
}

fn on_clock_of(evidence: &Evidence, instance: usize, at: Duration) -> Timestamp {
    Timestamp::from_unix(START.as_unix() + evidence.plan.ahead[instance]).plus(at)
}
