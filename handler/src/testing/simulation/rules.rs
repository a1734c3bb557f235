//! Rules that every schedule obeys, numbered as in the table of the module above.

mod exchanges;

use std::collections::HashMap;
use std::time::Duration;

use super::plan::{LAPSE, Verb};
use super::schedule::{End, Evidence, MAIN, Remains, Response, SignIn};
use crate::clock::Timestamp;
use crate::sessions::SignInError;
use crate::testing::fixture::START;
use crate::testing::virtual_provider::{RefreshCall, for_target};
use crate::testing::virtual_store::StoreHealth;

/// Broken rule of a schedule.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) rule: u8,
    pub(super) what: String,
}

/// Session of the schedule, present from the start or by a sign-in.
struct Subject<'a> {
    sid: Option<&'static str>,
    /// Its first refresh token.
    token: String,
    sign_in: Option<&'a SignIn>,
    remains: &'a Remains,
}

/// Maximum duration of a call of the Provider that responds, in a clock of whole seconds.
const CALL: Duration = Duration::from_secs(8);

/// Maximum time that a cache serves an ended session: its five seconds, in a clock of whole seconds.
const CACHED: Duration = Duration::from_secs(6);

/// Maximum duration of a request: a load, the wait for a refresh, and another load, with three seconds for each call.
const REQUEST_LIMIT: Duration = Duration::from_secs(25);

/// The same for a route with a token of its own, with the wait for that.
const ROUTE_REQUEST_LIMIT: Duration = Duration::from_secs(45);

/// Maximum duration of ending sessions: two indexes and three sessions, each with ten seconds for contention.
const END_LIMIT: Duration = Duration::from_secs(90);

pub(super) fn check(evidence: &Evidence) -> Result<(), Violation> {
    completes(evidence)?;
    let main_remains = evidence.main_remains.as_ref().expect("a schedule that completes leaves remains");
    let main = Subject { sid: evidence.plan.sid, token: MAIN.to_owned(), sign_in: None, remains: main_remains };
    stays_ended(evidence, &main)?;
    lives_until_ended(evidence, &main)?;
    one_call_for_each_generation(evidence, main_remains)?;
    one_call_for_each_target(evidence)?;
    few_unanswered_calls(evidence)?;
    backoffs_are_kept(evidence)?;
    no_token_is_lost(evidence, &main)?;
    routes_concern_themselves_alone(evidence, main_remains)?;
    exchanges::check(evidence, &main)?;
    for (sign_in, remains) in evidence.sign_ins.iter().zip(&evidence.sign_in_remains) {
        let subject =
            Subject { sid: sign_in.sid, token: format!("of-{}", sign_in.code), sign_in: Some(sign_in), remains };
        ends_with_its_person(evidence, &subject, sign_in)?;
        lives_until_ended(evidence, &subject)?;
        if evidence.provider.spender(&sign_in.code).is_some() {
            no_token_is_lost(evidence, &subject)?;
        }
    }
    Ok(())
}

fn violation<T>(rule: u8, what: String) -> Result<T, Violation> {
    Err(Violation { rule, what })
}

impl Subject<'_> {
    /// True if this end names the session.
    fn is_named(&self, end: &End) -> bool {
        let is_sid = self.sid == Some("sid-1");
        match end.verb {
            Verb::SignOut => self.sign_in.is_none(),
            Verb::LogoutBySub | Verb::Revoke => true,
            Verb::LogoutBySid | Verb::FrontChannel => is_sid,
            Verb::LogoutBySidAndSub => is_sid || self.sid.is_none(),
        }
    }

    /// True if this end, once confirmed, must end the session.
    fn must_end_by(&self, end: &End, evidence: &Evidence) -> bool {
        let Some(sign_in) = self.sign_in else { return self.is_named(end) };
        let was_in = sign_in
            .deliveries
            .iter()
            .any(|delivery| matches!(&delivery.finished, Some((at, Ok(()))) if *at <= end.began));
        // The front channel closes no `sid` that is unknown.
        let is_known = end.verb != Verb::FrontChannel || evidence.plan.sid == Some("sid-1");
        self.is_named(end) && (was_in || is_known && sign_in.began_at <= end.now)
    }

    fn ends<'a>(&'a self, evidence: &'a Evidence) -> impl Iterator<Item = &'a End> + 'a {
        evidence.ends.iter().filter(|end| self.is_named(end))
    }
}

fn confirmed_at(end: &End) -> Option<Duration> {
    end.finished.and_then(|(at, is_confirmed)| is_confirmed.then_some(at))
}

/// Rule 7: everything completes.
fn completes(evidence: &Evidence) -> Result<(), Violation> {
    if evidence.quiet.is_none() {
        return violation(7, "a participant never completed".to_owned());
    }
    for request in &evidence.requests {
        let limit = if request.target.is_some() { ROUTE_REQUEST_LIMIT } else { REQUEST_LIMIT };
        if request.ended - request.began > limit {
            return violation(7, format!("a request took {:?}: {request:?}", request.ended - request.began));
        }
    }
    for end in &evidence.ends {
        if let Some((at, _)) = end.finished
            && at - end.began > END_LIMIT
        {
            return violation(7, format!("an end took {:?}: {end:?}", at - end.began));
        }
    }
    Ok(())
}

/// Rule 1: a confirmed end is never undone.
fn stays_ended(evidence: &Evidence, main: &Subject<'_>) -> Result<(), Violation> {
    let confirmed = main.ends(evidence).find_map(|end| confirmed_at(end).map(|at| (end, at)));
    let Some((end, at)) = confirmed else { return Ok(()) };
    if main.remains.generation.is_some() && !main.remains.is_ended || main.remains.is_alive.contains(&true) {
        return violation(1, format!("{end:?} was undone: {:?}", main.remains));
    }
    for request in &evidence.requests {
        if request.began >= at + CACHED && matches!(request.response, Response::Token(_)) {
            return violation(1, format!("{request:?} was let in after {end:?}"));
        }
    }
    Ok(())
}

/// Rule 2: a sign-in that began before a confirmed end of its person is dead, one that began later lives.
fn ends_with_its_person(evidence: &Evidence, subject: &Subject<'_>, sign_in: &SignIn) -> Result<(), Violation> {
    let is_alive = subject.remains.is_alive.contains(&true);
    for end in subject.ends(evidence) {
        if confirmed_at(end).is_some() && subject.must_end_by(end, evidence) && is_alive {
            return violation(2, format!("{sign_in:?} lives after {end:?}"));
        }
    }
    let came_later = |end: &End| end.now < sign_in.began_at && end.finished.is_some_and(|(at, _)| at < sign_in.began);
    if !subject.ends(evidence).all(came_later) {
        return Ok(());
    }
    for delivery in &sign_in.deliveries {
        if let Some((_, Err(SignInError::LoggedOut | SignInError::Over))) = delivery.finished {
            return violation(2, format!("{sign_in:?} was refused though no end concerns it"));
        }
    }
    Ok(())
}

/// Rule 3: only a sign-out, or a refusal of the Provider, ends a session.
fn lives_until_ended(evidence: &Evidence, subject: &Subject<'_>) -> Result<(), Violation> {
    let has_begun = match subject.sign_in {
        Some(sign_in) => sign_in.deliveries.iter().any(|delivery| matches!(delivery.finished, Some((_, Ok(()))))),
        None => true,
    };
    // An end that is later only by its own clock may still find a session in the index.
    let may_have_ended = subject.ends(evidence).next().is_some()
        && !subject.sign_in.is_some_and(|sign_in| {
            subject
                .ends(evidence)
                .all(|end| end.now < sign_in.began_at && end.finished.is_some_and(|(at, _)| at < sign_in.began))
        });
    // A refusal after our own revocation does not count.
    let is_refused = |token: &String| evidence.provider.has_refused(token) && !evidence.provider.has_revoked(token);
    let chain = evidence.provider.chain(&subject.token);
    if !has_begun || may_have_ended || chain.iter().any(is_refused) {
        return Ok(());
    }
    if subject.remains.is_alive.contains(&false) || !subject.remains.is_refreshable {
        return violation(3, format!("nobody ended the session of {}: {:?}", subject.token, subject.remains));
    }
    let signed_out = |response: &Response| matches!(response, Response::SignedOut);
    match evidence.requests.iter().find(|request| signed_out(&request.response)) {
        Some(request) if subject.sign_in.is_none() => violation(3, format!("nobody ended the session of {request:?}")),
        _ => Ok(()),
    }
}

/// True if nothing fails.
fn is_calm(evidence: &Evidence) -> bool {
    let Evidence { plan, killed, .. } = evidence;
    let has_outages = !plan.outages.is_empty() || !plan.target_outages.is_empty() || plan.write_outage.is_some();
    !has_outages && killed.is_none() && plan.store == StoreHealth::Well
}

/// Rule 4: one call for each generation, over all instances and whatever their clocks.
fn one_call_for_each_generation(evidence: &Evidence, remains: &Remains) -> Result<(), Violation> {
    let Some(generation) = remains.generation.filter(|_| is_calm(evidence)) else { return Ok(()) };
    let mut calls = calls_of(evidence, MAIN);
    calls.retain(|call| call.audience.is_none());
    let refreshes = usize::try_from(generation).unwrap() - 1;
    let may_be_unwritten = usize::from(remains.is_ended);
    if !(refreshes..=refreshes + may_be_unwritten).contains(&calls.len()) {
        return violation(4, format!("{} calls for {refreshes} refreshes: {calls:?}", calls.len()));
    }
    Ok(())
}

/// Rule 4: one call for each target and generation, until its token is due.
fn one_call_for_each_target(evidence: &Evidence) -> Result<(), Violation> {
    if !is_calm(evidence) {
        return Ok(());
    }
    let calls = calls_by_generation(evidence);
    let lifetime = Duration::from_secs(evidence.plan.expires_in);
    for (index, (call, generation, _)) in calls.iter().enumerate() {
        let is_same = |(earlier, ..): &&(RefreshCall, _, _)| earlier.audience == call.audience;
        let earlier = calls[..index].iter().rev().find(is_same).filter(|_| call.audience.is_some());
        let Some((earlier, earlier_generation, _)) = earlier else { continue };
        let ahead = seconds((evidence.plan.ahead[call.instance] - evidence.plan.ahead[earlier.instance]).max(0));
        // Due after three quarters of its lifetime, which begins when the call does.
        if generation == earlier_generation && call.at + ahead + CALL < earlier.at + lifetime * 3 / 4 {
            return violation(4, format!("two calls for one token: {earlier:?}, {call:?}"));
        }
    }
    Ok(())
}

/// Calls of the main session, each with the generation in the store at its time, and the expiry of its access token.
fn calls_by_generation(evidence: &Evidence) -> Vec<(RefreshCall, u64, Option<Timestamp>)> {
    let generations = evidence.store.generations(&evidence.main.id.key());
    let of = |call: RefreshCall| {
        let written = generations.iter().rev().find(|generation| generation.written_at - evidence.started <= call.at);
        let first = (1, Some(START.plus(LAPSE)));
        let (number, lapse) = written.map_or(first, |generation| (generation.number, generation.lapse));
        (call, number, lapse)
    };
    calls_of(evidence, MAIN).into_iter().map(of).collect()
}

/// Rule 5: two calls of unknown outcome while the access token lives, whoever sent them.
fn few_unanswered_calls(evidence: &Evidence) -> Result<(), Violation> {
    let calls = calls_by_generation(evidence);
    let most_ahead = evidence.plan.ahead.iter().copied().max().unwrap_or(0);
    let mut last_generation = 1;
    let mut unanswered = 0;
    for (call, generation, lapse) in &calls {
        if *generation != last_generation || call.is_success() {
            last_generation = *generation;
            unanswered = 0;
        }
        // The clock that is most ahead sees the token lapse first.
        let latest = Timestamp::from_unix(START.as_unix() + most_ahead).plus(call.at + Duration::from_secs(1));
        let lives = lapse.is_some_and(|lapse| latest < lapse);
        unanswered += usize::from(call.is_unanswered() && lives);
        if unanswered > 2 {
            return violation(5, format!("a third call in generation {generation} whose token lives: {calls:?}"));
        }
    }
    Ok(())
}

/// Consecutive failures of the session's refreshes, or of one target.
struct Failures<'a> {
    backoffs: u32,
    last: &'a RefreshCall,
}

/// Minimum duration of a backoff after this number of failures, in a clock of whole seconds.
fn shortest_backoff(failures: u32) -> Duration {
    Duration::from_secs((5_u64 << (failures - 1).min(8)).min(60) * 4 / 5 - 1)
}

/// Rule 5: one call for each backoff of the session, and for each of a target.
fn backoffs_are_kept(evidence: &Evidence) -> Result<(), Violation> {
    // A backoff cannot be written to a failing store, and a dead holder writes none.
    if evidence.plan.store != StoreHealth::Well || evidence.killed.is_some() || evidence.plan.write_outage.is_some() {
        return Ok(());
    }
    let calls = calls_by_generation(evidence);
    let mut last_generation = 1;
    let mut failing = HashMap::<Option<&str>, Failures<'_>>::new();
    for (call, generation, _) in &calls {
        let caller = call.audience.as_deref();
        if let Some(Failures { backoffs, last }) = failing.get(&caller) {
            let ahead = evidence.plan.ahead[call.instance] - evidence.plan.ahead[last.instance];
            if call.at + seconds(ahead.max(0)) < last.at + shortest_backoff(*backoffs) {
                return violation(5, format!("no backoff after {last:?}: {calls:?}"));
            }
        }
        if *generation != last_generation || call.is_success() {
            last_generation = *generation;
            failing.remove(&None);
        }
        if call.is_success() {
            failing.remove(&caller);
        } else if call.illness.is_some() {
            let backoffs = failing.get(&caller).map_or(0, |failures| failures.backoffs) + 1;
            failing.insert(caller, Failures { backoffs, last: call });
        }
    }
    Ok(())
}

/// Rule 6: every refresh token is in a record, revoked, ended with the Provider's session, or gone with its instance.
fn no_token_is_lost(evidence: &Evidence, subject: &Subject<'_>) -> Result<(), Violation> {
    let chain = evidence.provider.chain(&subject.token);
    let last = &chain[chain.len() - 1];
    let is_kept = !subject.remains.is_ended && subject.remains.refresh_token.as_ref() == Some(last);
    if is_kept || evidence.provider.has_revoked(last) {
        return Ok(());
    }
    let calls = calls_of(evidence, &subject.token);
    let issued_by = calls.iter().rev().find(|call| call.granted.as_ref() == Some(last));
    let spender = subject.sign_in.and_then(|sign_in| evidence.provider.spender(&sign_in.code));
    let instance = issued_by.map(|call| call.instance).or(spender);
    let died = evidence.killed.is_some()
        && (instance == evidence.killed
            || subject.ends(evidence).any(|end| end.verb == Verb::SignOut && Some(end.instance) == evidence.killed));
    let was_never_received = issued_by.is_some_and(RefreshCall::is_unanswered);
    let was_sealed = subject.remains.stored.contains(last);
    let ended_by_provider = was_sealed && subject.ends(evidence).any(|end| end.verb != Verb::SignOut);
    // After a failed sign-out the person must try again.
    let failed = |end: &End| end.verb == Verb::SignOut && confirmed_at(end).is_none();
    let sign_out_failed = was_sealed && subject.ends(evidence).any(failed);
    let was_unwritten = subject.remains.unwritten.contains(last);
    // If it is unknown whether the session began, its token must stay good.
    let may_have_begun = subject.sign_in.is_some_and(|sign_in| {
        let mut outcomes = sign_in.deliveries.iter().filter_map(|delivery| delivery.finished.as_ref());
        outcomes.any(|(_, outcome)| matches!(outcome, Err(SignInError::Store(_))))
    });
    if died || may_have_begun || was_never_received || ended_by_provider || sign_out_failed || was_unwritten {
        return Ok(());
    }
    violation(6, format!("{last} is lost: {:?}, ends {:?}, calls {calls:?}", subject.remains, evidence.ends))
}

/// Rule 8: a route gets tokens of its target alone, and is refused only for its target. All get one in the end.
fn routes_concern_themselves_alone(evidence: &Evidence, remains: &Remains) -> Result<(), Violation> {
    let calls = evidence.provider.refresh_calls();
    for request in &evidence.requests {
        let is_right = match (&request.response, request.target) {
            (Response::Token(token), Some(target)) => token.ends_with(&for_target(target)),
            (Response::Token(token), None) => !token.contains(&for_target("")),
            (Response::Refused, target) => {
                calls
                    .iter()
                    .any(|call| call.audience.as_deref() == target && call.is_refused() && call.at < request.ended)
                    || exchanges::has_refused(evidence, request)
            }
            (Response::SignedOut | Response::Unavailable, _) => true,
        };
        if !is_right {
            return violation(8, format!("{request:?}: {calls:?}"));
        }
    }
    if !remains.without_token.is_empty() {
        return violation(8, format!("no token in the end: {remains:?}, calls {calls:?}"));
    }
    Ok(())
}

/// Calls with a refresh token of the session that began with `token`.
fn calls_of(evidence: &Evidence, token: &str) -> Vec<RefreshCall> {
    let mut calls = evidence.provider.refresh_calls();
    calls.retain(|call| call.token.trim_end_matches('+') == token);
    calls
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap())
}
