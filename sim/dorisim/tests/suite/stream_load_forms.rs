//! What the headers of a stream load make of a body, and what happens to bodies and headers that are wrong.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stream_load::{ROOT, load, load_into, rows, start};

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_computed_and_filtered() {
    let cluster = start().await;
    cluster
        .sql("CREATE TABLE d.c (id INT, name VARCHAR(20), price DECIMAL(9,2), day DATE, g INT AS (id * 2)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")")
        .await
        .unwrap();
    let headers = [
        ("column_separator", "\\x01\\x02"),
        ("line_delimiter", "@"),
        (
            "columns",
            "id, tmp, cents, name = concat(upper(tmp), '-', id), price = cents / 100, day = '2024-02-29'",
        ),
        ("where", "id > 1 and price < 90"),
    ];
    let body = "1\u{1}\u{2}a\u{1}\u{2}150@2\u{1}\u{2}b\u{1}\u{2}250@10\u{1}\u{2}c\u{1}\u{2}9999@";
    let answer = load_into(&cluster, "d/c", ROOT, &headers, body).await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!(
        [
            "NumberTotalRows",
            "NumberLoadedRows",
            "NumberUnselectedRows",
            "NumberFilteredRows"
        ]
        .map(|name| answer[name].as_u64()),
        [Some(3), Some(1), Some(2), Some(0)]
    );
    assert_eq!(
        rows(&cluster, "SELECT * FROM d.c").await,
        ["2|B-2|2.50|2024-02-29|4"]
    );
    let unknown = load_into(
        &cluster,
        "d/c",
        ROOT,
        &[("columns", "id, name = frob(x)")],
        "1\n",
    )
    .await;
    assert_eq!(unknown["Status"], "Fail");
    assert!(
        unknown["Message"]
            .as_str()
            .unwrap()
            .starts_with("[ANALYSIS_ERROR]TStatus: errCode = 2, detailMessage = "),
        "{unknown}"
    );
    assert!(unknown["TxnId"].as_i64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_tables_merge_delete_and_update_in_part() {
    let cluster = start().await;
    for table in [
        "CREATE TABLE d.u (k INT, v STRING, w INT DEFAULT '7') UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")",
        "CREATE TABLE d.s (k INT, v STRING) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\", \"function_column.sequence_type\" = \"INT\")",
    ] {
        cluster.sql(table).await.unwrap();
    }
    let csv = ("column_separator", ",");
    let ok = |answer: Value| assert_eq!(answer["Status"], "Success", "{answer}");
    ok(load_into(&cluster, "d/u", ROOT, &[csv], "1,a,10\n2,b,20\n3,c,30\n").await);
    let merge = [
        csv,
        ("columns", "k,v,w,flag"),
        ("merge_type", "MERGE"),
        ("delete", "flag = 1"),
    ];
    ok(load_into(
        &cluster,
        "d/u",
        ROOT,
        &merge,
        "1,x,11,0\n2,x,0,1\n4,d,40,0\n",
    )
    .await);
    assert_eq!(
        rows(&cluster, "SELECT * FROM d.u ORDER BY k").await,
        ["1|x|11", "3|c|30", "4|d|40"]
    );
    ok(load_into(
        &cluster,
        "d/u",
        ROOT,
        &[csv, ("merge_type", "DELETE"), ("columns", "k")],
        "3\n",
    )
    .await);
    let partial = [csv, ("columns", "k,v"), ("partial_columns", "true")];
    ok(load_into(&cluster, "d/u", ROOT, &partial, "4,dd\n5,e\n").await);
    assert_eq!(
        rows(&cluster, "SELECT * FROM d.u ORDER BY k").await,
        ["1|x|11", "4|dd|40", "5|e|7"]
    );
    let without = load_into(&cluster, "d/s", ROOT, &[csv], "1,a\n").await;
    assert!(
        without["Message"]
            .as_str()
            .unwrap()
            .contains("Table s has sequence column, need to specify the sequence column"),
        "{without}"
    );
    let sequence = [
        csv,
        ("columns", "k,v,seq"),
        ("function_column.sequence_col", "seq"),
    ];
    ok(load_into(&cluster, "d/s", ROOT, &sequence, "1,new,9\n").await);
    ok(load_into(&cluster, "d/s", ROOT, &sequence, "1,old,8\n").await);
    assert_eq!(rows(&cluster, "SELECT * FROM d.s").await, ["1|new"]);
    let duplicate = load(&cluster, ROOT, &[csv, ("merge_type", "DELETE")], "1,a\n").await;
    assert!(
        duplicate["Message"]
            .as_str()
            .unwrap()
            .contains("load by MERGE or DELETE is only supported in unique tables."),
        "{duplicate}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_are_told_at_the_error_url() {
    let cluster = start().await;
    cluster
        .sql("CREATE TABLE d.n (id INT NOT NULL, n INT, v VARCHAR(3)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")")
        .await
        .unwrap();
    let body = "1,one,a\nx,2,b\n3,3,long\n4,4,d\n5\n";
    let half = [("column_separator", ","), ("max_filter_ratio", "0.7")];
    // What does not fit is NULL; in strict mode it is refused.
    let lenient = load_into(&cluster, "d/n", ROOT, &half, body).await;
    assert_eq!(
        (&lenient["Status"], &lenient["NumberFilteredRows"]),
        (&json!("Success"), &json!(3)),
        "{lenient}"
    );
    assert_eq!(
        rows(&cluster, "SELECT * FROM d.n ORDER BY id").await,
        ["1|NULL|a", "4|4|d"]
    );
    assert_eq!(lenient.get("FirstErrorMsg"), None);
    let strict = [
        ("column_separator", ","),
        ("max_filter_ratio", "0.7"),
        ("strict_mode", "true"),
        ("label", "strict"),
    ];
    let answer = load_into(&cluster, "d/n", ROOT, &strict, body).await;
    assert_eq!(
        answer["Message"], "[DATA_QUALITY_ERROR]too many filtered rows",
        "{answer}"
    );
    assert_eq!(
        ["NumberTotalRows", "NumberLoadedRows", "NumberFilteredRows"]
            .map(|name| answer[name].as_u64()),
        [Some(5), Some(0), Some(4)]
    );
    assert_eq!(
        answer["FirstErrorMsg"],
        "Column count mismatch: expected 3, but found 1 (sep:, delim:\\n). Src line: 5"
    );
    let url = answer["ErrorURL"].as_str().unwrap();
    assert!(url.contains("/api/_load_error_log?file=__shard_"), "{url}");
    let log = reqwest::get(url).await.unwrap().text().await.unwrap();
    for line in [
        "Reason: column(n) value is incorrect while strict mode is true, src value is one. src line [1 one a]; ",
        "Reason: column(id) value is incorrect while strict mode is true, src value is x. src line [x 2 b]; ",
        "Reason: column_name[v], the length of input is too long than schema. first 32 bytes of input str: [long] schema length: 3; actual length: 4; . src line [3 3 long]; ",
    ] {
        assert!(
            log.lines().any(|found| found == line),
            "{line} is missing in\n{log}"
        );
    }
    let shown = rows(&cluster, &format!("SHOW LOAD WARNINGS ON \"{url}\"")).await;
    assert_eq!(shown.len(), 4);
    assert!(shown[0].starts_with("-1|\\N|Reason: "), "{shown:?}");
    let foreign = cluster
        .sql("SHOW LOAD WARNINGS ON 'http://127.0.0.1:1/api/_load_error_log?file=x'")
        .await;
    assert!(format!("{:?}", foreign.unwrap_err()).contains("is not a valid backend"));
    let gone = format!("{}0", url);
    assert_eq!(
        reqwest::get(gone).await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    // An aborted label is free again.
    let again = load_into(
        &cluster,
        "d/n",
        ROOT,
        &[("column_separator", ","), ("label", "strict")],
        "6,6,f\n",
    )
    .await;
    assert_eq!(again["Status"], "Success", "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_quoted_and_headed_bodies_arrive() {
    use std::io::Write;
    let cluster = start().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(b"id|v\nBIGINT|VARCHAR\n1|'a|b'\n2|''\n")
        .unwrap();
    let headers = [
        ("format", "csv_with_names_and_types"),
        ("compress_type", "gz"),
        ("column_separator", "|"),
        ("enclose", "'"),
    ];
    let packed = encoder.finish().unwrap();
    let answer = load_into(&cluster, "d/t", ROOT, &headers, &packed).await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!(answer["LoadBytes"].as_u64(), Some(packed.len() as u64));
    let json = [
        ("format", "json"),
        ("strip_outer_array", "true"),
        ("json_root", "$.rows"),
        ("jsonpaths", "[\"$.k\", \"$.n[0].v\"]"),
        ("columns", "id, v"),
        ("group_commit", "sync_mode"),
    ];
    let body = r#"{"rows": [{"k": 3, "n": [{"v": "c"}]}, {"k": 4}]}"#;
    let answer = load_into(&cluster, "d/t", ROOT, &json, body).await;
    assert_eq!(
        (&answer["Status"], &answer["GroupCommit"]),
        (&json!("Success"), &json!(true)),
        "{answer}"
    );
    assert!(
        answer["Label"]
            .as_str()
            .unwrap()
            .starts_with("group_commit_"),
        "{answer}"
    );
    assert_eq!(
        rows(&cluster, "SELECT id, v FROM d.t ORDER BY id").await,
        ["1|a|b", "2|", "3|c", "4|NULL"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_leave_no_transaction_open() {
    let cluster = start().await;
    for (headers, wanted) in [
        (
            vec![("format", "frob")],
            "[DATA_FILE_TYPE_ERROR]unknown data format, format=frob",
        ),
        (vec![("label", "no good")], "Label format error"),
        (vec![("timeout", "x")], "[INVALID_ARGUMENT]"),
        (vec![("columns", "id, x, v = (")], "[ANALYSIS_ERROR]"),
        (
            vec![("columns", "id, x, v = (SELECT 1 FROM d.t)")],
            "[ANALYSIS_ERROR]",
        ),
        (
            vec![("where", "1 = 1); DROP TABLE d.t; --")],
            "[ANALYSIS_ERROR]",
        ),
        (
            vec![("compress_type", "gz")],
            "[INTERNAL_ERROR]decompress body failed",
        ),
        (vec![("partitions", "p9")], "p9"),
    ] {
        let answer = load(&cluster, ROOT, &headers, "1\ta\n").await;
        assert_eq!(answer["Status"], "Fail", "{headers:?}: {answer}");
        let message = answer["Message"].as_str().unwrap();
        assert!(message.contains(wanted), "{headers:?}: {answer}");
    }
    // A client that promises more than it sends.
    let port = cluster.backend_addresses()[0].http_port;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let head = "PUT /api/d/t/_stream_load HTTP/1.1\r\nhost: x\r\nlabel: cut\r\nauthorization: Basic cm9vdDpzZTpjcmV0\r\ncontent-length: 1000\r\n\r\n1\ta\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
        .await
        .unwrap();
    let status = |wanted: &'static str| {
        let cluster = &cluster;
        async move {
            let found = async {
                loop {
                    let shown = cluster
                        .sql("SHOW TRANSACTION FROM d WHERE LABEL = 'cut'")
                        .await;
                    if shown.is_ok_and(|rows| rows[0].iter().flatten().any(|cell| cell == wanted)) {
                        return;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(10), found)
                .await
                .expect(wanted);
        }
    };
    status("PREPARE").await;
    drop(stream);
    status("ABORTED").await;
    assert!(rows(&cluster, "SELECT id FROM d.t").await.is_empty());
    assert_eq!(
        load(&cluster, ROOT, &[], "1\ta\n").await["Status"],
        "Success"
    );
}
