//! Stream load as curl does it: 307 to a backend, which answers with the JSON of Doris.

use dorisim::{SimCluster, SimConfig, SimUser};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, StatusCode, redirect};
use serde_json::{Value, json};

pub(crate) async fn start() -> SimCluster {
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
pub(crate) async fn load(
    cluster: &SimCluster,
    user: (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Value {
    load_into(cluster, "d/t", user, headers, body).await
}

pub(crate) async fn load_into(
    cluster: &SimCluster,
    table: &str,
    user: (&str, &str),
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Value {
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap();
    let body = body.as_ref();
    let mut map = HeaderMap::new();
    map.insert(reqwest::header::EXPECT, "100-continue".parse().unwrap());
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
            .body(body.to_vec())
            .send()
    };
    let first = send(format!(
        "http://127.0.0.1:{}/api/{table}/_stream_load",
        cluster.http_port()
    ))
    .await
    .unwrap();
    if first.status() != StatusCode::TEMPORARY_REDIRECT {
        return first.json().await.unwrap();
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
            .any(|port| location.contains(&format!("@127.0.0.1:{port}/api/{table}/"))),
        "{location}"
    );
    send(location).await.unwrap().json().await.unwrap()
}

pub(crate) const ROOT: (&str, &str) = ("root", "se:cret");

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
    let denied = load(&cluster, ("root", "guess"), &[], "1\ta\n").await;
    assert_eq!(
        denied,
        json!({"msg": "Unauthorized", "code": 401, "count": 0, "data": "Access denied for user 'root@127.0.0.1' (using password: YES)"})
    );
    let reader = load(&cluster, ("reader", "r"), &[], "1\ta\n").await;
    assert_eq!(reader["status"], "FAILED");
    assert!(
        reader["msg"].as_str().unwrap().contains("Load_priv"),
        "{reader}"
    );
    // The backend asks by itself.
    let port = cluster.backend_addresses()[0].http_port;
    let put = |user: &'static str, password: &'static str, table: &str| {
        let sent = Client::new()
            .put(format!("http://127.0.0.1:{port}/api/{table}/_stream_load"))
            .basic_auth(user, Some(password))
            .body("1\ta\n")
            .send();
        async move { sent.await.unwrap().json::<Value>().await.unwrap() }
    };
    for (answer, wanted) in [
        (
            put("root", "guess", "d/t").await,
            "Access denied for user 'root@127.0.0.1' (using password: YES)",
        ),
        (
            put("reader", "r", "d/t").await,
            "(priv predicate: OR, Admin_priv,Load_priv) privilege(s)",
        ),
        (
            put("root", "se:cret", "d/none").await,
            "[NOT_FOUND]TStatus: errCode = 7, detailMessage = table not found, tableName=none",
        ),
        (
            put("root", "se:cret", "no/t").await,
            "[NOT_FOUND]TStatus: errCode = 7, detailMessage = unknown database, database=no",
        ),
    ] {
        assert_eq!(
            (&answer["Status"], &answer["TxnId"]),
            (&json!("Fail"), &json!(-1)),
            "{answer}"
        );
        let message = answer["Message"].as_str().unwrap();
        assert!(message.contains(wanted), "{answer}");
    }
    let nobody = Client::new()
        .put(format!("http://127.0.0.1:{port}/api/d/t/_stream_load"))
        .body("1\ta\n");
    let answer: Value = nobody.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        answer["Message"],
        "[NOT_AUTHORIZED]no valid Basic authorization"
    );
    // Doris wants the body held back until it has said where to send it.
    let hasty = Client::new()
        .put(format!(
            "http://127.0.0.1:{}/api/d/t/_stream_load",
            cluster.http_port()
        ))
        .basic_auth(ROOT.0, Some(ROOT.1))
        .body("1\ta\n");
    let answer: Value = hasty.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["msg"], "There is no 100-continue header");
    let mini = Client::new().put(format!(
        "http://127.0.0.1:{}/api/d/t/_load?label=x",
        cluster.http_port()
    ));
    let answer: Value = mini.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["code"], 404);
    assert!(rows(&cluster, "SELECT id FROM d.t").await.is_empty());
}

/// Rows as `a|b` lines.
pub(crate) async fn rows(cluster: &SimCluster, sql: &str) -> Vec<String> {
    let rows = cluster.sql(sql).await.unwrap();
    let line = |row: Vec<Option<String>>| {
        let cells: Vec<_> = row
            .into_iter()
            .map(|cell| cell.unwrap_or_else(|| "NULL".into()))
            .collect();
        cells.join("|")
    };
    rows.into_iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_phase_answers_for_ids_and_labels() {
    let cluster = start().await;
    let headers = [("label", "two"), ("two_phase_commit", "true")];
    let answer = load(&cluster, ROOT, &headers, "1\ta\n").await;
    let id = answer["TxnId"].to_string();
    assert_eq!(
        load(&cluster, ROOT, &headers, "1\ta\n").await["ExistingJobStatus"],
        "PRECOMMITTED"
    );
    let port = cluster.backend_addresses()[0].http_port;
    let finish = |headers: Vec<(&'static str, String)>, password: &'static str| {
        let mut request = Client::new()
            .put(format!("http://127.0.0.1:{port}/api/d/_stream_load_2pc"))
            .basic_auth("root", Some(password));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        async move {
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            format!(
                "{}: {}",
                answer["status"].as_str().unwrap(),
                answer["msg"].as_str().unwrap()
            )
        }
    };
    let by_id = |operation: &str| {
        vec![
            ("txn_id", id.clone()),
            ("txn_operation", operation.to_owned()),
        ]
    };
    assert!(
        finish(by_id("commit"), "guess")
            .await
            .contains("Access denied for user")
    );
    assert_eq!(
        finish(by_id("frob"), "se:cret").await,
        "INTERNAL_ERROR: transaction operation should be 'commit' or 'abort'"
    );
    let by_label = vec![
        ("label", "two".to_owned()),
        ("txn_operation", "commit".to_owned()),
    ];
    assert_eq!(
        finish(by_label, "se:cret").await,
        "Success: label [two] commit successfully."
    );
    let again = finish(by_id("commit"), "se:cret").await;
    assert_eq!(
        again,
        format!(
            "ANALYSIS_ERROR: TStatus: errCode = 2, detailMessage = transaction [{id}] is already visible, not pre-committed."
        )
    );
    assert_eq!(rows(&cluster, "SELECT id, v FROM d.t").await, ["1|a"]);
}
