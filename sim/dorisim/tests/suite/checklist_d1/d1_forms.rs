//! Rows 8, 9, 13 and 14: records of other versions, barriers, late records, JSON.

use std::time::Duration;

use dorisim_wire::TStatusCode;
use serde_json::{Value, json};

use super::T;
use crate::common::peer::{Peer, code};

#[tokio::test(flavor = "multi_thread")]
async fn d1_08_a_batch_of_dropped_rollups_shows_the_first_alone() {
    let mut fe = Peer::start("d1-08a", 1).await;
    fe.sql(T).await;
    for name in ["r1", "r2"] {
        fe.sql(&format!("ALTER TABLE d.t ADD ROLLUP {name} (v, id)"))
            .await;
        fe.wait_for("SHOW ALTER TABLE ROLLUP FROM d", "State", &["FINISHED"])
            .await;
        // The state of the newest job says it for both.
        for _ in 0..200 {
            let indexes = fe.table("t").partitions.unwrap()[0]
                .indexes
                .clone()
                .unwrap();
            if indexes.iter().any(|i| i.name.as_deref() == Some(name)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let made = fe.made_by("ALTER TABLE d.t DROP ROLLUP r1, r2").await;
    let names: Vec<&str> = made
        .iter()
        .map(|r| r.data["indexName"].as_str().unwrap())
        .collect();
    assert_eq!(
        (made[0].kind, names),
        (23, vec!["r1"]),
        "r2's record is lost"
    );
    let indexes = fe.table("t").partitions.unwrap()[0]
        .indexes
        .clone()
        .unwrap();
    assert_eq!(indexes.len(), 1, "though both are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_08_old_field_names_on_demand() {
    let mut fe = Peer::start("d1-08b", 1).await;
    fe.sql(T).await;
    fe.sql("CREATE TABLE d.plain (id BIGINT NOT NULL) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1")
        .await;
    fe.sql(
        "CREATE TABLE d.l (k INT NOT NULL) DUPLICATE KEY(k) PARTITION BY LIST(k) (PARTITION a VALUES IN (\"1\")) \
         DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let quirks =
        "long_partition_names,long_index_names,no_partition_ids,no_old_names,old_partition_sql";
    // Over HTTP and as a statement it is the same.
    fe.sim("settings", &json!({"dorisim_record_quirks": ""}))
        .await;
    fe.sql(&format!(
        "ADMIN SET FRONTEND CONFIG (\"dorisim_record_quirks\" = \"{quirks}\")"
    ))
    .await;
    assert_eq!(
        fe.sim_get("settings").await["dorisim_record_quirks"],
        quirks
    );

    let made = fe
        .made_by("ALTER TABLE d.t ADD PARTITION p3 VALUES LESS THAN (30)")
        .await;
    let partition = &made[0].data["partition"];
    assert_eq!(partition["name"], "p3");
    assert_eq!(partition["distributionInfo"]["type"], "HASH");
    assert_eq!((partition.get("di"), partition.get("nm")), (None, None));

    let made = fe
        .made_by("ALTER TABLE d.l ADD TEMPORARY PARTITION b VALUES IN (\"2\")")
        .await;
    let sql = made[0].data["sql"].as_str().unwrap();
    assert!(sql.starts_with("ADD PARTITION `b` VALUES IN ((("), "{sql}");
    assert_eq!(made[0].data["isTempPartition"], json!(true));

    let made = fe
        .made_by("INSERT OVERWRITE TABLE d.plain VALUES (1)")
        .await;
    let add = made.iter().find(|r| r.kind == 1).unwrap();
    let sql = add.data["sql"].as_str().unwrap();
    assert!(sql.contains("VALUES [(), ())"), "{sql}");
    let replace = made.iter().find(|r| r.kind == 12).unwrap();
    assert_eq!(replace.data.get("partitionIds"), None);

    let made = fe.made_by("ALTER TABLE d.t DROP PARTITION p3").await;
    assert_eq!(made[0].data.get("pid"), None);
    assert_eq!(made[0].data["partitionName"], "p3");

    for statement in [
        "ALTER TABLE d.t RENAME t2",
        "ALTER TABLE d.t2 RENAME PARTITION p1 q1",
    ] {
        let made = fe.made_by(statement).await;
        for old in ["oT", "oR", "oP"] {
            assert_eq!(made[0].data.get(old), None, "{statement}");
        }
        assert!(made[0].data["nT"].is_string() && made[0].data["nP"].is_string());
    }

    let made = fe
        .made_by("ALTER TABLE d.t2 ADD INDEX i (v) USING INVERTED")
        .await;
    let record = made.iter().find(|r| r.kind == 19).unwrap();
    for list in ["indexes", "alterInvertedIndexes"] {
        let index = &record.data[list][0];
        assert!(index["indexId"].is_i64());
        assert_eq!(index["indexName"], "i");
        assert_eq!(index["columns"], json!(["v"]));
        assert_eq!(index["indexType"], "INVERTED");
        assert!(index["columnUniqueIds"].is_array());
        assert_eq!(index.get("i"), None);
    }
    let sql = record.data["rawSql"].as_str().unwrap();
    assert!(
        sql.contains(" INDEX ") && !sql.contains("ADD INDEX"),
        "{sql}"
    );

    fe.sim("settings", &json!({"dorisim_record_quirks": ""}))
        .await;
    let made = fe.made_by("ALTER TABLE d.t2 RENAME t").await;
    assert_eq!(made[0].data["oT"], "t2", "as before again");
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_08_any_record_can_be_written_over_http() {
    let mut fe = Peer::start("d1-08c", 1).await;
    fe.sql(T).await;
    let table = fe.table_id("t");
    let data = json!({"dbId": 1, "tableId": table, "partitionName": "p1", "isTempPartition": false, "sql": "DROP PARTITION `p1`"});
    let answer = fe
        .sim(
            "record",
            &json!({"db": "d", "table": "t", "type": 3, "data": data}),
        )
        .await;
    let seq = answer["commit_seq"].as_i64().unwrap();
    let of_db = fe.records(-1).pop().unwrap();
    assert_eq!((of_db.seq, of_db.kind, &of_db.data), (seq, 3, &data));
    assert_eq!(fe.table_records(table, -1).last().unwrap().seq, seq);
    let unknown = fe
        .sim(
            "record",
            &json!({"db": "d", "type": 99, "data": {"new": 1}}),
        )
        .await;
    let last = fe.records(-1).pop().unwrap();
    assert_eq!(
        (last.kind, json!(last.seq)),
        (99, unknown["commit_seq"].clone())
    );
    let (status, refused) = fe
        .sim_raw(
            "record",
            &json!({"db": "d", "table": "nope", "type": 3, "data": {}}),
        )
        .await;
    assert_eq!(status, 404, "{refused}");
    let (status, refused) = fe.sim_raw("record", &json!({"table": "t"})).await;
    assert_eq!(status, 400);
    assert!(
        refused["error"].as_str().unwrap().contains("\"type\":3"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_09_barriers_plain_and_as_wrappers() {
    let mut fe = Peer::start("d1-09", 1).await;
    fe.sql(T).await;
    fe.sql("CREATE VIEW d.v AS SELECT id FROM d.t").await;
    let table = fe.table_id("t");
    let before = fe.newest();
    fe.sql("BACKUP SNAPSHOT d.b1 TO `__keep_on_local__`").await;
    fe.wait_for("SHOW BACKUP FROM d", "State", &["FINISHED"])
        .await;
    let made = fe.records(before);
    assert_eq!(
        made.len(),
        1,
        "neither the database nor the view enters a stream: {made:?}"
    );
    let plain = &made[0];
    assert_eq!((plain.kind, &plain.tables), (10, &vec![table]));
    assert_eq!(plain.data["binlogType"], json!(0));
    assert_eq!(
        plain.data.get("binlog"),
        None,
        "told apart by this, not by the number"
    );
    assert_eq!(
        (&plain.data["tableName"], &plain.data["dbName"]),
        (&json!("t"), &json!("d"))
    );

    fe.sim("settings", &json!({"dorisim_barrier_wrapped_types": "14"}))
        .await;
    let made = fe.made_by("ALTER TABLE d.t RENAME t2").await;
    let wrapper = &made[0];
    assert_eq!((wrapper.kind, &wrapper.tables), (10, &vec![table]));
    assert_eq!(wrapper.data["binlogType"], json!(14));
    let inner: Value = serde_json::from_str(wrapper.data["binlog"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&inner["nT"], &inner["oT"], &inner["tb"]),
        (&json!("t2"), &json!("t"), &json!(table))
    );
    assert_eq!(fe.table_records(table, -1).last().unwrap().seq, wrapper.seq);
    fe.sim("settings", &json!({"dorisim_barrier_wrapped_types": "3"}))
        .await;
    let partition = fe.table("t2").partitions.unwrap()[0].clone();
    let drop = format!(
        "ALTER TABLE d.t2 DROP PARTITION {}",
        partition.name.unwrap()
    );
    let made = fe.made_by(&drop).await;
    assert_eq!(made[0].kind, 10);
    let dropped = fe.meta().dropped_partition_map.unwrap();
    assert_eq!(dropped.get(&partition.id.unwrap()), Some(&made[0].seq));
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_13_two_neighbours_are_seen_out_of_order_for_a_short_time() {
    let mut fe = Peer::start("d1-13", 1).await;
    fe.sql(T).await;
    let before = fe.newest();
    // The time is long in case this machine is slow; the clock is moved instead of waiting.
    fe.sim("late", &json!({"records": 1, "delay_ms": 60_000}))
        .await;
    fe.sql("ALTER TABLE d.t MODIFY COMMENT 'first'").await;
    fe.sql("ALTER TABLE d.t MODIFY COMMENT 'second'").await;
    let comments = |records: Vec<crate::common::peer::Rec>| -> Vec<String> {
        records
            .iter()
            .map(|r| r.data["tblComment"].as_str().unwrap().to_owned())
            .collect()
    };
    let early = fe.records(before);
    let second = early[0].seq;
    assert_eq!(comments(early), ["second"]);
    assert_eq!(
        code(&fe.read(second, None).status),
        TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ,
        "a reader that goes on has missed it"
    );
    assert_eq!(fe.lag(before).lag, Some(1));
    fe.sim("clock", &json!({"advance_ms": 61_000})).await;
    assert_eq!(comments(fe.records(before)), ["first", "second"]);
    assert_eq!(
        fe.lag(before).lag,
        Some(2),
        "the lag tells that one came late"
    );

    let late = json!({"db": "d", "table": "t", "type": 16, "late_ms": 60_000,
        "data": {"type": "TABLE", "tblId": fe.table_id("t"), "tblComment": "third"}});
    fe.sim("record", &late).await;
    fe.sql("ALTER TABLE d.t MODIFY COMMENT 'fourth'").await;
    assert_eq!(comments(fe.records(second)), ["fourth"]);
    fe.sim("clock", &json!({"advance_ms": 61_000})).await;
    assert_eq!(comments(fe.records(second)), ["third", "fourth"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_14_json_escapes_unknown_fields_absent_nulls_and_reordered_keys() {
    let mut fe = Peer::start("d1-14", 1).await;
    let made = fe.made_by(T).await;
    let created = &made[0];
    assert!(created.raw.contains("\\u003d"), "{}", created.raw);
    assert!(!created.raw.contains("\" = \"") && !created.raw.contains('='));
    assert!(
        created.data["sql"]
            .as_str()
            .unwrap()
            .contains("\"is_being_synced\" = \"true\"")
    );
    let made = fe
        .made_by("ALTER TABLE d.t MODIFY COMMENT 'a<b>&c=d'")
        .await;
    let raw = &made[0].raw;
    for escaped in ["\\u003c", "\\u003e", "\\u0026", "\\u003d"] {
        assert!(raw.contains(escaped), "{raw}");
    }
    assert!(!raw.contains(['<', '>', '&', '=', '\'']), "{raw}");
    assert_eq!(made[0].data["tblComment"], "a<b>&c=d");
    assert_eq!(made[0].data.get("colToComment"), None, "absent, not null");
    for record in fe.records(-1) {
        assert!(!record.raw.contains(":null"), "{}", record.raw);
    }

    let statement = |name: &str| format!("ALTER TABLE d.t MODIFY COLUMN v COMMENT '{name}'");
    let plain = fe.made_by(&statement("x")).await.remove(0);
    fe.sim(
        "settings",
        &json!({"dorisim_record_quirks": "reversed_keys"}),
    )
    .await;
    let reversed = fe.made_by(&statement("x")).await.remove(0);
    assert_eq!(reversed.data, plain.data, "the same value");
    assert_ne!(reversed.raw, plain.raw, "in another order");
    fe.sim(
        "settings",
        &json!({"dorisim_record_quirks": "unknown_fields"}),
    )
    .await;
    let grown = fe.made_by(&statement("x")).await.remove(0);
    assert!(grown.data["zzFutureMember"].is_object());
    let mut shrunk = grown.data.clone();
    shrunk.as_object_mut().unwrap().remove("zzFutureMember");
    assert_eq!(shrunk, plain.data);
}
