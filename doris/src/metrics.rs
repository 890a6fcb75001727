//! Names of this crate's metrics.

use std::time::Duration;

use ccr_ops::ErrorKind;

use crate::error::Error;

/// Histogram, seconds: one call or statement, waiting for a connection included. Labels [`LABEL_CALL`], [`LABEL_OUTCOME`].
pub const CALL_DURATION: &str = "ccr_doris_call_duration_seconds";

/// Method name, `execute` or `query`.
pub const LABEL_CALL: &str = "call";

/// `ok` when an answer came (whatever its status code), else the kind of the error.
pub const LABEL_OUTCOME: &str = "outcome";

/// Describes this crate's metrics to the recorder.
pub fn describe() {
    metrics::describe_histogram!(
        CALL_DURATION,
        metrics::Unit::Seconds,
        "Time of one call to Doris, by call and outcome"
    );
}

pub(crate) fn observe_call(call: &'static str, error: Option<&Error>, took: Duration) {
    let outcome = error.map_or("ok", |error| ErrorKind::as_str(error.kind()));
    metrics::histogram!(CALL_DURATION, LABEL_CALL => call, LABEL_OUTCOME => outcome)
        .record(took.as_secs_f64());
}
