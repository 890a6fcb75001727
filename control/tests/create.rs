//! Which jobs `create_ccr` takes, and what it answers.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

mod common;

use common::{DEST, Fixture, SOURCE, body, body_of};
use serde_json::{Value, json};

impl Fixture {
    async fn refusal(&self, operator: &str, body: &Value) -> String {
        let answer = self.json(operator, body.clone()).await;
        assert_eq!(answer["success"], json!(false), "{body} was taken");
        answer["error_msg"].as_str().unwrap().to_owned()
    }

    async fn accepted(&self, body: &Value) -> Value {
        let answer = self.json("create_ccr", body.clone()).await;
        assert_eq!(answer["success"], json!(true), "{answer}");
        answer
    }
}

fn assert_names(text: &str, expected: &[&str]) {
    for word in expected {
        assert!(text.contains(word), "{word:?} is missing in {text:?}");
    }
}

#[tokio::test]
async fn a_job_onto_its_own_source_is_refused() {
    let fixture = Fixture::new().await;
    let mut own = body_of("own", SOURCE, SOURCE);
    own["allow_table_exists"] = json!(true);
    let text = fixture.refusal("create_ccr", &own).await;
    assert_names(&text, &["same database", "sales", "c77"]);
    // Another database of the same cluster is another place.
    own["dest"]["database"] = json!("copy");
    fixture.accepted(&own).await;
    assert_eq!(
        fixture.api.registry.get("own").unwrap().dest.cluster_name,
        "c77"
    );
}

#[tokio::test]
async fn a_job_that_closes_a_loop_is_refused_with_the_jobs_of_the_loop() {
    let third = "10.0.0.79";
    let fixture = Fixture::new().await;
    fixture.clusters.set(third, "sales", &[]);
    fixture.accepted(&body_of("ab", SOURCE, DEST)).await;
    fixture.accepted(&body_of("bc", DEST, third)).await;
    let mut back = body_of("ba", DEST, SOURCE);
    back["allow_table_exists"] = json!(true);
    let text = fixture.refusal("create_ccr", &back).await;
    assert_names(&text, &["loop", "job ab", "sales of cluster c77"]);
    let mut ring = body_of("ca", third, SOURCE);
    ring["allow_table_exists"] = json!(true);
    let text = fixture.refusal("create_ccr", &ring).await;
    assert_names(&text, &["loop", "job ab, then job bc"]);
    // Without one of its edges there is no loop.
    fixture.json("delete", json!({"name": "ab"})).await;
    fixture.accepted(&ring).await;
}

#[tokio::test]
async fn a_database_job_onto_existing_tables_is_refused_with_their_names() {
    let fixture = Fixture::new().await;
    fixture.clusters.set(SOURCE, "sales", &["a", "b", "c"]);
    fixture
        .clusters
        .set(DEST, "sales", &["b", "c", "elsewhere"]);
    let text = fixture.refusal("create_ccr", &body()).await;
    assert_names(
        &text,
        &["already exist", "\"sales\": b, c;", "allow_table_exists"],
    );
    let mut filtered = body();
    filtered["tables"] = json!({"exclude": ["b", "c"]});
    fixture.accepted(&filtered).await;
    fixture.json("delete", json!({"name": "j1"})).await;
    let mut allowed = body();
    allowed["allow_table_exists"] = json!(true);
    fixture.accepted(&allowed).await;

    let many: Vec<String> = (10..60).map(|n| format!("t{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    fixture.clusters.set(SOURCE, "sales", &many);
    fixture.clusters.set("10.0.0.79", "sales", &many);
    let text = fixture
        .refusal("create_ccr", &body_of("j2", SOURCE, "10.0.0.79"))
        .await;
    assert_names(&text, &["t10, t11", "t29 and 30 more"]);
}

#[tokio::test]
async fn the_destination_database_exists_when_the_job_is_accepted_and_not_before() {
    let fixture = Fixture::new().await;
    let mut quiet = body();
    quiet["src"]["database"] = json!("quiet");
    fixture.refusal("create_ccr", &quiet).await;
    assert!(!fixture.clusters.has_database(DEST, "sales"));
    fixture.accepted(&body()).await;
    assert!(fixture.clusters.has_database(DEST, "sales"));
}

#[tokio::test]
async fn a_deleted_job_is_created_again_on_the_tables_that_it_made() {
    let fixture = Fixture::new().await;
    fixture.clusters.set(SOURCE, "sales", &["orders", "items"]);
    fixture.accepted(&body()).await;
    assert_eq!(fixture.api.registry.get("j1").unwrap().resync, None);
    fixture.clusters.set(DEST, "sales", &["orders"]);
    fixture.json("delete", json!({"name": "j1"})).await;

    let answer = fixture.accepted(&body()).await;
    let warnings = answer["warnings"].as_array().unwrap();
    assert_names(
        warnings[0].as_str().unwrap(),
        &["deleted job j1", "replaces"],
    );
    let again = fixture.api.registry.get("j1").unwrap();
    assert!(again.replaces_existing());
    // What the source does not have is left alone.
    assert!(!again.resync.unwrap().alone);
    fixture.json("delete", json!({"name": "j1"})).await;

    // A table that the deleted job cannot have made, and another pair of databases.
    fixture.clusters.set(SOURCE, "other_sales", &["orders"]);
    let mut other = body();
    other["src"]["database"] = json!("other_sales");
    assert_names(&fixture.refusal("create_ccr", &other).await, &["orders"]);
    let mut one = body();
    one["src"]["table"] = json!("items");
    one["dest"]["table"] = json!("orders");
    assert_names(&fixture.refusal("create_ccr", &one).await, &["orders"]);
}

#[tokio::test]
async fn what_a_deleted_job_was_allowed_to_replace_and_did_not_is_not_its_own() {
    let fixture = Fixture::new().await;
    fixture.clusters.set(DEST, "sales", &["orders"]);
    let mut allowed = body();
    allowed["allow_table_exists"] = json!(true);
    fixture.accepted(&allowed).await;
    fixture.json("delete", json!({"name": "j1"})).await;
    assert_names(&fixture.refusal("create_ccr", &body()).await, &["orders"]);

    fixture.accepted(&allowed).await;
    let job = fixture.api.registry.get("j1").unwrap();
    let synced = common::status_of(&job, 40, 7);
    fixture.api.status.report_job(synced).await.unwrap();
    fixture.json("delete", json!({"name": "j1"})).await;
    fixture.accepted(&body()).await;
}

#[tokio::test]
async fn unknown_members_are_refused_by_name_with_the_known_ones() {
    let fixture = Fixture::new().await;
    let with = |path: &str, member: &str| {
        let mut body = body();
        body["tables"] = json!({});
        body["options"] = json!({});
        body.pointer_mut(path).unwrap()[member] = json!("x");
        body
    };
    for (path, member, expected) in [
        ("", "nam", "`name`"),
        ("/src", "databse", "`database`"),
        ("/dest", "databse", "`database`"),
        ("/tables", "exclde", "`exclude`"),
        ("/options", "on_gab", "`on_gap`"),
    ] {
        let text = fixture.refusal("create_ccr", &with(path, member)).await;
        assert_names(&text, &[member, expected, path.trim_start_matches('/')]);
    }
    fixture.accepted(&body()).await;
    for operator in [
        "job_status",
        "get_lag",
        "pause",
        "resume",
        "resync",
        "delete",
        "job_progress",
        "force_fullsync",
    ] {
        let text = fixture
            .refusal(operator, &json!({"name": "j1", "forse": true}))
            .await;
        assert_names(&text, &["forse", "`name`"]);
    }
    let skip = json!({"name": "j1", "commit_seq": 1, "forse": true});
    assert_names(
        &fixture.refusal("skip", &skip).await,
        &["forse", "`commit_seq`"],
    );
    for operator in ["list_jobs", "version", "features"] {
        let text = fixture.refusal(operator, &json!({"name": "j1"})).await;
        assert_names(&text, &["name"]);
        assert_eq!(
            fixture.json(operator, json!({})).await["success"],
            json!(true)
        );
        assert_eq!(fixture.post(operator, "").await.0, 200);
    }
}

#[tokio::test]
async fn scripts_of_ccr_syncer_with_default_values_go_on_working() {
    let fixture = Fixture::new().await;
    let mut script = body();
    script["skip_error"] = json!(false);
    script["allow_table_exists"] = json!(false);
    script["reuse_binlog_label"] = json!(false);
    script["cluster_sync"] = json!(false);
    script["replication_num"] = json!(-1);
    script["storage_medium"] = json!("");
    script["medium_allocation_mode"] = Value::Null;
    for side in ["src", "dest"] {
        script[side]["cluster"] = json!("");
        script[side]["db_id"] = json!(0);
        script[side]["table_id"] = json!(0);
        script[side]["frontends"] = json!([{"host": "10.0.0.2", "port": "9030", "thrift_port": "9020", "is_master": false}]);
    }
    assert_eq!(fixture.accepted(&script).await, json!({"success": true}));
    let job = fixture.api.registry.get("j1").unwrap();
    assert_eq!(job.source.cluster.frontends.len(), 2);
    fixture.json("delete", json!({"name": "j1"})).await;

    // Without effect on the data: taken, and named in the answer.
    let mut cosmetic = body();
    cosmetic["reuse_binlog_label"] = json!(true);
    cosmetic["storage_medium"] = json!("ssd");
    cosmetic["medium_allocation_mode"] = json!("adaptive");
    cosmetic["src"]["db_id"] = json!(7);
    cosmetic["src"]["cluster"] = json!("east");
    let answer = fixture.accepted(&cosmetic).await;
    let warnings = answer["warnings"].as_array().unwrap();
    let expected = [
        "reuse_binlog_label",
        "storage_medium",
        "medium_allocation_mode",
        "src.cluster",
        "src.db_id",
    ];
    assert_eq!(warnings.len(), expected.len(), "{answer}");
    assert_names(&answer.to_string(), &expected);

    // Less would be done than is asked for.
    for (member, value, expected) in [
        ("skip_error", json!(true), "options.on_unsupported"),
        ("cluster_sync", json!(true), "one database"),
        ("storage_medium", json!("tape"), "same_with_upstream"),
        ("medium_allocation_mode", json!("x"), "adaptive"),
    ] {
        let mut wrong = body_of("j2", SOURCE, DEST);
        wrong[member] = value;
        let text = fixture.refusal("create_ccr", &wrong).await;
        assert_names(&text, &[member, expected]);
    }
}

#[tokio::test]
async fn the_frontends_of_both_clusters_are_remembered_in_the_log() {
    let fixture = Fixture::new().await;
    fixture.accepted(&body()).await;
    // What another process reads.
    let elsewhere =
        ccr_control::Installation::open(fixture.log.clone(), "ccr", fixture.clock.clone())
            .await
            .unwrap();
    for (cluster, host) in [("c77", SOURCE), ("c78", DEST)] {
        let known = elsewhere.known_frontends(cluster).unwrap();
        let hosts: Vec<_> = known.into_iter().map(|frontend| frontend.host).collect();
        assert_eq!(hosts, [format!("{host}-a"), format!("{host}-b")]);
    }
}
