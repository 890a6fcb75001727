//! What a server has to know and do: [`Service`], and the replies that it gives.

use std::future::{Future, ready};
use std::io;

use mysql_common::packets::Column;
use mysql_common::value::Value;

/// A row as text, a cell per column; NULL is `None`. Binary rows are made from it by the types of the columns.
pub type Row = Vec<Option<String>>;

/// An error packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Number of MySQL or Doris.
    pub code: u16,
    /// Text for the user.
    pub message: String,
}

impl Refusal {
    /// Makes an error packet; the SQL state follows from the number.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Returns the SQL state that MySQL has for the number, `HY000` for others.
    pub(crate) fn state(&self) -> [u8; 5] {
        *match self.code {
            1044 | 1049 | 1064 | 1142 | 1227 => b"42000",
            1045 => b"28000",
            1046 => b"3D000",
            1047 => b"08S01",
            1050 => b"42S01",
            1051 | 1146 => b"42S02",
            1054 => b"42S22",
            1136 => b"21S01",
            _ => b"HY000",
        }
    }
}

/// The outcome of one statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// An OK packet.
    Done {
        /// Rows that were changed.
        affected_rows: u64,
        /// Text for the user; may be empty.
        info: String,
    },
    /// Rows.
    Rows {
        /// Their columns.
        columns: Vec<Column>,
        /// The rows, as long as the columns each.
        rows: Vec<Row>,
    },
    /// A failure. Nothing comes after it.
    Refused(Refusal),
}

impl Reply {
    /// An OK packet without a text.
    #[must_use]
    pub fn nothing() -> Self {
        Self::Done {
            affected_rows: 0,
            info: String::new(),
        }
    }
}

/// What a prepared statement takes and returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// A column per parameter.
    pub parameters: Vec<Column>,
    /// Columns of the rows; empty when it returns none or they are not known yet.
    pub columns: Vec<Column>,
}

/// The session of one client. An `Err` of type [`io::Error`] closes the connection without a packet.
pub trait Service: Send {
    /// Returns the version of the greeting.
    fn version(&self) -> String;

    /// Returns the id of the connection.
    fn connection_id(&self) -> u32;

    /// Returns 20 bytes without NUL and `$`, different for each connection and constant within one.
    fn salt(&self) -> [u8; 20];

    /// Lets a user in or refuses. `proof` is checked with [`crate::proves`].
    ///
    /// # Errors
    /// Unknown user, wrong password.
    fn log_in(&mut self, user: &str, proof: &[u8]) -> Result<(), Refusal>;

    /// Selects a database (COM_INIT_DB, and the one of the handshake).
    fn use_database(&mut self, name: &str) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Runs the statements of a text (COM_QUERY). Without replies the client gets an OK packet. A client that takes one
    /// result per text gets the last reply only.
    fn query(&mut self, text: &str) -> impl Future<Output = io::Result<Vec<Reply>>> + Send;

    /// Describes a statement with parameters (COM_STMT_PREPARE).
    fn prepare(&mut self, _text: &str) -> impl Future<Output = Result<Prepared, Refusal>> + Send {
        ready(Err(Refusal::new(
            1295,
            "prepared statements are not supported",
        )))
    }

    /// Runs a prepared statement (COM_STMT_EXECUTE). The client gets the last reply.
    fn execute(
        &mut self,
        _text: &str,
        _parameters: Vec<Value>,
    ) -> impl Future<Output = io::Result<Vec<Reply>>> + Send {
        let refused = Refusal::new(1295, "prepared statements are not supported");
        ready(Ok(vec![Reply::Refused(refused)]))
    }

    /// Puts the session back to its start (COM_RESET_CONNECTION).
    fn reset(&mut self) -> impl Future<Output = ()> + Send {
        ready(())
    }
}
