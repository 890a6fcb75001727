//! What the API asks of a cluster before it accepts a job.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use ccr_doris::ddl::{create_database, ident};
use ccr_doris::{
    BinlogLag, BinlogPosition, ClusterAddress, Error, Frontend, FrontendList, Inspect, SqlSession,
};
use ccr_schemas::TableId;

/// Questions to a cluster, answered by [`ccr_doris::DorisCluster`] (or anything else that is a frontend with SQL).
#[async_trait]
pub trait ClusterProbe: Send + Sync + 'static {
    /// Id of the cluster, and its FEs.
    async fn frontends(&self) -> Result<FrontendList, Error>;
    /// True when the database exists.
    async fn has_database(&self, database: &str) -> Result<bool, Error>;
    /// Names of the tables and views of a database.
    async fn tables(&self, database: &str) -> Result<BTreeSet<String>, Error>;
    /// Names and ids of the tables and views of a database.
    async fn table_ids(&self, database: &str) -> Result<Vec<(String, TableId)>, Error>;
    /// Creates a database unless it exists.
    async fn create_database(&self, database: &str) -> Result<(), Error>;
    /// True when the binlog is on for the database (or for the table, when one is named).
    async fn binlog_enabled(&self, database: &str, table: Option<&str>) -> Result<bool, Error>;
    /// How far a stream reaches.
    async fn lag(&self, at: &BinlogPosition) -> Result<Option<BinlogLag>, Error>;
}

/// Makes a probe of an address.
pub type ConnectProbe =
    Arc<dyn Fn(ClusterAddress) -> Result<Arc<dyn ClusterProbe>, Error> + Send + Sync>;

/// A cluster seen through its frontend and SQL.
#[derive(Debug)]
pub struct SqlProbe<C>(pub C);

#[async_trait]
impl<C: Frontend + SqlSession> ClusterProbe for SqlProbe<C> {
    async fn frontends(&self) -> Result<FrontendList, Error> {
        let rows = self.0.query(None, "SHOW FRONTENDS").await?;
        Ok(FrontendList::of(&rows))
    }

    async fn has_database(&self, database: &str) -> Result<bool, Error> {
        let rows = self.0.query(None, "SHOW DATABASES").await?;
        Ok(rows
            .iter()
            .any(|row| row.values().flatten().any(|name| name == database)))
    }

    async fn tables(&self, database: &str) -> Result<BTreeSet<String>, Error> {
        let rows = self.0.query(Some(database), "SHOW TABLES").await?;
        // One column `Tables_in_<database>`, with SHOW FULL TABLES more.
        Ok(rows
            .into_iter()
            .flat_map(|row| row.into_values().flatten())
            .collect())
    }

    async fn table_ids(&self, database: &str) -> Result<Vec<(String, TableId)>, Error> {
        self.0.table_ids(database).await
    }

    async fn create_database(&self, database: &str) -> Result<(), Error> {
        self.0.execute(None, &create_database(database)).await
    }

    async fn binlog_enabled(&self, database: &str, table: Option<&str>) -> Result<bool, Error> {
        let statement = match table {
            None => format!("SHOW CREATE DATABASE {}", ident(database)),
            Some(table) => format!("SHOW CREATE TABLE {}.{}", ident(database), ident(table)),
        };
        let rows = self.0.query(None, &statement).await?;
        Ok(rows.iter().any(|row| {
            row.values().flatten().any(|text| {
                let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                text.contains(r#""binlog.enable"="true""#)
            })
        }))
    }

    async fn lag(&self, at: &BinlogPosition) -> Result<Option<BinlogLag>, Error> {
        self.0.get_binlog_lag(at).await
    }
}
