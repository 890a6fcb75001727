//! MySQL sessions: statements and small result sets with columns by name.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::cluster::DorisCluster;
use crate::error::Error;
use crate::mysql::Kind;

/// One row; every value as text, `None` for NULL. Doris shows differ between versions in order and number of columns, so
/// columns are always addressed by name.
pub type Row = BTreeMap<String, Option<String>>;

/// Statements on a cluster's master FE.
#[async_trait]
pub trait SqlSession: Send + Sync + 'static {
    /// Runs a statement in a database (or none) and drops its result. It is sent once: when the connection breaks afterwards, its
    /// effect is unknown.
    async fn execute(&self, database: Option<&str>, sql: &str) -> Result<(), Error>;

    /// Runs a query and returns its rows. It may be sent again when the connection breaks, so it must only read.
    async fn query(&self, database: Option<&str>, sql: &str) -> Result<Vec<Row>, Error>;
}

#[async_trait]
impl SqlSession for DorisCluster {
    async fn execute(&self, database: Option<&str>, sql: &str) -> Result<(), Error> {
        self.statement(database, sql, Kind::Execute).await?;
        Ok(())
    }

    async fn query(&self, database: Option<&str>, sql: &str) -> Result<Vec<Row>, Error> {
        self.statement(database, sql, Kind::Query).await
    }
}
