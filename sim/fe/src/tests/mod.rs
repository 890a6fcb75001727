//! The frontend over real backends of this crate, without MySQL and Thrift in between.

mod absences;
mod alters;
mod clauses;
mod durability;
mod jobs;
mod loads;
mod records;
mod recycle;
mod rollups;
mod txns;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::BackendHandle as Handle;
use crate::api::{FrontendConfig, LoadRequest, LoadResult, SessionCtx, SqlError};
use crate::frontend::Frontend;
use crate::store::tests::assert_durable;
use dorisim_be::{Backend, BackendAddress, http};
use dorisim_model::clock::SimClock;
use dorisim_model::{Cell, Row};
use dorisim_net::faults::Faults;
use dorisim_sql as sql;

pub(super) struct World {
    pub fe: Arc<Frontend>,
    pub clock: Arc<SimClock>,
    pub backends: Vec<Arc<Backend>>,
    dir: TempDir,
    stop: CancellationToken,
    daemons: [JoinHandle<()>; 3],
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        if !std::thread::panicking() {
            assert_durable(&self.fe);
        }
    }
}

impl World {
    /// A cluster with database `d`, binlog on.
    pub async fn new(backends: usize) -> Self {
        let world = Self::bare(backends).await;
        world
            .sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
            .await;
        world
    }

    pub async fn bare(count: usize) -> Self {
        let dir = TempDir::new().unwrap();
        let (clock, stop) = (Arc::new(SimClock::default()), CancellationToken::new());
        let config = FrontendConfig {
            job_tick: Duration::from_millis(5),
            token: format!("token-of-{}", dir.path().display()),
            ..FrontendConfig::default()
        };
        let opened = crate::store::tests::open(dir.path(), &config).unwrap();
        let mut backends = Vec::new();
        for i in 0..count {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let id = 9_001 + i64::try_from(i).unwrap();
            let address = BackendAddress {
                id,
                host: "127.0.0.1".to_owned(),
                be_port: 1,
                http_port: listener.local_addr().unwrap().port(),
                heartbeat_port: 1,
                brpc_port: 1,
            };
            let store: PathBuf = dir.path().join(id.to_string());
            let faults = Arc::new(Faults::new(1));
            let backend = Arc::new(
                Backend::new(
                    address,
                    store,
                    config.token.clone(),
                    Arc::clone(&clock),
                    faults,
                )
                .unwrap(),
            );
            let router = http::router(Arc::clone(&backend));
            tokio::spawn(dorisim_net::listener::serve(listener, router, stop.clone()));
            backends.push(backend);
        }
        let handles = backends.iter().map(|b| Arc::clone(b) as Handle).collect();
        let fe = Frontend::durable(opened, config, Arc::clone(&clock), handles);
        let daemons = fe.spawn_daemons(stop.clone());
        Self {
            fe,
            clock,
            backends,
            dir,
            stop,
            daemons,
        }
    }

    /// The frontend ends wherever its daemons stand, and another one is opened over its data directory and the same backends.
    pub async fn reopen(&mut self) {
        for daemon in &mut self.daemons {
            daemon.abort();
            let _ = daemon.await;
        }
        assert_durable(&self.fe);
        self.fe.close();
        let config = self.fe.config().clone();
        let opened = crate::store::tests::open(self.dir.path(), &config).unwrap();
        let handles = self.backends.iter().map(|b| Arc::clone(b) as Handle);
        let handles = handles.collect();
        self.fe = Frontend::durable(opened, config, Arc::clone(&self.clock), handles);
        self.fe.resume().await;
        self.daemons = self.fe.spawn_daemons(self.stop.clone());
    }

    pub async fn try_sql(&self, text: &str) -> Result<(), SqlError> {
        let session = SessionCtx {
            user: "root".to_owned(),
            current_db: Some("d".to_owned()),
        };
        for statement in sql::parse_statements(text).unwrap() {
            let outcome = self.fe.execute(&session, statement).await;
            assert_durable(&self.fe);
            outcome?;
        }
        Ok(())
    }

    pub async fn sql(&self, text: &str) {
        if let Err(error) = self.try_sql(text).await {
            panic!("{text}: {error}");
        }
    }

    pub async fn insert(&self, table: &str, rows: &[&[&str]]) -> LoadResult {
        self.fe
            .load(LoadRequest::insert("d", table, Vec::new(), cells(rows)))
            .await
            .unwrap()
    }

    /// Visible rows as text, NULL as `-`.
    pub fn rows(&self, table: &str) -> Vec<String> {
        let scan = self.fe.scan_table("d", table, &[], false, false).unwrap();
        let mut rows: Vec<String> = scan
            .rows
            .iter()
            .map(|row| {
                row.iter()
                    .map(|c| c.as_deref().unwrap_or("-"))
                    .collect::<Vec<_>>()
                    .join(",")
            })
            .collect();
        rows.sort();
        rows
    }

    /// Everything in the database's stream.
    pub fn records(&self) -> Vec<Arc<crate::api::Binlog>> {
        let key = crate::api::StreamKey {
            db: "d".to_owned(),
            ..Default::default()
        };
        match self.fe.get_binlog(&key, -1, 255).unwrap() {
            crate::api::BinlogReply::Records(records) => records,
            other => panic!("no records: {other:?}"),
        }
    }
}

/// Cells of literals; `-` is NULL.
pub(super) fn cells(rows: &[&[&str]]) -> Vec<Row> {
    rows.iter()
        .map(|row| {
            row.iter()
                .map(|c| -> Cell { (*c != "-").then(|| (*c).to_owned()) })
                .collect()
        })
        .collect()
}
