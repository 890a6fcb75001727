//! `resync` of single tables, and of jobs in every state that advises it.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

mod common;

use ccr_control::{JobStatus, ResyncsDone};
use ccr_schemas::TableId;
use common::{Fixture, SOURCE, body, status_of};
use serde_json::{Value, json};

/// A job whose first sync is done, over tables `customers` (1000) and `orders` (1001).
async fn synced() -> Fixture {
    let fixture = Fixture::new().await;
    let tables = ["customers", "orders"];
    fixture.clusters.set(SOURCE, "sales", &tables);
    fixture.json("create_ccr", body()).await;
    let job = fixture.api.registry.get("j1").unwrap();
    fixture.report(status_of(&job, 40, 7)).await;
    fixture
}

impl Fixture {
    async fn report(&self, status: JobStatus) {
        self.api.status.report_job(status).await.unwrap();
    }
}

async fn refused(fixture: &Fixture, request: Value) -> String {
    let answer = fixture.json("resync", request).await;
    answer["error_msg"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_table_is_asked_for_by_its_id_and_shown_until_it_is_done() {
    let fixture = synced().await;
    let before = fixture.api.registry.get("j1").unwrap();
    let answer = fixture
        .json("resync", json!({"name": "j1", "table": "orders"}))
        .await;
    assert_eq!(answer, json!({"success": true, "tables": ["orders"]}));
    let job = fixture.api.registry.get("j1").unwrap();
    assert_eq!(job.incarnation, before.incarnation, "the job goes on");
    assert_eq!(job.table_resyncs.wanted[&TableId(1001)].name, "orders");
    let shown = fixture.json("job_status", json!({"name": "j1"})).await;
    assert_eq!(shown["status"]["resyncing"], json!(["orders"]));

    // Asking again before it is done changes nothing.
    let both = json!({"name": "j1", "tables": ["orders", "customers"]});
    fixture.json("resync", both).await;
    let wanted = fixture.api.registry.get("j1").unwrap().table_resyncs.wanted;
    assert_eq!(wanted[&TableId(1001)].n, 1);
    assert_eq!(wanted[&TableId(1000)].n, 2);

    let done = JobStatus {
        resyncs_done: ResyncsDone::from(vec![1]),
        ..status_of(&job, 50, 9)
    };
    fixture.report(done).await;
    let shown = fixture.json("job_status", json!({"name": "j1"})).await;
    assert_eq!(shown["status"]["resyncing"], json!(["customers"]));
    fixture
        .json("resync", json!({"name": "j1", "table": "orders"}))
        .await;
    let wanted = fixture.api.registry.get("j1").unwrap().table_resyncs.wanted;
    assert_eq!(wanted[&TableId(1001)].n, 3, "asked for once more");
}

#[tokio::test]
async fn an_unknown_table_is_refused_with_the_nearest_names() {
    let fixture = synced().await;
    let text = refused(&fixture, json!({"name": "j1", "table": "order"})).await;
    assert!(
        text.contains("has no table \"order\"") && text.contains("\"orders\", \"customers\""),
        "{text}"
    );
    let text = refused(&fixture, json!({"name": "none", "table": "orders"})).await;
    assert_eq!(text, "job none not exist");
    let text = refused(&fixture, json!({"name": "j1", "tabel": "orders"})).await;
    assert!(text.contains("tabel") && text.contains("tables"), "{text}");
    let job = fixture.api.registry.get("j1").unwrap();
    assert!(job.table_resyncs.wanted.is_empty());
}

#[tokio::test]
async fn a_table_outside_the_job_and_a_job_before_its_first_sync_are_refused() {
    let fixture = synced().await;
    let mut filtered = body();
    filtered["name"] = json!("j2");
    filtered["dest"]["database"] = json!("elsewhere");
    filtered["tables"] = json!({"exclude": ["orders"]});
    fixture.json("create_ccr", filtered).await;
    let text = refused(&fixture, json!({"name": "j2", "table": "customers"})).await;
    assert!(text.contains("has not finished its full sync"), "{text}");
    let job = fixture.api.registry.get("j2").unwrap();
    fixture.report(status_of(&job, 40, 7)).await;
    let text = refused(&fixture, json!({"name": "j2", "table": "orders"})).await;
    assert!(text.contains("is not among the tables of job j2"), "{text}");
    let answer = fixture
        .json("resync", json!({"name": "j2", "table": "customers"}))
        .await;
    assert_eq!(answer["success"], json!(true), "{answer}");
}

#[tokio::test]
async fn a_job_that_has_applied_nothing_since_its_first_sync_starts_again_when_its_status_advises_it()
 {
    let fixture = synced().await;
    let job = fixture.api.registry.get("j1").unwrap();
    // Stuck at the first event: nothing was committed since the snapshot.
    let stuck = JobStatus {
        last_error: Some("sync it again with `ccr job resync j1`".to_owned()),
        ..status_of(&job, -1, 0)
    };
    fixture.report(stuck).await;
    let answer = fixture.json("resync", json!({"name": "j1"})).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
}
