//! Switches of databases and tables: who may be on, who inherits, who has a stream.

use dorisim::SimConfig;
use dorisim_wire::TStatusCode;

use super::{N, advance, gc, head, kinds, off, set_db};
use crate::common::peer::{Peer, code};

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_of_a_database_wants_every_table_on() {
    let mut fe = off("switch").await;
    fe.sql(N).await;
    fe.sql("CREATE VIEW d.v AS SELECT id FROM d.n").await;
    let switch = "ALTER DATABASE d SET PROPERTIES (\"binlog.enable\" = \"true\")";
    let (_, text) = fe.refused(switch).await;
    assert!(
        text.contains("binlog is not enable in table[n] in db [d]"),
        "{text}"
    );
    fe.sql("ALTER TABLE d.n SET (\"binlog.enable\" = \"true\")")
        .await;
    fe.sql(switch).await;
    let (_, text) = fe
        .refused("ALTER TABLE d.n SET (\"binlog.enable\" = \"false\")")
        .await;
    assert!(
        text.contains("db binlog is enable, but table binlog is disable"),
        "{text}"
    );
    let create = N.replace("d.n", "d.m");
    let (_, text) = fe
        .refused(&format!(
            "{create} PROPERTIES (\"binlog.enable\" = \"false\")"
        ))
        .await;
    assert!(
        text.contains("Cannot create table with binlog disabled when database binlog enable"),
        "{text}"
    );
    fe.sql(&create).await;
    let shown = fe.sql("SHOW CREATE TABLE d.m").await[0][1].clone().unwrap();
    assert!(
        shown.contains("\"binlog.enable\" = \"true\""),
        "inherited: {shown}"
    );
    for bad in [
        "\"binlog.max_bytes\" = \"many\"",
        "\"binlog.ttl_seconds\" = \"soon\"",
    ] {
        fe.refused(&format!("ALTER DATABASE d SET PROPERTIES ({bad})"))
            .await;
        fe.refused(&format!("ALTER TABLE d.m SET ({bad})")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tables_inherit_every_binlog_property_of_their_database() {
    let mut fe = off("inherit").await;
    fe.sql(
        "CREATE DATABASE e PROPERTIES (\"binlog.enable\" = \"true\", \"binlog.ttl_seconds\" = \"111\", \
         \"binlog.max_bytes\" = \"222\", \"binlog.max_history_nums\" = \"333\")",
    )
    .await;
    fe.sql(&N.replace("d.n", "e.n")).await;
    let shown = fe.sql("SHOW CREATE TABLE e.n").await[0][1].clone().unwrap();
    for (key, value) in [
        ("enable", "true"),
        ("ttl_seconds", "111"),
        ("max_bytes", "222"),
        ("max_history_nums", "333"),
    ] {
        assert!(
            shown.contains(&format!("\"binlog.{key}\" = \"{value}\"")),
            "{shown}"
        );
    }
    fe.sql(&format!(
        "{} PROPERTIES (\"binlog.ttl_seconds\" = \"5\")",
        N.replace("d.n", "e.own")
    ))
    .await;
    let shown = fe.sql("SHOW CREATE TABLE e.own").await[0][1]
        .clone()
        .unwrap();
    assert!(
        shown.contains("\"binlog.ttl_seconds\" = \"5\"")
            && shown.contains("\"binlog.max_bytes\" = \"222\""),
        "{shown}"
    );
    fe.sql(N).await;
    let shown = fe.sql("SHOW CREATE TABLE d.n").await[0][1].clone().unwrap();
    assert!(
        shown.contains("\"binlog.enable\" = \"false\""),
        "off by default: {shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_alone_have_streams_by_their_own_switch_and_are_collected_by_it() {
    let mut fe = off("own").await;
    fe.sql(N).await;
    let on = |name: &str, ttl: i64| {
        let create = N.replace("d.n", &format!("d.{name}"));
        format!(
            "{create} PROPERTIES (\"binlog.enable\" = \"true\", \"binlog.ttl_seconds\" = \"{ttl}\")"
        )
    };
    fe.sql(&on("short", 10)).await;
    fe.sql(&on("long", 1_000)).await;
    fe.sql("CREATE VIEW d.v AS SELECT id FROM d.n").await;
    for name in ["n", "short", "long"] {
        fe.sql(&format!("INSERT INTO d.{name} VALUES (1, 1)")).await;
    }
    let (n, short, long) = (fe.table_id("n"), fe.table_id("short"), fe.table_id("long"));
    let of_db = fe.records(-1);
    assert_eq!(
        kinds(&of_db),
        [2, 2, 0, 0],
        "neither n nor the view, which needs the database's switch"
    );
    assert_eq!(
        code(&fe.read_table(n, -1).status),
        TStatusCode::BINLOG_NOT_FOUND_TABLE
    );
    assert_eq!(kinds(&fe.table_records(short, -1)), [0]);
    assert_eq!(kinds(&fe.table_records(long, -1)), [0]);
    advance(&fe, 12_000).await;
    gc(&fe).await;
    assert_eq!(
        code(&fe.read_table(short, -1).status),
        TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ
    );
    assert_eq!(kinds(&fe.table_records(long, -1)), [0]);
    let (first, _) = head(&mut fe);
    assert_eq!(
        kinds(&fe.records(first)),
        [0],
        "the database's stream keeps what a table still holds"
    );
    // Switched off, a stream is purged at the next round.
    fe.sql("ALTER TABLE d.long SET (\"binlog.enable\" = \"false\")")
        .await;
    let newest = fe.newest();
    assert_eq!(
        kinds(&fe.table_records(long, -1)),
        [0, 9],
        "the record that switches off is in the stream"
    );
    gc(&fe).await;
    assert_eq!(
        code(&fe.read_table(long, -1).status),
        TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ
    );
    assert_eq!(
        code(&fe.read_table(long, newest).status),
        TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ
    );
    fe.sql("INSERT INTO d.long VALUES (2, 2)").await;
    assert_eq!(
        code(&fe.read_table(long, newest).status),
        TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_that_switches_on_is_not_in_the_stream() {
    let mut fe = off("first").await;
    set_db(&mut fe, "binlog.enable", "true").await;
    assert_eq!(
        code(&fe.read(-1, None).status),
        TStatusCode::BINLOG_NOT_FOUND_DB
    );
    fe.sql(N).await;
    assert_eq!(kinds(&fe.records(-1)), [2]);
    set_db(&mut fe, "binlog.enable", "false").await;
    assert_eq!(
        kinds(&fe.records(-1)),
        [2, 8],
        "the one that switches off is"
    );
    fe.sql("DROP DATABASE d FORCE").await;
    let answer = fe.read(-1, None);
    assert_eq!(
        code(&answer.status),
        TStatusCode::ANALYSIS_ERROR,
        "the stream goes with its database"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_feature_there_are_no_streams() {
    let mut fe = Peer::bare(SimConfig {
        name: "feature".to_owned(),
        backends: 1,
        frontend: dorisim::fe::FrontendConfig {
            binlog_feature: false,
            ..dorisim::fe::FrontendConfig::default()
        },
        ..SimConfig::default()
    })
    .await;
    fe.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await;
    fe.sql(N).await;
    assert_eq!(
        code(&fe.read(-1, None).status),
        TStatusCode::BINLOG_NOT_FOUND_DB
    );
    let meta = fe.meta();
    assert_eq!(
        (meta.dropped_partition_map, meta.dropped_tables),
        (None, None)
    );
}
