//! Plan of one schedule: instances, their clocks, faults and participants, all drawn from its seed.

use std::time::Duration;

use crate::testing::seeded::Seeded;
use crate::testing::virtual_provider::{ExchangePolicy, Illness, ProviderDefect};
use crate::testing::virtual_store::{StoreDefect, StoreHealth};

/// Group of schedules, by the rules that it stresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Provider and store are well, and nobody signs out: rule 4.
    Calm,
    /// Outages, an ill store, instances that die: rules 3 and 5.
    Outages,
    /// Sign-outs of every sort race refreshes: rules 1 and 6.
    SignOuts,
    /// Sign-ins under way race logouts by the Provider: rule 2.
    SignIns,
    /// Routes with tokens of their own; one schedule in three is calm: rules 4, 5, 6 and 8.
    Routes,
    /// Routes with tokens by exchange, of two persons; one schedule in three is calm: rules 3, 4, 5, 9 and 10.
    Exchanges,
}

/// Start of a participant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    /// This time after the start.
    At(Duration),
    /// This time after the Provider got a refresh token for the nth time.
    AfterRefresh(usize, Duration),
    /// This time after the Provider got the nth exchange.
    AfterExchange(usize, Duration),
}

/// Verb that ends sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    /// The person's own sign-out.
    SignOut,
    /// Back-channel logout with `sub` alone.
    LogoutBySub,
    /// Back-channel logout with `sid` alone.
    LogoutBySid,
    /// Back-channel logout with both.
    LogoutBySidAndSub,
    /// Front-channel logout: an unknown `sid` closes nothing.
    FrontChannel,
    /// `oauth-proxy revoke --person`.
    Revoke,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedEnd {
    pub(super) verb: Verb,
    pub(super) instance: usize,
    pub(super) moment: Moment,
}

#[derive(Clone, Debug)]
pub(super) struct PlannedSignIn {
    pub(super) sid: Option<&'static str>,
    pub(super) begins_at: usize,
    pub(super) begins: Duration,
    /// Instance and time of each delivery of the callback.
    pub(super) deliveries: Vec<(usize, Duration)>,
}

/// Period in which the token endpoint fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) illness: Illness,
    pub(super) acts: bool,
}

/// Request of the person for something of a route with a token of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedRouteRequest {
    pub(super) target: &'static str,
    pub(super) instance: usize,
    pub(super) at: Duration,
}

/// Period in which calls for one target fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct TargetOutage {
    pub(super) target: &'static str,
    pub(super) outage: Outage,
}

/// Period in which the store refuses every write.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteOutage {
    pub(super) from: Moment,
    pub(super) lasts: Duration,
}

/// End of an instance: killed, or drained first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    pub(super) instance: usize,
    /// Number of its calls of the token endpoint before that, and the delay after the last of them.
    pub(super) calls: usize,
    pub(super) delay: Duration,
    pub(super) is_drained: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// Seconds that each instance's clock is ahead.
    pub(super) ahead: Vec<i64>,
    pub(super) store: StoreHealth,
    pub(super) store_defect: Option<StoreDefect>,
    pub(super) provider_defect: Option<ProviderDefect>,
    pub(super) rotates: bool,
    pub(super) expires_in: u64,
    /// The `sid` of the first sign-in.
    pub(super) sid: Option<&'static str>,
    pub(super) outages: Vec<Outage>,
    pub(super) departure: Option<Departure>,
    /// Requests of the person at each instance.
    pub(super) requests: Vec<Vec<Duration>>,
    pub(super) forced: Vec<(usize, Duration)>,
    pub(super) ends: Vec<PlannedEnd>,
    pub(super) sign_ins: Vec<PlannedSignIn>,
    pub(super) route_requests: Vec<PlannedRouteRequest>,
    /// Requests of another person at the same instances.
    pub(super) other_requests: Vec<PlannedRouteRequest>,
    pub(super) exchange_policy: ExchangePolicy,
    pub(super) target_outages: Vec<TargetOutage>,
    pub(super) write_outage: Option<WriteOutage>,
}

/// Targets of routes.
pub(super) const TARGETS: [&str; 3] = ["b", "c", "d"];

/// Targets of routes whose tokens come by exchange.
pub(super) const EXCHANGED: [&str; 2] = ["urn:x", "urn:y"];

/// Those, and one whose token comes by the refresh token.
const MIXED: [&str; 3] = [EXCHANGED[0], EXCHANGED[1], TARGETS[0]];

/// Due and expiry of the first access token, both counted from the start.
pub(super) const DUE: Duration = Duration::from_secs(60);
pub(super) const LAPSE: Duration = Duration::from_secs(100);
/// First and last start of a participant.
const FIRST: Duration = Duration::from_secs(35);
pub(super) const LAST: Duration = Duration::from_secs(160);

impl Plan {
    pub(super) fn draw(kind: Kind, seed: u64) -> Self {
        let mut draw = Seeded::new(seed, 1);
        let ahead: Vec<i64> = (0..3 + draw.below(2)).map(|_| skew(&mut draw)).collect();
        let instances = ahead.len();
        let has_routes = matches!(kind, Kind::Routes | Kind::Exchanges);
        let is_calm = kind == Kind::Calm || has_routes && seed.is_multiple_of(3);
        let has_ill_targets = has_routes && !is_calm;
        let store = match seed % 2 {
            _ if is_calm => StoreHealth::Well,
            0 => StoreHealth::Ill,
            _ => draw.pick(&[StoreHealth::Well, StoreHealth::Flaky]),
        };
        let outages = match kind {
            Kind::Calm => 0,
            Kind::Routes | Kind::Exchanges if is_calm => 0,
            Kind::Routes | Kind::Exchanges => draw.below(2),
            Kind::Outages => 1 + draw.below(2),
            Kind::SignOuts | Kind::SignIns => u64::from(draw.one_in(4)),
        };
        let departs = !is_calm && draw.one_in(3);
        let is_drained = draw.one_in(2);
        let longest = if kind == Kind::Exchanges { 300 } else { 4_000 };
        let instance = draw.index(instances);
        let delay = draw.millis(0, longest);
        let calls = if kind == Kind::Exchanges { 1 + draw.index(3) } else { 1 };
        let departure = Departure { instance, calls, delay, is_drained };
        let sid = draw.pick(&[None, Some("sid-1")]);
        Self {
            seed,
            store,
            store_defect: None,
            provider_defect: None,
            rotates: !draw.one_in(4),
            expires_in: draw.pick(&[60, 100, 200]),
            sid,
            outages: (0..outages).map(|_| Outage::draw(&mut draw)).collect(),
            departure: departs.then_some(departure),
            requests: (0..instances).map(|_| requests(kind, &mut draw)).collect(),
            forced: (0..draw.below(3)).map(|_| (draw.index(instances), draw.millis(40_000, 150_000))).collect(),
            ends: if is_calm { Vec::new() } else { ends(kind, sid, instances, &mut draw) },
            sign_ins: sign_ins(kind, instances, &mut draw),
            route_requests: if has_routes { route_requests(kind, instances, &mut draw) } else { Vec::new() },
            target_outages: if has_ill_targets { target_outages(kind, &mut draw) } else { Vec::new() },
            write_outage: if has_ill_targets { write_outage(kind, &mut draw) } else { None },
            other_requests: if kind == Kind::Exchanges { other_requests(instances, &mut draw) } else { Vec::new() },
            exchange_policy: if kind == Kind::Exchanges { draw_policy(&mut draw) } else { ExchangePolicy::default() },
            ahead,
        }
    }
}

impl Outage {
    fn draw(draw: &mut Seeded) -> Self {
        let from = draw.millis(50_000, 120_000);
        let illness = draw.pick(&Illness::ALL);
        // Only an ambiguous response may follow an action: the others say that nothing was done.
        let acts = illness.is_ambiguous() && draw.one_in(3);
        Self { from, to: from + draw.millis(3_000, 100_000), illness, acts }
    }
}

fn skew(draw: &mut Seeded) -> i64 {
    i64::try_from(draw.below(41)).unwrap() - 20
}

fn requests(kind: Kind, draw: &mut Seeded) -> Vec<Duration> {
    let gap = if matches!(kind, Kind::SignIns | Kind::Routes | Kind::Exchanges) { 160_000 } else { 80_000 };
    let mut moments = Vec::new();
    let mut at = FIRST + draw.millis(0, gap);
    while at < LAST {
        moments.push(at);
        at += draw.millis(200, gap);
    }
    moments
}

fn moment(draw: &mut Seeded) -> Moment {
    if draw.one_in(3) {
        Moment::At(draw.millis(35_000, 160_000))
    } else {
        let times = 1 + draw.index(2);
        let longest = draw.pick(&[300, 2_000, 9_000]);
        Moment::AfterRefresh(times, draw.millis(0, longest))
    }
}

/// During one of the calls for routes, or soon after it.
fn soon_after_a_call(kind: Kind, draw: &mut Seeded) -> Moment {
    let times = 1 + draw.index(8);
    let longest = draw.pick(&[300, 2_000]);
    let delay = draw.millis(0, longest);
    if kind == Kind::Exchanges { Moment::AfterExchange(times, delay) } else { Moment::AfterRefresh(times, delay) }
}

fn ends(kind: Kind, sid: Option<&str>, instances: usize, draw: &mut Seeded) -> Vec<PlannedEnd> {
    let by_provider = [Verb::LogoutBySub, Verb::LogoutBySid, Verb::LogoutBySidAndSub, Verb::FrontChannel, Verb::Revoke];
    match kind {
        Kind::Calm | Kind::Outages => Vec::new(),
        Kind::Routes | Kind::Exchanges if !draw.one_in(3) => Vec::new(),
        Kind::SignOuts | Kind::Routes | Kind::Exchanges => {
            let moment = if kind == Kind::SignOuts { moment(draw) } else { soon_after_a_call(kind, draw) };
            let end = |verb, draw: &mut Seeded| PlannedEnd { verb, instance: draw.index(instances), moment };
            match draw.below(4) {
                0 => vec![end(Verb::SignOut, draw)],
                1 => vec![end(Verb::SignOut, draw), end(Verb::SignOut, draw)],
                2 => vec![end(Verb::SignOut, draw), end(draw.pick(&by_provider), draw)],
                _ => vec![end(if sid.is_some() { draw.pick(&by_provider) } else { Verb::LogoutBySub }, draw)],
            }
        }
        Kind::SignIns => (0..1 + draw.below(2))
            .map(|_| {
                let moment = Moment::At(draw.millis(40_000, 100_000));
                PlannedEnd { verb: draw.pick(&by_provider), instance: draw.index(instances), moment }
            })
            .collect(),
    }
}

fn sign_ins(kind: Kind, instances: usize, draw: &mut Seeded) -> Vec<PlannedSignIn> {
    if kind != Kind::SignIns {
        return Vec::new();
    }
    let sign_in = |_| {
        let begins = draw.millis(35_000, 100_000);
        let first = begins + draw.millis(1_000, 30_000);
        let mut deliveries = vec![(draw.index(instances), first)];
        if draw.one_in(3) {
            deliveries.push((draw.index(instances), first + draw.millis(0, 6_000)));
        }
        let sid = draw.pick(&[None, Some("sid-1"), Some("sid-2")]);
        PlannedSignIn { sid, begins_at: draw.index(instances), begins, deliveries }
    };
    (0..1).map(sign_in).collect()
}

/// Requests at each instance, now and then, and bursts at all of them.
fn route_requests(kind: Kind, instances: usize, draw: &mut Seeded) -> Vec<PlannedRouteRequest> {
    let all = if kind == Kind::Exchanges { &MIXED } else { &TARGETS };
    let targets = &all[..2 + draw.index(2)];
    let mut requests = Vec::new();
    for instance in 0..instances {
        let mut at = FIRST + draw.millis(0, 60_000);
        while at < LAST {
            requests.push(PlannedRouteRequest { target: draw.pick(targets), instance, at });
            at += draw.millis(200, 60_000);
        }
    }
    for _ in 0..3 {
        let at = draw.millis(35_000, 150_000);
        for instance in 0..instances {
            let at = at + draw.millis(0, 2_000);
            requests.push(PlannedRouteRequest { target: draw.pick(targets), instance, at });
        }
    }
    requests
}

/// Requests of another person: one burst at all instances, and one request each, now and then.
fn other_requests(instances: usize, draw: &mut Seeded) -> Vec<PlannedRouteRequest> {
    let at = draw.millis(35_000, 150_000);
    let mut requests = Vec::new();
    for instance in 0..instances {
        for at in [at + draw.millis(0, 2_000), draw.millis(35_000, 160_000)] {
            requests.push(PlannedRouteRequest { target: draw.pick(&EXCHANGED), instance, at });
        }
    }
    requests
}

fn draw_policy(draw: &mut Seeded) -> ExchangePolicy {
    ExchangePolicy {
        has_refresh_token: draw.one_in(2),
        ends_earlier_subjects: draw.one_in(3),
        repeats: draw.one_in(4),
        refusal: draw.pick(&["invalid_request", "invalid_grant"]),
        expires_in: draw.pick(&[20, 60, 200]),
    }
}

fn target_outages(kind: Kind, draw: &mut Seeded) -> Vec<TargetOutage> {
    let targets = if kind == Kind::Exchanges { &MIXED } else { &TARGETS };
    let target_outage = |_| {
        let from = draw.millis(30_000, 110_000);
        let illness = draw.pick(&Illness::OF_TARGET);
        let acts = illness.is_ambiguous() && draw.one_in(4);
        let outage = Outage { from, to: from + draw.millis(3_000, 60_000), illness, acts };
        TargetOutage { target: draw.pick(targets), outage }
    };
    (0..3).map(target_outage).collect()
}

/// An outage that begins soon after a call, and lasts about as long as a lease.
fn write_outage(kind: Kind, draw: &mut Seeded) -> Option<WriteOutage> {
    if !draw.one_in(4) {
        return None;
    }
    let times = 1 + draw.index(4);
    let delay = draw.millis(0, 300);
    let is_by_exchange = kind == Kind::Exchanges && draw.one_in(2);
    let from = if is_by_exchange { Moment::AfterExchange(times, delay) } else { Moment::AfterRefresh(times, delay) };
    Some(WriteOutage { from, lasts: draw.millis(8_000, 20_000) })
}
