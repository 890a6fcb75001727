//! Statements and queries.

use async_trait::async_trait;
use ccr_doris::{Error, Row, SqlSession};

use super::{Client, Shown};
use crate::doris::{Refused, show, sql};

#[async_trait]
impl SqlSession for Client {
    async fn execute(&self, database: Option<&str>, text: &str) -> Result<(), Error> {
        let stmt = sql::parse(text);
        if stmt.is_none() {
            self.world().violation(format!("{}: {text}", show::UNKNOWN));
        }
        let head: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let head: String = head.chars().take(120).collect();
        self.call("execute", Shown::Noted(head), |cluster, now| {
            let stmt = stmt.ok_or_else(|| Refused::other(show::UNKNOWN))?;
            cluster.execute(database.unwrap_or_default(), &stmt, now)
        })
        .await
    }

    async fn query(&self, database: Option<&str>, text: &str) -> Result<Vec<Row>, Error> {
        let answer = self
            .call("query", Shown::Quiet, |cluster, _| {
                cluster.query(database, text)
            })
            .await;
        if let Err(Error::Refused { text, .. }) = &answer
            && text.starts_with(show::UNKNOWN)
        {
            self.world().violation(text.clone());
        }
        answer
    }
}
