//! The calling side of Thrift: pooled connections, asynchronous, every call with an end.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use thrift::protocol::{
    TBinaryOutputProtocol, TFieldIdentifier, TInputProtocol, TListIdentifier, TMessageIdentifier,
    TMessageType, TOutputProtocol, TSerializable, TType,
};
use thrift::{TransportErrorKind, protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::protocol::BinaryInput;

/// Connections kept per pool when nothing is under way.
const IDLE_CONNECTIONS: usize = 4;
/// Longest answer that is read.
const MAX_ANSWER: usize = 16 << 20;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens there.
    #[error("connecting to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The connection ended or broke; the call may have taken effect.
    #[error("connection to {address} broke during {method}")]
    Broken {
        /// Host and port.
        address: String,
        /// Method.
        method: &'static str,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// No answer in time; the call may have taken effect.
    #[error("{address} did not answer {method} within {within:?}")]
    Late {
        /// Host and port.
        address: String,
        /// Method.
        method: &'static str,
        /// Limit.
        within: Duration,
    },
    /// The answer is not what the interface says.
    #[error("{address} answered {method} with something that is no result of it: {reason}")]
    Malformed {
        /// Host and port.
        address: String,
        /// Method.
        method: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl CallError {
    /// The whole chain of causes in one line.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Connect { source, .. } | Self::Broken { source, .. } => {
                format!("{self}: {source}")
            }
            Self::Late { .. } | Self::Malformed { .. } => self.to_string(),
        }
    }
}

/// Connections to one server.
#[derive(Debug)]
pub struct Pool {
    host: String,
    port: u16,
    idle: Mutex<Vec<TcpStream>>,
}

impl Pool {
    /// A pool without connections yet.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Pool {
            host: host.to_owned(),
            port,
            idle: Mutex::default(),
        }
    }

    /// Closes what is idle.
    pub fn clear(&self) {
        self.idle().clear();
    }

    /// Calls a method whose only argument is a struct.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call<A: TSerializable, R: TSerializable>(
        &self,
        method: &'static str,
        argument: &A,
        within: Duration,
    ) -> Result<R, CallError> {
        let message = request(method, TType::Struct, |output| {
            argument.write_to_out_protocol(output)
        });
        self.exchange(method, &message, within).await
    }

    /// Calls a method whose only argument is a text.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call_with_text<R: TSerializable>(
        &self,
        method: &'static str,
        text: &str,
        within: Duration,
    ) -> Result<R, CallError> {
        let message = request(method, TType::String, |output| output.write_string(text));
        self.exchange(method, &message, within).await
    }

    /// Calls a method whose only argument is a list of structs.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call_with_list<A: TSerializable, R: TSerializable>(
        &self,
        method: &'static str,
        arguments: &[A],
        within: Duration,
    ) -> Result<R, CallError> {
        let message = request(method, TType::List, |output| {
            let count = i32::try_from(arguments.len()).unwrap_or(i32::MAX);
            output.write_list_begin(&TListIdentifier::new(TType::Struct, count))?;
            for argument in arguments {
                argument.write_to_out_protocol(output)?;
            }
            output.write_list_end()
        });
        self.exchange(method, &message, within).await
    }

    async fn exchange<R: TSerializable>(
        &self,
        method: &'static str,
        message: &[u8],
        within: Duration,
    ) -> Result<R, CallError> {
        let work = async {
            let mut stream = self.take().await?;
            let broken = |source| CallError::Broken {
                address: self.address(),
                method,
                source,
            };
            stream.write_all(message).await.map_err(broken)?;
            let mut received = Vec::with_capacity(512);
            loop {
                match parse(&received) {
                    Parsed::Answer(answer) => {
                        self.keep(stream);
                        return Ok(answer);
                    }
                    Parsed::Incomplete if received.len() > MAX_ANSWER => {
                        return Err(self.malformed(method, format!("over {MAX_ANSWER} bytes")));
                    }
                    Parsed::Incomplete => {}
                    Parsed::Wrong(reason) => return Err(self.malformed(method, reason)),
                }
                if stream.read_buf(&mut received).await.map_err(broken)? == 0 {
                    return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
                }
            }
        };
        match tokio::time::timeout(within, work).await {
            Ok(answered) => answered,
            Err(_elapsed) => Err(CallError::Late {
                address: self.address(),
                method,
                within,
            }),
        }
    }

    /// An idle connection that is still open, or a new one.
    async fn take(&self) -> Result<TcpStream, CallError> {
        loop {
            let Some(stream) = self.idle().pop() else {
                break;
            };
            // An open, silent connection has nothing to read; an ended one reads as empty.
            match stream.try_read(&mut [0; 1]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(stream),
                Ok(_) | Err(_) => {}
            }
        }
        let connected = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = connected.map_err(|source| CallError::Connect {
            address: self.address(),
            source,
        })?;
        // Only costs speed when refused.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    fn keep(&self, stream: TcpStream) {
        let mut idle = self.idle();
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(stream);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        match self.host.parse() {
            Ok(ip) => SocketAddr::new(ip, self.port).to_string(),
            Err(_name) => format!("{}:{}", self.host, self.port),
        }
    }

    fn malformed(&self, method: &'static str, reason: String) -> CallError {
        CallError::Malformed {
            address: self.address(),
            method,
            reason,
        }
    }
}

fn request(
    method: &str,
    kind: TType,
    write: impl FnOnce(&mut dyn TOutputProtocol) -> thrift::Result<()>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    let name = TMessageIdentifier::new(method, TMessageType::Call, 1);
    let written = output
        .write_message_begin(&name)
        .and_then(|()| output.write_field_begin(&TFieldIdentifier::new("argument", kind, 1)))
        .and_then(|()| write(&mut output))
        .and_then(|()| output.write_field_stop());
    written.expect("invariant: writing to memory does not fail");
    bytes
}

enum Parsed<R> {
    Answer(R),
    /// More bytes are needed.
    Incomplete,
    Wrong(String),
}

fn parse<R: TSerializable>(bytes: &[u8]) -> Parsed<R> {
    match try_parse(bytes) {
        Ok(Ok(answer)) => Parsed::Answer(answer),
        Ok(Err(refused)) => Parsed::Wrong(refused),
        Err(thrift::Error::Transport(error)) if error.kind == TransportErrorKind::EndOfFile => {
            Parsed::Incomplete
        }
        Err(error) => Parsed::Wrong(error.to_string()),
    }
}

/// The inner error is an answer too: an exception, or no value.
fn try_parse<R: TSerializable>(bytes: &[u8]) -> thrift::Result<Result<R, String>> {
    let mut input = BinaryInput::new(bytes);
    let message = input.read_message_begin()?;
    match message.message_type {
        TMessageType::Reply => {}
        TMessageType::Exception => {
            let error = thrift::Error::read_application_error_from_in_protocol(&mut input)?;
            return Ok(Err(error.to_string()));
        }
        TMessageType::Call | TMessageType::OneWay => {
            return Ok(Err("a call instead of an answer".to_owned()));
        }
    }
    let mut answer = None;
    loop {
        let field = input.read_field_begin()?;
        match (field.field_type, field.id) {
            (TType::Stop, _) => break,
            (TType::Struct, Some(0)) => answer = Some(R::read_from_in_protocol(&mut input)?),
            (other, _) => protocol::TInputProtocol::skip(&mut input, other)?,
        }
    }
    Ok(answer.ok_or_else(|| "no value".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dorisim_wire::{TAgentResult, TStatus, TStatusCode};

    fn answer() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
        let name = TMessageIdentifier::new("submit_tasks", TMessageType::Reply, 1);
        output.write_message_begin(&name).unwrap();
        output
            .write_field_begin(&TFieldIdentifier::new("success", TType::Struct, 0))
            .unwrap();
        let result = TAgentResult::new(
            TStatus::new(TStatusCode::OK, vec!["fine".to_owned()]),
            None,
            None,
            None,
        );
        result.write_to_out_protocol(&mut output).unwrap();
        output.write_field_stop().unwrap();
        bytes
    }

    #[test]
    fn an_answer_is_complete_at_its_last_byte() {
        let bytes = answer();
        for cut in 0..bytes.len() {
            assert!(
                matches!(parse::<TAgentResult>(&bytes[..cut]), Parsed::Incomplete),
                "{cut} of {} bytes",
                bytes.len()
            );
        }
        let Parsed::Answer(result) = parse::<TAgentResult>(&bytes) else {
            panic!("no answer");
        };
        assert_eq!(result.status.status_code, TStatusCode::OK);
    }

    #[test]
    fn nonsense_is_no_answer() {
        let parsed = parse::<TAgentResult>(b"HTTP/1.1 200 OK\r\n\r\n");
        assert!(matches!(parsed, Parsed::Wrong(_)));
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_not_used_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = [0; 1024];
                assert!(stream.read(&mut bytes).await.unwrap() > 0);
                stream.write_all(&answer()).await.unwrap();
            }
        });
        let pool = Pool::new("127.0.0.1", port);
        for _ in 0..3 {
            let within = Duration::from_secs(5);
            let none: [TAgentResult; 0] = [];
            let answered: TAgentResult = pool
                .call_with_list("submit_tasks", &none, within)
                .await
                .unwrap();
            assert_eq!(answered.status.status_code, TStatusCode::OK);
            // Time for the end of the connection to arrive.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
