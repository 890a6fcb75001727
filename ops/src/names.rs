//! Names and labels of the metrics that every process has.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Always 1; labels name the build.
pub const BUILD_INFO: &str = "ccr_build_info";
/// Tasks that ended, by [`TASK`] and [`OUTCOME`].
pub const TASK_EXITS: &str = "ccr_task_exits_total";
/// Time to answer an HTTP request, by [`ROUTE`] and [`STATUS`].
pub const HTTP_DURATION: &str = "ccr_http_request_duration_seconds";
/// Connections refused because every slot of the HTTP server was in use.
pub const HTTP_OVERFLOW: &str = "ccr_http_connections_over_limit_total";
/// 1 while a condition of readiness holds, else 0, by [`CONDITION`].
pub const READY: &str = "ccr_ready";

/// Label: version of the build.
pub const VERSION: &str = "version";
/// Label: name of a supervised task.
pub const TASK: &str = "task";
/// Label: how something ended.
pub const OUTCOME: &str = "outcome";
/// Label: the matched route, never the raw path.
pub const ROUTE: &str = "route";
/// Label: HTTP status code.
pub const STATUS: &str = "status";
/// Label: name of a condition of readiness.
pub const CONDITION: &str = "condition";

/// Describes them; called once by [`crate::telemetry::init`].
pub(crate) fn describe() {
    describe_gauge!(BUILD_INFO, Unit::Count, "Always 1; labels name the build");
    describe_counter!(TASK_EXITS, Unit::Count, "Supervised tasks that ended");
    describe_histogram!(
        HTTP_DURATION,
        Unit::Seconds,
        "Time to answer an HTTP request"
    );
    describe_counter!(
        HTTP_OVERFLOW,
        Unit::Count,
        "Connections refused because every slot of the HTTP server was in use"
    );
    describe_gauge!(
        READY,
        Unit::Count,
        "1 while a condition of readiness holds, else 0"
    );
}
