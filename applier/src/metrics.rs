//! Names of the metrics, in one place.

/// Events that took effect. Label `event`.
pub const EVENTS_APPLIED: &str = "ccr_applier_events_applied_total";
/// Events, or parts of them, left out. Label `reason` is not used: reasons stand in the job's status.
pub const EVENTS_SKIPPED: &str = "ccr_applier_events_skipped_total";
/// From the source's time to the effect at the destination.
pub const LAG_SECONDS: &str = "ccr_applier_replication_lag_seconds";
/// Duration of performed actions. Label `action`.
pub const ACTION_SECONDS: &str = "ccr_applier_action_duration_seconds";
/// Events read and not done. Label `job`.
pub const PENDING: &str = "ccr_applier_pending_events";
/// Failed calls. Label `kind`.
pub const FAILURES: &str = "ccr_applier_failures_total";
/// Outcomes that cannot happen: each is a defect of this program and stops its job.
pub const VIOLATIONS: &str = "ccr_applier_invariant_violations_total";

/// Tells the recorder what the metrics are.
pub fn describe() {
    metrics::describe_counter!(EVENTS_APPLIED, "events that took effect at the destination");
    metrics::describe_counter!(EVENTS_SKIPPED, "events, or parts of them, left out");
    metrics::describe_histogram!(LAG_SECONDS, metrics::Unit::Seconds, "source time to effect");
    metrics::describe_histogram!(ACTION_SECONDS, metrics::Unit::Seconds, "performed actions");
    metrics::describe_gauge!(PENDING, "events read and not done");
    metrics::describe_counter!(FAILURES, "failed calls");
    metrics::describe_counter!(VIOLATIONS, "defects of this program that stopped a job");
}
