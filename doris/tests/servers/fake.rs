//! Servers that answer as a test tells them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccr_doris::cluster::FrontendAddress;
use ccr_doris::{ClusterAddress, DorisCluster, Settings, Timeouts};
use ccr_ops::Secret;
use dorisim_mysql::{Column, ColumnType, Refusal, Reply, Service};
use thrift::protocol::{
    TBinaryOutputProtocol, TFieldIdentifier, TMessageIdentifier, TMessageType, TOutputProtocol,
    TSerializable, TType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a Thrift server does with one call.
pub enum Reaction {
    /// Answers with these bytes.
    Send(Vec<u8>),
    /// Answers with these bytes, then closes.
    SendAndClose(Vec<u8>),
    /// Answers with these bytes in pieces, with pauses between them.
    SendSlowly(Vec<u8>, usize, Duration),
    /// Closes.
    Close,
    /// Never answers.
    Hang,
}

/// One call as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub sequence: i32,
    pub bytes: Vec<u8>,
    /// Number of the connection.
    pub connection: usize,
}

type Script = dyn Fn(&Seen, usize) -> Reaction + Send + Sync;

/// A Thrift server. Dropping it closes its port and all connections.
pub struct Thrift {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: JoinHandle<()>,
}

impl Thrift {
    /// `script` is given the call and how many calls there were before.
    pub async fn start(script: impl Fn(&Seen, usize) -> Reaction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let calls = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    break;
                };
                serving.spawn(serve(
                    stream,
                    connection,
                    Arc::clone(&script),
                    Arc::clone(&calls),
                ));
            }
        });
        Self {
            port,
            seen,
            accepting,
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Methods called, in order.
    pub fn methods(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.method).collect()
    }
}

impl Drop for Thrift {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: Arc<Script>,
    calls: Arc<Mutex<Vec<Seen>>>,
) {
    let mut buffer = vec![0; 1 << 20];
    loop {
        // Requests of these tests fit one segment.
        let length = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        let bytes = buffer[..length].to_vec();
        assert_eq!(bytes[..4], [0x80, 1, 0, 1], "a strict call");
        let name = usize::try_from(u32::from_be_bytes(bytes[4..8].try_into().unwrap())).unwrap();
        let seen = Seen {
            method: String::from_utf8(bytes[8..8 + name].to_vec()).unwrap(),
            sequence: i32::from_be_bytes(bytes[8 + name..12 + name].try_into().unwrap()),
            bytes,
            connection,
        };
        let before = {
            let mut calls = calls.lock().unwrap();
            calls.push(seen.clone());
            calls.len() - 1
        };
        match script(&seen, before) {
            Reaction::Send(answer) => stream.write_all(&answer).await.unwrap(),
            Reaction::SendAndClose(answer) => {
                let _ = stream.write_all(&answer).await;
                return;
            }
            Reaction::SendSlowly(answer, pieces, pause) => {
                for piece in answer.chunks(answer.len().div_ceil(pieces)) {
                    stream.write_all(piece).await.unwrap();
                    tokio::time::sleep(pause).await;
                }
            }
            Reaction::Close => return,
            Reaction::Hang => std::future::pending().await,
        }
    }
}

/// The answer with a value.
pub fn value<T: TSerializable>(seen: &Seen, value: &T) -> Reaction {
    Reaction::Send(value_bytes(seen, value))
}

/// Bytes of the answer with a value.
pub fn value_bytes<T: TSerializable>(seen: &Seen, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    let head = TMessageIdentifier::new(&*seen.method, TMessageType::Reply, seen.sequence);
    output.write_message_begin(&head).unwrap();
    let field = TFieldIdentifier::new("success", TType::Struct, 0);
    output.write_field_begin(&field).unwrap();
    value.write_to_out_protocol(&mut output).unwrap();
    output.write_field_stop().unwrap();
    bytes
}

/// The answer of a server that does not know the method.
pub fn unknown_method(seen: &Seen) -> Reaction {
    let mut bytes = Vec::new();
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    let head = TMessageIdentifier::new(&*seen.method, TMessageType::Exception, seen.sequence);
    output.write_message_begin(&head).unwrap();
    let error = thrift::ApplicationError::new(
        thrift::ApplicationErrorKind::UnknownMethod,
        format!("Invalid method name: '{}'", seen.method),
    );
    thrift::Error::write_application_error_to_out_protocol(&error, &mut output).unwrap();
    Reaction::Send(bytes)
}

/// Rows, or an error code with its text.
pub type Sql = Result<Vec<BTreeMap<&'static str, String>>, (u16, &'static str)>;

type SqlScript = dyn Fn(&str) -> Sql + Send + Sync;

/// A MySQL server. Dropping it closes its port and all sessions.
pub struct MySql {
    pub port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl MySql {
    pub async fn start(script: impl Fn(&str) -> Sql + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let client = Client {
            script: Arc::new(script),
            seen: Arc::clone(&seen),
        };
        let accepting = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                serving.spawn(dorisim_mysql::serve(stream, client.clone()));
            }
        });
        Self {
            port,
            seen,
            accepting,
        }
    }

    /// Statements, in order.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for MySql {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone)]
struct Client {
    script: Arc<SqlScript>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Service for Client {
    fn version(&self) -> String {
        "5.7.99".to_owned()
    }

    fn connection_id(&self) -> u32 {
        8
    }

    fn salt(&self) -> [u8; 20] {
        *b"abcdefghijklmnopqrst"
    }

    fn log_in(&mut self, _: &str, _: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }

    async fn use_database(&mut self, name: &str) -> Result<(), Refusal> {
        self.seen.lock().unwrap().push(format!("USE {name}"));
        Ok(())
    }

    async fn query(&mut self, sql: &str) -> std::io::Result<Vec<Reply>> {
        self.seen.lock().unwrap().push(sql.to_owned());
        if sql.starts_with("USE ") {
            return Ok(vec![Reply::nothing()]);
        }
        if sql.contains("CUT") {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        if sql.contains("HANG") {
            std::future::pending::<()>().await;
        }
        let rows = match (self.script)(sql) {
            Ok(rows) => rows,
            Err((code, text)) => return Ok(vec![Reply::Refused(Refusal::new(code, text))]),
        };
        let Some(first) = rows.first() else {
            return Ok(vec![Reply::nothing()]);
        };
        let text =
            |name: &&str| Column::new(ColumnType::MYSQL_TYPE_VAR_STRING).with_name(name.as_bytes());
        Ok(vec![Reply::Rows {
            columns: first.keys().map(text).collect(),
            rows: rows
                .iter()
                .map(|row| row.values().cloned().map(Some).collect())
                .collect(),
        }])
    }
}

/// A port on which nobody listens.
pub async fn dead_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Bounds short enough for tests.
pub fn settings() -> Settings {
    Settings {
        timeouts: Timeouts {
            connect: Duration::from_millis(500),
            call: Duration::from_millis(500),
            commit: Duration::from_millis(500),
            snapshot: Duration::from_millis(500),
            ingest: Duration::from_millis(500),
            answer: Duration::from_secs(3),
            statement: Duration::from_millis(500),
        },
        ..Settings::default()
    }
}

/// An address of FEs given as `(thrift port, query port)`.
pub fn address(frontends: &[(u16, u16)]) -> ClusterAddress {
    ClusterAddress {
        cluster_id: None,
        frontends: frontends
            .iter()
            .map(|(thrift_port, query_port)| FrontendAddress {
                host: "127.0.0.1".to_owned(),
                query_port: *query_port,
                thrift_port: *thrift_port,
            })
            .collect(),
        user: "root".to_owned(),
        password: Secret::new("hidden-password".to_owned()),
        host_mapping: BTreeMap::from([("fe-internal".to_owned(), "127.0.0.1".to_owned())]),
    }
}

/// A client of these FEs.
pub fn client(frontends: &[(u16, u16)]) -> DorisCluster {
    DorisCluster::with_settings(address(frontends), settings())
}
