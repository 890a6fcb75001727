//! Faults on demand and the count of every call.
//!
//! A rule names a call and what shall happen to it. Call names are the Thrift method names (`getBinlog`,
//! `ingest_binlog` ...), the `method` values of the download endpoint (`get_segment_file` ...),
//! `tablet_download`, `stream_load`, agent tasks with prefix `task.` (`task.publish_version`), statements
//! with prefix `sql.` (`sql.insert`) and the steps [`DISK_WRITE`] and [`DELETE_BITMAP`] inside a backend. `*` at the end of a rule's name matches any rest.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

/// A held call goes on by itself after this time, so that a forgotten hold ends.
const HOLD_LIMIT: Duration = Duration::from_secs(60);

/// Step of a backend that takes disk space: a tablet is created, rows are written, files are fetched.
pub const DISK_WRITE: &str = "disk_write";
/// Step of a backend that computes the delete bitmap of a merge-on-write tablet, when a version of it is published.
pub const DELETE_BITMAP: &str = "delete_bitmap";

/// What happens to a call that a rule matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Waits before the call is served.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// Answers with an error and has no effect. Thrift calls answer `code` (a `TStatusCode`, INTERNAL_ERROR 6 by
    /// default), HTTP calls answer `code` as HTTP status (500 by default).
    Fail {
        /// Status of the answer.
        #[serde(default)]
        code: Option<i32>,
        /// Text of the answer.
        #[serde(default)]
        message: String,
    },
    /// Closes the connection without serving the call.
    ResetBefore,
    /// Serves the call, then closes the connection instead of answering.
    ResetAfter,
    /// Waits until the rule is removed (at most 60 s), then serves the call.
    Hold,
    /// Downloads: sends only the first `bytes` bytes under the full Content-Length, then closes.
    Truncate {
        /// Bytes that are sent.
        bytes: u64,
    },
    /// Downloads: flips one bit in the middle of the body.
    Corrupt,
    /// Answers bytes that are neither Thrift nor HTTP.
    Garbage,
    /// Every connection to the backend is closed, agent tasks on it fail. Use call `*` and a backend id.
    Down,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Call name, or a prefix with `*` at its end.
    pub call: String,
    /// Only calls at this backend; none: any place.
    #[serde(default)]
    pub backend: Option<i64>,
    /// What happens.
    #[serde(flatten)]
    pub effect: Effect,
    /// Matching calls that pass before the rule begins.
    #[serde(default)]
    pub skip: u64,
    /// How many calls it hits before it removes itself; none: until removed.
    #[serde(default)]
    pub times: Option<u64>,
    /// Chance per call in 0..=1, drawn from the cluster's seeded generator; none: always.
    #[serde(default)]
    pub probability: Option<f64>,
}

impl Rule {
    /// A rule that hits every call of that name until removed.
    pub fn always(call: &str, effect: Effect) -> Self {
        Rule {
            call: call.to_owned(),
            backend: None,
            effect,
            skip: 0,
            times: None,
            probability: None,
        }
    }

    /// Limits the rule to the next `times` calls.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Limits the rule to one backend.
    pub fn on_backend(mut self, backend: i64) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Lets `skip` matching calls pass first.
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Hits with this chance.
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability.clamp(0.0, 1.0));
        self
    }

    /// Returns why the rule can never have an effect, if so.
    pub fn flaw(&self) -> Option<String> {
        let waits = !matches!(self.effect, Effect::Fail { .. });
        let step = [DISK_WRITE, DELETE_BITMAP].contains(&self.call.as_str());
        (step && waits).then(|| {
            format!(
                "{} is a step inside a backend, which can fail but neither wait nor lose its answer: use the effect \"fail\"",
                self.call
            )
        })
    }

    fn matches(&self, call: &str, backend: Option<i64>) -> bool {
        let named = match self.call.strip_suffix('*') {
            Some(prefix) => call.starts_with(prefix),
            None => self.call == call,
        };
        named && (self.backend.is_none() || self.backend == backend)
    }
}

/// What the server of a call does, after latency and holds were waited for.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Serve it.
    Proceed,
    /// Answer this error, without effect.
    Fail {
        /// Status of the answer, if the rule names one.
        code: Option<i32>,
        /// Text of the answer.
        message: String,
    },
    /// Close without serving.
    ResetBefore,
    /// Serve, then close.
    ResetAfter,
    /// Send only so many bytes of the body.
    Truncate {
        /// Bytes that are sent.
        bytes: u64,
    },
    /// Flip a bit of the body.
    Corrupt,
    /// Answer nonsense.
    Garbage,
}

/// The call name of a statement: `sql.` and its first word in lower case.
pub fn statement_call(text: &str) -> String {
    let text = text.trim_start();
    let end = text
        .find(|letter: char| !letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    format!("sql.{}", text[..end].to_ascii_lowercase())
}

/// Names a rule for its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleId(pub u64);

/// The rules and counters of one cluster.
#[derive(Debug)]
pub struct Faults {
    inner: Mutex<Inner>,
    changed: Notify,
    revision: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    next_id: u64,
    rules: BTreeMap<u64, Rule>,
    counters: BTreeMap<String, u64>,
    random: StdRng,
}

enum Step {
    Wait(Duration),
    HeldBy(u64),
    End(Verdict),
}

impl Faults {
    /// No rules; `seed` feeds the rules with a probability.
    pub fn new(seed: u64) -> Self {
        Faults {
            inner: Mutex::new(Inner {
                next_id: 1,
                rules: BTreeMap::new(),
                counters: BTreeMap::new(),
                random: StdRng::seed_from_u64(seed),
            }),
            changed: Notify::new(),
            revision: watch::Sender::new(0),
        }
    }

    /// Adds a rule.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut inner = self.lock();
        let id = inner.next_id;
        inner.next_id += 1;
        inner.rules.insert(id, rule);
        drop(inner);
        self.note_change();
        RuleId(id)
    }

    /// Removes a rule; calls it holds go on. False if it was gone.
    pub fn remove(&self, id: RuleId) -> bool {
        let removed = self.lock().rules.remove(&id.0).is_some();
        self.changed.notify_waiters();
        self.note_change();
        removed
    }

    /// Removes every rule.
    pub fn clear(&self) {
        self.lock().rules.clear();
        self.changed.notify_waiters();
        self.note_change();
    }

    /// Counts the changes of the rules by hand; rules that end by themselves do not count.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    fn note_change(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// The present rules.
    pub fn rules(&self) -> BTreeMap<u64, Rule> {
        self.lock().rules.clone()
    }

    /// Takes a backend down until the returned rule is removed.
    pub fn backend_down(&self, backend: i64) -> RuleId {
        self.add(Rule::always("*", Effect::Down).on_backend(backend))
    }

    /// Removes every rule that holds the backend down.
    pub fn backend_up(&self, backend: i64) {
        self.lock()
            .rules
            .retain(|_, rule| !(rule.effect == Effect::Down && rule.backend == Some(backend)));
        self.changed.notify_waiters();
        self.note_change();
    }

    /// No space left on the backend until the returned rule is removed: tablets, loads, ingests and downloads fail there.
    pub fn disk_full(&self, backend: i64) -> RuleId {
        let full = Effect::Fail {
            code: None,
            message: "no enough space".to_owned(),
        };
        self.add(Rule::always(DISK_WRITE, full).on_backend(backend))
    }

    /// Counts a step inside a backend and returns why it fails there. It does not wait: only rules that fail apply, and no
    /// other rule is used up.
    pub fn refuses(&self, step: &str, backend: i64) -> Option<String> {
        self.note(step);
        self.judge(step, Some(backend), |effect| {
            matches!(effect, Effect::Fail { .. })
        })
        .into_iter()
        .find_map(|step| match step {
            Step::End(Verdict::Fail { message, .. }) => Some(message),
            Step::End(_) | Step::Wait(_) | Step::HeldBy(_) => None,
        })
    }

    /// True while a rule holds the backend down.
    pub fn is_down(&self, backend: i64) -> bool {
        self.lock()
            .rules
            .values()
            .any(|rule| rule.effect == Effect::Down && rule.backend == Some(backend))
    }

    /// Calls so far, by name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.lock().counters.clone()
    }

    /// Calls of one name so far.
    pub fn count(&self, call: &str) -> u64 {
        self.lock().counters.get(call).copied().unwrap_or(0)
    }

    /// Counts a call without asking the rules.
    pub fn note(&self, call: &str) {
        let mut inner = self.lock();
        match inner.counters.get_mut(call) {
            Some(count) => *count += 1,
            None => {
                inner.counters.insert(call.to_owned(), 1);
            }
        }
    }

    /// Counts the call, waits as the rules want, and tells what to do with it.
    pub async fn before(&self, call: &str, backend: Option<i64>) -> Verdict {
        self.note(call);
        let steps = self.judge(call, backend, |_| true);
        for step in steps {
            match step {
                Step::Wait(delay) => tokio::time::sleep(delay).await,
                Step::HeldBy(rule) => self.wait_for_release(rule).await,
                Step::End(verdict) => return verdict,
            }
        }
        Verdict::Proceed
    }

    fn judge(
        &self,
        call: &str,
        backend: Option<i64>,
        applies: impl Fn(&Effect) -> bool,
    ) -> Vec<Step> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut steps = Vec::new();
        let mut spent = Vec::new();
        for (id, rule) in &mut inner.rules {
            if !rule.matches(call, backend) || !applies(&rule.effect) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if let Some(chance) = rule.probability
                && inner.random.random::<f64>() >= chance
            {
                continue;
            }
            if let Some(times) = &mut rule.times {
                if *times == 0 {
                    continue;
                }
                *times -= 1;
                // A hold is released by its removal, so a counted hold stays listed until then.
                if *times == 0 && rule.effect != Effect::Hold {
                    spent.push(*id);
                }
            }
            let end = match &rule.effect {
                Effect::Latency { ms } => {
                    steps.push(Step::Wait(Duration::from_millis(*ms)));
                    continue;
                }
                Effect::Hold => {
                    steps.push(Step::HeldBy(*id));
                    continue;
                }
                Effect::Fail { code, message } => Verdict::Fail {
                    code: *code,
                    message: if message.is_empty() {
                        format!("injected failure of {call}")
                    } else {
                        message.clone()
                    },
                },
                Effect::ResetBefore | Effect::Down => Verdict::ResetBefore,
                Effect::ResetAfter => Verdict::ResetAfter,
                Effect::Truncate { bytes } => Verdict::Truncate { bytes: *bytes },
                Effect::Corrupt => Verdict::Corrupt,
                Effect::Garbage => Verdict::Garbage,
            };
            steps.push(Step::End(end));
            break;
        }
        for id in spent {
            inner.rules.remove(&id);
        }
        steps
    }

    async fn wait_for_release(&self, rule: u64) {
        let released = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if !self.lock().rules.contains_key(&rule) {
                    return;
                }
                changed.await;
            }
        };
        // Elapsed means that the limit of a hold was reached; the call goes on either way.
        let _ = tokio::time::timeout(HOLD_LIMIT, released).await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_step_of_a_backend_uses_up_no_rule_that_waits() {
        let faults = Faults::new(1);
        let rule = Rule::always(DISK_WRITE, Effect::Latency { ms: 1 }).times(1);
        assert!(rule.flaw().is_some());
        faults.add(rule);
        assert_eq!(faults.refuses(DISK_WRITE, 1), None);
        assert_eq!(faults.rules().len(), 1);
        faults.disk_full(1);
        assert!(faults.refuses(DISK_WRITE, 1).is_some());
    }

    #[tokio::test]
    async fn a_counted_rule_removes_itself() {
        let faults = Faults::new(1);
        faults.add(
            Rule::always(
                "commitTxn",
                Effect::Fail {
                    code: Some(6),
                    message: "no".to_owned(),
                },
            )
            .after(1)
            .times(1),
        );
        assert_eq!(faults.before("commitTxn", None).await, Verdict::Proceed);
        assert_eq!(
            faults.before("commitTxn", None).await,
            Verdict::Fail {
                code: Some(6),
                message: "no".to_owned()
            }
        );
        assert_eq!(faults.before("commitTxn", None).await, Verdict::Proceed);
        assert_eq!(faults.count("commitTxn"), 3);
        assert!(faults.rules().is_empty());
    }

    #[tokio::test]
    async fn rules_bind_to_a_backend_and_to_prefixes() {
        let faults = Faults::new(1);
        faults.add(Rule::always("get_*", Effect::ResetBefore).on_backend(2));
        assert_eq!(
            faults.before("get_segment_file", Some(1)).await,
            Verdict::Proceed
        );
        assert_eq!(
            faults.before("get_segment_file", Some(2)).await,
            Verdict::ResetBefore
        );
        assert_eq!(
            faults.before("ingest_binlog", Some(2)).await,
            Verdict::Proceed
        );
        assert!(!faults.is_down(2));
        let down = faults.backend_down(2);
        assert!(faults.is_down(2));
        assert!(faults.remove(down));
        assert!(!faults.is_down(2));
    }

    #[tokio::test]
    async fn a_hold_lets_go_when_its_rule_is_removed() {
        let faults = Arc::new(Faults::new(1));
        let hold = faults.add(Rule::always("getBinlog", Effect::Hold));
        let waiting = {
            let faults = Arc::clone(&faults);
            tokio::spawn(async move { faults.before("getBinlog", None).await })
        };
        while faults.count("getBinlog") == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        faults.remove(hold);
        assert_eq!(waiting.await.unwrap(), Verdict::Proceed);
    }

    #[tokio::test]
    async fn chance_is_the_same_for_the_same_seed() {
        let draw = |seed| async move {
            let faults = Faults::new(seed);
            faults.add(Rule::always("x", Effect::Garbage).with_probability(0.5));
            let mut hits = Vec::new();
            for _ in 0..32 {
                hits.push(faults.before("x", None).await == Verdict::Garbage);
            }
            hits
        };
        assert_eq!(draw(7).await, draw(7).await);
        assert!(draw(7).await.contains(&true) && draw(7).await.contains(&false));
    }

    #[test]
    fn statements_are_named_by_their_first_word() {
        assert_eq!(statement_call("  INSERT INTO t VALUES (1)"), "sql.insert");
        assert_eq!(statement_call("commit"), "sql.commit");
        assert_eq!(statement_call("/* x */"), "sql.");
    }

    #[test]
    fn rules_are_plain_json() {
        let rule: Rule = serde_json::from_str(
            r#"{"call":"ingest_binlog","backend":10002,"effect":"latency","ms":20,"times":3}"#,
        )
        .unwrap();
        assert_eq!(
            rule,
            Rule::always("ingest_binlog", Effect::Latency { ms: 20 })
                .on_backend(10002)
                .times(3)
        );
    }
}
