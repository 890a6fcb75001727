//! Requests that can not be carried out get an answer that names the object and the next step.

use std::time::Duration;

use ccr_doris::SqlSession;
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, World, assert_equal, embedded_stack};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(120);

async fn refusal(api: &Api, operator: &str, body: &Value) -> String {
    let answer = api.post(operator, body).await.unwrap();
    assert_eq!(
        answer["success"],
        json!(false),
        "{operator} {body} was taken"
    );
    answer["error_msg"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(1).await.unwrap();
    let (stack, api) = embedded_stack(folder.path()).await.unwrap();

    let (status, text) = api.post_raw("create_ccr", "{not json").await.unwrap();
    assert_eq!(status, 400);
    assert!(
        text.contains("not JSON") && text.contains("line 1"),
        "{text}"
    );

    let good = world.database_job("good", 0);
    let with = |path: &[&str], value: Value| {
        let mut body = good.clone();
        let mut at = &mut body;
        for key in path {
            at = &mut at[*key];
        }
        *at = value;
        body
    };
    // (what is wrong, what the answer must name)
    let cases: [(Value, &[&str]); 8] = [
        (
            with(&["src", "database"], json!("nowhere")),
            &["source", "nowhere", "create it"],
        ),
        (
            with(&["src", "password"], json!("hunter2")),
            &["source", "denied"],
        ),
        (with(&["src", "port"], json!("70000")), &["70000", "port"]),
        (
            with(&["src", "port"], json!("1")),
            &["source", "127.0.0.1:1"],
        ),
        (
            with(&["dest", "port"], json!("1")),
            &["destination", "127.0.0.1:1"],
        ),
        (
            with(&["src", "table"], json!("orders")),
            &["src.table", "dest.table"],
        ),
        (
            with(&["name"], json!("no spaces please")),
            &["no spaces please", "letters"],
        ),
        (json!({"name": "x"}), &["src"]),
    ];
    for (body, expected) in cases {
        let text = refusal(&api, "create_ccr", &body).await;
        for word in expected {
            assert!(
                text.to_lowercase().contains(&word.to_lowercase()),
                "{word:?} is missing in {text:?}"
            );
        }
        assert!(!text.contains("hunter2"), "a password is shown: {text}");
    }
    let mut missing_table = good.clone();
    missing_table["src"]["table"] = json!("ghost");
    missing_table["dest"]["table"] = json!("ghost");
    assert!(
        refusal(&api, "create_ccr", &missing_table)
            .await
            .contains("ghost")
    );

    for operator in ["job_status", "get_lag", "pause", "resume", "delete"] {
        let text = refusal(&api, operator, &json!({"name": "ghost"})).await;
        assert_eq!(text, "job ghost not exist");
    }
    api.create(&good).await.unwrap();
    assert_eq!(
        refusal(&api, "create_ccr", &good).await,
        "job good already exist"
    );
    let jobs = api.post("list_jobs", &json!({})).await.unwrap();
    assert_eq!(jobs, json!({"success": true, "jobs": ["good"]}));
    let version = api.post("version", &json!({})).await.unwrap();
    assert!(version["version"].is_string());
    let gone = api.post("delete", &json!({"name": "good"})).await.unwrap();
    assert_eq!(gone, json!({"success": true}));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_foreign_web_pages_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(1).await.unwrap();
    let (stack, api) = embedded_stack(folder.path()).await.unwrap();
    api.create(&world.database_job("good", 0)).await.unwrap();

    let url = format!("http://{}/delete", stack.api_address.unwrap());
    let attempt = |headers: &[(&'static str, &'static str)]| {
        let mut request = reqwest::Client::new()
            .post(&url)
            .timeout(Duration::from_secs(30))
            .body(r#"{"name": "good"}"#);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send()
    };
    const JSON: (&str, &str) = ("content-type", "application/json");
    // A form or a script of another page, without and with its origin, and a page whose name resolves to this machine.
    for (expected, headers) in [
        (415, vec![("content-type", "text/plain")]),
        (403, vec![JSON, ("origin", "https://evil.example")]),
        (403, vec![JSON, ("host", "evil.example")]),
        (403, vec![JSON, ("sec-fetch-site", "cross-site")]),
    ] {
        let status = attempt(&headers).await.unwrap().status().as_u16();
        assert_eq!(status, expected, "{headers:?}");
    }
    assert_eq!(api.status("good").await.unwrap()["name"], json!("good"));

    // What curl sends in the manual, and a program that declares nothing.
    assert_eq!(attempt(&[JSON]).await.unwrap().status().as_u16(), 200);
    let jobs = api.post("list_jobs", &json!({})).await.unwrap();
    assert_eq!(jobs["jobs"], json!([]));
    stack.stop().await;
}

const TABLE: &str = "(k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")";

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_job_is_created_again_with_the_same_body() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(1).await.unwrap();
    let (stack, api) = embedded_stack(folder.path()).await.unwrap();
    for table in ["a", "b"] {
        world
            .sql(&format!("CREATE TABLE {table} {TABLE}"))
            .await
            .unwrap();
        world
            .sql(&format!("INSERT INTO {table} VALUES (1, 1)"))
            .await
            .unwrap();
    }
    let body = world.database_job("again", 0);
    api.create(&body).await.unwrap();
    let databases = world.targets[0]
        .client
        .query(None, "SHOW DATABASES")
        .await
        .unwrap();
    let found = databases.iter().flat_map(|row| row.values().flatten());
    assert!(found.clone().any(|name| name == DATABASE), "{databases:?}");
    let end = world.source_end().await.unwrap();
    api.wait_following("again", end, LONG).await.unwrap();

    api.post("delete", &json!({"name": "again"})).await.unwrap();
    world.sql("INSERT INTO a VALUES (2, 2)").await.unwrap();
    world.sql("TRUNCATE TABLE b").await.unwrap();
    let answer = api.post("create_ccr", &body).await.unwrap();
    assert_eq!(answer["success"], json!(true), "{answer}");
    assert!(answer["warnings"][0].as_str().unwrap().contains("again"));
    world.sql("INSERT INTO b VALUES (3, 3)").await.unwrap();
    let end = world.source_end().await.unwrap();
    api.wait_following("again", end, LONG).await.unwrap();
    let (here, there) = (&world.source, &world.targets[0]);
    let rows = assert_equal((here, DATABASE), (there, DATABASE), |_| true)
        .await
        .unwrap();
    assert_eq!(rows, 3);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_onto_foreign_tables_itself_or_in_a_ring_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(2).await.unwrap();
    let (stack, api) = embedded_stack(folder.path()).await.unwrap();
    world.sql(&format!("CREATE TABLE a {TABLE}")).await.unwrap();
    for target in &world.targets {
        let create =
            format!("CREATE DATABASE {DATABASE} PROPERTIES (\"binlog.enable\" = \"true\")");
        target.client.execute(None, &create).await.unwrap();
    }
    let first = &world.targets[0];
    first
        .client
        .execute(Some(DATABASE), &format!("CREATE TABLE a {TABLE}"))
        .await
        .unwrap();
    let job = world.database_job("j", 0);
    let text = refusal(&api, "create_ccr", &job).await;
    assert!(
        text.contains("already exist") && text.contains(": a;"),
        "{text}"
    );
    first
        .client
        .execute(Some(DATABASE), "DROP TABLE a FORCE")
        .await
        .unwrap();
    api.create(&job).await.unwrap();

    let between = |name: &str, src: &Value, dest: &Value| json!({"name": name, "src": src, "dest": dest, "allow_table_exists": true});
    let [source, one, two] = [&world.source, &world.targets[0], &world.targets[1]]
        .map(|cluster| cluster.endpoint(DATABASE));
    let text = refusal(&api, "create_ccr", &between("own", &source, &source)).await;
    assert!(text.contains("same database"), "{text}");
    let text = refusal(&api, "create_ccr", &between("back", &one, &source)).await;
    assert!(text.contains("loop") && text.contains("job j"), "{text}");
    api.create(&between("on", &one, &two)).await.unwrap();
    let text = refusal(&api, "create_ccr", &between("ring", &two, &source)).await;
    assert!(text.contains("job j, then job on"), "{text}");
    stack.stop().await;
}
