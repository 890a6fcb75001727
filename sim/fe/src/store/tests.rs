//! What is on disk is what is in memory, after every kind of statement and after random ones; and what a damaged directory is told.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Opened, Store, StoreError, Wanted};
use crate::api::{FrontendConfig, LoadRequest, TxnStatus};
use crate::frontend::Frontend;
use crate::state::FeState;
use crate::tests::{World, cells};

/// A store for tests of the frontend.
pub(crate) fn open(dir: &Path, config: &FrontendConfig) -> Result<Opened, StoreError> {
    Store::open(dir, &wanted(config), config)
}

fn wanted(config: &FrontendConfig) -> Wanted {
    Wanted {
        cluster_id: None,
        token: None,
        default_cluster_id: config.cluster_id,
        default_token: config.token.clone(),
        backends: 1,
    }
}

/// Everything of a state that has to survive.
fn image(state: &FeState) -> Value {
    let of_txns = |id: &i64| state.txns.txns[id].status != TxnStatus::Prepare;
    let txns = state.txns.txns.iter().filter(|(id, _)| of_txns(id));
    let mut labels: Vec<_> = state
        .txns
        .labels
        .iter()
        .map(|(key, ids)| (key, ids.iter().filter(|id| of_txns(id)).collect::<Vec<_>>()))
        .filter(|(_, ids)| !ids.is_empty())
        .collect();
    labels.sort();
    json!({
        "counters": state.counters(), "catalog": state.catalog, "streams": state.streams, "labels": labels,
        "txns": txns.collect::<Vec<_>>(), "jobs": state.jobs, "alters": state.alters, "index_jobs": state.index_jobs,
        "bin": state.bin, "accounts": state.accounts, "settings": state.settings, "backends": state.backends,
    })
}

/// Panics with the differing parts unless a new process would read what this one knows.
pub(crate) fn assert_durable(fe: &Frontend) {
    let mut held = fe.held();
    let (memory, disk) = held.reread(fe.config());
    let (memory, disk) = (image(memory), image(&disk));
    if memory != disk {
        let parts = memory.as_object().unwrap().keys();
        let differing: Vec<String> = parts
            .filter(|part| memory[*part] != disk[*part])
            .map(|part| format!("{part}:\n memory {}\n disk   {}", memory[part], disk[part]))
            .collect();
        panic!("the disk differs from memory: {}", differing.join("\n"));
    }
}

const TABLE: &str = "CREATE TABLE t{T} (k INT NOT NULL, v INT, s VARCHAR(9)) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
     (PARTITION p1 VALUES [(\"10\"), (\"19\")), PARTITION p2 VALUES [(\"20\"), (\"29\"))) DISTRIBUTED BY HASH(k) BUCKETS 2";

/// A statement on one of three tables and one of three partitions; many are refused, which has to leave no trace either.
fn statement() -> impl Strategy<Value = String> {
    let texts = vec![
        TABLE,
        "CREATE TABLE t{T} LIKE t{U}",
        "DROP TABLE t{T}",
        "DROP TABLE t{T} FORCE",
        "RECOVER TABLE t{T}",
        "TRUNCATE TABLE t{T}",
        "ALTER TABLE t{T} RENAME t{U}",
        "ALTER TABLE t{T} REPLACE WITH TABLE t{U} PROPERTIES (\"swap\" = \"true\")",
        "ALTER TABLE t{T} REPLACE WITH TABLE t{U} PROPERTIES (\"swap\" = \"false\")",
        "ALTER TABLE t{T} ADD PARTITION p{P} VALUES [(\"{P}0\"), (\"{P}9\"))",
        "ALTER TABLE t{T} DROP PARTITION p{P}",
        "ALTER TABLE t{T} DROP PARTITION p{P} FORCE",
        "RECOVER PARTITION p{P} FROM t{T}",
        "ALTER TABLE t{T} RENAME PARTITION p{P} q{P}",
        "ALTER TABLE t{T} ADD TEMPORARY PARTITION x{P} VALUES [(\"{P}0\"), (\"{P}9\"))",
        "ALTER TABLE t{T} REPLACE PARTITION (p{P}) WITH TEMPORARY PARTITION (x{P})",
        "ALTER TABLE t{T} ADD COLUMN c{P} INT",
        "ALTER TABLE t{T} MODIFY COLUMN v VARCHAR(2{P})",
        "ALTER TABLE t{T} ADD ROLLUP r{P} (k, s)",
        "ALTER TABLE t{T} DROP ROLLUP r{P}",
        "ALTER TABLE t{T} ADD INDEX i{P} (s) USING INVERTED",
        "BUILD INDEX i{P} ON t{T}",
        "ALTER TABLE t{T} SET (\"binlog.ttl_seconds\" = \"{P}\")",
        "ALTER DATABASE d SET PROPERTIES (\"binlog.max_history_nums\" = \"{P}0\")",
        "CREATE VIEW w{P} AS SELECT k FROM t{T}",
        "DROP VIEW w{P}",
        "BACKUP SNAPSHOT d.b{P} TO `__keep_on_local__` ON (t{T}) PROPERTIES (\"type\" = \"full\")",
        "CREATE USER u{P} IDENTIFIED BY 'a'",
        "GRANT LOAD_PRIV ON d.t{T} TO u{P}",
        "DROP USER u{P}",
        "ADMIN SET FRONTEND CONFIG (\"catalog_trash_expire_second\" = \"{P}\")",
        "DROP DATABASE d; RECOVER DATABASE d",
        "INSERT",
        "GC",
        "REOPEN",
    ];
    // Loads and tables are what the others need.
    let often = vec![TABLE, "INSERT", "INSERT", "INSERT", "GC"];
    let text = prop_oneof![4 => prop::sample::select(texts), 1 => prop::sample::select(often)];
    (text, 0..3_u8, 0..3_u8, 1..4_u8).prop_map(|(text, t, u, p)| {
        text.replace("{T}", &t.to_string())
            .replace("{U}", &u.to_string())
            .replace("{P}", &p.to_string())
            .replace("INSERT", &format!("INSERT {t} {p}"))
    })
}

async fn run(world: &mut World, statement: &str) {
    let words: Vec<&str> = statement.split(' ').collect();
    match words[..] {
        ["INSERT", table, partition] => {
            let key = format!("{partition}5");
            let rows = cells(&[&[&key, "1", "x"]]);
            let request = LoadRequest::insert(
                "d",
                format!("t{table}"),
                ["k", "v", "s"].map(str::to_owned).to_vec(),
                rows,
            );
            // Refused when there is no such table or partition.
            let _ = world.fe.load(request).await;
            assert_durable(&world.fe);
        }
        ["GC"] => {
            world.clock.advance(1_500);
            world.fe.gc_now().await;
            assert_durable(&world.fe);
        }
        ["REOPEN"] => world.reopen().await,
        _ => {
            let _ = world.try_sql(statement).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_statements_are_on_disk(statements in prop::collection::vec(statement(), 30..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(1).await;
            for table in 0..3 {
                world.sql(&TABLE.replace("{T}", &table.to_string())).await;
            }
            for statement in &statements {
                run(&mut world, statement).await;
            }
            world.reopen().await;
        });
    }
}

#[tokio::test]
async fn a_small_change_of_a_large_table_is_few_rows() {
    let world = World::new(1).await;
    let partitions: Vec<String> = (0..300)
        .map(|n| format!("PARTITION p{n} VALUES [(\"{n}\"), (\"{}\"))", n + 1))
        .collect();
    world
        .sql(&format!(
            "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) ({}) DISTRIBUTED BY HASH(k) BUCKETS 1",
            partitions.join(", ")
        ))
        .await;
    let rows = || world.fe.held().rows_written();
    let before = rows();
    assert!(before > 300);
    world.insert("t", &[&["7", "7"]]).await;
    let load = rows() - before;
    assert!(load < 40, "a load of one partition writes {load} rows");
    let before = rows();
    world
        .fe
        .with_catalog(|c| assert!(c.database("d").is_some()));
    assert_eq!(world.rows("t"), ["7,7"]);
    world.fe.gc_now().await;
    let idle = rows() - before;
    assert!(idle < 5, "reading and GC of nothing writes {idle} rows");
}

fn error_of(dir: &Path, wanted: &Wanted) -> StoreError {
    Store::open(dir, wanted, &FrontendConfig::default()).expect_err("refused")
}

#[test]
fn a_directory_is_of_one_process_and_one_cluster() {
    let (dir, config) = (TempDir::new().unwrap(), FrontendConfig::default());
    let opened = open(dir.path(), &config).unwrap();
    assert!(opened.state.is_none() && !opened.is_ready);
    opened.store.set_ready().unwrap();
    let in_use = error_of(dir.path(), &wanted(&config));
    assert!(matches!(in_use, StoreError::InUse { .. }), "{in_use}");
    assert!(in_use.to_string().contains(&std::process::id().to_string()));
    drop(opened);
    let other_id = Wanted {
        cluster_id: Some(7),
        ..wanted(&config)
    };
    let text = error_of(dir.path(), &other_id).to_string();
    assert!(text.contains("cluster id 10001"), "{text}");
    let other_default = Wanted {
        default_cluster_id: 7,
        default_token: "x".to_owned(),
        ..wanted(&config)
    };
    let again = Store::open(dir.path(), &other_default, &config).unwrap();
    assert_eq!((again.cluster_id, again.token), (10_001, config.token));
    assert!(again.state.is_some() && again.is_ready);
}

#[test]
fn what_is_damaged_is_named() {
    let (dir, config) = (TempDir::new().unwrap(), FrontendConfig::default());
    let path = dir.path().join(super::files::STATE_FILE);
    let damage = |sql: &str| {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        let error = error_of(dir.path(), &wanted(&config));
        let text = error.to_string();
        assert!(text.contains("fe/state.db"), "{text}");
        text
    };
    let mut opened = open(dir.path(), &config).unwrap();
    let mut state = FeState::new(&config);
    state.settings.insert("a".to_owned(), "b".to_owned());
    opened.store.commit(&mut state).unwrap();
    drop(opened);
    let text = damage("UPDATE entity SET body = x'7b' WHERE kind = 15");
    assert!(text.contains("(Setting a)"), "{text}");
    let text = damage("UPDATE entity SET body = 7 WHERE kind = 15");
    assert!(text.contains("(Setting)"), "{text}");
    let text = damage("PRAGMA user_version = 2");
    assert!(text.contains("has format 2"), "{text}");
    let text = damage("PRAGMA user_version = 1; DROP TABLE cluster");
    assert!(text.contains("(table cluster)"), "{text}");
    let text = damage("PRAGMA application_id = 0");
    assert!(text.contains("(not written by dorisim)"), "{text}");

    let foreign = TempDir::new().unwrap();
    std::fs::write(foreign.path().join("letter.txt"), "dear").unwrap();
    let text = error_of(foreign.path(), &wanted(&config)).to_string();
    assert!(text.contains("letter.txt"), "{text}");
}

#[test]
fn a_start_that_was_cut_short_leaves_a_new_directory() {
    let (dir, config) = (TempDir::new().unwrap(), FrontendConfig::default());
    std::fs::create_dir(dir.path().join("fe")).unwrap();
    std::fs::write(dir.path().join("fe/state.new"), "half").unwrap();
    assert!(open(dir.path(), &config).unwrap().state.is_none());
    let state = open(dir.path(), &config).unwrap().state.unwrap();
    assert_eq!(image(&state), image(&FeState::new(&config)));
}
