//! The log as one process sees it: calls fail, and the process can die at any of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ccr_log::{
    Committed, Error, EventLog, GroupReader, NewRecord, Offset, ReaderEvent, Record, SharedLog,
    TopicSpec,
};
use ccr_schemas::TopicName;

use super::MemoryLog;
use crate::process::Process;
use crate::rng::Rng;

/// How often calls of the log fail, in calls out of a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogWeather {
    /// Nothing was written.
    pub append_fails: u64,
    /// All was written, and the answer is lost.
    pub append_unknown: u64,
    /// Only the first records were written.
    pub append_cut: u64,
    /// A read fails.
    pub read_fails: u64,
    /// A commit fails; half of these were stored.
    pub commit_fails: u64,
    /// Longest time of an append or a commit, milliseconds.
    pub latency_ms: i64,
}

/// The log of one process.
pub struct ProcessLog {
    log: Arc<MemoryLog>,
    process: Arc<Process>,
    weather: Arc<Mutex<LogWeather>>,
    rng: Arc<Mutex<Rng>>,
}

fn unavailable(action: &str) -> Error {
    Error::Unavailable {
        action: action.to_owned(),
        source: "the simulated log is away".into(),
    }
}

impl ProcessLog {
    /// The log of a process. `weather` is shared by all processes, and can become better.
    pub fn shared(
        log: Arc<MemoryLog>,
        process: Arc<Process>,
        weather: Arc<Mutex<LogWeather>>,
        rng: Arc<Mutex<Rng>>,
    ) -> SharedLog {
        Arc::new(Self {
            log,
            process,
            weather,
            rng,
        })
    }

    fn weather(&self) -> LogWeather {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strikes(&self, share: u64) -> bool {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.permille(share)
    }

    fn within(&self, low: i64, high: i64) -> i64 {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.within(low, high)
    }

    async fn pause(&self) {
        let ms = self.within(0, self.weather().latency_ms);
        if ms > 0 {
            self.process.world.sleep_ms(ms).await;
        }
    }

    /// A call that only reads.
    async fn reads(&self, call: &str) -> Result<(), Error> {
        let strike = self.process.enter(call).await;
        self.process.leave(strike).await;
        if self.strikes(self.weather().read_fails) {
            self.process.world.reach("log: a read fails");
            return Err(unavailable(call));
        }
        Ok(())
    }
}

#[async_trait]
impl EventLog for ProcessLog {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), Error> {
        let strike = self.process.enter("log.ensure_topic").await;
        let answer = self.log.ensure_topic(spec).await;
        self.process.leave(strike).await;
        answer
    }

    async fn append(&self, topic: &TopicName, records: Vec<NewRecord>) -> Result<Offset, Error> {
        let strike = self
            .process
            .enter(&format!("log.append {}", tail(topic)))
            .await;
        let weather = self.weather();
        self.pause().await;
        if self.strikes(weather.append_fails) {
            self.process.world.reach("log: an append fails");
            self.process.leave(strike).await;
            return Err(unavailable("append"));
        }
        let cut = records.len() > 1 && self.strikes(weather.append_cut);
        let answer = if cut {
            self.process.world.reach("log: an append is cut short");
            let kept = usize::try_from(self.within(1, 2))
                .unwrap_or(1)
                .min(records.len() - 1);
            let first = records.into_iter().take(kept).collect();
            self.log.append(topic, first).await?;
            Err(unavailable("append"))
        } else {
            self.log.append(topic, records).await
        };
        if let Ok(last) = &answer
            && !topic.0.ends_with("status")
        {
            self.process.world.note(
                &self.process.name,
                format_args!("append {} up to offset {}", tail(topic), last.0),
            );
        }
        self.process.leave(strike).await;
        if self.strikes(weather.append_unknown) {
            self.process
                .world
                .reach("log: the answer of an append is lost");
            return Err(unavailable("append"));
        }
        answer
    }

    async fn watermarks(&self, topic: &TopicName) -> Result<(Offset, Offset), Error> {
        self.reads("log.watermarks").await?;
        self.log.watermarks(topic).await
    }

    async fn read_range(
        &self,
        topic: &TopicName,
        from: Offset,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        self.reads("log.read_range").await?;
        self.log.read_range(topic, from, most).await
    }

    async fn read_compacted(&self, topic: &TopicName) -> Result<BTreeMap<String, Record>, Error> {
        self.reads("log.read_compacted").await?;
        self.log.read_compacted(topic).await
    }

    async fn join(&self, group: &str, topic: &TopicName) -> Result<Box<dyn GroupReader>, Error> {
        self.reads("log.join").await?;
        let reader = self.log.join(group, topic).await?;
        Ok(Box::new(ProcessReader {
            log: Self {
                log: self.log.clone(),
                process: self.process.clone(),
                weather: self.weather.clone(),
                rng: self.rng.clone(),
            },
            group: group.to_owned(),
            reader,
        }))
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Option<Committed>, Error> {
        self.reads("log.committed").await?;
        self.log.committed(group, topic).await
    }

    fn describe(&self) -> String {
        self.log.describe()
    }
}

/// The last part of a topic's name.
fn tail(topic: &TopicName) -> &str {
    topic.0.rsplit('.').next().unwrap_or_default()
}

struct ProcessReader {
    log: ProcessLog,
    group: String,
    reader: Box<dyn GroupReader>,
}

#[async_trait]
impl GroupReader for ProcessReader {
    async fn next(&mut self) -> Result<ReaderEvent, Error> {
        let process = self.log.process.clone();
        if !process.is_alive() {
            std::future::pending::<()>().await;
        }
        let event = self.reader.next().await;
        if !process.is_alive() {
            std::future::pending::<()>().await;
        }
        match &event {
            Ok(event @ (ReaderEvent::Assigned { .. } | ReaderEvent::Revoked)) => {
                process
                    .world
                    .note(&process.name, format_args!("{}: {event:?}", self.group));
            }
            Ok(ReaderEvent::Record(_) | ReaderEvent::CaughtUp { .. }) | Err(_) => {}
        }
        event
    }

    async fn seek(&mut self, offset: Offset) -> Result<(), Error> {
        let strike = self.log.process.enter("log.seek").await;
        let answer = self.reader.seek(offset).await;
        self.log.process.leave(strike).await;
        answer
    }

    async fn commit(&mut self, position: Committed) -> Result<(), Error> {
        let process = self.log.process.clone();
        let strike = process.enter("log.commit").await;
        let fails = self.log.strikes(self.log.weather().commit_fails);
        self.log.pause().await;
        if fails && self.log.strikes(500) {
            process.world.reach("log: a commit fails");
            process.leave(strike).await;
            return Err(unavailable("commit"));
        }
        let shown = format!("offset {} {}", position.offset.0, position.metadata);
        let answer = self.reader.commit(position).await;
        let fenced = if answer.is_err() { " refused" } else { "" };
        process.world.note(
            &process.name,
            format_args!("commit {}: {shown}{fenced}", self.group),
        );
        if answer.is_err() {
            process.world.reach("log: a commit is refused");
        }
        process.leave(strike).await;
        if fails {
            process.world.reach("log: the answer of a commit is lost");
            return Err(unavailable("commit"));
        }
        answer
    }

    async fn close(self: Box<Self>) {
        if self.log.process.is_alive() {
            self.reader.close().await;
        }
    }
}
