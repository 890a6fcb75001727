//! Seeds: the same one does the same twice, and many of them end equal.
#![allow(missing_docs, reason = "tests")]

use ccr_test_kit::sim::run::{Report, run_seed};

/// Seeds of an ordinary test run; `./x simulate` runs more.
const SEEDS: std::ops::Range<u64> = 0..60;

fn told(report: &Report) -> String {
    let skipped = report.tail.len().saturating_sub(60);
    let tail: Vec<&str> = report
        .tail
        .iter()
        .skip(skipped)
        .map(String::as_str)
        .collect();
    format!(
        "seed {} failed: {:#?}\n{}\nagain: ./x simulate --from {} --seeds 1 --trace",
        report.seed,
        report.violations,
        tail.join("\n"),
        report.seed
    )
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
        let (first, second) = (run_seed(seed, false), run_seed(seed, false));
        if first.digest != second.digest {
            let at = first.tail.iter().zip(&second.tail).find(|(a, b)| a != b);
            panic!("seed {seed} took two ways, the first difference: {at:#?}");
        }
        assert_eq!(first.lines, second.lines);
        assert!(first.lines > 50, "seed {seed} did something");
    }
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(run_seed(1, false).digest, run_seed(2, false).digest);
}

#[test]
fn destinations_equal_the_source_when_nothing_goes_wrong_any_more() {
    for seed in SEEDS {
        let report = run_seed(seed, false);
        assert!(report.violations.is_empty(), "{}", told(&report));
    }
}
