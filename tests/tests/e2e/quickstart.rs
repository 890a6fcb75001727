//! What the README promises first.

use std::process::{Command, Output};
use std::time::Duration;

use ccr_tests::Binary;

use crate::kafka::broker;

fn quickstart(args: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command
        .arg(Duration::from_secs(240).as_secs().to_string())
        .arg(Binary::Lab.path().unwrap())
        .args(["quickstart", "--scale", "0.002", "--patience", "180"])
        .args(args);
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}\n--- stderr ---\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn quickstart_ends_with_everything_equal() {
    let output = quickstart(&[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("all tables are equal"), "{text}");
    // Without a terminal there are lines: each phase of each target, and no control characters.
    for phase in ["main: restoring", "branch: following"] {
        assert!(text.contains(phase), "{phase} is missing in {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    // Both targets, and tables that only exist because DDL was replicated.
    for expected in [
        "main",
        "branch",
        "notes",
        "lineitem",
        "p50",
        "p99",
        "lag over time",
        "Try next",
    ] {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }
}

#[test]
fn quickstart_on_kafka_ends_with_everything_equal() {
    let Some(broker) = broker("quickstart_on_kafka") else {
        return;
    };
    let output = quickstart(&["--kafka", broker.bootstrap()]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("all tables are equal"), "{text}");
}

#[test]
fn quickstart_notices_a_corrupted_table() {
    let output = quickstart(&["--corrupt"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("TABLES DIFFER"), "{text}");
}
