//! Races that a schedule ran into, so that a test can show that each was met.

use std::time::Duration;

use super::plan::LAPSE;
use super::schedule::Evidence;
use crate::sessions::SignInError;
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
