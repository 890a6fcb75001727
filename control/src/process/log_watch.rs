//! Looks after the log for the process: readiness follows its problems, and a log that is lost ends the process.

use std::time::Duration;

use ccr_log::{Error, LogProblem, SharedLog};
use ccr_ops::http::Health;
use ccr_ops::task::Chain;
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Name of the condition of `/ready`.
const CONDITION: &str = "log";

/// Runs until told to stop.
///
/// # Errors
/// What [`ccr_log::EventLog::lost`] says: the process must end.
pub(super) async fn watch_log(
    log: SharedLog,
    health: Health,
    stop: CancellationToken,
) -> Result<(), Error> {
    let look = async {
        loop {
            match reason(&log.problems()) {
                Some(reason) => health.not_ready(CONDITION, reason),
                None => health.ready(CONDITION),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        lost = log.lost() => Err(lost),
        () = look => Ok(()),
    }
}

/// Returns all problems in one text, nothing when there is none.
fn reason(problems: &[LogProblem]) -> Option<String> {
    let texts: Vec<String> = problems
        .iter()
        .map(|problem| Chain(&problem.error).to_string())
        .collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

#[cfg(test)]
mod tests {
    use ccr_log::Embedded;
    use ccr_ops::SystemClock;

    use super::*;

    #[test]
    fn the_process_is_not_ready_while_the_log_has_problems() {
        assert_eq!(reason(&[]), None);
        let problem = |text: &str| LogProblem {
            since_ms: 1,
            error: Error::DiskFull {
                action: format!("write {text}"),
                source: "SQLite: full".into(),
            },
        };
        let reason = reason(&[problem("a"), problem("b")]).unwrap();
        for part in ["write a", "write b", "SQLite: full", "free space"] {
            assert!(reason.contains(part), "{part} in {reason}");
        }
    }

    #[tokio::test]
    async fn a_lost_log_ends_the_process_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let log = Embedded::open(&path, SystemClock::shared()).unwrap();
        let health = Health::default();
        let watching = tokio::spawn(watch_log(log, health, CancellationToken::new()));
        std::fs::remove_file(&path).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), watching)
            .await
            .expect("noticed")
            .unwrap();
        let text = ended.unwrap_err().to_string();
        assert!(text.contains("deleted or moved"), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
}
