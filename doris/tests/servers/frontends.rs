//! FEs that the cluster named lead to it when the one of the address is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ccr_doris::cluster::FrontendAddress;
use ccr_doris::{BinlogPage, BinlogPosition, DorisCluster, Frontend, FrontendMemory, SqlSession};
use ccr_doris_wire::{TGetBinlogResult, TStatus, TStatusCode, unset};
use ccr_schemas::CommitSeq;

use crate::fake::{MySql, Sql, Thrift, address, client, dead_port, settings, value};

/// Both servers of an FE.
struct Fe {
    sql: MySql,
    thrift: Thrift,
}

/// Thrift port and MySQL port.
type Ports = (u16, u16);

/// The ports of a cluster's FEs by name, and which of them is the master. Filled in once all have a port.
#[derive(Clone, Default)]
struct Cluster(Arc<Mutex<(Vec<Ports>, usize)>>);

impl Cluster {
    async fn start(count: usize) -> (Self, Vec<Fe>) {
        let cluster = Self::default();
        let mut all = Vec::new();
        for _ in 0..count {
            let rows = cluster.clone();
            let sql = MySql::start(move |sql| match sql {
                "SHOW FRONTENDS" => rows.rows(),
                _ => Ok(vec![BTreeMap::from([("a", "1".to_owned())])]),
            })
            .await;
            let thrift = Thrift::start(|seen, _| {
                let status = TStatus {
                    status_code: TStatusCode(62),
                    error_msgs: None,
                };
                let answer = TGetBinlogResult {
                    status: Some(status),
                    ..unset()
                };
                value(seen, &answer)
            })
            .await;
            all.push(Fe { sql, thrift });
        }
        cluster.0.lock().unwrap().0 = all.iter().map(Fe::ports).collect();
        (cluster, all)
    }

    fn elect(&self, master: usize) {
        self.0.lock().unwrap().1 = master;
    }

    fn rows(&self) -> Sql {
        let known = self.0.lock().unwrap();
        let row = |(n, (thrift, query)): (usize, &Ports)| {
            BTreeMap::from([
                ("Host", "fe-internal".to_owned()),
                ("RpcPort", thrift.to_string()),
                ("QueryPort", query.to_string()),
                ("IsMaster", (n == known.1).to_string()),
                ("ClusterId", "77".to_owned()),
            ])
        };
        Ok(known.0.iter().enumerate().map(row).collect())
    }
}

impl Fe {
    fn ports(&self) -> Ports {
        (self.thrift.port, self.sql.port)
    }

    fn named(&self) -> FrontendAddress {
        FrontendAddress {
            host: "fe-internal".to_owned(),
            query_port: self.sql.port,
            thrift_port: self.thrift.port,
        }
    }
}

/// A memory that a test can look into.
#[derive(Default)]
struct Memory {
    recalled: Vec<FrontendAddress>,
    learned: Mutex<Option<Vec<FrontendAddress>>>,
}

impl FrontendMemory for Memory {
    fn recall(&self) -> Vec<FrontendAddress> {
        self.recalled.clone()
    }

    fn learned(&self, frontends: &[FrontendAddress]) {
        *self.learned.lock().unwrap() = Some(frontends.to_vec());
    }
}

async fn works(client: &DorisCluster) {
    assert_eq!(client.query(None, "SELECT 1").await.unwrap().len(), 1);
    let at = BinlogPosition {
        database: "d".to_owned(),
        table: None,
        after: CommitSeq(0),
    };
    let page = client.get_binlog(&at, 1).await.unwrap();
    assert_eq!(page, BinlogPage::CaughtUp);
}

#[tokio::test]
async fn a_cluster_is_found_by_an_fe_that_was_learned_before() {
    let (_cluster, fes) = Cluster::start(2).await;
    let dead = dead_port().await;
    let memory = Memory {
        recalled: fes.iter().map(Fe::named).collect(),
        ..Memory::default()
    };
    let client = DorisCluster::remembering(address(&[(dead, dead)]), settings(), Arc::new(memory));
    works(&client).await;
    // Thrift first, too.
    let memory = Memory {
        recalled: vec![fes[1].named()],
        ..Memory::default()
    };
    let client = DorisCluster::remembering(address(&[(dead, dead)]), settings(), Arc::new(memory));
    let at = BinlogPosition {
        database: "d".to_owned(),
        table: None,
        after: CommitSeq(0),
    };
    assert!(client.get_binlog(&at, 1).await.is_ok());
}

#[tokio::test]
async fn an_fe_that_dies_is_replaced_by_one_that_the_cluster_named() {
    let (cluster, mut fes) = Cluster::start(2).await;
    let client = client(&[fes[0].ports()]);
    works(&client).await;
    cluster.elect(1);
    drop(fes.remove(0));
    // The first call meets the broken connection.
    let _ = client.query(None, "SELECT 1").await;
    works(&client).await;
}

#[tokio::test]
async fn what_the_cluster_names_is_reported_to_the_memory() {
    let (_cluster, fes) = Cluster::start(2).await;
    let memory = Arc::new(Memory::default());
    let client = DorisCluster::remembering(address(&[fes[0].ports()]), settings(), memory.clone());
    // Also by a client that never sends a statement of its own.
    let at = BinlogPosition {
        database: "d".to_owned(),
        table: None,
        after: CommitSeq(0),
    };
    client.get_binlog(&at, 1).await.unwrap();
    let mut expected: Vec<_> = fes.iter().map(Fe::named).collect();
    expected.sort();
    let seen = async {
        while memory.learned.lock().unwrap().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), seen)
        .await
        .unwrap();
    assert_eq!(memory.learned.lock().unwrap().take(), Some(expected));

    // A lone FE is reached as it is named in the address, whatever it calls itself.
    let (_cluster, fes) = Cluster::start(1).await;
    let client = DorisCluster::remembering(address(&[fes[0].ports()]), settings(), memory.clone());
    works(&client).await;
    assert_eq!(memory.learned.lock().unwrap().take(), Some(Vec::new()));
}

#[tokio::test]
async fn an_fe_of_another_cluster_is_not_used() {
    let (_cluster, fes) = Cluster::start(1).await;
    let mut at = address(&[fes[0].ports()]);
    at.cluster_id = Some("78".to_owned());
    let client = DorisCluster::with_settings(at, settings());
    let error = client.execute(None, "DROP TABLE t").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("cluster 77, not to 78"), "{text}");
    assert_eq!(fes[0].sql.seen(), ["SHOW FRONTENDS"]);
}
