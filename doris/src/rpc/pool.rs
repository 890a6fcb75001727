//! Connections to servers: bounded per server, opened when needed, dropped when anything went wrong on them.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ccr_ops::Clock;
use thrift::protocol::TSerializable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::message::{self, Answer};
use super::scan::Scan;
use crate::cluster::{Interruptions, Settings};
use crate::error::{Error, Refusal};
use crate::hosts::Endpoint;
use crate::{metrics, status};

/// First size of a buffer for an answer, and the least room before each read.
const READ_CHUNK: usize = 16 * 1024;

/// `TApplicationException` type 1.
const UNKNOWN_METHOD: i64 = 1;

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Method name.
    pub method: &'static str,
    /// Bound from sending to the first byte of the answer, and for every further piece of it: a long answer over a slow
    /// line is not an error as long as it goes on.
    pub timeout: Duration,
    /// What may be done when the connection breaks.
    pub repeat: Repeat,
    /// Who is called.
    pub callee: Callee,
}

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callee {
    /// A frontend: connections that end count as interruptions.
    Frontend,
    /// A backend.
    Backend,
}

/// Whether a call may be sent again when it is not known if the server got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Twice does the same as once.
    Safe,
    /// Only when the server cannot have got it.
    Unsent,
}

/// A failed call, and whether the server can have got it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: Error,
    pub sent: bool,
}

/// Connections to any number of servers.
pub(crate) struct Pool {
    settings: Settings,
    clock: Arc<dyn Clock>,
    interruptions: Interruptions,
    servers: Mutex<HashMap<Endpoint, Arc<Server>>>,
}

struct Server {
    endpoint: Endpoint,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    stream: TcpStream,
    local_ip: String,
    sequence: i32,
}

/// How an exchange on one connection ended badly.
enum Broken {
    /// The request did not leave completely.
    Unsent(io::Error),
    /// The connection ended before the first byte of the answer.
    Unanswered(io::Error),
    /// The connection ended inside the answer.
    Cut(io::Error),
    /// Nothing came, or nothing more.
    Silent,
    /// The bytes are no answer.
    Unreadable(String),
}

impl Pool {
    pub(crate) fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        interruptions: Interruptions,
    ) -> Self {
        Self {
            settings,
            clock,
            interruptions,
            servers: Mutex::new(HashMap::new()),
        }
    }

    /// Calls a server. `build` makes the request and is given the local address by which the server sees us.
    pub(crate) async fn call<Q, A>(
        &self,
        endpoint: &Endpoint,
        call: Call,
        build: &(dyn Fn(&str) -> Q + Send + Sync),
    ) -> Result<A, Failure>
    where
        Q: TSerializable + Send,
        A: TSerializable + Send,
    {
        let begin = self.clock.monotonic();
        let result = self.call_unmeasured(endpoint, call, build).await;
        if let Err(Failure {
            error: Error::Connection { .. } | Error::Timeout { .. },
            ..
        }) = &result
        {
            self.interrupted(call);
        }
        let took = self.clock.monotonic().saturating_sub(begin);
        metrics::observe_call(call.method, result.as_ref().err().map(|f| &f.error), took);
        result
    }

    async fn call_unmeasured<Q, A>(
        &self,
        endpoint: &Endpoint,
        call: Call,
        build: &(dyn Fn(&str) -> Q + Send + Sync),
    ) -> Result<A, Failure>
    where
        Q: TSerializable + Send,
        A: TSerializable + Send,
    {
        let server = self.server(endpoint);
        let _permit = timeout(call.timeout, server.permits.acquire())
            .await
            .map_err(|_| server.timed_out(call, call.timeout, false))?
            .map_err(|closed| server.broken(call, closed.into(), false))?;
        let (mut reused, closed) = server.idle_connection();
        if closed {
            self.interrupted(call);
        }
        loop {
            let was_reused = reused.is_some();
            let mut connection = match reused.take() {
                Some(connection) => connection,
                None => self.connect(&server, call).await?,
            };
            let whole = call.timeout.max(self.settings.timeouts.answer);
            let exchanging = connection.exchange(call, build, self.settings.max_message);
            let exchanged = timeout(whole, exchanging)
                .await
                .map_err(|_| server.timed_out(call, whole, true))?;
            match exchanged {
                Ok((answer, clean)) => {
                    if clean {
                        server.keep(connection);
                    }
                    return server.value(call, answer);
                }
                // A kept connection that the server had closed meanwhile: once more on a fresh one.
                Err(Broken::Unsent(_)) if was_reused => self.interrupted(call),
                Err(Broken::Unanswered(_)) if was_reused && call.repeat == Repeat::Safe => {
                    self.interrupted(call);
                }
                Err(Broken::Unsent(source)) => {
                    return Err(server.broken(call, source.into(), false));
                }
                Err(Broken::Unanswered(source) | Broken::Cut(source)) => {
                    return Err(server.broken(call, source.into(), true));
                }
                Err(Broken::Silent) => return Err(server.timed_out(call, call.timeout, true)),
                Err(Broken::Unreadable(text)) => return Err(server.unreadable(call, text)),
            }
        }
    }

    fn interrupted(&self, call: Call) {
        match call.callee {
            Callee::Frontend => self.interruptions.note(),
            Callee::Backend => {}
        }
    }

    async fn connect(&self, server: &Server, call: Call) -> Result<Connection, Failure> {
        let Endpoint { host, port } = &server.endpoint;
        let connecting = TcpStream::connect((host.as_str(), *port));
        let stream = timeout(self.settings.timeouts.connect, connecting)
            .await
            .map_err(|_| server.timed_out(call, self.settings.timeouts.connect, false))?
            .map_err(|source| server.broken(call, source.into(), false))?;
        let prepare = || {
            stream.set_nodelay(true)?;
            Ok(stream.local_addr()?.ip().to_string())
        };
        let local_ip =
            prepare().map_err(|source: io::Error| server.broken(call, source.into(), false))?;
        Ok(Connection {
            stream,
            local_ip,
            sequence: 0,
        })
    }

    fn server(&self, endpoint: &Endpoint) -> Arc<Server> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let server = servers.entry(endpoint.clone()).or_insert_with(|| {
            Arc::new(Server {
                endpoint: endpoint.clone(),
                permits: Semaphore::new(self.settings.max_connections),
                idle: Mutex::new(Vec::new()),
            })
        });
        Arc::clone(server)
    }
}

impl Server {
    /// A kept connection on which the server has neither closed nor spoken unasked. True when another had ended.
    fn idle_connection(&self) -> (Option<Connection>, bool) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = false;
        while let Some(connection) = idle.pop() {
            let read = connection.stream.try_read(&mut [0; 1]);
            if read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return (Some(connection), ended);
            }
            ended = true;
        }
        (None, ended)
    }

    /// Bounded by the permits: a connection is kept or in use.
    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(connection);
    }

    fn value<A>(&self, call: Call, answer: Answer<A>) -> Result<A, Failure> {
        let (text, cause, code) = match answer {
            Answer::Value(value) => return Ok(value),
            Answer::UnknownMethod(text) => (text, Refusal::UnknownMethod, UNKNOWN_METHOD),
            Answer::Exception(text) => (text, Refusal::Other, 0),
        };
        Err(Failure {
            error: Error::Refused {
                call: call.method.to_owned(),
                address: self.endpoint.to_string(),
                code,
                cause,
                text: status::cut(&text),
            },
            sent: true,
        })
    }

    fn broken(
        &self,
        call: Call,
        source: Box<dyn std::error::Error + Send + Sync>,
        sent: bool,
    ) -> Failure {
        Failure {
            error: Error::Connection {
                call: call.method.to_owned(),
                address: self.endpoint.to_string(),
                source,
            },
            sent,
        }
    }

    fn timed_out(&self, call: Call, bound: Duration, sent: bool) -> Failure {
        Failure {
            error: Error::Timeout {
                call: call.method.to_owned(),
                address: self.endpoint.to_string(),
                seconds: bound.as_secs(),
            },
            sent,
        }
    }

    fn unreadable(&self, call: Call, text: String) -> Failure {
        Failure {
            error: Error::Protocol {
                call: call.method.to_owned(),
                address: self.endpoint.to_string(),
                text,
            },
            sent: true,
        }
    }
}

impl Connection {
    /// Sends a request and reads the whole answer. True with the answer when nothing came behind it.
    async fn exchange<Q: TSerializable, A: TSerializable>(
        &mut self,
        call: Call,
        build: &(dyn Fn(&str) -> Q + Send + Sync),
        max_message: usize,
    ) -> Result<(Answer<A>, bool), Broken> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = message::encode(call.method, self.sequence, &build(&self.local_ip))
            .map_err(|error| Broken::Unsent(io::Error::other(error)))?;
        timeout(call.timeout, self.stream.write_all(&bytes))
            .await
            .map_err(|_| Broken::Silent)?
            .map_err(Broken::Unsent)?;
        drop(bytes);

        let mut answer = Vec::with_capacity(READ_CHUNK);
        let mut scan = Scan::new(max_message);
        loop {
            if answer.capacity() - answer.len() < READ_CHUNK {
                answer.reserve(answer.len().max(READ_CHUNK));
            }
            let nothing_yet = answer.is_empty();
            let broken = |error| match nothing_yet {
                true => Broken::Unanswered(error),
                false => Broken::Cut(error),
            };
            let read = timeout(call.timeout, self.stream.read_buf(&mut answer))
                .await
                .map_err(|_| Broken::Silent)?
                .map_err(broken)?;
            if read == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
            let complete = scan
                .advance(&answer)
                .map_err(|error| Broken::Unreadable(error.to_string()))?;
            if complete {
                break;
            }
        }
        let value = message::decode(call.method, self.sequence, &answer[..scan.length()])
            .map_err(|error| Broken::Unreadable(error.to_string()))?;
        Ok((value, answer.len() == scan.length()))
    }
}
