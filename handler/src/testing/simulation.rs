//! Ten thousand schedules of sessions in virtual time, each drawn from its seed: a failure names the seed, and the seed
//! alone repeats the schedule.
//!
//! Instances with clocks that differ by up to forty seconds share a [`VirtualStore`](super::virtual_store) and a
//! [`VirtualProvider`](super::virtual_provider), both slow and faulty.

mod plan;
mod rules;
mod schedule;

use std::cell::Cell;
use std::ops::Range;
use std::panic::PanicHookInfo;
use std::rc::Rc;
use std::sync::Once;

use plan::{Kind, Plan};
use rules::Violation;
use schedule::Evidence;

use super::scripted_provider::SigningKey;
use super::seeded::Seeded;
use crate::random;

thread_local!(static PANICS: Cell<usize> = const { Cell::new(0) });

/// Counts panics of this thread: one in a spawned task ends nothing else.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            PANICS.set(PANICS.get() + 1);
            report(info);
        }));
    });
}

/// Runs one plan in a runtime of its own, so that nothing but the plan decides its course.
fn run(plan: Plan, key: &Rc<SigningKey>) -> (Evidence, Result<(), Violation>) {
    let mut jitter = Seeded::new(plan.seed, 4);
    let _guard = random::seeded::draw_from(move || u8::try_from(jitter.below(256)).unwrap());
    let panics = PANICS.get();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let evidence = runtime.block_on(schedule::run(plan, key));
    let mut verdict = rules::check(&evidence);
    if PANICS.get() != panics {
        verdict = Err(Violation { rule: 7, what: "a task panicked".to_owned() });
    }
    (evidence, verdict)
}

/// Runs the schedules of these seeds; every violation with its seed.
fn violations(
    kind: Kind,
    seeds: Range<u64>,
    alter: impl Fn(&mut Plan),
    mut see: impl FnMut(&Evidence),
) -> Vec<(u64, Violation)> {
    count_panics();
    let key = Rc::new(SigningKey::es256("k1"));
    let mut violations = Vec::new();
    for seed in seeds {
        let mut plan = Plan::draw(kind, seed);
        alter(&mut plan);
        let (evidence, verdict) = run(plan, &key);
        see(&evidence);
        if std::env::var("SEED").is_ok() {
            println!("{:#?}", evidence.plan);
            println!("{:#?}", evidence.sign_ins);
            println!("{:#?}", evidence.ends);
            println!("{:#?}", evidence.provider.refresh_calls());
        }
        if let Err(violation) = verdict {
            violations.push((seed, violation));
        }
    }
    violations
}

fn report(kind: Kind, seeds: Range<u64>) {
    let count = seeds.end - seeds.start;
    let started = std::time::Instant::now();
    let violations = violations(kind, seeds, |_| {}, |_| {});
    let mut rules = std::collections::BTreeMap::new();
    for (seed, violation) in &violations {
        rules.entry(violation.rule).or_insert_with(Vec::new).push((*seed, violation.what.clone()));
    }
    for (rule, seeds) in &rules {
        println!(
            "{kind:?}: rule {rule}: {} seeds {:?}",
            seeds.len(),
            seeds.iter().map(|(seed, _)| *seed).take(8).collect::<Vec<_>>()
        );
        for (seed, what) in seeds.iter().take(2) {
            println!("   {seed}: {what}");
        }
    }
    println!("{kind:?}: {count} in {:?}", started.elapsed());
    assert!(violations.is_empty());
}

fn seeds(default: Range<u64>) -> Range<u64> {
    match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => default,
    }
}

#[test]
fn calm() {
    report(Kind::Calm, seeds(0..1_500));
}

#[test]
fn outages() {
    report(Kind::Outages, seeds(0..2_500));
}

#[test]
fn sign_outs() {
    report(Kind::SignOuts, seeds(0..4_000));
}

#[test]
fn sign_ins() {
    report(Kind::SignIns, seeds(0..2_000));
}
