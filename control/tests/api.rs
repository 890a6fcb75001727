//! The API against probes that answer what a test wants.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

mod common;

use ccr_control::{JobRegistry, JobState, JobStatus, Wanted};
use ccr_log::EventLog;
use ccr_schemas::CommitSeq;
use common::{DEST, Fixture, body, status_of};
use serde_json::{Value, json};

#[tokio::test]
async fn a_job_is_created_once_and_its_password_is_sealed() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture.json("create_ccr", body()).await,
        json!({"success": true})
    );
    let again = fixture.json("create_ccr", body()).await;
    assert_eq!(again["error_msg"], json!("job j1 already exist"));

    let job = fixture.api.registry.get("j1").unwrap();
    assert_eq!(job.source.cluster_name, "c77");
    let opened = job.source.cluster.open("c77", &fixture.api.sealer).unwrap();
    assert_eq!(opened.password.expose(), "pa55word");
    for (_, record) in fixture
        .log
        .read_compacted(&ccr_schemas::TopicName::jobs("ccr"))
        .await
        .unwrap()
    {
        let text = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        assert!(!text.contains("pa55word"), "{text}");
    }
    assert!(!format!("{job:?}").contains("pa55word"));
}

#[tokio::test]
async fn definitions_that_can_not_work_name_what_to_change() {
    let fixture = Fixture::new().await;
    let with = |path: &str, value: Value| {
        let mut body = body();
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    for (wrong, expected) in [
        (with("/src/database", json!("none")), "src.database"),
        (
            with("/src/database", json!("quiet")),
            "ALTER DATABASE `quiet`",
        ),
        (with("/src/database", json!("")), "src.database is empty"),
        (with("/src/port", json!("x")), "not a port"),
        (with("/src/port", json!(0)), "not a port"),
        (with("/src/port", json!({"a": 1})), "not a port"),
        (with("/name", json!("a b")), "job name"),
        (with("/name", json!("")), "job name"),
        (with("/src/table", json!("orders")), "both"),
        (json!({"name": "j"}), "missing field `src`"),
        (json!([]), "request body"),
    ] {
        let answer = fixture.json("create_ccr", wrong).await;
        let text = answer["error_msg"].as_str().unwrap();
        assert!(
            text.contains(expected),
            "{expected:?} is missing in {text:?}"
        );
    }
    fixture.clusters.set(DEST, "sales", &["orders"]);
    let mut table_exists = with("/src/table", json!("orders"));
    table_exists["dest"]["table"] = json!("orders");
    let answer = fixture.json("create_ccr", table_exists.clone()).await;
    assert!(
        answer["error_msg"]
            .as_str()
            .unwrap()
            .contains("allow_table_exists")
    );
    table_exists["allow_table_exists"] = json!(true);
    let answer = fixture.json("create_ccr", table_exists).await;
    assert_eq!(answer, json!({"success": true}));
    assert!(
        fixture
            .api
            .registry
            .get("j1")
            .unwrap()
            .tables
            .takes("orders")
    );
}

#[tokio::test]
async fn hostile_bodies_are_answered_and_not_echoed() {
    let fixture = Fixture::new().await;
    for hostile in [
        "",
        "{",
        "\u{0}",
        "{\"password\": \"pa55word\"",
        &"[".repeat(100_000),
    ] {
        let (status, text) = fixture.post("create_ccr", hostile).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("not JSON"), "{text}");
        assert!(!text.contains("pa55word"), "{text}");
    }
}

#[tokio::test]
async fn status_and_lag_come_from_the_log() {
    let fixture = Fixture::new().await;
    fixture.json("create_ccr", body()).await;
    let before = fixture.json("job_status", json!({"name": "j1"})).await;
    assert_eq!(before["status"]["state"], json!("running"));
    assert_eq!(before["status"]["progress_state"], json!("DBFullSync"));

    let job = fixture.api.registry.get("j1").unwrap();
    let status = JobStatus {
        job: "j1".to_owned(),
        incarnation: job.incarnation.0.clone(),
        state: JobState::Halted,
        applied: CommitSeq(40),
        committed_offset: 7,
        end_offset: 9,
        events_applied: 3,
        skipped: [("filtered".to_owned(), 2)].into(),
        lag_ms: Some(12),
        oldest_pending_at_ms: None,
        last_apply_lag_ms: Some(12),
        lanes: Vec::new(),
        last_error: Some("no disk".to_owned()),
        stuck_since_ms: Some(1),
        action: "halted".to_owned(),
        progress: None,
        synced: true,
        resyncs_done: Default::default(),
        leftovers: Vec::new(),
        at_ms: 5,
        owner: "here:1".to_owned(),
    };
    fixture.api.status.report_job(status.clone()).await.unwrap();
    let after = fixture.json("job_status", json!({"name": "j1"})).await;
    assert_eq!(after["status"]["state"], json!("halted"));
    assert_eq!(after["status"]["commit_seq"], json!(40));
    assert_eq!(after["status"]["last_error"], json!("no disk"));
    let lag = fixture.json("get_lag", json!({"name": "j1"})).await;
    assert_eq!(lag["lag"], json!(2));
    assert_eq!(lag["next_binlog_timestamp"], json!("2026-01-01 00:00:00"));
    assert_eq!(lag["first_binlog_timestamp"], json!("1970-01-01 00:00:00"));
    assert_eq!(lag["events_waiting_in_log"], json!(2));

    // The status of an earlier life of the name is not this job's.
    fixture.json("delete", json!({"name": "j1"})).await;
    let old = JobStatus {
        incarnation: "another".to_owned(),
        ..status
    };
    fixture.api.status.report_job(old).await.unwrap();
    fixture.json("create_ccr", body()).await;
    let fresh = fixture.json("job_status", json!({"name": "j1"})).await;
    assert_eq!(fresh["status"]["state"], json!("running"));
    assert_eq!(fresh["status"]["commit_seq"], json!(-1));
}

#[tokio::test]
async fn scripts_of_the_other_tool_find_its_operators() {
    let fixture = Fixture::new().await;
    fixture.json("create_ccr", body()).await;
    let progress = fixture.json("job_progress", json!({"name": "j1"})).await;
    assert_eq!(progress["success"], json!(true));
    let progress = &progress["job_progress"];
    assert_eq!(progress["sync_state"], json!(0), "{progress}");
    assert_eq!(progress["commit_seq"], json!(-1));
    assert!(progress["full_sync_start_at"].is_i64(), "{progress}");
    let missing = fixture.json("job_progress", json!({"name": "j2"})).await;
    assert_eq!(missing["error_msg"], json!("job j2 not exist"));
    let features = fixture.json("features", json!({})).await;
    let flags = features["flags"].as_array().unwrap();
    assert!(flags.iter().any(|flag| {
        flag["feature"] == json!("feature_schema_change_partial_sync")
            && flag["value"] == json!(true)
    }));
    let early = fixture.json("force_fullsync", json!({"name": "j1"})).await;
    assert_eq!(early["success"], json!(false));
    let text = early["error_msg"].as_str().unwrap();
    assert!(text.contains("first full sync"), "{text}");
}

#[tokio::test]
async fn changes_made_by_another_process_are_seen() {
    let fixture = Fixture::new().await;
    fixture.json("create_ccr", body()).await;
    let elsewhere = JobRegistry::open(fixture.log.clone(), "ccr").await.unwrap();
    assert_eq!(elsewhere.list().len(), 1);
    fixture.json("pause", json!({"name": "j1"})).await;
    let changed = elsewhere.set_wanted("j1", Wanted::Paused).await.unwrap();
    assert_eq!(changed.version, 3);
    elsewhere.delete("j1").await.unwrap();
    // The first registry catches up before it writes.
    let answer = fixture.json("resume", json!({"name": "j1"})).await;
    assert_eq!(answer["error_msg"], json!("job j1 not exist"));
}

#[tokio::test]
async fn a_job_is_started_again_as_another_life_on_its_own_tables() {
    let fixture = Fixture::new().await;
    fixture.json("create_ccr", body()).await;
    let resync = json!({"name": "j1"});

    // What is there before the first full sync is not the job's to replace.
    let early = fixture.json("resync", resync.clone()).await;
    let text = early["error_msg"].as_str().unwrap();
    assert!(text.contains("first full sync"), "{text}");
    let first = fixture.api.registry.get("j1").unwrap();
    assert_eq!((first.version, first.resync), (1, None));

    let status = status_of(&first, 40, 7);
    fixture.api.status.report_job(status).await.unwrap();
    let answer = fixture.json("resync", resync.clone()).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
    let second = fixture.api.registry.get("j1").unwrap();
    assert_eq!(answer["incarnation"], json!(second.incarnation.0));
    assert_ne!(second.incarnation, first.incarnation);
    assert_eq!(second.version, 2);
    assert!(second.replaces_existing() && !second.options.allow_table_exists);
    assert!(second.resync.unwrap().alone);
    assert_eq!(second.options, first.options);

    // The life before has nothing to tell of this one; and a life that began so may begin so again, at the same time too.
    let fresh = fixture.json("job_status", resync.clone()).await;
    assert_eq!(fresh["status"]["commit_seq"], json!(-1));
    let at = second.resync.unwrap().at_ms;
    let third = fixture.api.registry.resync("j1", at).await.unwrap();
    assert_ne!(third.incarnation, second.incarnation);

    // Beside another job in a database of the same name nothing is removed there.
    let mut other = body();
    other["name"] = json!("j2");
    fixture.json("create_ccr", other).await;
    fixture.json("resync", resync).await;
    let last = fixture.api.registry.get("j1").unwrap();
    assert!(!last.resync.unwrap().alone);

    let unknown = fixture.json("resync", json!({"name": "none"})).await;
    assert_eq!(unknown["error_msg"], json!("job none not exist"));
}

#[tokio::test]
async fn a_position_is_skipped_only_while_it_lies_ahead() {
    let fixture = Fixture::new().await;
    fixture.json("create_ccr", body()).await;
    let job = fixture.api.registry.get("j1").unwrap();
    let status = status_of(&job, 40, 7);
    fixture.api.status.report_job(status).await.unwrap();
    for (wrong, expected) in [
        (
            json!({"name": "none", "commit_seq": 41}),
            "job none not exist",
        ),
        (json!({"name": "j1"}), "commit_seq"),
        (json!({"name": "j1", "commit_seq": "x"}), "request body"),
        (json!({"name": "j1", "commit_seq": -1}), "ccr job status j1"),
        (json!({"name": "j1", "commit_seq": 40}), "ccr job resync j1"),
    ] {
        let answer = fixture.json("skip", wrong).await;
        let text = answer["error_msg"].as_str().unwrap();
        assert!(
            text.contains(expected),
            "{expected:?} is missing in {text:?}"
        );
    }
    assert_eq!(fixture.api.registry.get("j1").unwrap(), job);
    let done = fixture
        .json("skip", json!({"name": "j1", "commit_seq": 41}))
        .await;
    assert_eq!(done, json!({"success": true}));
    let changed = fixture.api.registry.get("j1").unwrap();
    assert_eq!(changed.options.skip, [CommitSeq(41)].into());
    assert_eq!(
        (changed.version, &changed.incarnation),
        (2, &job.incarnation)
    );
}

#[tokio::test]
async fn definitions_of_earlier_versions_are_read_and_unknown_policies_refused() {
    let fixture = Fixture::new().await;
    let mut wrong = body();
    wrong["options"] = json!({"on_gap": "resync"});
    let answer = fixture.json("create_ccr", wrong).await;
    let text = answer["error_msg"].as_str().unwrap();
    assert!(
        text.contains("resync") && text.contains("halt") && text.contains("skip"),
        "{text}"
    );
    fixture.json("create_ccr", body()).await;
    let job = fixture.api.registry.get("j1").unwrap();
    let mut old = serde_json::to_value(&job).unwrap();
    old.as_object_mut().unwrap().remove("resync").unwrap();
    assert_eq!(
        serde_json::from_value::<ccr_control::JobSpec>(old).unwrap(),
        job
    );
}
