//! What does not work is named within seconds, by `job_status` and by `/ready`, and goes when it works again.

use std::time::Duration;

use ccr_doris::SqlSession;
use ccr_tests::{Api, World, embedded_stack};
use serde_json::{Value, json};

/// The promise is ten seconds; the machine of the test may be slow.
const SOON: Duration = Duration::from_secs(25);
const LONG: Duration = Duration::from_secs(120);

fn problem_of<'a>(status: &'a Value, part: &str) -> Option<&'a Value> {
    let problems = status["problems"].as_array()?;
    problems.iter().find(|problem| problem["part"] == part)
}

/// Waits until the status names a problem of the part; returns it.
async fn named(api: &Api, job: &str, part: &str) -> Value {
    api.wait_until(job, SOON, |status| problem_of(status, part).is_some())
        .await
        .unwrap();
    let status = api.status(job).await.unwrap();
    let problem = problem_of(&status, part).unwrap().clone();
    assert!(
        problem["next_step"]
            .as_str()
            .is_some_and(|step| step.len() > 10),
        "{problem}"
    );
    problem
}

async fn get(api: &Api, path: &str) -> (u16, Value) {
    let (status, text) = api.get_raw(path).await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Waits until `/ready` answers with the status; returns the body.
async fn readiness(api: &Api, expected: u16) -> Value {
    let mut last = Value::Null;
    for _ in 0..250 {
        let (status, body) = get(api, "ready").await;
        if status == expected {
            return body;
        }
        last = body;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("/ready never answered {expected}; last answer: {last:#}");
}

async fn following(world: &World, api: &Api, job: &Value) {
    world
        .sql("CREATE TABLE t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")")
        .await
        .unwrap();
    world.sql("INSERT INTO t VALUES (1)").await.unwrap();
    api.create(job).await.unwrap();
    let end = world.source_end().await.unwrap();
    api.wait_applied("j", end, LONG).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_is_named_and_readiness_follows() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(1).await.unwrap();
    let (stack, api) = embedded_stack(folder.path()).await.unwrap();
    following(&world, &api, &world.database_job("j", 0)).await;
    readiness(&api, 200).await;
    let status = api.status("j").await.unwrap();
    assert_eq!(status["problems"], json!([]), "{status:#}");
    assert_eq!(status["lag_ms"], json!(0));

    world.source.sim.shutdown().await;
    let problem = named(&api, "j", "source").await;
    let address = format!("127.0.0.1:{}", world.source.sim.thrift_port());
    assert!(
        problem["what"].as_str().unwrap().contains(&address),
        "{problem}"
    );
    let status = api.status("j").await.unwrap();
    assert_eq!(status["lag_ms"], Value::Null, "{status:#}");
    assert!(!status["last_error"].is_null());
    let body = readiness(&api, 503).await;
    let condition = body["problems"][0]["condition"].as_str().unwrap();
    assert!(condition.starts_with("stream:"), "{body:#}");
    assert_eq!(api.get_raw("live").await.unwrap().0, 200);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_gone_is_named_and_readiness_follows() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(1).await.unwrap();
    let (stack, api) = embedded_stack(folder.path()).await.unwrap();
    following(&world, &api, &world.database_job("j", 0)).await;

    world.targets[0].sim.shutdown().await;
    world.sql("INSERT INTO t VALUES (2)").await.unwrap();
    let problem = named(&api, "j", "job").await;
    assert!(
        problem["what"].as_str().unwrap().contains("127.0.0.1"),
        "{problem}"
    );
    assert!(problem["since_ms"].is_i64(), "{problem}");
    let body = readiness(&api, 503).await;
    assert_eq!(body["problems"][0]["condition"], json!("job:j"), "{body:#}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_at_the_source_is_named_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(1).await.unwrap();
    let (stack, api) = embedded_stack(folder.path()).await.unwrap();
    let admin = &world.source.client;
    admin
        .execute(None, "CREATE USER 'copy' IDENTIFIED BY 'first'")
        .await
        .unwrap();
    admin
        .execute(None, "GRANT ADMIN_PRIV ON *.*.* TO 'copy'")
        .await
        .unwrap();
    let mut job = world.database_job("j", 0);
    job["src"]["user"] = json!("copy");
    job["src"]["password"] = json!("first");
    following(&world, &api, &job).await;

    let to = |password: &str| format!("ALTER USER 'copy' IDENTIFIED BY '{password}'");
    admin.execute(None, &to("second")).await.unwrap();
    let problem = named(&api, "j", "source").await;
    let what = problem["what"].as_str().unwrap().to_lowercase();
    assert!(
        what.contains("denied") || what.contains("password"),
        "{problem}"
    );
    assert!(!problem.to_string().contains("first"), "{problem}");
    admin.execute(None, &to("first")).await.unwrap();
    api.wait_until("j", LONG, |status| status["problems"] == json!([]))
        .await
        .unwrap();
    readiness(&api, 200).await;
    stack.stop().await;
}
