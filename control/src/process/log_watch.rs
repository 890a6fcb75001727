//! Looks after the log for the process: a log that is lost ends it.

use ccr_log::{Error, SharedLog};
use tokio_util::sync::CancellationToken;

/// Runs until told to stop.
///
/// # Errors
/// What [`ccr_log::EventLog::lost`] says: the process must end.
pub(super) async fn watch_log(log: SharedLog, stop: CancellationToken) -> Result<(), Error> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        lost = log.lost() => Err(lost),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ccr_log::Embedded;
    use ccr_ops::SystemClock;

    use super::*;

    #[tokio::test]
    async fn a_lost_log_ends_the_process_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let log = Embedded::open(&path, SystemClock::shared()).unwrap();
        let watching = tokio::spawn(watch_log(log, CancellationToken::new()));
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
