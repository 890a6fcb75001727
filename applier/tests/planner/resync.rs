//! Single tables that are re-synced because somebody asks for it.

use ccr_applier::plan::checkpoint::Halted;
use ccr_control::{ResyncsDone, TableResyncs};

use super::*;

fn asked(checkpoint: Checkpoint, table: i64, name: &str) -> Planner {
    let mut wanted = TableResyncs::default();
    let tables = [(TableId(table), name.to_owned())];
    wanted.ask(tables, &ResyncsDone::default(), 1);
    let settings = Settings {
        database: "dst".to_owned(),
        source_database: "src".to_owned(),
        table_names: BTreeMap::new(),
        filter: TableFilter::default(),
        options: JobOptions::default(),
        job: "job".to_owned(),
        replaces_existing: false,
        table_resyncs: wanted,
        layout_max_age_ms: 10_000,
    };
    let start = Start {
        offset: 0,
        checkpoint,
        covered: Covered::default(),
        judge_end: 0,
        labels_intact: true,
    };
    Planner {
        state: Some(State::Applying(Box::new(Apply::new(
            Arc::new(settings),
            start,
        )))),
        offset: 0,
        last: Vec::new(),
        recorded: None,
    }
}

#[test]
fn a_halted_table_whose_re_sync_is_refused_stays_halted() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let first = source.write(&[a]);
    let at = CommitSeq(first.commit_seq.0 - 1);
    let halted = Halted(at, "a".to_owned(), "why".to_owned());
    let checkpoint = Checkpoint {
        halted: BTreeMap::from([(TableId(a), halted)]),
        ..Checkpoint::at(at)
    };
    let mut planner = asked(checkpoint, a, "a");
    let text = planner.put(Input::Tick { now_ms: 1 });
    assert!(
        text.contains(&format!("RenewTable {at} (a as a)")),
        "{text}"
    );
    let refused = Outcome::Failed(Failure {
        kind: ErrorKind::Invalid,
        refusal: None,
        text: "refused".to_owned(),
    });
    let text = planner.done(at, refused);
    assert!(text.contains("`ccr job resync job a`"), "{text}");
    let recorded = planner.recorded.clone().unwrap();
    assert!(recorded.resyncs_done.contains(1) && recorded.halted.contains_key(&TableId(a)));
    // Its rows do not go to the copy that lacks what came before them.
    let text = planner.read(first);
    assert!(text.contains("(table is halted)"), "{text}");
    assert!(!text.contains("ReadLayout"), "{text}");
}
