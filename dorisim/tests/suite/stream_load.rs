//! Stream load as curl does it: 307 to a backend, which answers with the JSON of Doris.

use dorisim::{SimCluster, SimConfig, SimUser};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, StatusCode, redirect};
use serde_json::{Value, json};

async fn start() -> SimCluster {
    let cluster = SimCluster::start(SimConfig {
        name: "loads".to_owned(),
        backends: 2,
        password: "se:cret".to_owned(),
        users: vec![SimUser {
            name: "reader".to_owned(),
            password: "r".to_owned(),
            privileges: vec!["SELECT_PRIV".to_owned()],
        }],
        ..SimConfig::default()
    })
    .await
    .unwrap();
    cluster
        .sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await
        .unwrap();
    cluster
        .sql("CREATE TABLE d.t (id BIGINT NOT NULL, v VARCHAR(8)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")")
        .await
        .unwrap();
    cluster
}

/// Sends to the frontend, then the same to where it points, as `curl --location-trusted` does.
async fn load(
    cluster: &SimCluster,
    user: (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Value {
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(
            reqwest::header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    let send = |url: String| {
        client
            .put(url)
            .basic_auth(user.0, Some(user.1))
            .headers(map.clone())
            .body(body.to_owned())
            .send()
    };
    let first = send(format!(
        "http://127.0.0.1:{}/api/d/t/_stream_load",
        cluster.http_port()
    ))
    .await
    .unwrap();
    if first.status() != StatusCode::TEMPORARY_REDIRECT {
        return json!({"http": first.status().as_u16()});
    }
    let location = first.headers()[LOCATION].to_str().unwrap().to_owned();
    let ports: Vec<_> = cluster
        .backend_addresses()
        .iter()
        .map(|be| be.http_port)
        .collect();
    assert!(
        ports
            .iter()
            .any(|port| location.contains(&format!("@127.0.0.1:{port}/api/d/t/"))),
        "{location}"
    );
    send(location).await.unwrap().json().await.unwrap()
}

const ROOT: (&str, &str) = ("root", "se:cret");

#[tokio::test(flavor = "multi_thread")]
async fn csv_and_json_arrive() {
    let cluster = start().await;
    let answer = load(
        &cluster,
        ROOT,
        &[("column_separator", ","), ("label", "l1")],
        "1,a\n2,\\N\n",
    )
    .await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!(answer["Label"], "l1");
    assert_eq!(
        (
            answer["NumberTotalRows"].as_u64(),
            answer["NumberLoadedRows"].as_u64()
        ),
        (Some(2), Some(2))
    );
    assert!(answer["TxnId"].as_i64().unwrap() > 0);
    let json = [("format", "json"), ("strip_outer_array", "true")];
    let answer = load(
        &cluster,
        ROOT,
        &json,
        r#"[{"id":3,"v":"c"},{"v":"d","id":4}]"#,
    )
    .await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    let rows = cluster
        .sql("SELECT id, v FROM d.t ORDER BY id")
        .await
        .unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row[0].as_deref().unwrap(), row[1].as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("1", Some("a")),
            ("2", None),
            ("3", Some("c")),
            ("4", Some("d"))
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_label_is_told_and_nothing_is_doubled() {
    let cluster = start().await;
    let headers = [("column_separator", ","), ("label", "once")];
    assert_eq!(
        load(&cluster, ROOT, &headers, "1,a\n").await["Status"],
        "Success"
    );
    let again = load(&cluster, ROOT, &headers, "1,a\n").await;
    assert_eq!(again["Status"], "Label Already Exists", "{again}");
    assert_eq!(again["ExistingJobStatus"], "FINISHED");
    assert_eq!(cluster.sql("SELECT id FROM d.t").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_fail_the_load_unless_allowed() {
    let cluster = start().await;
    let body = "1,a\nnot a number,b\n3\n";
    let strict = load(&cluster, ROOT, &[("column_separator", ",")], body).await;
    assert_eq!(strict["Status"], "Fail", "{strict}");
    assert!(
        strict["Message"]
            .as_str()
            .unwrap()
            .contains("too many filtered rows"),
        "{strict}"
    );
    let lenient = [("column_separator", ","), ("max_filter_ratio", "0.7")];
    let answer = load(&cluster, ROOT, &lenient, body).await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!(answer["NumberFilteredRows"], 2);
    assert_eq!(cluster.sql("SELECT id FROM d.t").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phases_show_rows_after_the_second() {
    let cluster = start().await;
    let headers = [("column_separator", ","), ("two_phase_commit", "true")];
    let answer = load(&cluster, ROOT, &headers, "1,a\n").await;
    assert_eq!(
        (&answer["Status"], &answer["TwoPhaseCommit"]),
        (&json!("Success"), &json!("true")),
        "{answer}"
    );
    assert!(cluster.sql("SELECT id FROM d.t").await.unwrap().is_empty());
    let port = cluster.backend_addresses()[0].http_port;
    let finish = Client::new()
        .put(format!("http://127.0.0.1:{port}/api/d/_stream_load_2pc"))
        .basic_auth(ROOT.0, Some(ROOT.1))
        .header("txn_id", answer["TxnId"].to_string())
        .header("txn_operation", "commit");
    let done: Value = finish.send().await.unwrap().json().await.unwrap();
    assert_eq!(done["status"], "Success", "{done}");
    assert_eq!(cluster.sql("SELECT id FROM d.t").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let cluster = start().await;
    assert_eq!(
        load(&cluster, ("root", "guess"), &[], "1\ta\n").await["http"],
        401
    );
    let reader = load(&cluster, ("reader", "r"), &[], "1\ta\n").await;
    assert_eq!(reader["Status"], "Fail");
    assert!(
        reader["Message"].as_str().unwrap().contains("LOAD"),
        "{reader}"
    );
    let unknown = Client::new()
        .put(format!(
            "http://127.0.0.1:{}/api/d/none/_stream_load",
            cluster.backend_addresses()[0].http_port
        ))
        .basic_auth(ROOT.0, Some(ROOT.1))
        .body("1\ta\n");
    let answer: Value = unknown.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["Status"], "Fail");
    assert!(
        answer["Message"]
            .as_str()
            .unwrap()
            .contains("unknown table, table=none"),
        "{answer}"
    );
}
