//! What a genuine frontend demands of a backend, item by item: heartbeats, services, ports, tablets, reports. The frontend is
//! [`crate::fe_double`]. Agent tasks (item 5) are in `checklist_b38_tasks` and `checklist_b38_publish`, data (item 7) in `checklist_b38_data`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dorisim::be::BackendApi;
use dorisim::faults::{Effect, Rule};
use dorisim_wire::{
    TAgentServiceSyncClient, TPublishTopicRequest, TSnapshotRequest, TStatusCode, TTaskType,
};
use reqwest::StatusCode;

use crate::common::{self};
use crate::fe_double::{FeDouble, Rig, quick};
use crate::fe_requests::{
    HASH, PARTITION, TABLET, TOKEN, create, get, load, publish, snapshot, with_rows,
};

#[test]
fn b38_1_heartbeat_tells_ports_role_version_and_a_fixed_start() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::start(quick());
    let first = double.heartbeat(&rig);
    assert_eq!(first.status.status_code, TStatusCode::OK);
    let info = &first.backend_info;
    let address = rig.node.address();
    assert_eq!(info.be_port, i32::from(address.be_port));
    assert_eq!(info.http_port, i32::from(address.http_port));
    assert_eq!(info.be_rpc_port, Some(-1));
    assert_eq!(info.brpc_port, Some(i32::from(address.brpc_port)));
    assert_eq!(info.be_node_role.as_deref(), Some("mix"));
    assert_eq!(info.is_shutdown, Some(false));
    assert!(info.version.as_deref().unwrap().starts_with("doris-"));
    assert!(info.be_mem.unwrap() > 0);
    let second = double.heartbeat(&rig).backend_info;
    assert_eq!(second.be_start_time, info.be_start_time);
    assert!(
        info.be_start_time.unwrap() > 1_000_000_000_000,
        "milliseconds"
    );
}

#[test]
fn b38_1_heartbeat_of_another_cluster_token_or_older_master_is_refused() {
    let double = FeDouble::start(7, TOKEN);
    double.set_epoch(5);
    let rig = Rig::joined(&double);
    let refused = |info| {
        let result = rig.heartbeat(info);
        assert_eq!(result.status.status_code, TStatusCode::INTERNAL_ERROR);
        assert_eq!(result.backend_info.be_port, 0);
        result.status.error_msgs.unwrap().join("")
    };
    let mut stranger = double.master_info(1);
    stranger.cluster_id = 8;
    assert!(refused(stranger).starts_with("invalid cluster id. ignore."));
    let mut liar = double.master_info(1);
    liar.token = Some("token-b".to_owned());
    let text = refused(liar);
    assert!(text.contains("token") && !text.contains(TOKEN), "{text}");
    let newer = FeDouble::start(7, TOKEN);
    newer.set_epoch(5);
    assert!(refused(newer.master_info(1)).contains("epoch is not greater"));
    newer.set_epoch(6);
    assert_eq!(newer.heartbeat(&rig).status.status_code, TStatusCode::OK);
    assert!(refused(double.master_info(1)).contains("epoch is not greater"));
}

#[test]
fn b38_1_heartbeat_of_a_new_master_moves_reports_and_ends_of_tasks() {
    let (old, new) = (FeDouble::start(7, TOKEN), FeDouble::start(7, TOKEN));
    let rig = Rig::joined(&old);
    rig.done(&old, create(TABLET));
    new.set_epoch(2);
    assert_eq!(new.heartbeat(&rig).status.status_code, TStatusCode::OK);
    new.report("disks", |report| report.disks.is_some());
    let tablets = new.report("tablets", |report| report.tablets.is_some());
    assert_eq!(
        tablets.tablets.unwrap().into_keys().collect::<Vec<_>>(),
        [TABLET]
    );
    rig.done(&new, create(TABLET + 1));
    assert_eq!(old.times_ended(TTaskType::CREATE, TABLET + 1), 0);
}

#[test]
fn b38_2_tasks_before_the_first_heartbeat_are_refused() {
    let rig = Rig::start(quick());
    let result = rig.submit(vec![create(TABLET)]);
    assert_eq!(result.status.status_code, TStatusCode::CANCELLED);
    assert_eq!(rig.node.backend().tablet_count(), 0);
}

#[test]
fn b38_2_the_pull_calls_are_answered() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    let mut client = rig.client();
    let stats = client.get_tablet_stat().unwrap();
    let stat = &stats.tablets_stats[&TABLET];
    assert_eq!((stat.row_count, stat.visible_version), (Some(3), Some(2)));
    assert_eq!(stats.tablet_stat_list.unwrap().len(), 1);
    assert_eq!(client.get_trash_used_capacity().unwrap(), 0);
    let trash = client.get_disk_trash_used_capacity().unwrap();
    assert_eq!(trash[0].trash_used_capacity, 0);
    let topic = client
        .publish_topic_info(TPublishTopicRequest::new())
        .unwrap();
    assert_eq!(topic.status.status_code, TStatusCode::OK);
    let request = TSnapshotRequest::new(
        TABLET, HASH, None, None, 600, None, None, None, None, None, None, None, None,
    );
    let made = client.make_snapshot(request).unwrap();
    assert_eq!(made.status.status_code, TStatusCode::OK);
    let path = made.snapshot_path.unwrap();
    assert!(std::path::Path::new(&path).is_dir());
    let released = client.release_snapshot(path.clone()).unwrap();
    assert_eq!(released.status.status_code, TStatusCode::OK);
    assert!(!std::path::Path::new(&path).exists());
}

#[test]
fn b38_2_unknown_methods_are_exceptions_and_the_connection_goes_on() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    // A frontend's method at a backend.
    let mut wrong = common::frontend_client(rig.node.address().be_port);
    let error =
        dorisim_wire::TFrontendServiceSyncClient::get_binlog(&mut wrong, dorisim_wire::unset())
            .unwrap_err();
    let thrift::Error::Application(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind, thrift::ApplicationErrorKind::UnknownMethod);
    assert!(rig.client().get_tablet_stat().is_ok());
}

#[test]
fn b38_3_both_download_endpoints_serve_and_the_token_of_the_heartbeat_guards() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    let query = format!("method=get_binlog_info&tablet_id={TABLET}&binlog_version=2");
    let (status, text) = get(&rig, &format!("/api/_binlog/_download?{query}"));
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.split_once(':')
            .is_some_and(|(id, count)| id.len() == 48 && count == "1")
    );
    let made = rig
        .done(&double, snapshot(21, TABLET, None))
        .snapshot_path
        .unwrap();
    let listing = |token: &str| {
        let query = format!("token={token}&file={made}/{TABLET}/{HASH}");
        get(&rig, &format!("/api/_tablet/_download?{query}"))
    };
    assert_eq!(listing("wrong").0, StatusCode::UNAUTHORIZED);
    assert_eq!(listing("").0, StatusCode::UNAUTHORIZED);
    let (status, names) = listing(TOKEN);
    assert_eq!(status, StatusCode::OK);
    assert!(
        names.lines().any(|name| name == format!("{TABLET}.hdr")),
        "{names}"
    );
}

#[test]
fn b38_4_a_tablet_has_its_ids_its_version_and_a_binlog_per_version() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    load(&rig, TABLET, 12, &[]);
    rig.done(&double, publish(12, 3));
    double.set_epoch(2);
    double.heartbeat(&rig);
    let report = double.report("the tablet at version 3", |report| {
        let tablets = report.tablets.as_ref();
        tablets.is_some_and(|tablets| {
            tablets
                .get(&TABLET)
                .is_some_and(|tablet| tablet.tablet_infos[0].version == 3)
        })
    });
    let info = &report.tablets.unwrap()[&TABLET].tablet_infos[0];
    assert_eq!(info.schema_hash, HASH);
    assert_eq!(info.replica_id, Some(TABLET + 1000));
    assert_eq!(info.partition_id, Some(PARTITION));
    assert_eq!((info.row_count, info.total_version_count), (3, Some(3)));
    assert_eq!((info.used, info.version_miss), (Some(true), Some(false)));
    assert_eq!(rig.node.backend().tablet_stat(TABLET).unwrap().binlogs, 2);
}

#[test]
fn b38_6_disks_are_reported_first_then_tasks_and_all_tablets() {
    let double = FeDouble::start(7, TOKEN);
    let rig = Rig::joined(&double);
    double.report("tasks", |report| report.tasks.is_some());
    double.report("tablets", |report| report.tablets.is_some());
    let reports = double.reports();
    let disks = reports[0].disks.as_ref().expect("disks come first");
    let (root, disk) = disks.first_key_value().unwrap();
    assert_eq!(root, &rig.node.backend().store().display().to_string());
    assert!(disk.used && disk.disk_available_capacity.unwrap() > 0);
    assert!(reports[0].num_cores.unwrap() > 0);
    for report in &reports {
        let kinds = [
            report.tasks.is_some(),
            report.disks.is_some(),
            report.tablets.is_some(),
        ];
        assert_eq!(kinds.iter().filter(|set| **set).count(), 1, "{report:?}");
        assert_eq!(
            report.backend.be_port,
            i32::from(rig.node.address().be_port)
        );
    }
}

#[test]
fn b38_6_reports_repeat_and_their_version_grows_with_every_tablet() {
    let double = FeDouble::start(7, TOKEN);
    let mut config = quick();
    config.task_report = Duration::from_millis(20);
    config.disk_report = Duration::from_millis(20);
    config.tablet_report = Duration::from_millis(20);
    let rig = Rig::start(config);
    double.heartbeat(&rig);
    let first = double.report("tablets", |report| report.tablets.is_some());
    let created = rig.done(&double, create(TABLET)).report_version.unwrap();
    assert!(created > first.report_version.unwrap());
    let later = double.report("the new tablet", |report| {
        report
            .tablets
            .as_ref()
            .is_some_and(|tablets| tablets.contains_key(&TABLET))
    });
    assert!(
        later.report_version.unwrap() >= created,
        "a report that knows the tablet is not older"
    );
    let hold = rig
        .faults
        .add(Rule::always("task.create_tablet", Effect::Hold));
    rig.submit(vec![create(TABLET + 1), create(TABLET + 2)]);
    let signatures = BTreeSet::from([TABLET + 1, TABLET + 2]);
    double.report("both waiting tasks", |report| {
        let tasks = report.tasks.as_ref();
        tasks.is_some_and(|tasks| tasks.get(&TTaskType::CREATE) == Some(&signatures))
    });
    rig.faults.remove(hold);
    double.end_of(TTaskType::CREATE, TABLET + 1);
    double.end_of(TTaskType::CREATE, TABLET + 2);
    let seen = double.reports().len();
    let idle = |after: usize| {
        let reports = double.reports();
        let mut tasks = reports[after..]
            .iter()
            .filter_map(|report| report.tasks.as_ref());
        tasks.any(BTreeMap::is_empty)
    };
    for _ in 0..500 {
        if idle(seen) {
            break;
        }
        rig.pause(10);
    }
    assert!(idle(seen), "ended tasks leave the report");
}

#[test]
fn b38_6_loads_that_nobody_published_are_named_after_half_an_hour() {
    let double = FeDouble::start(7, TOKEN);
    let rig = with_rows(&double);
    load(&rig, TABLET, 12, &[4]);
    let mut epoch = 1;
    let mut next_report = || {
        epoch += 1;
        double.set_epoch(epoch);
        let seen = double.reports().len();
        double.heartbeat(&rig);
        double.reported_after(seen, |report| report.tablets.is_some())
    };
    let ids_of = |report: dorisim_wire::TReportRequest| {
        report.tablets.unwrap()[&TABLET].tablet_infos[0]
            .transaction_ids
            .clone()
    };
    assert_eq!(ids_of(next_report()), None);
    rig.clock.advance(1_801_000);
    assert_eq!(ids_of(next_report()), Some(vec![12]));
    rig.done(&double, publish(12, 3));
    assert_eq!(ids_of(next_report()), None);
}
