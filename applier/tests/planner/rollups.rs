//! Rollups that go at the source before a transaction is applied.

use super::*;

#[test]
fn a_rollup_that_a_later_event_drops_goes_before_the_transaction_that_lacks_its_data() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let (load, rename) = (source.write(&[a]), source.rename_rollup(a, "r", "s"));
    let drop = source.drop_rollup(a, "s");
    let (seq, rename_at, drop_at) = (load.commit_seq, rename.commit_seq, drop.commit_seq);
    let mut planner = Planner::fresh();
    planner.read(load);
    planner.read(rename);
    planner.read(drop);
    // The source had dropped the rollup when it told the places of the data: the event does not list it.
    let text = planner.layout_with(a, "a", &["r"]);
    assert!(
        text.ends_with(&format!("RunDdl again {seq} (drop rollup r of a)")),
        "{text}"
    );
    let text = planner.done(seq, Outcome::DdlInEffect { before: false });
    assert!(text.ends_with("ReadLayout a"), "{text}");
    let text = planner.layout(a, "a");
    assert!(text.ends_with(&format!("BeginTxn {seq}")), "{text}");
    planner.done(seq, begun(5));
    planner.ingested(seq);
    let text = planner.done(seq, Outcome::Commit(CommitOutcome::Committed));
    assert!(
        text.ends_with(&format!("AwaitVisible {rename_at} x1")),
        "{text}"
    );
    planner.done(rename_at, Outcome::Visible);
    // The events behind find it gone.
    let refused = Outcome::Failed(Failure {
        kind: ErrorKind::Transient,
        refusal: None,
        text: "Rollup index[r] does not exists".to_owned(),
    });
    let text = planner.done(rename_at, refused);
    assert!(
        text.contains(&format!("Skip {rename_at} (the rollup is dropped later)"))
            && text.ends_with(&format!("RunDdl {drop_at} (drop rollup s of a)")),
        "{text}"
    );
}

/// `DROP ROLLUP a, b` records the first alone.
#[test]
fn a_rollup_that_no_event_drops_brings_its_table_by_a_snapshot() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let load = source.write(&[a]);
    let seq = load.commit_seq;
    let mut planner = Planner::fresh();
    planner.read(load);
    for _ in 0..20 {
        let text = planner.layout_with(a, "a", &["r"]);
        if text.contains("RenewTable") {
            assert!(
                text.ends_with(&format!("RenewTable {seq} (a as a)")),
                "{text}"
            );
            return;
        }
        assert!(text.ends_with("ReadLayout a"), "{text}");
    }
    panic!("the table is never brought");
}
