//! Faults on statements, as a MySQL driver sees them.

use dorisim::faults::{Effect, Rule};
use dorisim::{SimCluster, SimConfig};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};

async fn connect(cluster: &SimCluster) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(cluster.query_port())
        .user(Some("root"))
        .prefer_socket(false);
    Conn::new(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_fail_or_lose_their_answer_on_demand() {
    let cluster = SimCluster::start(SimConfig {
        name: "statements".to_owned(),
        backends: 1,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let mut conn = connect(&cluster).await;
    let fail = Effect::Fail {
        code: Some(1064),
        message: "not today".to_owned(),
    };
    cluster
        .faults()
        .add(Rule::always("sql.create", fail).times(1));
    let refused = conn.query_drop("CREATE DATABASE one").await.unwrap_err();
    assert!(
        matches!(&refused, Error::Server(error) if error.code == 1064),
        "{refused}"
    );
    conn.query_drop("CREATE DATABASE one").await.unwrap();

    cluster
        .faults()
        .add(Rule::always("sql.create", Effect::ResetBefore).times(1));
    assert!(conn.query_drop("CREATE DATABASE two").await.is_err());
    let mut conn = connect(&cluster).await;
    cluster
        .faults()
        .add(Rule::always("sql.create", Effect::ResetAfter).times(1));
    assert!(conn.query_drop("CREATE DATABASE three").await.is_err());

    let shown = cluster.sql("SHOW DATABASES").await.unwrap();
    let names: Vec<_> = shown.iter().filter_map(|row| row[0].as_deref()).collect();
    assert!(
        names.contains(&"one") && names.contains(&"three"),
        "{names:?}"
    );
    assert!(!names.contains(&"two"), "{names:?}");
    assert_eq!(cluster.counters()["sql.create"], 4);
}
