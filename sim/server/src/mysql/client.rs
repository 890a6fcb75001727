//! One client: its session behind the protocol, under the faults of `sql.<first word>`.

use std::io;
use std::sync::Arc;

use dorisim_model::SqlError;
use dorisim_mysql::{Prepared, Refusal, Reply, Service, Value, proves};
use dorisim_net::faults::{Faults, Verdict, statement_call};
use dorisim_query::{ColumnKind, ResultColumn};
use md5::{Digest, Md5};

use super::answer::Answer;
use super::definition;
use super::params;
use super::session::SqlSession;
use super::shared::SERVER_VERSION;

/// Number of errors that have none of their own.
const ANY_ERROR: u16 = 1105;

pub(super) struct Client {
    session: SqlSession,
    faults: Arc<Faults>,
    salt: [u8; 20],
}

impl Client {
    pub(super) fn new(session: SqlSession, faults: Arc<Faults>) -> Self {
        let salt = salt(session.connection_id(), session.now_ms());
        Self {
            session,
            faults,
            salt,
        }
    }

    /// Runs statements under their faults.
    ///
    /// # Errors
    /// A fault that closes the connection; the statement's own failure is the last reply.
    async fn run(&mut self, text: &str) -> io::Result<Vec<Reply>> {
        let cut = || io::Error::from(io::ErrorKind::ConnectionReset);
        match self.faults.before(&statement_call(text), None).await {
            Verdict::Proceed | Verdict::Truncate { .. } | Verdict::Corrupt => {
                let (answers, error) = self.session.execute_each(text).await;
                let mut replies: Vec<Reply> = answers.into_iter().map(reply).collect();
                if let Some(error) = error {
                    let code = error.wire_code(text);
                    replies.push(Reply::Refused(Refusal::new(code, error.to_string())));
                }
                Ok(replies)
            }
            Verdict::Fail { code, message } => {
                let code = code.and_then(|code| u16::try_from(code).ok());
                let error = SqlError::new(code.unwrap_or(ANY_ERROR), message);
                Ok(vec![Reply::Refused(refusal(&error))])
            }
            Verdict::ResetBefore | Verdict::Garbage => Err(cut()),
            Verdict::ResetAfter => {
                // The client must not learn the outcome.
                let _ = self.session.execute(text).await;
                Err(cut())
            }
        }
    }
}

fn refusal(error: &SqlError) -> Refusal {
    Refusal::new(error.code, error.to_string())
}

fn reply(answer: Answer) -> Reply {
    match answer {
        Answer::Done(outcome) => Reply::Done {
            affected_rows: outcome.affected_rows,
            info: outcome.info,
        },
        Answer::Rows(answer) => Reply::Rows {
            columns: definition::columns(&answer.columns),
            rows: answer.rows,
        },
    }
}

/// Printable bytes without NUL and `$`, different for every connection.
fn salt(connection: u32, now_ms: i64) -> [u8; 20] {
    let digest = hex::encode(Md5::digest(format!("{connection}/{now_ms}")));
    let mut salt = [b'x'; 20];
    salt.copy_from_slice(&digest.as_bytes()[..20]);
    salt
}

impl Service for Client {
    fn version(&self) -> String {
        SERVER_VERSION.to_owned()
    }

    fn connection_id(&self) -> u32 {
        self.session.connection_id()
    }

    fn salt(&self) -> [u8; 20] {
        self.salt
    }

    fn log_in(&mut self, user: &str, proof: &[u8]) -> Result<(), Refusal> {
        let known = self.session.password_of(user);
        if known.is_some_and(|password| proves(&password, &self.salt, proof)) {
            self.session.set_user(user.to_owned());
            return Ok(());
        }
        let using = if proof.is_empty() { "NO" } else { "YES" };
        Err(Refusal::new(
            1045,
            format!("Access denied for user '{user}@127.0.0.1' (using password: {using})"),
        ))
    }

    async fn use_database(&mut self, name: &str) -> Result<(), Refusal> {
        self.session.use_db(name).map_err(|error| refusal(&error))
    }

    async fn query(&mut self, text: &str) -> io::Result<Vec<Reply>> {
        self.run(text).await
    }

    async fn prepare(&mut self, text: &str) -> Result<Prepared, Refusal> {
        let refused = |error: SqlError| refusal(&error);
        let places = params::places(text).map_err(refused)?;
        let nulls = vec!["NULL".to_owned(); places.len()];
        let filled = params::fill(text, &places, &nulls);
        let columns = self.session.describe(&filled).await.map_err(refused)?;
        // Doris types every parameter as STRING.
        let parameter = |at| {
            definition::column(&ResultColumn {
                name: format!("${at}"),
                kind: ColumnKind::String,
            })
        };
        Ok(Prepared {
            parameters: (0..places.len()).map(parameter).collect(),
            columns: definition::columns(&columns),
        })
    }

    async fn execute(&mut self, text: &str, parameters: Vec<Value>) -> io::Result<Vec<Reply>> {
        let places = match params::places(text) {
            Ok(places) => places,
            Err(error) => return Ok(vec![Reply::Refused(refusal(&error))]),
        };
        let literals: Vec<String> = parameters.into_iter().map(params::literal).collect();
        self.run(&params::fill(text, &places, &literals)).await
    }

    async fn reset(&mut self) {
        self.session.reset().await;
    }
}
