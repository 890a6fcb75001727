//! Signals become a token; a second signal or the deadline ends the process.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How long an orderly stop may take before the process ends anyway.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Why the process has to end without an orderly stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// Somebody asked twice.
    SecondSignal,
    /// The orderly stop took longer than the deadline.
    Deadline,
}

impl Abort {
    /// Exit code: as a shell reports SIGINT, or a general failure.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::SecondSignal => 130,
            Self::Deadline => 1,
        }
    }
}

/// A token that SIGINT or SIGTERM cancels. A second signal, or [`DEADLINE`] passing after the first, ends the process:
/// whatever was not committed is done again by the next start.
///
/// Must be called inside a runtime, once per process.
pub fn on_signals() -> CancellationToken {
    on_signals_within(DEADLINE)
}

/// Like [`on_signals`] with another deadline.
pub fn on_signals_within(deadline: Duration) -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    // The only task without a supervisor: it has to outlive all of them.
    tokio::spawn(async move {
        match Signals::listen() {
            Ok(mut signals) => {
                let abort = watch(&stop, deadline, &mut signals).await;
                error!(reason = ?abort, "process exits without a clean shutdown; the next start resumes from the log");
                std::process::exit(abort.exit_code());
            }
            Err(error) => {
                error!(error = %error, "cannot install signal handlers; stop this process with SIGKILL, which loses nothing");
            }
        }
    });
    token
}

/// Where requests to end come from.
trait Source: Send {
    /// Name of the next one.
    fn next(&mut self) -> impl Future<Output = &'static str> + Send;
}

/// Waits for the first signal, then for whatever ends the orderly stop.
async fn watch(token: &CancellationToken, deadline: Duration, signals: &mut impl Source) -> Abort {
    let first = signals.next().await;
    info!(signal = first, "stopping");
    token.cancel();
    match tokio::time::timeout(deadline, signals.next()).await {
        Ok(second) => {
            warn!(signal = second, "second signal: exiting at once");
            Abort::SecondSignal
        }
        Err(_elapsed) => Abort::Deadline,
    }
}

/// Both signals that ask for an end.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

#[cfg(unix)]
impl Source for Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Ctrl-C alone.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }
}

#[cfg(not(unix))]
impl Source for Signals {
    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives these in turn, from the last to the first, then none.
    struct Given(Vec<&'static str>);

    impl Source for Given {
        async fn next(&mut self) -> &'static str {
            match self.0.pop() {
                Some(name) => name,
                None => std::future::pending().await,
            }
        }
    }

    async fn given(
        signals: &[&'static str],
        deadline: Duration,
    ) -> (CancellationToken, Option<Abort>) {
        let token = CancellationToken::new();
        let mut signals = Given(signals.to_vec());
        let bound = Duration::from_millis(300);
        let abort = tokio::time::timeout(bound, watch(&token, deadline, &mut signals)).await;
        (token, abort.ok())
    }

    #[tokio::test]
    async fn without_a_signal_nothing_happens() {
        let (token, abort) = given(&[], Duration::ZERO).await;
        assert!(!token.is_cancelled());
        assert_eq!(abort, None);
    }

    #[tokio::test]
    async fn the_first_signal_asks_and_leaves_time() {
        let (token, abort) = given(&["SIGTERM"], Duration::from_secs(60)).await;
        assert!(token.is_cancelled());
        assert_eq!(abort, None);
    }

    #[tokio::test]
    async fn the_deadline_ends_what_does_not_stop() {
        let (token, abort) = given(&["SIGTERM"], Duration::from_millis(20)).await;
        assert!(token.is_cancelled());
        assert_eq!(abort, Some(Abort::Deadline));
    }

    #[tokio::test]
    async fn a_second_signal_ends_at_once() {
        let (_, abort) = given(&["SIGINT", "SIGTERM"], Duration::from_secs(60)).await;
        assert_eq!(abort, Some(Abort::SecondSignal));
    }
}
