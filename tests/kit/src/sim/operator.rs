//! The person who looks at the status, and repairs what may have to be repaired.

use std::collections::BTreeMap;
use std::sync::Arc;

use ccr_control::{JobRegistry, JobState, StatusBoard};

use super::jobs::Job;
use crate::world::World;

/// Times that a job may be repaired.
const MAX_REPAIRS: u32 = 4;

/// Looks after the jobs in the end.
pub struct Operator {
    world: Arc<World>,
    registry: Arc<JobRegistry>,
    status: Arc<StatusBoard>,
    repairs: BTreeMap<String, (u32, String)>,
}

impl Operator {
    /// With a log that never fails.
    pub fn new(world: Arc<World>, registry: Arc<JobRegistry>, status: Arc<StatusBoard>) -> Self {
        Self {
            world,
            registry,
            status,
            repairs: BTreeMap::new(),
        }
    }

    /// What the job says it needs a person for.
    pub fn complaints(&self, job: &Job) -> Vec<String> {
        let Ok(spec) = self.registry.get(&job.name) else {
            return Vec::new();
        };
        let Some(status) = self.status.job(&job.name) else {
            return Vec::new();
        };
        if status.incarnation != spec.incarnation.0 {
            return Vec::new();
        }
        let mut complaints: Vec<String> = status
            .lanes
            .iter()
            .map(|lane| format!("table {} stops at {}: {}", lane.table, lane.at, lane.reason))
            .collect();
        if status.state == JobState::Halted {
            complaints.push(format!("halted: {}", status.action));
        }
        complaints
    }

    /// Does what the status advises. Complaints that nothing in the run explains are violations.
    pub async fn look_after(&mut self, job: &Job, explained: impl Fn(&str) -> bool) {
        let complaints = self.complaints(job);
        if complaints.is_empty() {
            return;
        }
        for complaint in &complaints {
            let kind: String = complaint
                .chars()
                .filter(|c| !c.is_ascii_digit())
                .take(90)
                .collect();
            self.world.reach(&format!("complaint: {kind}"));
        }
        let cause = complaints.iter().any(|text| explained(text));
        let follows = |text: &str| cause && text.contains("also concerns table");
        for complaint in complaints
            .iter()
            .filter(|text| !explained(text) && !follows(text))
        {
            self.world.violation(format!(
                "job {} needs a person for no reason: {complaint}",
                job.name
            ));
        }
        let incarnation = self
            .registry
            .get(&job.name)
            .map(|spec| spec.incarnation.0)
            .unwrap_or_default();
        let (times, last) = self.repairs.entry(job.name.clone()).or_default();
        if *last == incarnation {
            return;
        }
        *times += 1;
        last.clone_from(&incarnation);
        if *times > MAX_REPAIRS {
            self.world.violation(format!(
                "job {} was repaired {MAX_REPAIRS} times and still complains: {complaints:?}",
                job.name
            ));
            return;
        }
        self.world.note(
            "operator",
            format_args!("resync {}: {complaints:?}", job.name),
        );
        self.world.reach("operator: resync");
        let now = self.world.timers.now_ms();
        if let Err(error) = self.registry.resync(&job.name, now).await {
            self.world
                .violation(format!("resync {}: {error}", job.name));
        }
    }
}
