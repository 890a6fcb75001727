//! getMeta and getBackendMeta: what is filled in and what never is.

use std::collections::BTreeSet;

use dorisim_wire::{
    TFrontendServiceSyncClient, TGetBackendMetaRequest, TGetMetaTable, TStatusCode,
};
use serde_json::json;

use crate::checklist_d1::T;
use crate::common::peer::{Peer, code, meta_request, text};

#[tokio::test(flavor = "multi_thread")]
async fn get_meta_selects_and_leaves_out_silently() {
    let mut fe = Peer::start("meta", 1).await;
    let empty = fe.meta();
    assert_eq!(empty.tables, None, "unset rather than empty");
    assert_eq!(
        empty.dropped_partitions,
        Some(Vec::new()),
        "set, though empty"
    );
    for name in ["a", "b", "c"] {
        fe.sql(&T.replace("d.t", &format!("d.{name}"))).await;
    }
    fe.sql("CREATE VIEW d.v AS SELECT id FROM d.a").await;
    let names = |meta: &dorisim_wire::TGetMetaDBMeta| -> BTreeSet<String> {
        let tables = meta.tables.clone().unwrap_or_default();
        tables.into_iter().map(|t| t.name.unwrap()).collect()
    };
    let all = fe.meta();
    assert_eq!(
        names(&all),
        ["a", "b", "c"].map(str::to_owned).into(),
        "no views"
    );
    let (b, c) = (fe.table_id("b"), fe.table_id("c"));
    let select = |tables: Vec<TGetMetaTable>| {
        let mut request = meta_request("d");
        request.db.as_mut().unwrap().tables = Some(tables);
        request
    };
    let by = |id: Option<i64>, name: Option<&str>| {
        TGetMetaTable::new(id, name.map(str::to_owned), None, None)
    };
    let some = fe
        .fe
        .get_meta(select(vec![
            by(Some(b), Some("a")),
            by(None, Some("c")),
            by(Some(9), None),
            by(None, Some("zz")),
        ]))
        .unwrap();
    assert_eq!(code(&some.status), TStatusCode::OK);
    assert_eq!(
        names(&some.db_meta.unwrap()),
        ["b", "c"].map(str::to_owned).into(),
        "the id wins"
    );
    let none = fe.fe.get_meta(select(Vec::new())).unwrap().db_meta.unwrap();
    assert_eq!(none.tables, None, "set but empty: no tables");
    let mut by_id = meta_request("nodb");
    by_id.db.as_mut().unwrap().id = all.id;
    assert_eq!(
        fe.fe.get_meta(by_id).unwrap().db_meta.unwrap().id,
        all.id,
        "the database's id wins, too"
    );
    let mut names_only = meta_request("d");
    names_only.db.as_mut().unwrap().only_table_names = Some(true);
    let tables = fe
        .fe
        .get_meta(names_only)
        .unwrap()
        .db_meta
        .unwrap()
        .tables
        .unwrap();
    assert!(tables.iter().all(|t| t.partitions.is_some()), "ignored");
    assert!(c > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn get_meta_fills_in_what_doris_does() {
    let mut fe = Peer::start("filled", 2).await;
    fe.sql(&format!("{T} PROPERTIES (\"replication_num\" = \"2\")"))
        .await;
    fe.sql("INSERT INTO d.t VALUES (1, 'a')").await;
    fe.sql("ALTER TABLE d.t ADD TEMPORARY PARTITION tp VALUES LESS THAN (10)")
        .await;
    let table = fe.table("t");
    assert_eq!(
        (table.in_trash, table.type_.as_deref()),
        (None, Some("OLAP"))
    );
    let partitions = table.partitions.unwrap();
    assert_eq!(partitions.len(), 3, "with the temporary one");
    let of = |name: &str| {
        partitions
            .iter()
            .find(|p| p.name.as_deref() == Some(name))
            .unwrap()
    };
    for partition in &partitions {
        assert_eq!(
            (&partition.key, partition.is_temp),
            (&None, None),
            "never filled in"
        );
    }
    assert_eq!(of("tp").range, of("p1").range, "the same text");
    assert_eq!(
        of("p1").range.as_deref(),
        Some("[types: [BIGINT]; keys: [-9223372036854775808]; ..types: [BIGINT]; keys: [10]; )")
    );
    assert_eq!(
        (of("p1").visible_version, of("p2").visible_version),
        (Some(2), Some(1))
    );
    let indexes = of("p1").indexes.clone().unwrap();
    assert_eq!((indexes.len(), indexes[0].name.as_deref()), (1, Some("t")));
    let tablets = indexes[0].tablets.clone().unwrap();
    assert_eq!(tablets.len(), 2);
    for tablet in tablets {
        let replicas = tablet.replicas.unwrap();
        let backends: BTreeSet<i64> = replicas.iter().map(|r| r.backend_id.unwrap()).collect();
        assert_eq!(backends, [10_002, 10_003].into());
        assert!(
            replicas
                .iter()
                .all(|r| r.version == Some(2) && r.id.is_some())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn get_backend_meta_lists_all_also_dead_ones() {
    let mut fe = Peer::start("backends", 2).await;
    let request = || TGetBackendMetaRequest::new(None, text("root"), text(""), None, None, 10_002);
    let all = fe.fe.get_backend_meta(request()).unwrap();
    assert_eq!(
        (code(&all.status), all.master_address),
        (TStatusCode::OK, None)
    );
    let backends = all.backends.unwrap();
    assert_eq!(backends.len(), 2, "whichever one is asked for");
    let addresses = fe.sim.backend_addresses();
    for (told, real) in backends.iter().zip(&addresses) {
        assert_eq!((told.id, told.is_alive), (Some(real.id), Some(true)));
        assert_eq!(
            (told.host.as_str(), told.be_port, told.http_port),
            (
                "127.0.0.1",
                i32::from(real.be_port),
                i32::from(real.http_port)
            )
        );
    }
    fe.sim("backend", &json!({"backend": 10_003, "up": false}))
        .await;
    for _ in 0..200 {
        let alive: Vec<bool> = fe
            .fe
            .get_backend_meta(request())
            .unwrap()
            .backends
            .unwrap()
            .iter()
            .map(|b| b.is_alive.unwrap())
            .collect();
        if alive == [true, false] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it is still alive");
}
