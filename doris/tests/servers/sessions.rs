//! Statements, and finding the master by SQL.

use std::collections::BTreeMap;

use crate::fake::{MySql, Sql, Thrift, client, dead_port, value};
use ccr_doris::error::Refusal;
use ccr_doris::{BinlogPage, BinlogPosition, Error, Frontend, Inspect, SqlSession, TxnState};
use ccr_doris_wire::{TGetBinlogResult, TStatus, TStatusCode, unset};
use ccr_schemas::{CommitSeq, TxnId};

fn row<const N: usize>(values: [(&'static str, &str); N]) -> BTreeMap<&'static str, String> {
    values.map(|(name, value)| (name, value.to_owned())).into()
}

/// SHOW FRONTENDS of two FEs, with the master's ports.
fn frontends(rpc: u16, query: u16) -> Sql {
    let fe = |host, rpc: u16, query: u16, master| {
        row([
            ("Host", host),
            ("RpcPort", &rpc.to_string()),
            ("QueryPort", &query.to_string()),
            ("IsMaster", master),
            ("ClusterId", "1234567890"),
        ])
    };
    Ok(vec![
        fe("elsewhere", 1, 1, "false"),
        fe("fe-internal", rpc, query, "true"),
    ])
}

fn answer(code: i32) -> TGetBinlogResult {
    TGetBinlogResult {
        status: Some(TStatus {
            status_code: TStatusCode(code),
            error_msgs: None,
        }),
        ..unset()
    }
}

#[tokio::test]
async fn statements_go_to_the_master_in_their_database() {
    let master = MySql::start(|_| Ok(vec![row([("b", "2"), ("a", "1")])])).await;
    let port = master.port;
    let follower = MySql::start(move |_| frontends(1, port)).await;
    let client = client(&[(1, follower.port)]);
    let rows = client.query(Some("sho`p"), "SELECT 1").await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["a"].as_deref(), Some("1"));
    client.execute(None, "DROP TABLE `x`").await.unwrap();
    assert_eq!(follower.seen(), ["SHOW FRONTENDS"]);
    assert_eq!(
        master
            .seen()
            .iter()
            .filter(|sql| *sql == "SELECT 1")
            .count(),
        1
    );
    assert!(master.seen()[0].starts_with("USE "), "{:?}", master.seen());
    assert_eq!(
        client.cluster_id().await.unwrap(),
        None,
        "the master here shows none"
    );
}

#[tokio::test]
async fn a_follower_without_address_leads_to_the_master_by_sql() {
    let master = Thrift::start(|seen, _| value(seen, &answer(62))).await;
    let follower = Thrift::start(|seen, _| value(seen, &answer(73))).await;
    let port = master.port;
    let sql = MySql::start(move |_| frontends(port, 1)).await;
    let client = client(&[(follower.port, sql.port)]);
    let at = BinlogPosition {
        database: "d".to_owned(),
        table: None,
        after: CommitSeq(0),
    };
    for _ in 0..2 {
        assert_eq!(
            client.get_binlog(&at, 1).await.unwrap(),
            BinlogPage::CaughtUp
        );
    }
    assert_eq!((follower.seen().len(), master.seen().len()), (1, 2));
}

#[tokio::test]
async fn refusals_keep_code_and_text() {
    let fe = MySql::start(|sql| match sql {
        "SHOW FRONTENDS" => frontends(1, 1).map(|rows| rows[1..].to_vec()),
        _ => Err((1051, "Unknown table 'x'")),
    })
    .await;
    let client = client(&[(1, fe.port)]);
    for _ in 0..2 {
        let error = client
            .execute(Some("d"), "DROP TABLE `x`")
            .await
            .unwrap_err();
        let Error::Refused {
            call,
            address,
            code,
            cause,
            text,
        } = error
        else {
            panic!("a refusal is expected: {error}");
        };
        assert_eq!(
            (code, cause, text.as_str()),
            (1051, Refusal::UnknownTable, "Unknown table 'x'")
        );
        assert_eq!(
            (call.as_str(), address),
            ("DROP TABLE `x`", format!("127.0.0.1:{}", fe.port))
        );
    }
}

#[tokio::test]
async fn broken_sessions_are_replaced_and_changes_not_repeated() {
    let fe = MySql::start(|_| Ok(vec![row([("a", "1")])])).await;
    let client = client(&[(1, fe.port)]);
    client.query(None, "SELECT 1").await.unwrap();
    let error = client.execute(None, "CUT `x`").await.unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert_eq!(
        fe.seen().iter().filter(|sql| sql.contains("CUT")).count(),
        1
    );
    client.query(None, "SELECT 2").await.unwrap();
    let error = client.execute(None, "HANG").await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    client.query(None, "SELECT 3").await.unwrap();
}

#[tokio::test]
async fn dead_servers_are_named() {
    let dead = dead_port().await;
    let error = client(&[(dead, dead)])
        .query(None, "SELECT 1")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{dead}")),
        "{error}"
    );
    let alive = MySql::start(|_| Ok(vec![row([("a", "1")])])).await;
    let client = client(&[(dead, dead), (1, alive.port)]);
    client.execute(None, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_no_database_is_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nnonsense")
                .await;
        }
    });
    let error = client(&[(1, port)])
        .query(None, "SELECT 1")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
    serving.abort();
}

#[tokio::test]
async fn states_of_transactions() {
    let fe = MySql::start(|sql| match sql {
        "SHOW FRONTENDS" => Ok(vec![row([("Host", "x")])]),
        sql if sql.contains("label = 'it\\'s'") => Ok(vec![
            row([("TransactionId", "9"), ("TransactionStatus", "ABORTED")]),
            row([("TransactionId", "10"), ("TransactionStatus", "VISIBLE")]),
        ]),
        sql if sql.contains("id = 5") => Err((
            1105,
            "errCode = 2, detailMessage = transaction with id 5 does not exist",
        )),
        _ => Err((1049, "Unknown database 'd'")),
    })
    .await;
    let client = client(&[(1, fe.port)]);
    assert_eq!(
        client.label_state("d", "it's").await.unwrap(),
        (TxnState::Visible, Some(TxnId(10)))
    );
    assert_eq!(
        client.txn_state("d", TxnId(5)).await.unwrap(),
        TxnState::Unknown
    );
    let error = client.txn_state("d", TxnId(6)).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::UnknownDatabase));
}

#[tokio::test]
async fn questions_about_objects() {
    let fe = MySql::start(|sql| match sql {
        "SHOW FRONTENDS" => frontends(1, 1).map(|rows| rows[1..].to_vec()),
        "SHOW PROC '/dbs'" => Ok(vec![
            row([("DbId", "1"), ("DbName", "shop2")]),
            row([("DbId", "2"), ("DbName", "default_cluster:shop")]),
        ]),
        "SHOW TABLES FROM `shop`" => Ok(vec![
            row([("Tables_in_shop", "t_1"), ("Table_type", "x")]),
            row([("Tables_in_shop", "v"), ("Table_type", "x")]),
        ]),
        "SHOW TABLES FROM `none`" => Err((1049, "Unknown database 'none'")),
        "DESC `shop`.`t_1`" => Ok(vec![row([
            ("Field", "id"),
            ("Type", "int"),
            ("Key", "true"),
        ])]),
        "SHOW FULL TABLES FROM `shop`" => Ok(vec![
            row([("Tables_in_shop", "t_1"), ("Table_type", "BASE TABLE")]),
            row([("Tables_in_shop", "v"), ("Table_type", "VIEW")]),
        ]),
        _ => Err((1105, "unexpected statement")),
    })
    .await;
    let client = client(&[(1, fe.port)]);
    assert_eq!(client.cluster_id().await.unwrap(), Some(1_234_567_890));
    assert_eq!(client.database_id("shop").await.unwrap().unwrap().0, 2);
    assert_eq!(client.database_id("sho").await.unwrap(), None);
    assert_eq!(client.tables("shop").await.unwrap(), ["t_1"]);
    assert_eq!(client.views("shop").await.unwrap(), ["v"]);
    assert!(client.table_exists("shop", "t_1").await.unwrap());
    assert!(
        !client.table_exists("shop", "tx1").await.unwrap(),
        "no pattern"
    );
    assert!(!client.table_exists("none", "t").await.unwrap());
    assert!(client.visible_columns("shop", "t_1").await.unwrap()[0].is_key);
}
