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
