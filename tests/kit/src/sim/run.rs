//! One run: things happen and go wrong; then nothing goes wrong any more, and everything must become equal within a bound.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ccr_control::{JobRegistry, StatusBoard};
use ccr_log::SharedLog;
use ccr_ops::{Clock, Sealer, Secret};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt;

use super::chaos;
use super::check::differences;
use super::jobs::{DATABASE, LOG_KEY, PREFIX, SOURCE};
use super::known::Known;
use super::operator::Operator;
use super::processes::{Role, Shared, keep_running};
use super::scenario::{Scenario, Trouble};
use super::telling::Telling;
use super::workload::{Workload, perform};
use crate::log::MemoryLog;
use crate::net::Net;
use crate::time::SimClock;
use crate::world::{Fact, State, World};

/// Virtual time in which everything must have become equal once nothing goes wrong any more.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// Seed.
    pub seed: u64,
    /// Sum over the trace.
    pub digest: u64,
    /// Lines of the trace.
    pub lines: u64,
    /// Virtual milliseconds.
    pub virtual_ms: i64,
    /// What was reached, and how often.
    pub reached: std::collections::BTreeMap<String, u64>,
    /// What must not happen and did.
    pub violations: Vec<String>,
    /// The last lines of the trace.
    pub tail: Vec<String>,
}

/// Runs a seed, clear of the defects that are known.
pub fn run_seed(seed: u64, prints: bool) -> Report {
    run(&Scenario::new(seed, Known::all_avoided()), prints)
}

/// Runs a scenario.
///
/// # Panics
/// When the system has no memory for a runtime.
pub fn run(scenario: &Scenario, prints: bool) -> Report {
    let net = Net::new(scenario.seed, scenario.weather);
    let world = World::new(scenario.clusters(), net, prints);
    let quiet = Arc::new(Notify::new());
    let (hook, nothing_left) = (world.clone(), quiet.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || {
            if !hook.timers.advance() {
                nothing_left.notify_one();
            }
        })
        .build()
        .expect("a runtime without drivers needs nothing of the system");
    let subscriber = tracing_subscriber::registry().with(Telling(world.clone()));
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = phases(scenario, &world) => {}
                () = quiet.notified() => {
                    world.violation("nothing will ever happen again".to_owned());
                }
            }
        });
        world.close();
        drop(runtime);
    });
    world.with(|state, now| Report {
        seed: scenario.seed,
        digest: state.trace.digest(),
        lines: state.trace.count(),
        virtual_ms: now - crate::time::EPOCH_MS,
        reached: state.trace.reached().clone(),
        violations: state.violations.clone(),
        tail: state.trace.tail(usize::MAX),
    })
}

async fn phases(scenario: &Scenario, world: &Arc<World>) {
    world.note("scenario", format_args!("{scenario:?}"));
    let clock: Arc<dyn Clock> = Arc::new(SimClock::new(world.timers.clone(), 0));
    let log = MemoryLog::new(clock.clone(), scenario.log_policy);
    let shared = Shared::new(scenario, world.clone(), log.clone());
    let plain: SharedLog = log.clone();
    let Ok(registry) = JobRegistry::open(plain.clone(), PREFIX).await else {
        return world.violation("the jobs topic can not be made".to_owned());
    };
    let Ok(status) = StatusBoard::open(plain, PREFIX).await else {
        return world.violation("the status topic can not be made".to_owned());
    };
    let mut workload = Workload::new(scenario);
    world.with(|state, _| state.followed = scenario.named());
    for act in workload.first_acts() {
        let _ = world.with(|state, now| {
            let source = state.clusters.get_mut(SOURCE)?;
            perform(source, &act, now).ok()
        });
    }
    create_jobs(scenario, world, &registry).await;

    let mut tasks = JoinSet::new();
    let (board, time) = (status.clone(), clock.clone());
    tasks.spawn(async move { board.run(&*time, CancellationToken::new()).await });
    for number in 0..scenario.producers {
        tasks.spawn(keep_running(shared.clone(), Role::Producer, number));
    }
    for number in 0..scenario.appliers {
        tasks.spawn(keep_running(shared.clone(), Role::Applier, number));
    }
    let chaos = (scenario.trouble != Trouble::None).then(|| {
        let wrong = chaos::go_wrong(shared.clone(), scenario.clone(), registry.clone());
        tasks.spawn(wrong)
    });

    world.sleep_ms(scenario.first_pause_ms).await;
    for _ in 0..scenario.steps {
        world.sleep_ms(workload.pause(scenario.pause_ms)).await;
        act(&mut workload, world);
    }
    if let Some(chaos) = chaos {
        chaos.abort();
    }
    while let Some(act) = workload.rest() {
        do_act(&act, world);
    }
    chaos::heal(&shared, scenario, &registry).await;
    let missing = world.with(|state, _| {
        let source = state.clusters.get(SOURCE);
        source.map_or_else(Vec::new, |source| workload.missing(source))
    });
    for act in missing {
        do_act(&act, world);
    }
    world.note("run", format_args!("nothing goes wrong any more"));

    let mut operator = Operator::new(world.clone(), registry, status);
    if !become_equal(scenario, world, &mut operator).await {
        return;
    }
    // Equal may also be what is dead: a little more must arrive too.
    let more = world.with(|state, _| {
        let source = state.clusters.get(SOURCE);
        source.map_or_else(Vec::new, |source| workload.load_everywhere(source))
    });
    for act in more {
        do_act(&act, world);
    }
    become_equal(scenario, world, &mut operator).await;
}

async fn create_jobs(scenario: &Scenario, world: &World, registry: &JobRegistry) {
    let sealer = Sealer::from_base64(LOG_KEY).ok();
    let sealed = sealer.and_then(|sealer| sealer.seal(&Secret::new("pw".to_owned())).ok());
    for job in &scenario.jobs {
        let mut spec = job.spec(sealed.as_deref().unwrap_or_default(), world.timers.now_ms());
        spec.options.transactions_in_flight = scenario.in_flight;
        if let Err(error) = registry.create(&spec).await {
            world.violation(format!("job {} can not be created: {error}", job.name));
        }
    }
}

fn act(workload: &mut Workload, world: &World) {
    let shown = world.with(|state, now| {
        let source = state.clusters.get_mut(SOURCE)?;
        let (act, done) = workload.act(source, now);
        Some((act, done))
    });
    if let Some((act, done)) = shown {
        tell(world, &act, done.err());
    }
}

fn do_act(act: &super::workload::Act, world: &World) {
    let done = world.with(|state, now| {
        let source = state.clusters.get_mut(SOURCE)?;
        Some(perform(source, act, now))
    });
    tell(world, act, done.and_then(Result::err));
}

fn tell(world: &World, act: &super::workload::Act, refused: Option<crate::doris::Refused>) {
    use super::workload::Act;
    let kind = match act {
        Act::Load(_, explicit) => if *explicit { "Explicit" } else { "Load" }.to_owned(),
        Act::Do(stmt) => format!("{stmt:?}")
            .split([' ', '('])
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    match refused {
        None => {
            world.with(|state, _| note_missing_names(state));
            world.reach(&format!("act: {kind}"));
            world.note("users", format_args!("{act:?}"));
        }
        Some(refused) => world.note("users", format_args!("{act:?} refused: {}", refused.text)),
    }
}

fn note_missing_names(state: &mut State) {
    let Some(source) = state
        .clusters
        .get(SOURCE)
        .and_then(|c| c.databases.get(DATABASE))
    else {
        return;
    };
    if state.followed.iter().any(|name| !source.has(name)) {
        state.facts.insert(Fact::NameMissing);
    }
}

/// Waits until all jobs have what the source has.
async fn become_equal(scenario: &Scenario, world: &Arc<World>, operator: &mut Operator) -> bool {
    let until = world.timers.now() + PATIENCE;
    let mut quiet_for = 0;
    while world.timers.now() < until {
        world.sleep_ms(250).await;
        for job in &scenario.jobs {
            let facts = world.with(|state, _| state.facts.clone());
            operator
                .look_after(job, |text| explained(&facts, scenario.avoided, text))
                .await;
        }
        // What is half done when everything ends is ended, as soon as its table can be changed.
        let left = world.with(|state, _| {
            let source = state.clusters.get(SOURCE);
            source.map_or_else(Vec::new, super::workload::temporary_partitions)
        });
        for act in left {
            do_act(&act, world);
        }
        let failed = world.with(|state, _| !state.violations.is_empty());
        if failed {
            return false;
        }
        let equal = world.with(|state, _| {
            let mut jobs = scenario.jobs.iter();
            jobs.all(|job| differences(state, job, scenario.avoided).is_empty())
        });
        let calm = scenario
            .jobs
            .iter()
            .all(|job| operator.complaints(job).is_empty());
        quiet_for = if equal && calm { quiet_for + 1 } else { 0 };
        // Jobs of the source may still be on their way to an end that changes something.
        if quiet_for >= 12 {
            return true;
        }
    }
    for job in &scenario.jobs {
        let (found, complaints) = (
            world.with(|state, _| differences(state, job, scenario.avoided)),
            operator.complaints(job),
        );
        if !found.is_empty() || !complaints.is_empty() {
            world.violation(format!(
                "job {} is not equal after {} s: {found:?}, complaints {complaints:?}",
                job.name,
                PATIENCE.as_secs()
            ));
        }
    }
    false
}

/// True when something that happened in the run explains why a job needs a person.
fn explained(facts: &BTreeSet<Fact>, avoided: Known, complaint: &str) -> bool {
    let says = |texts: &[&str]| texts.iter().any(|text| complaint.contains(text));
    let happened = |fact: Fact| facts.contains(&fact);
    let cannot_judge = happened(Fact::LabelsForgotten) || avoided.versions_left_out;
    (cannot_judge && says(&["nothing tells whether"]))
        || (happened(Fact::HistoryLost) && says(&["lost its history"]))
        || (happened(Fact::NameMissing)
            && says(&[
                "is not among the job's tables",
                "exists already at the destination and its content is not known",
            ]))
        || (happened(Fact::NameMissing) && says(&["no snapshot was announced"]))
        || (happened(Fact::RecordLate) && says(&["showed its record"]))
}
