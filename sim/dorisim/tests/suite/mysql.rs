//! A cluster as MySQL clients see it: a driver nobody here wrote, over real sockets.

use dorisim::{SimCluster, SimConfig, SimUser};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};

pub(crate) async fn cluster(name: &str) -> SimCluster {
    let reader = SimUser {
        name: "reader".into(),
        password: "s3cret".into(),
        privileges: vec!["SELECT_PRIV".into()],
    };
    let config = SimConfig {
        name: name.into(),
        backends: 2,
        users: vec![reader],
        ..SimConfig::default()
    };
    SimCluster::start(config).await.unwrap()
}

pub(crate) fn options(cluster: &SimCluster, user: &str, password: Option<&str>) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(cluster.query_port())
        .user(Some(user))
        .pass(password)
        .prefer_socket(false)
}

pub(crate) async fn root(cluster: &SimCluster) -> Conn {
    Conn::new(options(cluster, "root", None)).await.unwrap()
}

/// Rows as `a|b` lines.
async fn lines(conn: &mut Conn, sql: &str) -> Vec<String> {
    let rows: Vec<Row> = conn
        .query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = |value: Value| match value {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
        other => other.as_sql(true),
    };
    rows.into_iter()
        .map(|row| {
            row.unwrap()
                .into_iter()
                .map(text)
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

/// A column of the first row, by name.
async fn cell(conn: &mut Conn, sql: &str, column: &str) -> String {
    let row: Row = conn
        .query_first(sql)
        .await
        .unwrap()
        .unwrap_or_else(|| panic!("{sql}: no rows"));
    row.get(column)
        .unwrap_or_else(|| panic!("{sql}: no column {column}"))
}

async fn refusal(conn: &mut Conn, sql: &str) -> (u16, String) {
    match conn.query_drop(sql).await.unwrap_err() {
        mysql_async::Error::Server(error) => (error.code, error.message),
        other => panic!("{sql}: {other}"),
    }
}

const ORDERS: &str = "CREATE TABLE shop.orders (
    id BIGINT NOT NULL, day DATE NOT NULL, name VARCHAR(40) NULL DEFAULT 'nobody', price DECIMAL(18,2), ts DATETIME(3)
) UNIQUE KEY(id, day) PARTITION BY RANGE(day) (
    PARTITION p1 VALUES LESS THAN ('2024-01-01'), PARTITION p2 VALUES LESS THAN ('2025-01-01')
) DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES ('replication_num' = '1')";

#[tokio::test]
async fn passwords_are_checked_and_refusals_carry_the_number_of_doris() {
    let cluster = cluster("passwords").await;
    for (user, password) in [
        ("root", Some("wrong")),
        ("reader", None),
        ("reader", Some("wrong")),
        ("nobody", None),
    ] {
        match Conn::new(options(&cluster, user, password))
            .await
            .unwrap_err()
        {
            mysql_async::Error::Server(error) => {
                assert_eq!(error.code, 1045, "{user}: {error}");
                assert!(
                    error
                        .message
                        .contains(&format!("Access denied for user '{user}")),
                    "{error}"
                );
            }
            other => panic!("{user}: {other}"),
        }
    }
    let mut reader = Conn::new(options(&cluster, "reader", Some("s3cret")))
        .await
        .unwrap();
    assert_eq!(
        lines(&mut reader, "select current_user()").await,
        ["'reader'@'%'"]
    );
    assert_eq!(refusal(&mut reader, "use nowhere").await.0, 1049);
    let unknown_db = Conn::new(options(&cluster, "root", None).db_name(Some("nowhere")))
        .await
        .unwrap_err();
    assert!(
        matches!(unknown_db, mysql_async::Error::Server(ref error) if error.code == 1049),
        "{unknown_db}"
    );
}

#[tokio::test]
async fn a_table_from_creation_to_update_and_delete() {
    let cluster = cluster("life").await;
    let mut conn = root(&cluster).await;
    conn.query_drop("create database shop").await.unwrap();
    conn.query_drop(ORDERS).await.unwrap();
    conn.query_drop("use shop").await.unwrap();
    let inserted = conn
        .query_iter("insert into orders values (1, '2023-05-01', 'it''s', 9.5, '2023-05-01 10:00:00.123'), (2, '2024-05-01', null, -0.01, null)")
        .await
        .unwrap();
    assert_eq!(inserted.affected_rows(), 2, "{}", inserted.info());
    assert!(
        inserted.info().contains("'status':'VISIBLE'"),
        "{}",
        inserted.info()
    );
    drop(inserted);
    conn.query_drop("insert into orders (id, day, price) values (3, '2024-06-01', 1 + 1)")
        .await
        .unwrap();
    assert_eq!(
        lines(&mut conn, "select * from orders order by id").await,
        [
            "1|2023-05-01|it's|9.50|2023-05-01 10:00:00.123",
            "2|2024-05-01|NULL|-0.01|NULL",
            "3|2024-06-01|nobody|2.00|NULL"
        ]
    );
    conn.query_drop("update orders set price = price * 2, name = 'x' where id = 1")
        .await
        .unwrap();
    conn.query_drop("delete from orders where id = 2 and day = '2024-05-01'")
        .await
        .unwrap();
    assert_eq!(
        lines(&mut conn, "select id, name, price from orders order by id").await,
        ["1|x|19.00", "3|nobody|2.00"]
    );
    assert_eq!(
        lines(&mut conn, "select count(*) from orders partition (p2)").await,
        ["1"]
    );
    conn.query_drop("create view v (k, n) as select id, count(*) from orders group by id")
        .await
        .unwrap();
    assert_eq!(
        lines(&mut conn, "select sum(k), sum(n) from shop.v").await,
        ["4|2"]
    );
    conn.query_drop("create table copied as select id, price from orders")
        .await
        .unwrap();
    assert_eq!(
        lines(&mut conn, "select * from copied order by id").await,
        ["1|19.00", "3|2.00"]
    );
    conn.query_drop(
        "insert overwrite table orders partition(p2) select 7, '2024-07-07', 'new', 1, null",
    )
    .await
    .unwrap();
    assert_eq!(
        lines(&mut conn, "select id from orders order by id").await,
        ["1", "7"]
    );
    conn.query_drop("truncate table orders").await.unwrap();
    assert_eq!(lines(&mut conn, "select count(*) from orders").await, ["0"]);
    conn.query_drop("drop table orders force").await.unwrap();
    let (code, message) = refusal(&mut conn, "select * from orders").await;
    assert_eq!(code, 1105);
    assert!(
        message.contains(
            "errCode = 2, detailMessage = Table [orders] does not exist in database [shop]."
        ),
        "{message}"
    );
}

#[tokio::test]
async fn prepared_statements_take_their_parameters() {
    let cluster = cluster("prepared").await;
    let mut conn = root(&cluster).await;
    conn.query_drop("create database shop").await.unwrap();
    conn.query_drop("create table shop.t (id int, name string, d double) duplicate key(id) distributed by hash(id) buckets 1").await.unwrap();
    let insert = "insert into shop.t values (?, ?, ?)";
    conn.exec_drop(insert, (1, "it's ? \\N", 1.5))
        .await
        .unwrap();
    conn.exec_drop(insert, (2, None::<String>, 2.0))
        .await
        .unwrap();
    let rows: Vec<(i64, Option<String>, f64)> = conn
        .exec(
            "select id, name, d from shop.t where id >= ? order by id",
            (1,),
        )
        .await
        .unwrap();
    assert_eq!(
        rows,
        [(1, Some("it's ? \\N".to_owned()), 1.5), (2, None, 2.0)]
    );
    let none: Vec<i64> = conn
        .exec("select id from shop.t where name = ?", ("nobody",))
        .await
        .unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn explicit_transactions_show_nothing_before_commit() {
    let cluster = cluster("explicit").await;
    let (mut writer, mut reader) = (root(&cluster).await, root(&cluster).await);
    writer.query_drop("create database shop").await.unwrap();
    writer
        .query_drop(
            "create table shop.t (id int) duplicate key(id) distributed by hash(id) buckets 1",
        )
        .await
        .unwrap();
    writer.query_drop("begin with label both").await.unwrap();
    writer
        .query_drop("insert into shop.t values (1)")
        .await
        .unwrap();
    writer
        .query_drop("insert into shop.t values (2)")
        .await
        .unwrap();
    assert_eq!(
        lines(&mut reader, "select count(*) from shop.t").await,
        ["0"]
    );
    writer.query_drop("commit").await.unwrap();
    assert_eq!(
        lines(&mut reader, "select sum(id) from shop.t").await,
        ["3"]
    );
    assert_eq!(
        cell(
            &mut reader,
            "show transaction from shop where label = 'both'",
            "TransactionStatus"
        )
        .await,
        "VISIBLE"
    );
    writer.query_drop("begin").await.unwrap();
    writer
        .query_drop("insert into shop.t values (3)")
        .await
        .unwrap();
    writer.query_drop("rollback").await.unwrap();
    assert_eq!(
        lines(&mut reader, "select count(*) from shop.t").await,
        ["2"]
    );
    let (_, message) = refusal(&mut reader, "show transaction from shop where id = 999999").await;
    assert!(
        message.contains("transaction with id 999999 does not exist"),
        "{message}"
    );
}

#[tokio::test]
async fn what_replication_tools_ask_for() {
    let cluster = cluster("tools").await;
    let mut conn = root(&cluster).await;
    conn.query_drop("create database shop properties ('binlog.enable' = 'true')")
        .await
        .unwrap();
    conn.query_drop(ORDERS).await.unwrap();
    conn.query_drop("create view shop.v as select id from shop.orders")
        .await
        .unwrap();
    assert_eq!(
        cell(&mut conn, "show frontends", "QueryPort").await,
        cluster.query_port().to_string()
    );
    assert_eq!(cell(&mut conn, "SHOW FRONTENDS", "IsMaster").await, "true");
    assert_eq!(
        cell(&mut conn, "SHOW FRONTENDS", "ClusterId").await,
        cluster.frontend().config().cluster_id.to_string()
    );
    assert_eq!(
        lines(
            &mut conn,
            "select Host, QueryPort, RpcPort, IsMaster from frontends()"
        )
        .await,
        [format!(
            "127.0.0.1|{}|{}|true",
            cluster.query_port(),
            cluster.thrift_port()
        )]
    );
    assert_eq!(lines(&mut conn, "show backends").await.len(), 2);
    assert_eq!(
        lines(&mut conn, "select Alive from backends()").await,
        ["true", "true"]
    );
    let id = lines(&mut conn, "show proc '/dbs/'")
        .await
        .into_iter()
        .find_map(|line| {
            let mut cells = line.split('|').map(str::to_owned);
            let id = cells.next()?;
            (cells.next()? == "shop").then_some(id)
        });
    assert_eq!(
        cell(
            &mut conn,
            &format!("show proc '/dbs/{}/'", id.unwrap()),
            "TableName"
        )
        .await,
        "orders"
    );
    assert_eq!(
        cell(
            &mut conn,
            "ADMIN SHOW FRONTEND CONFIG LIKE \"%enable_feature_binlog%\"",
            "Value"
        )
        .await,
        "true"
    );
    assert!(
        cell(&mut conn, "show create database `shop`", "Create Database")
            .await
            .contains("\"binlog.enable\" = \"true\"")
    );
    let shown = cell(
        &mut conn,
        "show create table `shop`.`orders`",
        "Create Table",
    )
    .await;
    assert!(shown.contains("UNIQUE KEY(`id`, `day`)"), "{shown}");
    let view = cell(&mut conn, "show create view shop.v", "Create View").await;
    assert!(view.starts_with("CREATE VIEW `v`"), "{view}");
    assert_eq!(
        cell(
            &mut conn,
            "show tables from `shop` like 'ord%'",
            "Tables_in_shop"
        )
        .await,
        "orders"
    );
    assert_eq!(
        lines(&mut conn, "show databases like 'shop'").await,
        ["shop"]
    );
    assert_eq!(
        lines(&mut conn, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop' AND table_type = 'VIEW'").await,
        ["v"]
    );
    let fields: Vec<_> = lines(&mut conn, "desc shop.orders").await;
    assert_eq!(fields[0], "id|bigint|No|true|NULL|");
    assert_eq!(fields[2], "name|varchar(40)|Yes|false|nobody|NONE");
    assert!(
        lines(&mut conn, "desc shop.orders all").await[0]
            .starts_with("orders|UNIQUE_KEYS|id|bigint|")
    );
    assert_eq!(
        cell(
            &mut conn,
            "show partitions from shop.orders where PartitionName = 'p2'",
            "VisibleVersion"
        )
        .await,
        "1"
    );
    assert_eq!(
        lines(&mut conn, "show tablets from shop.orders")
            .await
            .len(),
        4
    );
    assert_eq!(
        lines(&mut conn, "desc shop.orders all").await.len(),
        5,
        "hidden columns stay hidden"
    );
    for sql in [
        "show backup from shop",
        "show restore from shop",
        "show alter table column from shop",
        "show warnings",
    ] {
        assert!(lines(&mut conn, sql).await.is_empty(), "{sql}");
    }
    assert!(
        refusal(&mut conn, "frobnicate")
            .await
            .1
            .contains("errCode = 2, detailMessage = ")
    );
}

#[tokio::test]
async fn a_reader_may_read_only() {
    let cluster = cluster("reader").await;
    let mut conn = root(&cluster).await;
    conn.query_drop("create database shop").await.unwrap();
    conn.query_drop(
        "create table shop.t (id int) duplicate key(id) distributed by hash(id) buckets 1",
    )
    .await
    .unwrap();
    let mut reader = Conn::new(options(&cluster, "reader", Some("s3cret")))
        .await
        .unwrap();
    assert_eq!(
        lines(&mut reader, "select count(*) from shop.t").await,
        ["0"]
    );
    for sql in [
        "insert into shop.t values (1)",
        "delete from shop.t where id = 1",
        "truncate table shop.t",
        "create table shop.u (id int) duplicate key(id) distributed by hash(id) buckets 1",
        "alter table shop.t add column v int",
        "drop table shop.t",
        "drop database shop",
        "grant select_priv on *.* to reader",
        "backup snapshot shop.x to `__keep_on_local__`",
    ] {
        let (code, message) = refusal(&mut reader, sql).await;
        assert_eq!(code, 1105, "{sql}: {message}");
    }
    assert_eq!(lines(&mut conn, "select count(*) from shop.t").await, ["0"]);
}

#[tokio::test]
async fn a_backup_is_followed_by_its_name() {
    let cluster = cluster("backup").await;
    let mut conn = root(&cluster).await;
    conn.query_drop("create database shop").await.unwrap();
    conn.query_drop(ORDERS).await.unwrap();
    conn.query_drop("use shop").await.unwrap();
    conn.query_drop(
        "backup snapshot shop.s1 to `__keep_on_local__` on (orders) properties ('type' = 'full')",
    )
    .await
    .unwrap();
    let asked = "show backup from shop where SnapshotName = 's1'";
    let finished = async {
        while cell(&mut conn, asked, "State").await != "FINISHED" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(15), finished)
        .await
        .expect("the backup ends");
    assert_eq!(cell(&mut conn, asked, "BackupObjs").await, "[shop.orders]");
    assert_eq!(cell(&mut conn, asked, "Status").await, "[OK]");
    assert!(
        lines(
            &mut conn,
            "show backup from shop where SnapshotName like 'x%'"
        )
        .await
        .is_empty()
    );
}
