//! A session: its user, database, variables, and what it reads. `run` executes its statements.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::Answer;
use super::shared::{MysqlServer, SERVER_VERSION};
use super::tables::CatalogTables;
use super::words::parsed;
use dorisim_fe::{Frontend, LoadResult, LoadState, SessionCtx, SqlError};
use dorisim_model::{Row, TableSchema};
use dorisim_query::{ResultColumn, ResultSet, SessionInfo, add_generated};
use dorisim_sql::ast::{ShowTail, Statement};

/// A user's session.
#[derive(Debug)]
pub struct SqlSession {
    server: Arc<MysqlServer>,
    id: u32,
    user: String,
    db: Option<String>,
    variables: BTreeMap<String, String>,
    pub(super) transaction: Transaction,
    /// The last INSERT that was not part of an explicit transaction, as SHOW LAST INSERT shows it.
    last_insert: Option<Vec<String>>,
}

/// The explicit transaction of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Transaction {
    /// Every statement for itself.
    #[default]
    None,
    /// `BEGIN` was said; the first INSERT decides on the database.
    Announced {
        /// `WITH LABEL`.
        label: Option<String>,
    },
    /// Under way.
    Open {
        /// Its id.
        id: i64,
    },
}

impl SqlSession {
    pub(super) fn new(server: Arc<MysqlServer>, id: u32, user: &str) -> Self {
        Self {
            variables: server.frontend.global_variables(),
            server,
            id,
            user: user.to_owned(),
            db: None,
            transaction: Transaction::None,
            last_insert: None,
        }
    }

    /// Remembers an INSERT.
    pub(super) fn note_insert(&mut self, db: &str, table: &str, result: &LoadResult) {
        let status = match result.state {
            LoadState::Visible => "VISIBLE",
            LoadState::Committed => "COMMITTED",
            LoadState::Precommitted => return,
        };
        self.last_insert = Some(vec![
            result.txn_id.to_string(),
            result.label.clone(),
            db.to_owned(),
            table.to_owned(),
            status.to_owned(),
            result.loaded.to_string(),
            result.filtered.to_string(),
        ]);
    }

    pub(super) fn last_insert_rows(&self) -> ResultSet {
        let mut rows = ResultSet::of_text(&[
            "TransactionId",
            "Label",
            "Database",
            "Table",
            "TransactionStatus",
            "LoadedRows",
            "FilteredRows",
        ]);
        if let Some(last) = &self.last_insert {
            rows.push(last.clone());
        }
        rows
    }

    /// Gives a variable a value of the session; `None` takes it away.
    pub(super) fn set_variable(&mut self, name: String, value: Option<String>) {
        match value {
            Some(value) => self.variables.insert(name, value),
            None => self.variables.remove(&name),
        };
    }

    /// Forgets database and variables.
    pub(super) fn clear(&mut self) {
        self.db = None;
        self.variables = self.frontend().global_variables();
    }

    /// Hands a statement to the frontend.
    pub(super) async fn forward(&self, statement: Statement) -> Result<Answer, SqlError> {
        self.frontend()
            .execute(&self.context(), statement)
            .await
            .map(Answer::Done)
    }

    /// Runs a query.
    ///
    /// # Errors
    /// As [`dorisim_query::QueryEngine::select`].
    pub async fn select(&self, text: String) -> Result<ResultSet, SqlError> {
        let server = Arc::clone(&self.server);
        let info = self.info();
        self.blocking(move || {
            let tables = CatalogTables::new(Arc::clone(&server), info.clone());
            server.engine.select(&text, &info, &tables)
        })
        .await
    }

    /// Columns that a statement will answer; none for statements other than queries.
    ///
    /// # Errors
    /// A statement that can not be read, or names what is not there.
    pub(super) async fn describe(&self, text: &str) -> Result<Vec<ResultColumn>, SqlError> {
        let statements = parsed(text)?;
        let [(Statement::Select { text }, _)] = statements.as_slice() else {
            return Ok(Vec::new());
        };
        let (server, info, text) = (Arc::clone(&self.server), self.info(), text.clone());
        self.blocking(move || {
            let tables = CatalogTables::new(Arc::clone(&server), info.clone());
            server.engine.describe(&text, &info, &tables)
        })
        .await
    }

    /// Computes the generated columns of rows that are about to be written.
    ///
    /// # Errors
    /// An expression that fails.
    pub(super) async fn add_generated(
        &self,
        schema: &TableSchema,
        columns: &mut Vec<String>,
        rows: &mut Vec<Row>,
    ) -> Result<(), SqlError> {
        if schema.visible().all(|column| column.generated.is_none()) {
            return Ok(());
        }
        let (server, info, schema) = (Arc::clone(&self.server), self.info(), schema.clone());
        let (mut names, mut filled) = (std::mem::take(columns), std::mem::take(rows));
        let done = self.blocking(move || {
            add_generated(&server.engine, &info, &schema, &mut names, &mut filled)?;
            Ok((names, filled))
        });
        (*columns, *rows) = done.await?;
        Ok(())
    }

    /// Cuts the answer of a SHOW by its `WHERE`, `ORDER BY` and `LIMIT`.
    pub(super) async fn narrow(
        &self,
        answer: ResultSet,
        tail: ShowTail,
    ) -> Result<ResultSet, SqlError> {
        let server = Arc::clone(&self.server);
        self.blocking(move || server.engine.narrow(answer, &tail))
            .await
    }

    /// SQLite and table scans keep a thread busy.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(SqlError::analysis(format!(
                "the query was not finished: {error}"
            ))),
        }
    }

    /// Selects a database.
    ///
    /// # Errors
    /// It does not exist.
    pub fn use_db(&mut self, db: &str) -> Result<(), SqlError> {
        // Clients without a database may send an empty name with their greeting.
        if db.is_empty() {
            return Ok(());
        }
        let known = db.eq_ignore_ascii_case("information_schema")
            || self
                .frontend()
                .with_catalog(|catalog| catalog.database(db).is_some());
        // A database that one may not see is refused before anyone looks whether it is there.
        if !self.sees(db) {
            return Err(SqlError::new(
                1044,
                format!("Access denied for user '{}' to database '{db}'", self.user),
            ));
        }
        if !known {
            return Err(SqlError::unknown_db(db));
        }
        self.db = Some(db.to_owned());
        Ok(())
    }

    /// True when the user holds any privilege in a database; everybody sees those of the system.
    pub(super) fn sees(&self, db: &str) -> bool {
        matches!(
            db.to_ascii_lowercase().as_str(),
            "information_schema" | "mysql"
        ) || self.frontend().sees_database(&self.user, db)
    }

    /// The database named, or the session's.
    pub(super) fn db_of(&self, named: Option<&str>) -> Result<String, SqlError> {
        named
            .or(self.db.as_deref())
            .map(str::to_owned)
            .ok_or_else(|| SqlError::new(1046, "No database selected"))
    }

    pub(super) fn frontend(&self) -> &Arc<Frontend> {
        &self.server.frontend
    }

    pub(super) fn server(&self) -> &Arc<MysqlServer> {
        &self.server
    }

    pub(super) fn context(&self) -> SessionCtx {
        SessionCtx {
            user: self.user.clone(),
            current_db: self.db.clone(),
        }
    }

    pub(super) fn info(&self) -> SessionInfo {
        SessionInfo {
            db: self.db.clone(),
            user: self.user.clone(),
            connection_id: self.id,
            version: SERVER_VERSION.to_owned(),
            now_ms: self.now_ms(),
            variables: self.variables.clone(),
            globals: self.frontend().global_variables(),
        }
    }

    /// Returns the value that the session gave a variable.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn variable_is_on(&self, name: &str) -> bool {
        self.variables
            .get(name)
            .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }

    /// Share of rows that an INSERT may refuse: none in strict mode.
    pub(super) fn insert_filter_ratio(&self) -> f64 {
        let strict = self.variables.get("enable_insert_strict");
        let off = strict.is_some_and(|value| value == "0" || value.eq_ignore_ascii_case("false"));
        if !off {
            return 0.0;
        }
        let ratio = self.variables.get("insert_max_filter_ratio");
        ratio.and_then(|text| text.parse().ok()).unwrap_or(1.0)
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.server.frontend.clock().now_ms()
    }

    pub(super) fn connection_id(&self) -> u32 {
        self.id
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn set_user(&mut self, user: String) {
        self.user = user;
    }

    pub(super) fn password_of(&self, user: &str) -> Option<String> {
        self.frontend().password_of(user)
    }
}
