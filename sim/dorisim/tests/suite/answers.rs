//! Answers and refusals as an FE built from Doris master of January 2026 gives them.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use crate::mysql::{cluster, options, root};

const TABLE: &str = "CREATE TABLE d.t (k1 INT, k2 DATE, v1 VARCHAR(20) NOT NULL DEFAULT \"x\" COMMENT \"c\", v2 DECIMAL(10,2), \
    v3 DATETIME(3), v4 ARRAY<DECIMAL(9,3)>, INDEX i1 (v1) USING INVERTED) DUPLICATE KEY(k1, k2) PARTITION BY RANGE(k1) (PARTITION p1 \
    VALUES LESS THAN (\"10\"), PARTITION p2 VALUES [(\"10\"), (\"20\"))) DISTRIBUTED BY HASH(k1) BUCKETS 2 \
    PROPERTIES(\"replication_num\" = \"1\", \"bloom_filter_columns\" = \"v1\")";

async fn started(name: &str) -> (dorisim::SimCluster, Conn) {
    let sim = cluster(name).await;
    let mut conn = root(&sim).await;
    for sql in ["CREATE DATABASE d", TABLE, "USE d"] {
        run(&mut conn, sql).await;
    }
    (sim, conn)
}

async fn run(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Rows as texts.
async fn rows(conn: &mut Conn, sql: &str) -> Vec<Vec<String>> {
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
        .map(|row| row.unwrap().into_iter().map(text).collect())
        .collect()
}

#[tokio::test]
async fn refusals_have_the_number_and_text_of_doris() {
    let (_sim, mut conn) = started("answers-refused").await;
    run(&mut conn, "CREATE VIEW d.v AS SELECT k1 FROM d.t").await;
    for (sql, number, text) in [
        ("USE nope", 1049, "Unknown database 'nope'"),
        ("SHOW TABLES FROM nope", 1105, "Unknown database 'nope'"),
        ("SHOW BACKUP FROM nope", 1105, "Unknown database 'nope'"),
        (
            "SHOW ALTER TABLE COLUMN FROM nope",
            1105,
            "Unknown database 'nope'",
        ),
        ("SHOW CREATE TABLE nope", 1105, "Unknown table 'nope'"),
        ("DESC nope", 1105, "Unknown table 'nope'"),
        ("SHOW INDEX FROM nope", 1105, "Unknown table 'nope'"),
        (
            "SHOW PARTITIONS FROM nope",
            1105,
            "errCode = 7, detailMessage = table not found, tableName=nope",
        ),
        ("DROP TABLE nope", 1105, "Unknown table 'nope' in d"),
        ("DROP VIEW nope", 1105, "Unknown table 'nope' in d"),
        (
            "DROP VIEW t",
            1105,
            "'d.t' is not VIEW. Use 'DROP TABLE d.t'.",
        ),
        (
            "DROP TABLE v",
            1105,
            "'d.v' is not TABLE. Use 'DROP VIEW d.v'.",
        ),
        (
            "SHOW CREATE VIEW t",
            1105,
            "'d.t' is not VIEW. Use 'SHOW CREATE TABLE 't.",
        ),
        (
            "DROP DATABASE nope",
            1105,
            "Can't drop database 'nope'; database doesn't exist",
        ),
        (
            "CREATE DATABASE d",
            1105,
            "Can't create database 'd'; database exists",
        ),
        ("CREATE TABLE t (k INT)", 1105, "Table 't' already exists"),
        (
            "RECOVER DATABASE nope",
            1105,
            "Unknown database 'nope' or database id '-1'",
        ),
        (
            "CANCEL BACKUP FROM d",
            1105,
            "No backup job is currently running",
        ),
        (
            "CANCEL RESTORE FROM d",
            1105,
            "No restore is currently running",
        ),
        ("ALTER TABLE t RENAME t", 1105, "Same table name"),
        (
            "ALTER TABLE t ADD PARTITION p3 VALUES [(\"40\"), (\"30\"))",
            1105,
            "Invalid range value format： errCode = 2, detailMessage = The lower values must smaller than upper values",
        ),
        (
            "ALTER TABLE t ADD PARTITION p3 VALUES IN (\"40\")",
            1105,
            "Range partition expected 'VALUES [LESS THAN or [(\"xxx\" ,...), (\"xxx\", ...))]'",
        ),
        (
            "ALTER TABLE t ADD COLUMN x INT TO r",
            1105,
            "Index[r] does not exist in table[t]",
        ),
        (
            "DROP MATERIALIZED VIEW m ON t",
            1105,
            "errCode = 7, detailMessage = Materialized view [m] does not exist in table [t]",
        ),
        (
            "ALTER TABLE t MODIFY PARTITION nope SET(\"storage_medium\" = \"HDD\")",
            1105,
            "Partition[nope] does not exist in table[t]",
        ),
        (
            "CREATE VIEW w AS SELECT * FROM nope",
            1105,
            "Table [nope] does not exist in database [d].",
        ),
        ("DESC v ALL", 1105, "Unknown storage engine 'VIEW'"),
        (
            "CREATE TABLE n (k ARRAY<INT>, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(v) BUCKETS 1",
            1105,
            "Array can only be used in the non-key column of the duplicate table at present.",
        ),
        (
            "CREATE TABLE n (k DATEV1) DISTRIBUTED BY HASH(k) BUCKETS 1",
            1105,
            "Disable to create table with `DATE` type columns, please use `DATEV2`.",
        ),
        (
            "CREATE TABLE n (k INT) PARTITION BY RANGE(x) (PARTITION p VALUES LESS THAN (\"1\")) DISTRIBUTED BY HASH(k) BUCKETS 1",
            1105,
            "partition key x is not exists",
        ),
        (
            "CREATE TABLE n (k INT) DISTRIBUTED BY HASH(x) BUCKETS 1",
            1105,
            "Distribution column(x) doesn't exist",
        ),
        (
            "CREATE TABLE n",
            1105,
            "Should contain at least one column in a table",
        ),
        (
            "CREATE TABLE n (k INT, v INT) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
            1105,
            "AGG_KEYS table should specify aggregate type for non-key column[v]",
        ),
        (
            "CREATE TABLE n (k INT, v INT SUM) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
            1105,
            "DUP_KEYS table should not specify aggregate type for non-key column[v]",
        ),
        (
            "CREATE TABLE n (k BIGINT AUTO_INCREMENT) DISTRIBUTED BY HASH(k) BUCKETS 1",
            1105,
            "the auto increment column should be NOT NULL.",
        ),
        (
            "CREATE TABLE n (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES(\"replication_num\" = \"0\")",
            1105,
            "Replication num should between 1 and 32767",
        ),
        ("CREATE USER root", 1105, "User 'root'@'%' already exist"),
        (
            "GRANT SELECT_PRIV ON *.* TO nobody",
            1105,
            "user 'nobody'@'%' does not exist",
        ),
        (
            "ADMIN SET FRONTEND CONFIG (\"nope\" = \"1\")",
            1105,
            "Config 'nope' does not exist",
        ),
        ("SET nope = 1", 1105, "Unknown system variable 'nope'"),
        (
            "SET enable_profile = maybe",
            1105,
            "Variable 'enable_profile' can't be set to the value of 'maybe'",
        ),
        ("SET query_timeout = 'x'", 1105, "For input string: \"x\""),
    ] {
        match conn.query_drop(sql).await.unwrap_err() {
            mysql_async::Error::Server(error) => {
                let wanted = format!("errCode = 2, detailMessage = {text}");
                assert_eq!(
                    (error.code, error.message.as_str()),
                    (number, wanted.as_str()),
                    "{sql}"
                );
            }
            other => panic!("{sql}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_user_is_refused_in_the_words_for_each_object() {
    let (sim, mut conn) = started("answers-users").await;
    for sql in [
        "CREATE USER small IDENTIFIED BY 'p'",
        "GRANT SELECT_PRIV ON d.* TO small",
        "CREATE DATABASE e",
    ] {
        run(&mut conn, sql).await;
    }
    let mut small = Conn::new(options(&sim, "small", Some("p"))).await.unwrap();
    assert_eq!(
        rows(&mut small, "SHOW DATABASES").await,
        [["d"], ["information_schema"], ["mysql"]]
    );
    run(&mut small, "USE d").await;
    let one = |privilege: &str| {
        format!(
            "Access denied; you need (at least one of) the ({privilege}) privilege(s) for this operation"
        )
    };
    for (sql, text) in [
        ("USE e", "Access denied for user 'small' to database 'e'".to_owned()),
        (
            "CREATE DATABASE x",
            "Access denied for user 'small' to database 'x'".to_owned(),
        ),
        (
            "SHOW RESTORE FROM d",
            "Access denied for user 'small' to database 'd'".to_owned(),
        ),
        (
            "ALTER TABLE t ADD COLUMN x INT",
            "ALTER TABLE command denied to user 'small'@'127.0.0.1' for table 'd: t'".to_owned(),
        ),
        (
            "INSERT INTO t VALUES (1)",
            "LOAD command denied to user 'small'@'127.0.0.1' for table 'd.t'".to_owned(),
        ),
        (
            "RECOVER TABLE d.t",
            "RECOVERY command denied to user 'small'@'127.0.0.1' for table 'd: t'".to_owned(),
        ),
        (
            "GRANT SELECT_PRIV ON *.* TO small",
            "Access denied; you need all  [Grant_priv, Select_priv] privilege(s) for this operation".to_owned(),
        ),
        (
            "CREATE VIEW w AS SELECT 1",
            "Access denied; you need (at least one of) the (Admin_priv,Create_priv) privilege(s) on table w for this operation"
                .to_owned(),
        ),
        ("CREATE TABLE x (k INT)", one("CREATE")),
        ("DROP TABLE t", one("DROP")),
        ("TRUNCATE TABLE t", one("LOAD")),
        ("SHOW PROC '/dbs'", one("ADMIN")),
        ("SHOW TABLETS FROM t LIMIT 1", one("SHOW TABLETS")),
        ("SHOW CATALOG RECYCLE BIN", one("Admin_priv")),
        ("CREATE USER z", one("GRANT")),
        ("ALTER SYSTEM ADD BACKEND '127.0.0.1:1'", one("NODE")),
    ] {
        match small.query_drop(sql).await.unwrap_err() {
            mysql_async::Error::Server(error) => assert_eq!(
                (error.code, error.message),
                (1105, format!("errCode = 2, detailMessage = {text}")),
                "{sql}"
            ),
            other => panic!("{sql}: {other}"),
        }
    }
    let refused = Conn::new(options(&sim, "small", Some("p")).db_name(Some("e"))).await;
    assert!(
        matches!(&refused, Err(mysql_async::Error::Server(error)) if error.code == 1044),
        "{refused:?}"
    );
}

#[tokio::test]
async fn columns_are_described_under_both_names_of_their_types() {
    let (_sim, mut conn) = started("answers-columns").await;
    let described = rows(&mut conn, "DESC t").await;
    let shown = rows(&mut conn, "SHOW FULL COLUMNS FROM t").await;
    let all = rows(&mut conn, "DESC t ALL").await;
    for (at, (name, kind, internal, extra)) in [
        ("k1", "int", "int", ""),
        ("k2", "date", "datev2", ""),
        ("v1", "varchar(20)", "varchar(20)", "NONE,BLOOM_FILTER"),
        ("v2", "decimal(10,2)", "decimalv3(10,2)", "NONE"),
        ("v3", "datetime(3)", "datetimev2(3)", "NONE"),
        ("v4", "array<decimal(9,3)>", "array<decimalv3(9,3)>", "NONE"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            [&described[at][0], &described[at][1], &described[at][5]],
            [name, kind, extra]
        );
        assert_eq!([&all[at][3], &all[at][4]], [kind, internal]);
        // The collation is empty, and what else a column has does not show here.
        let plain = extra.split(',').next().unwrap();
        assert_eq!(
            [&shown[at][0], &shown[at][1], &shown[at][2], &shown[at][6]],
            [name, internal, "", plain]
        );
    }
}

#[tokio::test]
async fn definitions_are_printed_as_doris_does() {
    let (_sim, mut conn) = started("answers-printed").await;
    let create = rows(&mut conn, "SHOW CREATE TABLE t")
        .await
        .remove(0)
        .remove(1);
    for part in [
        "(PARTITION p1 VALUES [(\"-2147483648\"), (\"10\")),\nPARTITION p2 VALUES [(\"10\"), (\"20\")))",
        "\"inverted_index_storage_format\" = \"V3\"",
    ] {
        assert!(create.contains(part), "{create}");
    }
    run(
        &mut conn,
        "CREATE TABLE l (c CHAR(255) NULL, d DATE NOT NULL) DUPLICATE KEY(c) COMMENT 'it\\'s \"so\"' PARTITION BY LIST(c, d) (PARTITION rest, \
         PARTITION p2 VALUES IN ((\"b\", \"2024-01-01\")), PARTITION p1 VALUES IN ((\"a\", \"2024-01-02\"), (NULL, \"2024-01-01\"))) \
         DISTRIBUTED BY RANDOM BUCKETS 1",
    )
    .await;
    let create = rows(&mut conn, "SHOW CREATE TABLE l")
        .await
        .remove(0)
        .remove(1);
    for part in [
        "`c` character(255) NULL,",
        "COMMENT 'it's \\\"so\\\"'\n",
        "(PARTITION rest,\nPARTITION p1 VALUES IN ((\"a\", '2024-01-02'),(NULL, '2024-01-01')),\nPARTITION p2 VALUES IN ((\"b\", '2024-01-01')))",
    ] {
        assert!(create.contains(part), "{part} in {create}");
    }
    // A key that nobody names is short.
    run(
        &mut conn,
        "CREATE TABLE s (a VARCHAR(9), b INT, c INT) DISTRIBUTED BY HASH(a) BUCKETS 1",
    )
    .await;
    let create = rows(&mut conn, "SHOW CREATE TABLE s")
        .await
        .remove(0)
        .remove(1);
    assert!(create.contains("DUPLICATE KEY(`a`)\n"), "{create}");
}

#[tokio::test]
async fn what_is_not_there_is_null() {
    let (_sim, mut conn) = started("answers-shown").await;
    let partition = rows(&mut conn, "SHOW PARTITIONS FROM t").await.remove(0);
    assert_eq!([&partition[13], &partition[19]], ["NULL", "NULL"]);
    assert_eq!(partition[11], "9999-12-31 15:59:59");
    let tablet = rows(&mut conn, "SHOW TABLETS FROM t").await.remove(0);
    assert_eq!(
        [&tablet[7], &tablet[12], &tablet[15]],
        ["NULL", "NULL", "-1"]
    );
    assert_eq!(
        rows(&mut conn, "SHOW INDEX FROM t").await[0][12],
        "",
        "an index without properties"
    );
    assert_eq!(
        rows(&mut conn, "SHOW VARIABLES LIKE 'autocommit'").await,
        [["autocommit", "true", "true", "0"]]
    );
    run(&mut conn, "SET autocommit = OFF").await;
    assert_eq!(
        rows(&mut conn, "SHOW VARIABLES LIKE 'autocommit'").await,
        [["autocommit", "false", "true", "1"]]
    );
    assert_eq!(rows(&mut conn, "SELECT @@autocommit").await, [["0"]]);
    assert_eq!(
        rows(
            &mut conn,
            "ADMIN SHOW FRONTEND CONFIG LIKE '%enable_feature_binlog%'"
        )
        .await[0],
        [
            "experimental_enable_feature_binlog",
            "true",
            "boolean",
            "false",
            "false",
            ""
        ]
    );
    let mut result = conn.query_iter("SHOW BACKUP FROM d").await.unwrap();
    let kinds: Vec<_> = result
        .columns_ref()
        .iter()
        .map(mysql_async::Column::column_type)
        .collect();
    assert!(
        kinds
            .iter()
            .all(|kind| *kind == mysql_async::consts::ColumnType::MYSQL_TYPE_BLOB),
        "{kinds:?}"
    );
    let none: Vec<Row> = result.collect().await.unwrap();
    assert!(none.is_empty());
}
