//! MySQL sessions on FEs: bounded, kept between statements, dropped when anything went wrong on them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ccr_ops::{Clock, Secret};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Opts, OptsBuilder, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::cluster::{ClusterAddress, Interruptions, Settings};
use crate::error::Error;
use crate::hosts::Endpoint;
use crate::rpc::Failure;
use crate::sql::Row;
use crate::{ddl, metrics, status};

/// Longest packet, the most that the library allows.
const MAX_PACKET: usize = 1 << 30;

/// Given to the library so that it does not ask the server. Sessions that the server closed are noticed when used.
const WAIT_TIMEOUT_SECONDS: usize = 8 * 3600;

/// Characters of a statement that are shown in errors.
const SHOWN: usize = 120;

/// Whether a statement may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Changes something.
    Execute,
    /// Reads.
    Query,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Query => "query",
        }
    }
}

/// A statement and where it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement<'a> {
    pub endpoint: &'a Endpoint,
    pub database: Option<&'a str>,
    pub sql: &'a str,
    pub kind: Kind,
}

/// Sessions on any number of FEs.
pub(crate) struct Sessions {
    user: String,
    password: Secret,
    settings: Settings,
    clock: Arc<dyn Clock>,
    interruptions: Interruptions,
    servers: Mutex<HashMap<Endpoint, Arc<Server>>>,
}

struct Server {
    permits: Semaphore,
    idle: Mutex<Vec<Conn>>,
}

impl Sessions {
    pub(crate) fn new(
        address: &ClusterAddress,
        settings: Settings,
        clock: Arc<dyn Clock>,
        interruptions: Interruptions,
    ) -> Self {
        Self {
            interruptions,
            user: address.user.clone(),
            password: address.password.clone(),
            settings,
            clock,
            servers: Mutex::new(HashMap::new()),
        }
    }

    /// Runs a statement and returns its rows, of which there are none when it has no result.
    pub(crate) async fn run(&self, statement: Statement<'_>) -> Result<Vec<Row>, Failure> {
        let begin = self.clock.monotonic();
        let result = self.run_unmeasured(statement).await;
        let took = self.clock.monotonic().saturating_sub(begin);
        let error = result.as_ref().err().map(|failure| &failure.error);
        if let Some(Error::Connection { .. } | Error::Timeout { .. }) = error {
            self.interruptions.note();
        }
        metrics::observe_call(statement.kind.as_str(), error, took);
        result
    }

    async fn run_unmeasured(&self, statement: Statement<'_>) -> Result<Vec<Row>, Failure> {
        let bound = match statement.kind {
            Kind::Execute => self.settings.timeouts.statement,
            Kind::Query => self.settings.timeouts.call,
        };
        let server = self.server(statement.endpoint);
        let _permit = timeout(bound, server.permits.acquire())
            .await
            .map_err(|_| statement.timed_out(bound, false))?
            .map_err(|closed| statement.broken(closed.into(), false))?;

        let mut session = self.open(&server, statement).await?;
        let ran = timeout(bound, rows_with_switch(&mut session, statement.sql))
            .await
            .map_err(|_| statement.timed_out(bound, true))?;
        if matches!(ran, Ok(_) | Err(mysql_async::Error::Server(_))) {
            server.keep(session, self.settings.max_sessions);
        }
        ran.map_err(|error| statement.failed(error, true))
    }

    /// A session in the statement's database that is known to live.
    async fn open(&self, server: &Server, statement: Statement<'_>) -> Result<Conn, Failure> {
        let bound = self.settings.timeouts.connect;
        while let Some(mut kept) = server.take() {
            match timeout(bound, enter(&mut kept, statement.database)).await {
                Ok(Ok(())) => return Ok(kept),
                Ok(Err(error @ mysql_async::Error::Server(_))) => {
                    server.keep(kept, self.settings.max_sessions);
                    return Err(statement.failed(error, false));
                }
                // The server closed it meanwhile.
                Ok(Err(_)) => self.interruptions.note(),
                Err(_) => return Err(statement.timed_out(bound, false)),
            }
        }
        let opening = async {
            let mut fresh = Conn::new(self.options(statement.endpoint)).await?;
            enter(&mut fresh, statement.database).await?;
            Ok(fresh)
        };
        timeout(bound, opening)
            .await
            .map_err(|_| statement.timed_out(bound, false))?
            .map_err(|error| statement.failed(error, false))
    }

    fn options(&self, endpoint: &Endpoint) -> Opts {
        // Everything that the library would ask the server is given: FEs do not know all of its variables.
        OptsBuilder::default()
            .ip_or_hostname(endpoint.host.clone())
            .tcp_port(endpoint.port)
            .user(Some(self.user.clone()))
            .pass(Some(self.password.expose().clone()))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .prefer_socket(false)
            .max_allowed_packet(Some(MAX_PACKET))
            .wait_timeout(Some(WAIT_TIMEOUT_SECONDS))
            .stmt_cache_size(0)
            .into()
    }

    fn server(&self, endpoint: &Endpoint) -> Arc<Server> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let server = servers.entry(endpoint.clone()).or_insert_with(|| {
            Arc::new(Server {
                permits: Semaphore::new(self.settings.max_sessions),
                idle: Mutex::new(Vec::new()),
            })
        });
        Arc::clone(server)
    }
}

impl Server {
    fn take(&self) -> Option<Conn> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    fn keep(&self, session: Conn, most: usize) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < most {
            idle.push(session);
        }
    }
}

/// Chooses the database; without one, finds out whether the session is alive.
async fn enter(session: &mut Conn, database: Option<&str>) -> Result<(), mysql_async::Error> {
    match database {
        Some(database) => {
            session
                .query_drop(format!("USE {}", ddl::ident(database)))
                .await
        }
        None => session.ping().await,
    }
}

/// Session variables without which Doris refuses definitions that it gave out itself, in SHOW CREATE TABLE or its binlog.
const SWITCHES: [&str; 3] = [
    "enable_decimal256",
    "enable_agg_state",
    "enable_variant_flatten_nested",
];

/// The switch that a refusal asks for.
fn switch_wanted(refusal: &str) -> Option<&'static str> {
    SWITCHES
        .into_iter()
        .find(|name| refusal.contains(name) && refusal.contains("true"))
}

/// Runs a statement; one that is refused for want of a switch had no effect and is run again with it.
async fn rows_with_switch(session: &mut Conn, sql: &str) -> Result<Vec<Row>, mysql_async::Error> {
    let refused = match rows_of(session, sql).await {
        Err(mysql_async::Error::Server(refused)) => refused,
        other => return other,
    };
    let Some(switch) = switch_wanted(&refused.message) else {
        return Err(mysql_async::Error::Server(refused));
    };
    session.query_drop(format!("SET {switch} = true")).await?;
    rows_of(session, sql).await
}

async fn rows_of(session: &mut Conn, sql: &str) -> Result<Vec<Row>, mysql_async::Error> {
    let mut result = session.query_iter(sql).await?;
    let names: Vec<String> = result
        .columns()
        .iter()
        .flat_map(|columns| columns.iter())
        .map(|column| column.name_str().into_owned())
        .collect();
    let rows: Vec<mysql_async::Row> = result.collect().await?;
    result.drop_result().await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            names
                .iter()
                .cloned()
                .zip(row.unwrap().into_iter().map(text))
                .collect()
        })
        .collect())
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        Value::Date(..) | Value::Time(..) => Some(value.as_sql(true).trim_matches('\'').to_owned()),
    }
}

impl Statement<'_> {
    /// The head of the statement, up to the first value.
    fn shown(self) -> String {
        let head: String = self
            .sql
            .chars()
            .take(SHOWN)
            .take_while(|c| !matches!(c, '\'' | '"'))
            .collect();
        let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
        if head.len() < self.sql.len() {
            format!("{head} ...")
        } else {
            head
        }
    }

    fn failed(self, error: mysql_async::Error, sent: bool) -> Failure {
        match error {
            mysql_async::Error::Server(server) => Failure {
                error: Error::Refused {
                    call: self.shown(),
                    address: self.endpoint.to_string(),
                    code: i64::from(server.code),
                    cause: status::sql_refusal(server.code, &server.message),
                    text: status::cut(&server.message),
                },
                sent,
            },
            error @ (mysql_async::Error::Io(_)
            | mysql_async::Error::Driver(
                DriverError::ConnectionClosed | DriverError::PoolDisconnected,
            )) => self.broken(error.into(), sent),
            error @ (mysql_async::Error::Driver(_)
            | mysql_async::Error::Other(_)
            | mysql_async::Error::Url(_)) => Failure {
                error: Error::Protocol {
                    call: self.shown(),
                    address: self.endpoint.to_string(),
                    text: status::cut(&error.to_string()),
                },
                sent,
            },
        }
    }

    fn broken(self, source: Box<dyn std::error::Error + Send + Sync>, sent: bool) -> Failure {
        Failure {
            error: Error::Connection {
                call: self.shown(),
                address: self.endpoint.to_string(),
                source,
            },
            sent,
        }
    }

    fn timed_out(self, bound: Duration, sent: bool) -> Failure {
        Failure {
            error: Error::Timeout {
                call: self.shown(),
                address: self.endpoint.to_string(),
                seconds: bound.as_secs(),
            },
            sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_show_the_statement_without_its_values() {
        let endpoint = Endpoint::new("fe", 9030);
        let statement = |sql| Statement {
            endpoint: &endpoint,
            database: None,
            sql,
            kind: Kind::Execute,
        };
        assert_eq!(statement("SHOW\n  FRONTENDS").shown(), "SHOW FRONTENDS ...");
        assert_eq!(statement("SHOW FRONTENDS").shown(), "SHOW FRONTENDS");
        assert_eq!(
            statement("SET PASSWORD = PASSWORD('hidden')").shown(),
            "SET PASSWORD = PASSWORD( ..."
        );
        assert!(statement(&"é".repeat(5_000)).shown().len() < 300);
    }

    #[test]
    fn a_refusal_names_the_switch_it_wants() {
        let cases = [
            (
                "errCode = 2, detailMessage = Datatype DecimalV3 with precision 76, which is greater than 38 is disabled by \
                 default. set enable_decimal256 = true to enable it.",
                Some("enable_decimal256"),
            ),
            (
                "errCode = 2, detailMessage = agg state not enable, need set enable_agg_state=true",
                Some("enable_agg_state"),
            ),
            ("errCode = 2, detailMessage = Unknown table 't'", None),
            ("set enable_everything = true", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(switch_wanted(text), wanted, "{text}");
        }
    }

    #[test]
    fn values_become_text() {
        assert_eq!(text(Value::NULL), None);
        assert_eq!(text(Value::Bytes(b"a".to_vec())).as_deref(), Some("a"));
        assert_eq!(text(Value::Bytes(vec![0xff])).as_deref(), Some("\u{fffd}"));
        assert_eq!(text(Value::Int(-1)).as_deref(), Some("-1"));
        let date = Value::Date(2026, 1, 2, 0, 0, 0, 0);
        assert!(text(date).unwrap().starts_with("2026-01-02"));
    }
}
