//! Real signals to a real process: this test binary started once more as the process that is asked to stop.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CHILD: &str = "CCR_TEST_SIGNALS_CHILD";

/// In the child: says when it listens and when it was asked to stop, and then never stops.
#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let token = ccr_ops::shutdown::on_signals_within(Duration::from_secs(20));
    tokio::time::sleep(Duration::from_millis(200)).await;
    println!("\nlistening");
    token.cancelled().await;
    println!("\nstopping");
    std::future::pending::<()>().await;
}

fn start() -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    (child, lines)
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn the_first_signal_asks_and_the_second_ends_the_process() {
    for (first, second) in [("-TERM", "-INT"), ("-INT", "-TERM")] {
        let (mut child, mut lines) = start();
        assert!(lines.any(|line| line == "listening"));
        send(&child, first);
        assert!(lines.any(|line| line == "stopping"));
        assert!(child.try_wait().unwrap().is_none());
        send(&child, second);
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}
