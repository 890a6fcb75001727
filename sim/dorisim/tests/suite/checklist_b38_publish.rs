//! Item 5 of the checklist: publishing in order, and how tasks are taken, told and told again.

use std::collections::BTreeMap;
use std::time::Duration;

use dorisim::be::BackendApi;
use dorisim::faults::{Effect, Rule};
use dorisim_wire::{TClearTransactionTaskRequest, TStatusCode, TTaskType};

use crate::common::ids;
use crate::fe_double::{FeDouble, Rig, bare, quick};
use crate::fe_requests::{TABLE, TABLET, TOKEN, code, create, load, publish, with_rows};

#[test]
fn b38_5_publish_names_every_tablet_of_its_partitions() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    // A second tablet of the partition, for which the transaction has no rowset.
    rig.done(&double, create(TABLET + 1));
    load(&rig, TABLET, 12, &[4]);
    let end = rig.done(&double, publish(12, 3));
    assert_eq!(end.succ_tablets, Some(BTreeMap::from([(TABLET, 3)])));
    assert_eq!(end.error_tablet_ids, Some(vec![TABLET + 1]));
    assert!(end.report_version.is_some());
    let rows = end.table_id_to_tablet_id_to_delta_num_rows.unwrap();
    assert_eq!(
        rows,
        BTreeMap::from([(TABLE, BTreeMap::from([(TABLET, 1)]))])
    );
    assert_eq!(ids(rig.node.backend().as_ref(), TABLET, 3), [1, 2, 3, 4]);
}

#[test]
fn b38_5_a_publish_waits_for_the_version_before_it() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    load(&rig, TABLET, 12, &[4]);
    load(&rig, TABLET, 13, &[5]);
    rig.submit(vec![publish(13, 4)]);
    rig.done(&double, create(TABLET + 50));
    assert_eq!(double.times_ended(TTaskType::PUBLISH_VERSION, 13), 0);
    rig.done(&double, publish(12, 3));
    let late = double.end_of(TTaskType::PUBLISH_VERSION, 13);
    assert_eq!(code(&late), TStatusCode::OK);
    assert_eq!(late.succ_tablets.unwrap()[&TABLET], 4);
    assert_eq!(ids(rig.node.backend().as_ref(), TABLET, 4), [1, 2, 3, 4, 5]);
}

#[test]
fn b38_5_a_publish_over_a_gap_fails_in_the_end_and_succeeds_when_sent_again() {
    let double = FeDouble::start(7, TOKEN);
    let mut config = quick();
    config.publish_wait = Duration::from_millis(50);
    let rig = Rig::start(config);
    double.heartbeat(&rig);
    rig.done(&double, create(TABLET));
    load(&rig, TABLET, 12, &[1]);
    load(&rig, TABLET, 13, &[2]);
    let refused = rig.run(&double, publish(13, 3));
    assert_eq!(code(&refused), TStatusCode::INTERNAL_ERROR);
    assert_eq!(refused.error_tablet_ids, Some(vec![TABLET]));
    assert_eq!(refused.succ_tablets, Some(BTreeMap::new()));
    rig.done(&double, publish(12, 2));
    let be = rig.node.backend();
    for _ in 0..500 {
        if be.tablet_stat(TABLET).unwrap().version == 3 {
            break;
        }
        // Ignored while the first one is not forgotten, which it is only after its end was told.
        rig.submit(vec![publish(13, 3)]);
        rig.pause(10);
    }
    assert_eq!(ids(be.as_ref(), TABLET, 3), [1, 2]);
}

#[test]
fn b38_5_clear_transaction_forgets_and_odd_ids_are_answered() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    load(&rig, TABLET, 12, &[4]);
    let clear = |txn| {
        let mut task = bare(TTaskType::CLEAR_TRANSACTION_TASK, txn);
        task.clear_transaction_task_req = Some(TClearTransactionTaskRequest::new(txn, vec![]));
        task
    };
    rig.done(&double, clear(12));
    assert!(rig.node.backend().committed_tablets(12).is_empty());
    rig.done(&double, clear(-7));
}

#[test]
fn b38_5_a_task_that_is_under_way_is_not_done_twice() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    let hold = rig
        .faults
        .add(Rule::always("task.create_tablet", Effect::Hold));
    for _ in 0..3 {
        let accepted = rig.submit(vec![create(TABLET), create(TABLET)]);
        assert_eq!(accepted.status.status_code, TStatusCode::OK);
    }
    rig.faults.remove(hold);
    double.end_of(TTaskType::CREATE, TABLET);
    rig.done(&double, create(TABLET + 1));
    assert_eq!(double.times_ended(TTaskType::CREATE, TABLET), 1);
    assert_eq!(rig.faults.count("task.create_tablet"), 2);
}

#[test]
fn b38_5_the_end_of_a_task_is_told_again_after_errors_of_transport() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    double.report("tablets", |report| report.tablets.is_some());
    double.cut_next(2);
    rig.done(&double, create(TABLET));
    assert_eq!(double.times_ended(TTaskType::CREATE, TABLET), 1);
    // Three attempts and no more.
    double.cut_next(3);
    rig.submit(vec![create(TABLET + 1)]);
    for _ in 0..1000 {
        if rig.node.backend().tablet_count() == 2 {
            break;
        }
        rig.pause(10);
    }
    rig.pause(200);
    rig.done(&double, create(TABLET + 2));
    assert_eq!(double.times_ended(TTaskType::CREATE, TABLET + 1), 0);
}

#[test]
fn b38_5_thousands_of_creates_go_through_at_once() {
    const COUNT: i64 = 5_000;
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    let tasks: Vec<_> = (1..=COUNT).map(create).collect();
    for batch in tasks.chunks(1000) {
        let accepted = rig.submit(batch.to_vec());
        assert_eq!(accepted.status.status_code, TStatusCode::OK);
    }
    for tablet in 1..=COUNT {
        let end = double.end_of(TTaskType::CREATE, tablet);
        assert_eq!(code(&end), TStatusCode::OK);
    }
    let be = rig.node.backend();
    let first = be.tablet(1).unwrap();
    let last = be.tablet(COUNT).unwrap();
    let schema = |tablet: &std::sync::Mutex<dorisim::be::tablet::Tablet>| {
        std::sync::Arc::clone(&tablet.lock().unwrap().spec.schema)
    };
    assert!(
        std::sync::Arc::ptr_eq(&schema(&first), &schema(&last)),
        "one copy"
    );
}
