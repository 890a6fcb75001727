//! Names, labels and descriptions of the producer's metrics.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Events durable in the log, by `event`.
pub const EVENTS_PUBLISHED: &str = "ccr_producer_events_published_total";
/// Time from a record's first sight to its durability in the log.
pub const PUBLISH_DELAY: &str = "ccr_producer_publish_delay_seconds";
/// Records per append.
pub const APPEND_RECORDS: &str = "ccr_producer_append_records";
/// Time of one append.
pub const APPEND_DURATION: &str = "ccr_producer_append_duration_seconds";
/// Calls to the source FE, by `call`.
pub const SOURCE_CALLS: &str = "ccr_producer_source_calls_total";
/// Records between the log and the source's newest, by `source` and `database`.
pub const SOURCE_LAG: &str = "ccr_producer_source_lag_positions";
/// Snapshots, by `outcome`: `taken`, `reused`, `failed`.
pub const SNAPSHOTS: &str = "ccr_producer_snapshots_total";
/// Spans of history that the source forgot before they were read.
pub const GAPS: &str = "ccr_producer_gaps_total";
/// Timelines begun because the source's history was replaced.
pub const TIMELINES: &str = "ccr_producer_timelines_total";
/// Errors, by `kind`.
pub const ERRORS: &str = "ccr_errors_total";
/// Streams that jobs need and this process runs or waits to run.
pub const STREAMS: &str = "ccr_producer_streams";

/// Describes every metric, once per process.
pub fn describe() {
    describe_counter!(EVENTS_PUBLISHED, Unit::Count, "Events durable in the log");
    describe_histogram!(
        PUBLISH_DELAY,
        Unit::Seconds,
        "Time from the first read of a record until it is durable in the log"
    );
    describe_histogram!(APPEND_RECORDS, Unit::Count, "Records per append");
    describe_histogram!(APPEND_DURATION, Unit::Seconds, "Time of one append");
    describe_counter!(SOURCE_CALLS, Unit::Count, "Calls to the source FE");
    describe_gauge!(
        SOURCE_LAG,
        Unit::Count,
        "Positions between the log's end and the source's newest record"
    );
    describe_counter!(SNAPSHOTS, Unit::Count, "Snapshots by outcome");
    describe_counter!(GAPS, Unit::Count, "Spans of history lost by the source");
    describe_counter!(
        TIMELINES,
        Unit::Count,
        "Timelines begun because the source's history was replaced"
    );
    describe_counter!(ERRORS, Unit::Count, "Errors by kind");
    describe_gauge!(
        STREAMS,
        Unit::Count,
        "Streams that jobs need and this process runs or waits to run"
    );
}
