//! Names of the log's metrics, and their one description.

/// Histogram, seconds: from a call of `append` to its records being durable. Label `log`: `embedded` or `kafka`.
pub const APPEND_SECONDS: &str = "ccr_log_append_seconds";
/// Counter: records appended. Label `log`.
pub const APPENDED_RECORDS: &str = "ccr_log_appended_records_total";
/// Counter: bytes of keys, values and headers appended. Label `log`.
pub const APPENDED_BYTES: &str = "ccr_log_appended_bytes_total";
/// Counter: positions of groups made durable. Label `log`.
pub const COMMITS: &str = "ccr_log_commits_total";
/// Gauge: bytes of records read ahead and not yet taken by the reader. Label `topic`.
pub const BUFFERED_BYTES: &str = "ccr_log_buffered_bytes";
/// Counter: consumers that were recreated because they had stopped delivering. Label `topic`.
pub const STALLS: &str = "ccr_log_stalls_total";

/// Label value of the embedded log.
pub const EMBEDDED: &str = "embedded";
/// Label value of Kafka.
pub const KAFKA: &str = "kafka";

/// Registers the descriptions with the process' recorder.
pub fn describe() {
    metrics::describe_histogram!(
        APPEND_SECONDS,
        metrics::Unit::Seconds,
        "Time until appended records are durable"
    );
    metrics::describe_counter!(APPENDED_RECORDS, "Records appended to the log");
    metrics::describe_counter!(
        APPENDED_BYTES,
        metrics::Unit::Bytes,
        "Bytes appended to the log"
    );
    metrics::describe_counter!(COMMITS, "Group positions made durable");
    metrics::describe_gauge!(
        BUFFERED_BYTES,
        metrics::Unit::Bytes,
        "Bytes read ahead of the reader"
    );
    metrics::describe_counter!(STALLS, "Consumers recreated after they stopped delivering");
}
