//! The commands of a client, one after the other.

use std::collections::HashMap;
use std::io;

use mysql_common::constants::{CapabilityFlags, Command};
use mysql_common::packets::Column;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::encode;
use crate::handshake::shake_hands;
use crate::packets::{Packets, invalid};
use crate::parameters::Statement;
use crate::service::{Refusal, Reply, Row, Service};

/// Prepared statements per connection; one more is refused.
const MAX_PREPARED: usize = 1_000;

const QUIT: u8 = Command::COM_QUIT as u8;
const INIT_DB: u8 = Command::COM_INIT_DB as u8;
const QUERY: u8 = Command::COM_QUERY as u8;
const FIELD_LIST: u8 = Command::COM_FIELD_LIST as u8;
const STATISTICS: u8 = Command::COM_STATISTICS as u8;
const PING: u8 = Command::COM_PING as u8;
const PREPARE: u8 = Command::COM_STMT_PREPARE as u8;
const EXECUTE: u8 = Command::COM_STMT_EXECUTE as u8;
const LONG_DATA: u8 = Command::COM_STMT_SEND_LONG_DATA as u8;
const CLOSE: u8 = Command::COM_STMT_CLOSE as u8;
const STMT_RESET: u8 = Command::COM_STMT_RESET as u8;
const SET_OPTION: u8 = Command::COM_SET_OPTION as u8;
const RESET: u8 = Command::COM_RESET_CONNECTION as u8;

/// Speaks with one client until it leaves, is refused, or the service closes the connection.
///
/// # Errors
/// The stream fails, the client breaks the protocol, or an error of the service.
pub async fn serve<T, S>(stream: T, mut service: S) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
    S: Service,
{
    let mut packets = Packets::new(stream);
    let Some(capabilities) = shake_hands(&mut packets, &mut service).await? else {
        return Ok(());
    };
    let mut connection = Connection {
        packets,
        service,
        many: capabilities.contains(CapabilityFlags::CLIENT_MULTI_STATEMENTS),
        statements: HashMap::new(),
        next: 1,
    };
    while let Some(packet) = connection.packets.command().await? {
        let (command, body) = packet
            .split_first()
            .ok_or_else(|| invalid("an empty command"))?;
        if *command == QUIT {
            break;
        }
        connection.obey(*command, body).await?;
        connection.packets.flush().await?;
    }
    Ok(())
}

/// Form of the rows of a reply.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Binary,
}

struct Connection<T, S> {
    packets: Packets<T>,
    service: S,
    /// The client takes a result per statement.
    many: bool,
    statements: HashMap<u32, Statement>,
    /// Id of the next prepared statement.
    next: u32,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send, S: Service> Connection<T, S> {
    async fn obey(&mut self, command: u8, body: &[u8]) -> io::Result<()> {
        match command {
            QUERY => match std::str::from_utf8(body) {
                Ok(text) => {
                    let replies = self.service.query(text).await?;
                    self.answer(replies, Form::Text).await
                }
                Err(_) => self.refuse(&not_utf8()).await,
            },
            INIT_DB => {
                let name = String::from_utf8_lossy(body);
                match self.service.use_database(&name).await {
                    Ok(()) => self.done().await,
                    Err(refusal) => self.refuse(&refusal).await,
                }
            }
            PING => self.done().await,
            // Names of columns for completion; Doris answers none.
            FIELD_LIST => self.packets.write(&encode::eof(false)).await,
            STATISTICS => self.packets.write(b"Uptime: 0").await,
            SET_OPTION => {
                // 0 switches several statements per text on, 1 off.
                self.many = body.first() == Some(&0);
                self.packets.write(&encode::eof(false)).await
            }
            RESET => {
                self.statements.clear();
                self.service.reset().await;
                self.done().await
            }
            PREPARE => self.prepare(body).await,
            EXECUTE => self.execute(body).await,
            LONG_DATA => {
                let (statement, rest) = self.statement(body)?;
                let (parameter, data) = rest.split_first_chunk().ok_or_else(too_short)?;
                // There is no answer to it.
                statement.append(usize::from(u16::from_le_bytes(*parameter)), data)
            }
            STMT_RESET => {
                let (statement, _) = self.statement(body)?;
                statement.forget();
                self.done().await
            }
            CLOSE => {
                let (id, _) = body.split_first_chunk().ok_or_else(too_short)?;
                // There is no answer to it.
                self.statements.remove(&u32::from_le_bytes(*id));
                Ok(())
            }
            _ => self.refuse(&Refusal::new(1047, "Unknown command")).await,
        }
    }

    async fn done(&mut self) -> io::Result<()> {
        self.packets.write(&encode::ok(0, "", false)).await
    }

    async fn refuse(&mut self, refusal: &Refusal) -> io::Result<()> {
        self.packets.write(&encode::error(refusal)).await
    }

    /// The prepared statement whose id begins `body`, and what comes after the id.
    fn statement<'a>(&mut self, body: &'a [u8]) -> io::Result<(&mut Statement, &'a [u8])> {
        let (id, rest) = body.split_first_chunk().ok_or_else(too_short)?;
        let statement = self.statements.get_mut(&u32::from_le_bytes(*id));
        let statement = statement.ok_or_else(|| invalid("an unknown prepared statement"))?;
        Ok((statement, rest))
    }

    async fn prepare(&mut self, body: &[u8]) -> io::Result<()> {
        let Ok(text) = std::str::from_utf8(body) else {
            return self.refuse(&not_utf8()).await;
        };
        if self.statements.len() >= MAX_PREPARED {
            let refusal = "too many prepared statements on this connection";
            return self.refuse(&Refusal::new(1461, refusal)).await;
        }
        let prepared = match self.service.prepare(text).await {
            Ok(prepared) => prepared,
            Err(refusal) => return self.refuse(&refusal).await,
        };
        let (parameters, columns) = (prepared.parameters.len(), prepared.columns.len());
        let (Ok(some), Ok(width)) = (u16::try_from(parameters), u16::try_from(columns)) else {
            let refusal = "a prepared statement has too many parameters or columns";
            return self.refuse(&Refusal::new(1390, refusal)).await;
        };
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let statement = Statement::new(text.to_owned(), parameters);
        self.statements.insert(id, statement);
        self.packets
            .write(&encode::prepared(id, width, some))
            .await?;
        for defined in [prepared.parameters, prepared.columns] {
            if !defined.is_empty() {
                self.define(&defined).await?;
            }
        }
        Ok(())
    }

    async fn execute(&mut self, body: &[u8]) -> io::Result<()> {
        let (id, rest) = body.split_first_chunk().ok_or_else(too_short)?;
        // Flags of cursors, which are never opened, and a count that is always 1.
        let rest = rest.get(5..).ok_or_else(too_short)?;
        let Some(statement) = self.statements.get_mut(&u32::from_le_bytes(*id)) else {
            let refusal = Refusal::new(1243, "unknown prepared statement");
            return self.refuse(&refusal).await;
        };
        let values = statement.values(rest)?;
        statement.forget();
        let replies = self.service.execute(&statement.text, values).await?;
        self.answer(replies, Form::Binary).await
    }

    /// Sends the replies to a text, or the last one.
    async fn answer(&mut self, mut replies: Vec<Reply>, form: Form) -> io::Result<()> {
        let all = self.many && matches!(form, Form::Text);
        if !all {
            replies.drain(..replies.len().saturating_sub(1));
        }
        if replies.is_empty() {
            return self.done().await;
        }
        let last = replies.len() - 1;
        for (at, reply) in replies.into_iter().enumerate() {
            let more = at < last;
            match reply {
                Reply::Done {
                    affected_rows,
                    info,
                } => {
                    let ok = encode::ok(affected_rows, &info, more);
                    self.packets.write(&ok).await?;
                }
                Reply::Rows { columns, rows } => self.rows(&columns, &rows, form, more).await?,
                Reply::Refused(refusal) => return self.refuse(&refusal).await,
            }
        }
        Ok(())
    }

    async fn rows(
        &mut self,
        columns: &[Column],
        rows: &[Row],
        form: Form,
        more: bool,
    ) -> io::Result<()> {
        self.packets.write(&encode::count(columns.len())).await?;
        self.define(columns).await?;
        for row in rows {
            let body = match form {
                Form::Text => encode::text_row(row),
                Form::Binary => encode::binary_row(columns, row),
            };
            self.packets.write(&body).await?;
        }
        self.packets.write(&encode::eof(more)).await
    }

    /// Definitions of columns and their end.
    async fn define(&mut self, columns: &[Column]) -> io::Result<()> {
        for column in columns {
            self.packets.write(&encode::definition(column)).await?;
        }
        self.packets.write(&encode::eof(false)).await
    }
}

fn too_short() -> io::Error {
    invalid("a command that lacks its end")
}

fn not_utf8() -> Refusal {
    Refusal::new(1300, "a statement is not UTF-8")
}
