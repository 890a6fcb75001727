//! Types, lengths and scales that clients are told, in text and prepared statements.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};

use crate::mysql::{cluster, root};

#[tokio::test]
async fn columns_are_announced_as_doris_types_them() {
    use mysql_async::consts::ColumnType as T;
    let cluster = cluster("column_types").await;
    let mut conn = root(&cluster).await;
    conn.query_drop("create database shop").await.unwrap();
    conn.query_drop(
        "create table shop.t (i int, b boolean, y tinyint, s smallint, l bigint, h largeint, f float, d double,
         n decimal(18,2), a date, m datetime(3), c char(3), v varchar(9), t string, j json)
         duplicate key(i) distributed by hash(i) buckets 1",
    )
    .await
    .unwrap();
    conn.query_drop(
        "insert into shop.t values (-7, true, 1, 2, 3, 4, 1.5, 2.5, 3.25, '2024-02-29', '2024-02-29 01:02:03.5', 'abc', 'v', 'text', '{\"k\": 1}')",
    )
    .await
    .unwrap();
    let sql = "select t.*, sum(n), max(m), 1, n > 2 from shop.t group by 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15";
    let wanted = [
        (T::MYSQL_TYPE_LONG, 11, 0),
        (T::MYSQL_TYPE_TINY, 1, 0),
        (T::MYSQL_TYPE_TINY, 4, 0),
        (T::MYSQL_TYPE_SHORT, 6, 0),
        (T::MYSQL_TYPE_LONGLONG, 20, 0),
        (T::MYSQL_TYPE_STRING, 255, 0),
        (T::MYSQL_TYPE_FLOAT, 12, 31),
        (T::MYSQL_TYPE_DOUBLE, 22, 31),
        (T::MYSQL_TYPE_NEWDECIMAL, 20, 2),
        (T::MYSQL_TYPE_DATE, 10, 0),
        (T::MYSQL_TYPE_DATETIME, 19, 3),
        (T::MYSQL_TYPE_STRING, 255, 0),
        (T::MYSQL_TYPE_STRING, 255, 0),
        (T::MYSQL_TYPE_BLOB, 255, 0),
        (T::MYSQL_TYPE_JSON, 255, 0),
        (T::MYSQL_TYPE_NEWDECIMAL, 40, 2),
        (T::MYSQL_TYPE_DATETIME, 19, 3),
        (T::MYSQL_TYPE_TINY, 4, 0),
        (T::MYSQL_TYPE_TINY, 1, 0),
    ];
    let announced = |columns: &[mysql_async::Column]| -> Vec<_> {
        columns
            .iter()
            .map(|column| {
                (
                    column.column_type(),
                    column.column_length(),
                    column.decimals(),
                )
            })
            .collect()
    };
    let text: Row = conn.query_first(sql).await.unwrap().unwrap();
    assert_eq!(announced(text.columns_ref()), wanted);
    let prepared = conn.prep(sql).await.unwrap();
    assert_eq!(announced(&prepared.columns()), wanted);
    let binary: Row = conn.exec_first(&prepared, ()).await.unwrap().unwrap();
    assert_eq!(announced(binary.columns_ref()), wanted);
    let values = binary.unwrap();
    assert_eq!(values[..5], [-7, 1, 1, 2, 3].map(Value::Int));
    assert_eq!(values[6..8], [Value::Float(1.5), Value::Double(2.5)]);
    assert_eq!(values[8], Value::from("3.25"));
    assert_eq!(values[9], Value::Date(2024, 2, 29, 0, 0, 0, 0));
    assert_eq!(values[10], Value::Date(2024, 2, 29, 1, 2, 3, 500_000));
    assert_eq!(values[16], values[10]);
    let nowhere = conn.prep("select a from shop.nowhere").await.unwrap_err();
    assert!(nowhere.to_string().contains("nowhere"), "{nowhere}");
}

#[tokio::test]
async fn rows_are_changed_by_joins_and_generated_anew() {
    let cluster = cluster("changes").await;
    let mut conn = root(&cluster).await;
    conn.query_drop("create database shop").await.unwrap();
    conn.query_drop("use shop").await.unwrap();
    for sql in [
        "create table u (k int, v string default 'dv', w int, g int as (w * 10)) unique key(k) distributed by hash(k) buckets 1",
        "create table o (id int, note string) duplicate key(id) distributed by hash(id) buckets 1",
        "insert into u (k, w) values (1, 1), (2, 2), (3, 3), (4, 4)",
        "insert into o values (2, 'two'), (2, 'two'), (3, 'three'), (4, 'four')",
        "update u set v = o.note, w = u.w + 1 from o where u.k = o.id and o.id < 4",
        "update u as t set t.v = default where t.k = 3",
        "delete from u t using o where t.k = o.id and o.note = 'four'",
        "insert into u values (5, 'five', 5, default)",
        "insert into u (k, v) select id + 10, note from o where id = 3",
    ] {
        conn.query_drop(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let rows: Vec<(i32, String, Option<i32>, Option<i32>)> =
        conn.query("select * from u order by k").await.unwrap();
    let row = |k, v: &str, w: Option<i32>| (k, v.to_owned(), w, w.map(|w| w * 10));
    assert_eq!(
        rows,
        [
            row(1, "dv", Some(1)),
            row(2, "two", Some(3)),
            row(3, "dv", Some(4)),
            row(5, "five", Some(5)),
            row(13, "three", None)
        ]
    );
    for (sql, wanted) in [
        (
            "insert into u values (6, 'x', 6, 60)",
            "generated column 'g' in table 'u' is not allowed",
        ),
        (
            "update u set g = 1",
            "generated column 'g' in table 'u' is not allowed",
        ),
        (
            "delete from o using u where o.id = u.k",
            "only supports unique key model",
        ),
        (
            "insert into u (k, w) values (7, 'seven')",
            "Insert has filtered data in strict mode",
        ),
    ] {
        let error = conn.query_drop(sql).await.unwrap_err().to_string();
        assert!(error.contains(wanted), "{sql}: {error}");
    }
    conn.query_drop("set enable_insert_strict = false, insert_max_filter_ratio = 0.5")
        .await
        .unwrap();
    conn.query_drop("insert into u (k, w) values (7, 7), (8, 'eight')")
        .await
        .unwrap();
    let error = conn
        .query_drop("insert into u (k, w) values (9, 'nine')")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Insert has too many filtered data 1/1 insert_max_filter_ratio is 0.500000"),
        "{error}"
    );
    conn.query_drop("insert into u with label mine (k) values (20), (21)")
        .await
        .unwrap();
    let last: Row = conn.query_first("show last insert").await.unwrap().unwrap();
    assert_eq!(last.get::<String, _>("Label").unwrap(), "mine");
    assert_eq!(last.get::<String, _>("LoadedRows").unwrap(), "2");
    conn.query_drop("delete from u where k >= 20")
        .await
        .unwrap();
    let kept: Option<i32> = conn.query_first("select count(*) from u").await.unwrap();
    assert_eq!(kept, Some(6));
}
