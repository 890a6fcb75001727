//! Questions about a cluster that SQL answers: what exists, how objects are shaped, the state of jobs.
//!
//! Columns are addressed by name, names are compared whole (LIKE is a pattern), and `\N` is NULL.

use async_trait::async_trait;
use ccr_schemas::{DbId, TableId, TxnId};

use crate::cluster::DorisCluster;
use crate::ddl::{self, ObjectName, ident, string};
use crate::digest::{self, TableDigest};
use crate::error::{Error, Refusal};
use crate::frontend::TxnState;
use crate::sql::{Row, SqlSession};
use crate::status;

/// State of a BACKUP or RESTORE job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobProgress {
    /// Job id, as the server prints it.
    pub job_id: String,
    /// Phase.
    pub state: JobState,
    /// State as the server prints it.
    pub state_text: String,
    /// Progress as the server prints it; empty when it has none.
    pub progress: String,
    /// Tasks that are not done, as the server prints them.
    pub unfinished_tasks: String,
    /// Status and task errors: the reason of a cancellation.
    pub status: String,
}

/// Phase of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Going on, or in a state that this release does not know.
    Running,
    /// Done.
    Finished,
    /// Given up; the status says why.
    Cancelled,
}

/// A column as DESC shows it. Hidden columns are not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Name.
    pub name: String,
    /// Type.
    pub kind: String,
    /// Part of the key.
    pub is_key: bool,
}

/// A transaction as SHOW PROC lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTxn {
    /// Id.
    pub id: TxnId,
    /// Label.
    pub label: String,
    /// State.
    pub state: TxnState,
    /// When it ended, as the server prints it; `None` before.
    pub ended_at: Option<String>,
}

/// Which transactions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnPhase {
    /// Those that are neither visible nor aborted.
    Running,
    /// Those that are visible or aborted, as far as the server remembers them.
    Finished,
}

/// Read-only questions to whatever runs statements.
#[async_trait]
pub trait Inspect: SqlSession {
    /// Asks for an answer, for nothing else.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn ping(&self) -> Result<(), Error> {
        self.execute(None, "SELECT 1").await
    }

    /// `ClusterId` of SHOW FRONTENDS, the same for all FEs. `None` when the server does not show it.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn cluster_id(&self) -> Result<Option<i64>, Error> {
        let rows = self.query(None, "SHOW FRONTENDS").await?;
        Ok(rows
            .iter()
            .find_map(|row| column(row, "ClusterId")?.trim().parse().ok()))
    }

    /// Id of a database by name.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn database_id(&self, name: &str) -> Result<Option<DbId>, Error> {
        let rows = self.query(None, "SHOW PROC '/dbs'").await?;
        let found = rows.iter().find(|row| {
            // Releases of the 2.0 line put the cluster in front.
            column(row, "DbName")
                .is_some_and(|db| db.strip_prefix("default_cluster:").unwrap_or(db) == name)
        });
        Ok(found
            .and_then(|row| column(row, "DbId")?.trim().parse().ok())
            .map(DbId))
    }

    /// Transactions of a database, the newest first, at most 2000; empty when there is no such database. Needs ADMIN_PRIV, as
    /// SHOW PROC does.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn transactions(&self, database: &str, phase: TxnPhase) -> Result<Vec<ListedTxn>, Error> {
        let Some(id) = self.database_id(database).await? else {
            return Ok(Vec::new());
        };
        let part = match phase {
            TxnPhase::Running => "running",
            TxnPhase::Finished => "finished",
        };
        let rows = self
            .query(None, &format!("SHOW PROC '/transactions/{id}/{part}'"))
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                Some(ListedTxn {
                    id: TxnId(column(row, "TransactionId")?.trim().parse().ok()?),
                    label: column(row, "Label")?.to_owned(),
                    state: status::txn_state(column(row, "TransactionStatus")?),
                    ended_at: column(row, "FinishTime").map(str::to_owned),
                })
            })
            .collect())
    }

    /// Whether the database's definition switches the binlog on for all of its tables. The definition can say so although
    /// it is not in force (releases up to 2.1.6 after CREATE DATABASE); the stream itself tells.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn is_binlog_enabled(&self, database: &str) -> Result<bool, Error> {
        let sql = format!("SHOW CREATE DATABASE {}", ident(database));
        let rows = self.query(None, &sql).await?;
        Ok(rows
            .iter()
            .flat_map(|row| row.values().flatten())
            .any(|text| {
                let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                text.contains(r#""binlog.enable"="true""#)
            }))
    }

    /// Seconds since a time that the server printed, by its clock and time zone. `None` when it is not known.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn seconds_since(&self, time: &str) -> Result<Option<i64>, Error> {
        let sql = format!("SELECT TIMESTAMPDIFF(SECOND, {}, NOW()) AS s", string(time));
        let rows = self.query(None, &sql).await?;
        let seconds = rows.first().and_then(|row| column(row, "s"));
        Ok(seconds.and_then(|seconds| seconds.trim().parse().ok()))
    }

    /// Names and ids of the tables and views of a database; empty when there is no such database.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn table_ids(&self, database: &str) -> Result<Vec<(String, TableId)>, Error> {
        let Some(id) = self.database_id(database).await? else {
            return Ok(Vec::new());
        };
        let rows = self.query(None, &format!("SHOW PROC '/dbs/{id}'")).await?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                let id = column(row, "TableId")?.trim().parse().ok()?;
                Some((column(row, "TableName")?.to_owned(), TableId(id)))
            })
            .collect())
    }

    /// Names of the tables of a database, without its views.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn tables(&self, database: &str) -> Result<Vec<String>, Error> {
        let mut names = self.objects(database).await?;
        let views = self.views(database).await?;
        names.retain(|name| !views.contains(name));
        Ok(names)
    }

    /// Names of the views of a database.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn views(&self, database: &str) -> Result<Vec<String>, Error> {
        // Not from information_schema: that needs a live backend, this the frontend alone.
        let sql = format!("SHOW FULL TABLES FROM {}", ident(database));
        let rows = self.query(None, &sql).await?;
        Ok(rows
            .iter()
            .filter(|row| column(row, "Table_type") == Some("VIEW"))
            .filter_map(|row| {
                row.iter()
                    .find(|(name, _)| name.starts_with("Tables_in_"))
                    .and_then(|(_, value)| value.clone())
            })
            .collect())
    }

    /// Names of the tables and views of a database.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn objects(&self, database: &str) -> Result<Vec<String>, Error> {
        let sql = format!("SHOW TABLES FROM {}", ident(database));
        let rows = self.query(None, &sql).await?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                row.iter()
                    .find(|(name, _)| name.starts_with("Tables_in_"))
                    .and_then(|(_, value)| value.clone())
                    .or_else(|| only_column(row).map(str::to_owned))
            })
            .collect())
    }

    /// Whether a table or view exists. False when its database does not.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn table_exists(&self, database: &str, table: &str) -> Result<bool, Error> {
        match self.objects(database).await {
            Ok(names) => Ok(names.iter().any(|name| name == table)),
            Err(error) if error.refusal() == Some(Refusal::UnknownDatabase) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Visible columns of the base index, in order.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn visible_columns(&self, database: &str, table: &str) -> Result<Vec<ColumnInfo>, Error> {
        let sql = format!("DESC {}", ObjectName::new(database, table));
        let rows = self.query(None, &sql).await?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                Some(ColumnInfo {
                    name: column(row, "Field")?.to_owned(),
                    kind: column(row, "Type").unwrap_or_default().to_owned(),
                    is_key: column(row, "Key").is_some_and(|key| key.eq_ignore_ascii_case("true")),
                })
            })
            .collect())
    }

    /// What a table, or one of its partitions, holds in these columns.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn digest(
        &self,
        table: &ObjectName,
        partition: Option<&str>,
        columns: &[ColumnInfo],
    ) -> Result<TableDigest, Error> {
        let rows = self
            .query(None, &digest::statement(table, partition, columns))
            .await?;
        let text = |name: &str| rows.first().and_then(|row| column(row, name));
        let Some(rows) = text("n").and_then(|n| n.trim().parse().ok()) else {
            return Err(Error::Protocol {
                call: format!("counting {table}"),
                address: "its cluster".to_owned(),
                text: "no number of rows".to_owned(),
            });
        };
        Ok(TableDigest {
            rows,
            sum: text("s").unwrap_or_default().to_owned(),
        })
    }

    /// Names of the partitions of a table, temporary ones left out.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn partitions(&self, database: &str, table: &str) -> Result<Vec<String>, Error> {
        let sql = format!("SHOW PARTITIONS FROM {}", ObjectName::new(database, table));
        let rows = self.query(None, &sql).await?;
        Ok(texts(&rows, "PartitionName"))
    }

    /// Names of the secondary indexes of a table.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn indexes(&self, database: &str, table: &str) -> Result<Vec<String>, Error> {
        let sql = format!("SHOW INDEX FROM {}", ObjectName::new(database, table));
        let rows = self.query(None, &sql).await?;
        Ok(texts(&rows, "Key_name"))
    }

    /// Text of SHOW CREATE TABLE, also of a view. `None` when there is no such object.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn create_table_text(
        &self,
        database: &str,
        table: &str,
    ) -> Result<Option<String>, Error> {
        let sql = format!("SHOW CREATE TABLE {}", ObjectName::new(database, table));
        let rows = match self.query(None, &sql).await {
            Err(error) if error.refusal() == Some(Refusal::UnknownTable) => return Ok(None),
            other => other?,
        };
        Ok(rows.iter().find_map(|row| {
            column(row, "Create Table")
                .or_else(|| column(row, "Create View"))
                .map(str::to_owned)
        }))
    }

    /// The newest backup job of a label. `None` when there is none (any more).
    ///
    /// # Errors
    /// Any [`Error`].
    async fn show_backup(&self, database: &str, label: &str) -> Result<Option<JobProgress>, Error> {
        let sql = format!(
            "SHOW BACKUP FROM {} WHERE SnapshotName = {}",
            ident(database),
            string(label)
        );
        Ok(newest_job(
            &self.query(None, &sql).await?,
            "SnapshotName",
            label,
        ))
    }

    /// The newest restore job of a label. `None` when there is none (any more).
    ///
    /// # Errors
    /// Any [`Error`].
    async fn show_restore(
        &self,
        database: &str,
        label: &str,
    ) -> Result<Option<JobProgress>, Error> {
        let sql = format!(
            "SHOW RESTORE FROM {} WHERE Label = {}",
            ident(database),
            string(label)
        );
        Ok(newest_job(&self.query(None, &sql).await?, "Label", label))
    }

    /// Label of the restore job that runs in a database; there is at most one.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn restore_running(&self, database: &str) -> Result<Option<String>, Error> {
        let sql = format!("SHOW RESTORE FROM {}", ident(database));
        let rows = self.query(None, &sql).await?;
        let ended = |row: &Row| matches!(column(row, "State"), Some("FINISHED" | "CANCELLED"));
        let running = rows.iter().find(|row| !ended(row));
        Ok(running.map(|row| column(row, "Label").unwrap_or_default().to_owned()))
    }
}

#[async_trait]
impl<T: SqlSession + ?Sized> Inspect for T {}

impl DorisCluster {
    /// Starts a backup that stays on the BEs; no tables means the whole database. Its progress shows in
    /// [`Inspect::show_backup`].
    ///
    /// # Errors
    /// Any [`Error`]; [`Refusal::BackupBusy`] while another job runs in the database.
    pub async fn backup_snapshot(
        &self,
        database: &str,
        label: &str,
        tables: &[String],
    ) -> Result<(), Error> {
        self.execute(None, &ddl::backup_snapshot(database, label, tables))
            .await
    }
}

/// A label may occur repeatedly, oldest first.
fn newest_job(rows: &[Row], label_column: &str, label: &str) -> Option<JobProgress> {
    let row = rows
        .iter()
        .rfind(|row| column(row, label_column).is_none_or(|found| found == label))?;
    let text = |name: &str| column(row, name).unwrap_or_default().trim().to_owned();
    let state_text = text("State");
    let state = match state_text.as_str() {
        "FINISHED" => JobState::Finished,
        "CANCELLED" => JobState::Cancelled,
        _ => JobState::Running,
    };
    let said = [text("Status"), text("TaskErrMsg")];
    let said: Vec<_> = said
        .iter()
        .filter(|text| !text.is_empty())
        .cloned()
        .collect();
    Some(JobProgress {
        job_id: text("JobId"),
        state,
        state_text,
        progress: text("Progress"),
        unfinished_tasks: text("UnfinishedTasks"),
        status: status::cut(&said.join("; ")),
    })
}

/// A value by the name of its column; NULL and `\N` are nothing.
fn column<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name)
        .and_then(Option::as_deref)
        .filter(|value| *value != "\\N")
}

fn only_column(row: &Row) -> Option<&str> {
    match row.len() {
        1 => row.values().next()?.as_deref(),
        _ => column(row, "table_name").or_else(|| column(row, "TABLE_NAME")),
    }
}

fn texts(rows: &[Row], name: &str) -> Vec<String> {
    rows.iter()
        .filter_map(|row| column(row, name))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[(&str, Option<&str>)]) -> Row {
        values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
            .collect()
    }

    #[test]
    fn the_last_job_of_a_label_counts() {
        let job = |id, label, state| {
            row(&[
                ("JobId", Some(id)),
                ("Label", Some(label)),
                ("State", Some(state)),
                ("FinishedTime", Some("\\N")),
                ("TaskErrMsg", None),
                ("Status", Some("[OK]")),
            ])
        };
        let rows = [
            job("1", "l", "CANCELLED"),
            job("2", "l", "FINISHED"),
            job("3", "l2", "CANCELLED"),
        ];
        let found = newest_job(&rows, "Label", "l").unwrap();
        assert_eq!(
            (found.job_id.as_str(), found.state),
            ("2", JobState::Finished)
        );
        assert_eq!(found.status, "[OK]");
        assert_eq!(newest_job(&rows, "Label", "x"), None);
        assert_eq!(newest_job(&[], "Label", "l"), None);
    }

    #[test]
    fn a_job_in_an_unknown_state_goes_on() {
        let rows = [row(&[
            ("State", Some("ATOMIC_SOMETHING")),
            ("Status", Some("\\N")),
        ])];
        let found = newest_job(&rows, "Label", "l").unwrap();
        assert_eq!(
            (found.state, found.status.as_str()),
            (JobState::Running, "")
        );
    }

    #[test]
    fn the_reason_of_a_cancellation_is_kept() {
        let rows = [row(&[
            ("Label", Some("l")),
            ("State", Some("CANCELLED")),
            (
                "Status",
                Some("[COMMON_ERROR, msg: Table orders already exist but with different schema]"),
            ),
            ("TaskErrMsg", Some("t")),
        ])];
        let found = newest_job(&rows, "Label", "l").unwrap();
        assert!(found.status.ends_with("; t"));
    }
}
