//! What the parts of one stream share.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ccr_control::{Problem, ProblemKind, ProblemPart};
use ccr_log::{SharedLog, TopicKind, TopicSpec};
use ccr_ops::retry::policy;
use ccr_ops::{Backoff, Clock, Sealer};
use ccr_schemas::codec::Codec;
use ccr_schemas::{TimestampMs, TopicName};
use tracing::warn;

use crate::config::ProducerConfig;
use crate::error::Error;
use crate::metrics as names;
use crate::plan::Moment;
use crate::report::{Concern, Report};
use crate::source::Source;

/// A call without an answer for this long is reported; well below the ten seconds in which a status names a problem.
const SLOW_CALL: Duration = Duration::from_secs(5);

/// Which stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// Source cluster, as in topic names.
    pub source: String,
    /// Database.
    pub database: String,
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.source, self.database)
    }
}

/// Topics of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    pub events: TopicName,
    pub snapshots: TopicName,
    pub control: TopicName,
    pub catalog: TopicName,
}

/// What the parts of one stream share.
pub(crate) struct Context {
    pub key: StreamKey,
    pub config: Arc<ProducerConfig>,
    pub log: SharedLog,
    pub source: Arc<dyn Source>,
    pub clock: Arc<dyn Clock>,
    pub sealer: Sealer,
    pub codec: Codec,
    pub topics: Topics,
    pub report: Arc<Report>,
    /// Whether a job follows all tables of the database.
    pub follows_database: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Topics {
    pub(crate) fn of(prefix: &str, key: &StreamKey) -> Self {
        let (source, database) = (key.source.as_str(), key.database.as_str());
        Self {
            events: TopicName::events(prefix, source, database),
            snapshots: TopicName::snapshots(prefix, source, database),
            control: TopicName::control(prefix, source, database),
            catalog: TopicName::catalog(prefix, source, database),
        }
    }
}

impl Context {
    /// Now, by both clocks.
    pub(crate) fn now(&self) -> Moment {
        Moment {
            monotonic: self.clock.monotonic(),
            wall: TimestampMs(self.clock.now_ms()),
        }
    }

    /// Creates or verifies the stream's topics.
    pub(crate) async fn ensure_topics(&self) -> Result<(), Error> {
        let kept = TopicKind::Retained(self.config.events_retention);
        let wanted = [
            (&self.topics.events, kept),
            (&self.topics.snapshots, kept),
            (&self.topics.control, kept),
            (&self.topics.catalog, TopicKind::Compacted),
        ];
        for (name, kind) in wanted {
            let name = name.clone();
            self.log.ensure_topic(&TopicSpec { name, kind }).await?;
        }
        Ok(())
    }

    /// Names the database in an error of the source.
    pub(crate) fn source_error(&self, source: ccr_doris::Error) -> Error {
        Error::Source {
            database: self.key.database.clone(),
            source,
        }
    }

    /// Calls the source, again and again as its error's kind allows. Each attempt is bounded by the client; one that takes
    /// longer than [`SLOW_CALL`] is reported before it ends.
    pub(crate) async fn ask<T, F, A>(&self, call: &'static str, mut attempt: F) -> Result<T, Error>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, ccr_doris::Error>>,
    {
        let mut backoff: Option<Backoff> = None;
        let concern = Concern::Call(call);
        loop {
            metrics::counter!(names::SOURCE_CALLS, "call" => call).increment(1);
            let answer = self.report_slowness(call, attempt()).await;
            let error = match answer {
                Ok(answer) => {
                    self.report.well(concern);
                    return Ok(answer);
                }
                Err(error) => self.source_error(error),
            };
            let kind = error.kind();
            metrics::counter!(names::ERRORS, "component" => "producer", "kind" => kind.as_str())
                .increment(1);
            let seed = self.clock.now_ms().unsigned_abs();
            let waits = backoff.get_or_insert_with(|| Backoff::new(policy(kind), seed));
            let Some(delay) = waits.next_delay() else {
                self.report.well(concern);
                return Err(error);
            };
            if waits.attempts_made() == 1 {
                warn!(error = %error.chain(), call, stream = %self.key, "source unavailable, retrying");
            }
            let problem = error.problem(self.clock.now_ms());
            self.report.trouble(concern, problem);
            self.clock.sleep(delay).await;
        }
    }

    /// Waits for a call, and reports one that is not answered for a while: a server that is cut off does not refuse.
    async fn report_slowness<T>(&self, call: &'static str, attempt: impl Future<Output = T>) -> T {
        tokio::pin!(attempt);
        tokio::select! {
            biased;
            // 1. the answer
            answer = &mut attempt => return answer,
            // 2. it takes long
            () = self.clock.sleep(SLOW_CALL) => {}
        }
        let what = format!(
            "the source has not answered {call} for {} s",
            SLOW_CALL.as_secs()
        );
        let (part, kind) = (ProblemPart::Source, ProblemKind::Unreachable);
        let waited = i64::try_from(SLOW_CALL.as_millis()).unwrap_or(0);
        let since = self.clock.now_ms() - waited;
        self.report
            .trouble(Concern::Call(call), Problem::new(part, kind, what, since));
        attempt.await
    }
}
