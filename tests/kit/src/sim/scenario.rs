//! What a seed decides before anything happens.

use std::time::Duration;

use super::jobs::{DATABASE, Job, Kind, SOURCE};
use super::known::Known;
use crate::doris::{Cluster, Policy};
use crate::log::{LogPolicy, LogWeather};
use crate::net::Weather;
use crate::rng::Rng;

/// How much goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// The network is bad.
    Network,
    /// Processes die.
    Crashes,
    /// Everything.
    All,
}

/// What users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habits {
    /// Loads.
    Loads,
    /// Loads and statements that are repeated as statements.
    Statements,
    /// Everything, also what only a snapshot brings.
    Everything,
}

/// A run, before it begins.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Seed.
    pub seed: u64,
    /// Jobs.
    pub jobs: Vec<Job>,
    /// Producers.
    pub producers: usize,
    /// Appliers.
    pub appliers: usize,
    /// How much goes wrong.
    pub trouble: Trouble,
    /// Longest span without something that goes wrong, milliseconds.
    pub calm_ms: i64,
    /// The source may forget records that were not read.
    pub loses_history: bool,
    /// Defects that are avoided.
    pub avoided: Known,
    /// What users do.
    pub habits: Habits,
    /// Steps of the workload.
    pub steps: u64,
    /// Pause between the creation of the jobs and the first step, milliseconds.
    pub first_pause_ms: i64,
    /// Longest ordinary pause between two steps, milliseconds.
    pub pause_ms: i64,
    /// The network.
    pub weather: Weather,
    /// The log.
    pub log_weather: LogWeather,
    /// How the log behaves.
    pub log_policy: LogPolicy,
    /// How the source behaves.
    pub source_policy: Policy,
    /// How destinations behave.
    pub dest_policy: Policy,
    /// Backends of the source.
    pub source_backends: usize,
    /// Backends of a destination.
    pub dest_backends: usize,
    /// Replicas of the source's tables.
    pub replicas: usize,
    /// Transactions in flight.
    pub in_flight: usize,
}

/// Names of tables: few, so that they are used again.
pub const NAMES: [&str; 6] = ["t0", "t1", "t2", "t3", "t4", "t5"];

impl Scenario {
    /// The scenario of a seed, clear of some defects.
    pub fn new(seed: u64, avoided: Known) -> Self {
        let mut rng = Rng::new(seed, "scenario");
        let trouble = match rng.below(10) {
            0 => Trouble::None,
            1 | 2 => Trouble::Network,
            3..=5 => Trouble::Crashes,
            _ => Trouble::All,
        };
        let habits = match rng.below(10) {
            0 | 1 => Habits::Loads,
            2..=4 => Habits::Statements,
            _ => Habits::Everything,
        };
        let bad = matches!(trouble, Trouble::Network | Trouble::All);
        let weather = if bad {
            Weather {
                refused: rng.below(20),
                request_lost: rng.below(20),
                answer_lost: rng.below(30),
                slow: rng.below(20),
                latency_ms: rng.within(0, 15),
            }
        } else {
            Weather {
                latency_ms: rng.within(0, 5),
                ..Weather::default()
            }
        };
        let log_weather = if bad {
            LogWeather {
                append_fails: rng.below(15),
                append_unknown: rng.below(15),
                append_cut: rng.below(15),
                read_fails: rng.below(5),
                commit_fails: rng.below(20),
                latency_ms: rng.within(0, 5),
            }
        } else {
            LogWeather::default()
        };
        let session_timeout = if rng.coin() { 0 } else { rng.below(3000) };
        let log_policy = LogPolicy {
            session_timeout: Duration::from_millis(session_timeout),
            rebalance_timeout: Duration::from_secs(3),
            hole_every: if rng.coin() { 0 } else { rng.within(2, 20) },
        };
        let source_policy = Policy {
            publish_ms: (0, rng.within(0, 60)),
            late_ms: 90,
            late_permille: if rng.coin() { 0 } else { 100 },
            tick_ms: rng.within(20, 200),
            alter_ms: (10, rng.within(20, 1500)),
            drops_rowsets_at_once: rng.coin(),
            bin_ms: 3_600_000,
            refuses_temp_backup: rng.coin(),
        };
        let dest_policy = Policy {
            publish_ms: (0, *rng.pick(&[5, 50, 400]).unwrap_or(&5)),
            tick_ms: rng.within(20, 200),
            ..Policy::default()
        };
        let source_backends = usize::try_from(rng.within(1, 3)).unwrap_or(1);
        let dest_backends = usize::try_from(rng.within(1, 3)).unwrap_or(1);
        let least = source_backends.min(dest_backends);
        let replicas =
            usize::try_from(rng.within(1, i64::try_from(least).unwrap_or(1))).unwrap_or(1);
        Self {
            seed,
            jobs: jobs(&mut rng, avoided),
            producers: 1 + usize::from(rng.below(3) == 0),
            appliers: 1 + usize::from(rng.coin()),
            trouble,
            calm_ms: *rng.pick(&[300, 1000, 3000]).unwrap_or(&1000),
            loses_history: rng.below(10) == 0 && !avoided.rowsets_collected,
            avoided,
            habits,
            steps: 10 + rng.below(50),
            first_pause_ms: *rng.pick(&[0, 300, 2000, 5000]).unwrap_or(&0),
            pause_ms: *rng.pick(&[20, 100, 400, 1000]).unwrap_or(&100),
            weather,
            log_weather,
            log_policy,
            source_policy,
            dest_policy,
            source_backends,
            dest_backends,
            replicas,
            in_flight: usize::try_from(rng.within(1, 16)).unwrap_or(1),
        }
    }

    /// Its clusters.
    pub fn clusters(&self) -> Vec<Cluster> {
        let mut source = Cluster::new(SOURCE, 1, self.source_backends, self.seed);
        source.policy = self.source_policy.clone();
        source.create_database(DATABASE, true);
        let mut clusters = vec![source];
        let mut number = 2;
        for job in &self.jobs {
            if clusters.iter().any(|cluster| cluster.name == job.cluster) {
                continue;
            }
            let mut cluster = Cluster::new(&job.cluster, number, self.dest_backends, self.seed);
            cluster.policy = self.dest_policy.clone();
            clusters.push(cluster);
            number += 1;
        }
        clusters
    }

    /// Names by which jobs follow single tables.
    pub fn named(&self) -> Vec<String> {
        let mut named: Vec<String> = Vec::new();
        for job in &self.jobs {
            match &job.kind {
                Kind::Database => {}
                Kind::Filter(tables) => named.extend(tables.iter().cloned()),
                Kind::Table { from, .. } => named.push(from.clone()),
            }
        }
        named.sort();
        named.dedup();
        named
    }

    /// Processes die.
    pub fn crashes(&self) -> bool {
        matches!(self.trouble, Trouble::Crashes | Trouble::All)
    }
}

fn jobs(rng: &mut Rng, avoided: Known) -> Vec<Job> {
    let part = |name: &str| {
        let name = if avoided.left_by_earlier_sync {
            name
        } else {
            DATABASE
        };
        name.to_owned()
    };
    let mut jobs = vec![Job {
        name: "all".to_owned(),
        cluster: "dest1".to_owned(),
        database: if rng.coin() { DATABASE } else { "copy" }.to_owned(),
        kind: Kind::Database,
    }];
    if rng.below(3) == 0 {
        jobs.push(Job {
            name: "some".to_owned(),
            cluster: "dest2".to_owned(),
            database: part("some"),
            kind: Kind::Filter(vec!["t0".to_owned(), "t1".to_owned()]),
        });
    }
    if rng.below(3) == 0 {
        jobs.push(Job {
            name: "one".to_owned(),
            cluster: "dest3".to_owned(),
            database: part("one"),
            kind: Kind::Table {
                from: "t0".to_owned(),
                to: "other".to_owned(),
            },
        });
    }
    jobs
}
