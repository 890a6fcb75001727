//! Supervised tasks: no detached spawn, no end unseen.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use crate::names;

/// Any error of a task.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What a task's failure (an error or a panic) means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The process cannot go on without this task: all are stopped.
    StopAll,
    /// The others go on; the failure is logged and reported.
    Report,
}

/// How a task ended.
#[derive(Debug)]
pub enum Outcome {
    /// With success.
    Finished,
    /// With an error.
    Failed(BoxError),
    /// By a panic: a broken invariant. The text is the panic's message.
    Panicked(String),
    /// It did not heed the token within the deadline and was dropped.
    Aborted,
}

impl Outcome {
    /// Label value.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
            Self::Aborted => "aborted",
        }
    }
}

/// Report of one task.
#[derive(Debug)]
pub struct TaskExit {
    /// Name given to [`Supervisor::spawn`].
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
}

impl fmt::Display for TaskExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} {}", self.name, self.outcome.as_str())
    }
}

/// Owns the tasks of a process or of a part of it. Dropping it drops them.
#[derive(Debug)]
pub struct Supervisor {
    token: CancellationToken,
    tasks: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, String>,
}

impl Supervisor {
    /// `token` stops the tasks; a failing [`OnError::StopAll`] task cancels it.
    pub fn new(token: CancellationToken) -> Self {
        Self {
            token,
            tasks: JoinSet::new(),
            names: HashMap::new(),
        }
    }

    /// The token that the tasks should heed.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Number of tasks whose end was not reported yet.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True when every task was reported.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Starts a task. What `on_error` says happens at once when it fails, even while nobody waits in
    /// [`Supervisor::join_all`].
    pub fn spawn<E>(
        &mut self,
        name: impl Into<String>,
        on_error: OnError,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<BoxError> + 'static,
    {
        let name = name.into();
        let guard = StopOnFailure {
            token: match on_error {
                OnError::StopAll => Some(self.token.clone()),
                OnError::Report => None,
            },
        };
        debug!(task = name, "started");
        let handle = self.tasks.spawn(async move {
            let guard = guard;
            future.await.map_err(Into::into)?;
            guard.defuse();
            Ok(())
        });
        self.names.insert(handle.id(), name);
    }

    /// Waits until all tasks have ended: without a bound until the token is cancelled, then for at most `deadline`.
    /// What still runs then is dropped and reported as [`Outcome::Aborted`].
    pub async fn join_all(mut self, deadline: Duration) -> Vec<TaskExit> {
        let mut exits = Vec::new();
        let token = self.token.clone();
        let expired = async {
            token.cancelled().await;
            tokio::time::sleep(deadline).await;
        };
        tokio::pin!(expired);
        loop {
            tokio::select! {
                biased;
                next = self.tasks.join_next_with_id() => match next {
                    Some(result) => exits.push(self.report(result)),
                    None => return exits,
                },
                () = &mut expired => break,
            }
        }
        self.tasks.abort_all();
        while let Some(result) = self.tasks.join_next_with_id().await {
            exits.push(self.report(result));
        }
        exits
    }

    /// The one place where a task's failure is logged.
    fn report(&mut self, result: Result<(Id, Result<(), BoxError>), JoinError>) -> TaskExit {
        let (id, outcome) = match result {
            Ok((id, Ok(()))) => (id, Outcome::Finished),
            Ok((id, Err(error))) => (id, Outcome::Failed(error)),
            Err(error) if error.is_panic() => (error.id(), Outcome::Panicked(panic_text(error))),
            Err(error) => (error.id(), Outcome::Aborted),
        };
        let name = self.names.remove(&id).unwrap_or_default();
        match &outcome {
            Outcome::Finished => info!(task = name, "task finished"),
            Outcome::Failed(error) => {
                error!(task = name, error = %Chain(error.as_ref()), "task failed");
            }
            Outcome::Panicked(text) => error!(task = name, panic = text, "task panicked"),
            Outcome::Aborted => error!(task = name, "task did not stop in time and was aborted"),
        }
        metrics::counter!(names::TASK_EXITS, names::TASK => name.clone(), names::OUTCOME => outcome.as_str())
            .increment(1);
        TaskExit { name, outcome }
    }
}

/// Cancels the token unless the task got to its good end: by an error, or by unwinding.
struct StopOnFailure {
    token: Option<CancellationToken>,
}

impl StopOnFailure {
    fn defuse(mut self) {
        self.token = None;
    }
}

impl Drop for StopOnFailure {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}

fn panic_text(error: JoinError) -> String {
    let payload = error.into_panic();
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

/// An error with its causes on one line, for logs.
pub struct Chain<'a>(pub &'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    fn outcomes(exits: &[TaskExit]) -> Vec<(String, &'static str)> {
        let mut all: Vec<_> = exits
            .iter()
            .map(|exit| (exit.name.clone(), exit.outcome.as_str()))
            .collect();
        all.sort();
        all
    }

    /// Runs until cancelled.
    async fn obedient(token: CancellationToken) -> Result<(), std::io::Error> {
        token.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn a_failure_stops_the_others_even_while_nobody_joins() {
        let token = CancellationToken::new();
        let mut tasks = Supervisor::new(token.clone());
        tasks.spawn("service", OnError::StopAll, obedient(token.clone()));
        tasks.spawn("broken", OnError::StopAll, async {
            Err(std::io::Error::other("disk full"))
        });
        assert!(
            tokio::time::timeout(Duration::from_secs(5), token.cancelled())
                .await
                .is_ok()
        );
        let exits = tasks.join_all(Duration::from_secs(5)).await;
        assert_eq!(
            outcomes(&exits),
            [
                ("broken".to_owned(), "failed"),
                ("service".to_owned(), "finished")
            ]
        );
    }

    async fn bug() -> Result<(), BoxError> {
        panic!("invariant: there is something");
    }

    #[tokio::test]
    async fn a_panic_is_caught_named_and_stops_the_others() {
        let token = CancellationToken::new();
        let mut tasks = Supervisor::new(token.clone());
        tasks.spawn("service", OnError::StopAll, obedient(token.clone()));
        tasks.spawn("bug", OnError::StopAll, bug());
        let exits = tasks.join_all(Duration::from_secs(5)).await;
        assert!(token.is_cancelled());
        let bug = exits.iter().find(|exit| exit.name == "bug").expect("bug");
        assert!(
            matches!(&bug.outcome, Outcome::Panicked(text) if text.contains("there is something")),
            "{bug:?}"
        );
    }

    #[tokio::test]
    async fn a_reported_failure_leaves_the_others_alone() {
        let token = CancellationToken::new();
        let mut tasks = Supervisor::new(token.clone());
        tasks.spawn("job a", OnError::Report, async {
            Err(std::io::Error::other("halted"))
        });
        tasks.spawn("job b", OnError::Report, async {
            tokio::time::sleep(SOON).await;
            Ok::<(), BoxError>(())
        });
        let exits = tasks.join_all(SOON).await;
        assert!(!token.is_cancelled());
        assert_eq!(
            outcomes(&exits),
            [
                ("job a".to_owned(), "failed"),
                ("job b".to_owned(), "finished")
            ]
        );
    }

    #[tokio::test]
    async fn what_does_not_heed_the_token_is_dropped_at_the_deadline() {
        let token = CancellationToken::new();
        let mut tasks = Supervisor::new(token.clone());
        tasks.spawn("deaf", OnError::StopAll, async {
            std::future::pending::<()>().await;
            Ok::<(), BoxError>(())
        });
        tasks.spawn("service", OnError::StopAll, obedient(token.clone()));
        token.cancel();
        let exits = tasks.join_all(SOON).await;
        assert_eq!(
            outcomes(&exits),
            [
                ("deaf".to_owned(), "aborted"),
                ("service".to_owned(), "finished")
            ]
        );
    }

    #[test]
    fn causes_are_printed_in_order() {
        #[derive(Debug, thiserror::Error)]
        #[error("saving progress failed")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("disk full"));
        assert_eq!(
            Chain(&error).to_string(),
            "saving progress failed: disk full"
        );
    }
}
