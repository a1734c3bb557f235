//! Outages of the Provider: nobody may be signed out, over four instances, by any failure, before or after expiry.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::LocalSet;

use super::virtual_provider::Illness;
use super::world::{Instance, World};
use crate::sessions::{MemoryStore, NoFreshToken, SessionError};
use crate::token_target::TokenTarget;

/// Seconds until the first access token lapses.
const LAPSE: u64 = 100;

/// Response to one request of the person.
#[derive(Debug)]
enum Seen {
    Token(String),
    Unavailable(Duration),
    SignedOut,
}

/// One request of a person per second at each of four instances, with an outage from `from` to `to`.
async fn outage(illness: Illness, from: u64, to: u64) {
    let case = format!("{illness:?} from {from} s to {to} s");
    let world = World::new(Arc::new(MemoryStore::default()), &[0; 4]);
    let ticket = world.signed_in(1, "refresh").await;
    let seen = RefCell::new(Vec::new());

    let turns = async {
        world.until(Duration::from_secs(from)).await;
        world.provider.set_illness(Some(illness));
        world.until(Duration::from_secs(to)).await;
        world.provider.set_illness(None);
    };
    let requests = world.instances.iter().map(|instance| async {
        for second in 0..to + 90 {
            world.until(Duration::from_secs(second)).await;
            let loaded = instance.sessions.load_fresh(&ticket, &instance.party, instance.now()).await;
            let response = match loaded {
                Ok(Some(session)) => Seen::Token(session.part.access_token.expose().to_owned()),
                Ok(None) => Seen::SignedOut,
                Err(SessionError::NoFreshToken(NoFreshToken { retry_after })) => Seen::Unavailable(retry_after),
                Err(SessionError::Store(error)) => panic!("{case}: {error}"),
            };
            seen.borrow_mut().push((world.started.elapsed().as_secs(), response));
        }
    });
    tokio::join!(turns, join_all(requests));

    for (at, response) in seen.into_inner() {
        match response {
            Seen::SignedOut => panic!("{case}: signed out after {at} s"),
            Seen::Unavailable(_) if at < LAPSE => panic!("{case}: 503 while the token lives, after {at} s"),
            Seen::Unavailable(retry_after) => {
                assert!((1..=60).contains(&retry_after.as_secs()), "{case}: retry after {retry_after:?}");
                assert!(at <= to + 61 + 15, "{case}: still 503 after {at} s");
            }
            Seen::Token(token) => assert!(
                token == "access-1" && at <= LAPSE || token == "access-of-refresh+",
                "{case}: {token} after {at} s"
            ),
        }
    }
    check_calls(&world, illness, &case);
}

/// Checks the calls: at most two without a response while the token lives, none during a backoff, and one success.
fn check_calls(world: &World, illness: Illness, case: &str) {
    let calls: Vec<Duration> = world.provider.refresh_calls().iter().map(|call| call.at).collect();
    let lapse = Duration::from_secs(LAPSE);
    let early = calls.iter().filter(|at| **at < lapse).count();
    assert!(!illness.is_ambiguous() || early <= 2, "{case}: {calls:?}");
    for pair in calls.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(3), "{case}: {calls:?}");
    }
    assert!(world.provider.refresh_calls().iter().all(|call| call.token == "refresh"), "{case}: {calls:?}");
    let granted = world.provider.refresh_calls().iter().filter(|call| call.granted.is_some()).count();
    assert_eq!(granted, 1, "{case}: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn an_ill_provider_signs_nobody_out() {
    for illness in Illness::ALL {
        for length in [15, 60, 600] {
            for from in [70, LAPSE] {
                LocalSet::new().run_until(outage(illness, from, from + length)).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_died_holds_its_person_up_for_the_life_of_a_lease() {
    let world = World::new(Arc::new(MemoryStore::default()), &[0, 0]);
    let ticket = world.signed_in(1, "refresh").await;
    world.until(Duration::from_secs(LAPSE)).await;
    world.provider.set_latency(Duration::from_secs(5));
    let dying = LocalSet::new();
    let request = dying.run_until(world.instances[0].sessions.load_fresh(
        &ticket,
        &world.instances[0].party,
        world.instances[0].now(),
    ));
    assert!(tokio::time::timeout(Duration::from_secs(3), request).await.is_err());
    drop(dying); // with all its tasks, while the metadata or the token is on its way
    world.provider.set_latency(Duration::from_millis(100));
    let died_at = world.started.elapsed();

    let survivor = &world.instances[1];
    let session =
        LocalSet::new().run_until(survivor.sessions.load_fresh(&ticket, &survivor.party, survivor.now())).await;

    assert_eq!(session.unwrap().unwrap().part.access_token.expose(), "access-of-refresh+");
    let waited = world.started.elapsed() - died_at;
    assert!(waited < Duration::from_secs(15), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_died_in_a_routes_call_holds_the_route_up_for_the_life_of_a_lease() {
    let world = World::new(Arc::new(MemoryStore::default()), &[0, 0]);
    let ticket = world.signed_in(1, "refresh").await;
    world.provider.set_latency(Duration::from_secs(5));
    let target = TokenTarget::new(None, Some("b"), None).unwrap();
    let token = async |instance: usize| {
        let Instance { sessions, party, .. } = &*world.instances[instance];
        let now = world.instances[instance].now();
        let session = sessions.load(&ticket, now).await.unwrap().unwrap();
        let token = sessions.route_token(&session, &target, &ticket, party, now).await.unwrap().unwrap();
        token.expose().to_owned()
    };
    let dying = LocalSet::new();
    assert!(tokio::time::timeout(Duration::from_secs(3), dying.run_until(token(0))).await.is_err());
    drop(dying); // with all its tasks, while the metadata or the token is on its way
    world.provider.set_latency(Duration::from_millis(100));

    // A request waits for fifteen seconds, or it would fail.
    let token = LocalSet::new().run_until(token(1)).await;

    assert_eq!(token, "access-of-refresh++-for-b");
    let sent: Vec<_> = world.provider.refresh_calls().into_iter().map(|call| call.audience).collect();
    assert_eq!(sent, [None, Some("b".to_owned())], "the session's refresh comes first");
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_revokes_the_tokens_of_routes_however_late_the_metadata_is() {
    let world = World::new(Arc::new(MemoryStore::default()), &[0, 0]);
    let ticket = world.signed_in(1, "refresh").await;
    let target = TokenTarget::new(None, Some("b"), None).unwrap();
    let tasks = LocalSet::new();
    let issue = async {
        let Instance { sessions, party, .. } = &*world.instances[0];
        let session = sessions.load(&ticket, world.instances[0].now()).await.unwrap().unwrap();
        sessions.route_token(&session, &target, &ticket, party, world.instances[0].now()).await.unwrap().unwrap()
    };
    let token = tasks.run_until(issue).await;
    world.provider.set_latency(Duration::from_secs(4)); // the other instance has no metadata yet

    let sign_out = async {
        let Instance { sessions, party, .. } = &*world.instances[1];
        sessions.sign_out(&ticket, party, world.instances[1].now()).await.unwrap();
        sessions.drain().await;
    };
    tasks.run_until(sign_out).await;

    let is_revoked = [token.expose(), "refresh+"].map(|token| world.provider.has_revoked(token));
    assert_eq!(is_revoked, [true, true]);
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_take_no_lease_from_a_living_holder() {
    let world = World::new(Arc::new(MemoryStore::default()), &[0, 20, -20, 20]);
    let ticket = world.signed_in(1, "refresh").await;
    world.until(Duration::from_secs(LAPSE + 20)).await;
    world.provider.set_latency(Duration::from_secs(7)); // twice, for the metadata and for the token

    let loads = world
        .instances
        .iter()
        .map(|instance| async { instance.sessions.load_fresh(&ticket, &instance.party, instance.now()).await });
    let all = async {
        join_all(loads).await;
        world.until(Duration::from_secs(LAPSE + 60)).await;
    };
    LocalSet::new().run_until(all).await;

    assert_eq!(world.provider.refresh_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_the_refresh_under_way_and_starts_no_other() {
    let world = World::new(Arc::new(MemoryStore::default()), &[0, 0]);
    let ticket = world.signed_in(1, "refresh").await;
    let other = world.signed_in(2, "other").await;
    world.until(Duration::from_secs(LAPSE)).await;
    world.provider.set_latency(Duration::from_secs(5));
    let leaving = &world.instances[0];
    let tasks = LocalSet::new();
    let request = tasks.run_until(leaving.sessions.load_fresh(&ticket, &leaving.party, leaving.now()));
    assert!(tokio::time::timeout(Duration::from_secs(1), request).await.is_err(), "its browser has hung up");

    let draining = async {
        let (refused, ()) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                leaving.sessions.load_fresh(&other, &leaving.party, leaving.now()).await
            },
            leaving.sessions.drain()
        );
        refused
    };
    let refused = tasks.run_until(draining).await;

    assert!(matches!(refused, Err(SessionError::NoFreshToken(_))));
    drop(tasks);
    assert_eq!(world.record(&ticket).await.generation, 2, "the rotated token is written");
    assert_eq!(world.provider.refresh_calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_is_noticed_within_the_cache_time() {
    let world = World::new(Arc::new(MemoryStore::default()), &[0, 0]);
    let ticket = world.signed_in(1, "refresh").await;
    let here = &world.instances[0];
    let there = &world.instances[1];
    let noticed = async {
        here.sessions.ended(ticket.id.key(), ticket.expires_at).await;
        world.started.elapsed()
    };
    let signed_out = async {
        world.until(Duration::from_secs(50)).await;
        there.sessions.sign_out(&ticket, &there.party, there.now()).await.unwrap();
    };

    let (noticed, ()) = LocalSet::new().run_until(async { tokio::join!(noticed, signed_out) }).await;

    assert!((50..=55).contains(&noticed.as_secs()), "{noticed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_signs_out_ends_at_its_absolute_end() {
    let world = World::new(Arc::new(MemoryStore::default()), &[0]);
    let ticket = world.signed_in(1, "refresh").await;

    world.instances[0].sessions.ended(ticket.id.key(), ticket.expires_at).await;

    assert_eq!(world.started.elapsed().as_secs(), 86_400);
}
