//! One connection as the protocol library sees it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use md5::Md5;
use opensrv_mysql::{
    AsyncMysqlShim, InitWriter, OkResponse, ParamParser, QueryResultWriter, StatementMetaWriter,
    StatusFlags,
};
use sha1::{Digest, Sha1};
use tokio::io::AsyncWrite;

use super::answer::{Answer, BinaryCell, binary_cell, error_kind};
use super::capabilities::Capabilities;
use super::definition::{self, Definitions};
use super::denial::Denial;
use super::params;
use super::session::SqlSession;
use super::shared::SERVER_VERSION;
use dorisim_model::SqlError;
use dorisim_net::faults::{Faults, Verdict, statement_call};
use dorisim_query::{ColumnKind, ResultColumn, ResultSet};

/// Prepared statements per connection; one more is refused.
const MAX_PREPARED: usize = 1_000;

pub(super) struct Shim {
    session: SqlSession,
    denial: Denial,
    definitions: Definitions,
    capabilities: Capabilities,
    faults: Arc<Faults>,
    salt: [u8; 20],
    /// Set by authentication, which has the shim only by shared reference.
    user: Mutex<Option<String>>,
    prepared: HashMap<u32, Prepared>,
    next_statement: u32,
}

struct Prepared {
    text: String,
    places: Vec<usize>,
}

impl Shim {
    pub(super) fn new(
        session: SqlSession,
        denial: Denial,
        definitions: Definitions,
        capabilities: Capabilities,
        faults: Arc<Faults>,
    ) -> Self {
        let salt = salt(session.connection_id(), session.now_ms());
        Self {
            session,
            denial,
            definitions,
            capabilities,
            faults,
            salt,
            user: Mutex::new(None),
            prepared: HashMap::new(),
            next_statement: 1,
        }
    }

    /// Takes over what authentication found.
    fn session(&mut self) -> &mut SqlSession {
        let user = self
            .user
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(user) = user.take() {
            self.session.set_user(user);
        }
        &mut self.session
    }

    /// Starts over when the client asked for it since the last statement.
    async fn begin(&mut self) {
        if self.capabilities.take_reset() {
            self.prepared.clear();
            self.session().reset().await;
        }
    }

    /// The answer of the last statement, for clients that take one only.
    async fn run_to_last(&mut self, text: &str) -> io::Result<Result<Answer, SqlError>> {
        let (mut answers, error) = self.run(text).await?;
        Ok(match error {
            Some(error) => Err(error),
            None => Ok(answers.pop().unwrap_or_else(Answer::nothing)),
        })
    }

    /// Runs statements under the faults of `sql.<first word>`.
    ///
    /// # Errors
    /// A fault that closes the connection; the statement's own failure is inside.
    async fn run(&mut self, text: &str) -> io::Result<(Vec<Answer>, Option<SqlError>)> {
        let cut = || io::Error::from(io::ErrorKind::ConnectionReset);
        self.begin().await;
        match self.faults.before(&statement_call(text), None).await {
            Verdict::Proceed | Verdict::Truncate { .. } | Verdict::Corrupt => {
                let (answers, error) = self.session().execute_each(text).await;
                let error = error.map(|error| SqlError {
                    code: error.wire_code(text),
                    ..error
                });
                Ok((answers, error))
            }
            Verdict::Fail { code, message } => {
                let code = code.and_then(|code| u16::try_from(code).ok());
                let error = SqlError::new(code.unwrap_or(1105), message);
                Ok((Vec::new(), Some(error)))
            }
            Verdict::ResetBefore | Verdict::Garbage => Err(cut()),
            Verdict::ResetAfter => {
                // Its outcome is what the client must not learn.
                let _ = self.session().execute(text).await;
                Err(cut())
            }
        }
    }
}

/// Printable bytes without NUL and `$`, different for every connection.
fn salt(connection: u32, now_ms: i64) -> [u8; 20] {
    let digest = hex::encode(Md5::digest(format!("{connection}/{now_ms}")));
    let mut salt = [b'x'; 20];
    salt.copy_from_slice(&digest.as_bytes()[..20]);
    salt
}

/// `mysql_native_password`: SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))).
fn proves(password: &str, salt: &[u8], proof: &[u8]) -> bool {
    if password.is_empty() || proof.is_empty() {
        return password.is_empty() && proof.is_empty();
    }
    let once = Sha1::digest(password.as_bytes());
    let twice = Sha1::digest(once);
    let mask = Sha1::new()
        .chain_update(salt)
        .chain_update(twice)
        .finalize();
    proof.len() == once.len()
        && once
            .iter()
            .zip(mask)
            .map(|(own, mask)| own ^ mask)
            .eq(proof.iter().copied())
}

async fn send_error<W>(
    error: &SqlError,
    denial: &Denial,
    results: QueryResultWriter<'_, W>,
) -> io::Result<()>
where
    W: AsyncWrite + Send + Unpin,
{
    // Doris counts its own errors from 5000 on; the protocol library has no such numbers.
    if error.code >= 5_000 {
        denial.number(error.code);
    }
    results
        .error(error_kind(error), error.to_string().as_bytes())
        .await
}

async fn send_answer<W>(
    answer: Answer,
    binary: bool,
    capabilities: &Capabilities,
    definitions: &Definitions,
    results: QueryResultWriter<'_, W>,
) -> io::Result<()>
where
    W: AsyncWrite + Send + Unpin,
{
    match answer {
        Answer::Done(outcome) => {
            let ok = OkResponse {
                affected_rows: outcome.affected_rows,
                info: capabilities.ok_text(outcome.info),
                ..OkResponse::default()
            };
            results.completed(ok).await
        }
        Answer::Rows(rows) => {
            definitions.expect(&rows.columns);
            send_rows(&rows, binary, results).await
        }
    }
}

/// An answer per statement, and the failure that ended them.
async fn send_each<W>(
    (mut answers, error): (Vec<Answer>, Option<SqlError>),
    capabilities: &Capabilities,
    (definitions, denial): (&Definitions, &Denial),
    results: QueryResultWriter<'_, W>,
) -> io::Result<()>
where
    W: AsyncWrite + Send + Unpin,
{
    if answers.is_empty() && error.is_none() {
        answers.push(Answer::nothing());
    }
    let defined: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Done(_) => Vec::new(),
            Answer::Rows(rows) => definition::columns(&rows.columns),
        })
        .collect();
    let last = answers.len() - usize::from(error.is_none());
    let mut results = results;
    for (at, (answer, columns)) in answers.into_iter().zip(&defined).enumerate() {
        results = match answer {
            Answer::Done(outcome) => {
                let mut ok = OkResponse {
                    affected_rows: outcome.affected_rows,
                    info: capabilities.ok_text(outcome.info),
                    ..OkResponse::default()
                };
                ok.status_flags
                    .set(StatusFlags::SERVER_MORE_RESULTS_EXISTS, at < last);
                results.complete_one(ok).await?
            }
            Answer::Rows(rows) => {
                definitions.expect(&rows.columns);
                let mut writer = results.start(columns).await?;
                for row in &rows.rows {
                    for cell in row {
                        writer.write_col(cell.as_deref())?;
                    }
                    writer.end_row().await?;
                }
                writer.finish_one().await?
            }
        };
    }
    match error {
        Some(error) => send_error(&error, denial, results).await,
        None => results.no_more_results().await,
    }
}

async fn send_rows<W>(
    rows: &ResultSet,
    binary: bool,
    results: QueryResultWriter<'_, W>,
) -> io::Result<()>
where
    W: AsyncWrite + Send + Unpin,
{
    let defined = definition::columns(&rows.columns);
    let mut writer = results.start(&defined).await?;
    for row in &rows.rows {
        for (cell, column) in row.iter().zip(&rows.columns) {
            if !binary {
                writer.write_col(cell.as_deref())?;
                continue;
            }
            match binary_cell(cell, column.kind) {
                BinaryCell::Null => writer.write_col(None::<&str>)?,
                BinaryCell::Integer(value) => writer.write_col(value)?,
                BinaryCell::Float(value) => writer.write_col(value)?,
                BinaryCell::Double(value) => writer.write_col(value)?,
                BinaryCell::Bytes(bytes) => writer.write_col(bytes)?,
            }
        }
        writer.end_row().await?;
    }
    writer.finish().await
}

#[async_trait]
impl<W> AsyncMysqlShim<W> for Shim
where
    W: AsyncWrite + Send + Unpin,
{
    type Error = io::Error;

    fn version(&self) -> String {
        SERVER_VERSION.to_owned()
    }

    fn connect_id(&self) -> u32 {
        self.session.connection_id()
    }

    fn salt(&self) -> [u8; 20] {
        self.salt
    }

    async fn authenticate(
        &self,
        _plugin: &str,
        username: &[u8],
        salt: &[u8],
        auth_data: &[u8],
    ) -> bool {
        let user = String::from_utf8_lossy(username).into_owned();
        let known = self.session.password_of(&user);
        let proven = known.is_some_and(|password| proves(&password, salt, auth_data));
        if proven {
            *self
                .user
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(user);
        } else {
            let using = if auth_data.is_empty() { "NO" } else { "YES" };
            self.denial.set(format!(
                "Access denied for user '{user}@127.0.0.1' (using password: {using})"
            ));
        }
        proven
    }

    async fn on_prepare<'a>(
        &'a mut self,
        query: &'a str,
        info: StatementMetaWriter<'a, W>,
    ) -> Result<(), io::Error> {
        self.begin().await;
        let places = match params::places(query) {
            Ok(places) if self.prepared.len() < MAX_PREPARED => Ok(places),
            Ok(_) => Err(SqlError::analysis(
                "too many prepared statements on this connection",
            )),
            Err(error) => Err(error),
        };
        let described = match places {
            Ok(places) => {
                let nulls = vec!["NULL".to_owned(); places.len()];
                let text = params::fill(query, &places, &nulls);
                self.session()
                    .describe(&text)
                    .await
                    .map(|answer| (places, answer))
            }
            Err(error) => Err(error),
        };
        let (places, answer) = match described {
            Ok(described) => described,
            Err(error) => {
                return info
                    .error(error_kind(&error), error.to_string().as_bytes())
                    .await;
            }
        };
        let id = self.next_statement;
        self.next_statement += 1;
        // Doris types every parameter as STRING.
        let mut defined: Vec<_> = (0..places.len())
            .map(|at| ResultColumn {
                name: format!("${at}"),
                kind: ColumnKind::String,
            })
            .collect();
        let parameters = definition::columns(&defined);
        let columns = definition::columns(&answer);
        self.prepared.insert(
            id,
            Prepared {
                text: query.to_owned(),
                places,
            },
        );
        defined.extend(answer);
        self.definitions.expect(&defined);
        info.reply(id, &parameters, &columns).await
    }

    async fn on_execute<'a>(
        &'a mut self,
        id: u32,
        params: ParamParser<'a>,
        results: QueryResultWriter<'a, W>,
    ) -> Result<(), io::Error> {
        let Some(prepared) = self.prepared.get(&id) else {
            let error = SqlError::analysis("unknown prepared statement");
            return send_error(&error, &self.denial, results).await;
        };
        let literals: Vec<String> = params.into_iter().map(params::literal).collect();
        let text = params::fill(&prepared.text, &prepared.places, &literals);
        match self.run_to_last(&text).await? {
            Ok(answer) => {
                send_answer(answer, true, &self.capabilities, &self.definitions, results).await
            }
            Err(error) => send_error(&error, &self.denial, results).await,
        }
    }

    async fn on_close<'a>(&'a mut self, stmt: u32)
    where
        W: 'async_trait,
    {
        self.prepared.remove(&stmt);
    }

    async fn on_query<'a>(
        &'a mut self,
        query: &'a str,
        results: QueryResultWriter<'a, W>,
    ) -> Result<(), io::Error> {
        if self.capabilities.multi_statements() {
            let answers = self.run(query).await?;
            let kept = (&self.definitions, &self.denial);
            return send_each(answers, &self.capabilities, kept, results).await;
        }
        match self.run_to_last(query).await? {
            Ok(answer) => {
                send_answer(
                    answer,
                    false,
                    &self.capabilities,
                    &self.definitions,
                    results,
                )
                .await
            }
            Err(error) => send_error(&error, &self.denial, results).await,
        }
    }

    async fn on_init<'a>(
        &'a mut self,
        db: &'a str,
        writer: InitWriter<'a, W>,
    ) -> Result<(), io::Error> {
        self.begin().await;
        match self.session().use_db(db) {
            Ok(()) => writer.ok().await,
            Err(error) => {
                writer
                    .error(error_kind(&error), error.to_string().as_bytes())
                    .await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_proven_without_being_told() {
        let salt = salt(1, 2);
        let once = Sha1::digest(b"secret");
        let mask = Sha1::new()
            .chain_update(salt)
            .chain_update(Sha1::digest(once))
            .finalize();
        let proof: Vec<u8> = once
            .iter()
            .zip(mask)
            .map(|(own, mask)| own ^ mask)
            .collect();
        assert!(proves("secret", &salt, &proof));
        assert!(!proves("other", &salt, &proof));
        assert!(!proves("", &salt, &proof));
        assert!(!proves("secret", &salt, &[]));
        assert!(proves("", &salt, &[]));
    }
}
