//! Statements that replication tools put to a frontend to find out what an id stands for.

use dorisim::{SimCluster, SimConfig, SimUser};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};

async fn connect(cluster: &SimCluster, user: &str, password: Option<&str>) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(cluster.query_port())
        .user(Some(user))
        .pass(password)
        .prefer_socket(false);
    Conn::new(options).await.unwrap()
}

#[tokio::test]
async fn ids_are_answered_with_names() {
    let reader = SimUser {
        name: "reader".into(),
        password: "s3cret".into(),
        privileges: vec!["SELECT_PRIV".into()],
    };
    let config = SimConfig {
        name: "ids".into(),
        backends: 1,
        users: vec![reader],
        ..SimConfig::default()
    };
    let cluster = SimCluster::start(config).await.unwrap();
    let mut conn = connect(&cluster, "root", None).await;
    for sql in [
        "create database shop",
        "create table shop.t (id int) duplicate key(id) distributed by hash(id) buckets 1 properties ('replication_num' = '1')",
        "create view shop.v as select id from shop.t",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    let databases: Vec<mysql_async::Row> = conn.query("show proc '/dbs'").await.unwrap();
    let db = databases
        .iter()
        .find(|row| row.get::<String, _>("DbName").unwrap() == "shop")
        .and_then(|row| row.get::<String, _>("DbId"))
        .unwrap();
    let name: String = conn
        .query_first(format!("SHOW DATABASE {db}"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(name, "shop");

    let objects: Vec<mysql_async::Row> =
        conn.query(format!("show proc '/dbs/{db}'")).await.unwrap();
    assert_eq!(objects.len(), 2);
    for object in objects {
        let id: String = object.get("TableId").unwrap();
        let found: mysql_async::Row = conn
            .query_first(format!("show table {id}"))
            .await
            .unwrap()
            .expect("a table of this id");
        assert_eq!(found.get::<String, _>("DbName").unwrap(), "shop");
        assert_eq!(
            found.get::<String, _>("TableName"),
            object.get::<String, _>("TableName")
        );
        assert_eq!(found.get::<String, _>("DbId").unwrap(), db);
    }

    let partition: mysql_async::Row = conn
        .query_first("show partitions from shop.t")
        .await
        .unwrap()
        .unwrap();
    let id: String = partition.get("PartitionId").unwrap();
    let found: (String, String, String) = conn
        .query_first(format!("show partition {id}"))
        .await
        .unwrap()
        .map(|row: (String, String, String, String, String)| (row.0, row.1, row.2))
        .unwrap();
    assert_eq!(found, ("shop".into(), "t".into(), "t".into()));

    // An object that is gone answers without rows: tools take that for "dropped".
    for form in ["database", "table", "partition"] {
        let gone: Vec<mysql_async::Row> = conn.query(format!("show {form} 1")).await.unwrap();
        assert!(gone.is_empty(), "{form}");
    }
    let mut reader = connect(&cluster, "reader", Some("s3cret")).await;
    match reader.query_drop("show table 1").await.unwrap_err() {
        mysql_async::Error::Server(error) => assert_eq!(error.code, 1105, "{error}"),
        other => panic!("{other}"),
    }
}
