//! A Thrift server: one thread per connection, dispatch by method name, faults around each call.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dorisim_wire::{TStatus, TStatusCode};
use futures::future::BoxFuture;
use thrift::protocol::{
    TBinaryOutputProtocol, TFieldIdentifier, TInputProtocol, TMessageIdentifier, TMessageType,
    TOutputProtocol, TSerializable, TStructIdentifier, TType,
};
use thrift::{ApplicationError, ApplicationErrorKind};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::protocol::BinaryInput;
use crate::faults::{Faults, Verdict};

/// Connections of one server; more are closed at once.
const MAX_CONNECTIONS: usize = 1024;

/// Structs nest as deep as [`super::protocol`] allows, and readers of unoptimised builds take much of it.
const STACK_BYTES: usize = 2 << 20;

/// The encoded success value of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    kind: TType,
    bytes: Vec<u8>,
}

/// What a service makes of a method.
pub enum Dispatch {
    /// The arguments were read; the future does the work.
    Call(BoxFuture<'static, Reply>),
    /// No such method; nothing was read.
    Unknown,
}

/// The methods of one Thrift service.
pub trait Service: Send + Sync + 'static {
    /// Reads the arguments of `method` and prepares its work.
    ///
    /// # Errors
    /// Malformed arguments; the connection is closed.
    fn dispatch(
        &self,
        method: &str,
        peer: IpAddr,
        input: &mut dyn TInputProtocol,
    ) -> thrift::Result<Dispatch>;

    /// The backend whose faults apply, if this is one.
    fn backend_id(&self) -> Option<i64>;
}

/// A running server.
#[derive(Debug)]
pub struct ThriftServer {
    shared: Arc<Shared>,
    accepting: Option<std::thread::JoinHandle<()>>,
    address: SocketAddr,
}

#[derive(Debug, Default)]
struct Shared {
    stop: CancellationToken,
    next: AtomicU64,
    open: Mutex<HashMap<u64, TcpStream>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ThriftServer {
    /// Serves `listener` on threads of its own; calls run on `runtime`.
    ///
    /// # Errors
    /// The listener has no address or no thread can be started.
    pub fn start(
        listener: TcpListener,
        service: Arc<dyn Service>,
        faults: Arc<Faults>,
        runtime: Handle,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("thrift-{}", address.port()))
                .spawn(move || accept_all(&listener, &service, &faults, &runtime, &shared))?
        };
        Ok(ThriftServer {
            shared,
            accepting: Some(accepting),
            address,
        })
    }

    /// Port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes every open connection; new ones are served.
    pub fn cut_connections(&self) {
        for stream in self.shared.open().values() {
            // Fails when the peer was faster.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops accepting, closes all connections and waits for the accepting thread.
    pub fn stop(&mut self) {
        self.shared.stop.cancel();
        self.cut_connections();
        // Wakes the accepting thread; when it can not be reached it is gone already.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let _ = TcpStream::connect(address);
        if let Some(accepting) = self.accepting.take()
            && accepting.join().is_err()
        {
            tracing::warn!(address = %self.address, "accepting thread panicked");
        }
    }
}

impl Drop for ThriftServer {
    fn drop(&mut self) {
        if self.accepting.is_some() {
            self.stop();
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    service: &Arc<dyn Service>,
    faults: &Arc<Faults>,
    runtime: &Handle,
    shared: &Arc<Shared>,
) {
    for stream in listener.incoming() {
        if shared.stop.is_cancelled() {
            return;
        }
        let Ok(stream) = stream else {
            continue;
        };
        let Ok(registered) = stream.try_clone() else {
            continue;
        };
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut open = shared.open();
            if open.len() >= MAX_CONNECTIONS {
                continue;
            }
            open.insert(id, registered);
        }
        let connection = Connection {
            service: Arc::clone(service),
            faults: Arc::clone(faults),
            runtime: runtime.clone(),
            stop: shared.stop.clone(),
        };
        let ended = Arc::clone(shared);
        let started = std::thread::Builder::new()
            .name("thrift-conn".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                // An error is the end of the connection, by the peer or by a fault.
                if let Err(error) = connection.serve(stream) {
                    tracing::debug!(%error, "Thrift connection ended");
                }
                ended.open().remove(&id);
            });
        if let Err(error) = started {
            tracing::warn!(%error, "no thread for a Thrift connection");
            shared.open().remove(&id);
        }
    }
}

struct Connection {
    service: Arc<dyn Service>,
    faults: Arc<Faults>,
    runtime: Handle,
    stop: CancellationToken,
}

impl Connection {
    fn serve(&self, mut stream: TcpStream) -> thrift::Result<()> {
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?.ip();
        let mut input = BinaryInput::new(BufReader::new(stream.try_clone()?));
        while !self.stop.is_cancelled() {
            let message = input.read_message_begin()?;
            if message.message_type != TMessageType::Call {
                break;
            }
            let dispatched = self.service.dispatch(&message.name, peer, &mut input)?;
            let call = match dispatched {
                Dispatch::Unknown => {
                    input.skip(TType::Struct)?;
                    stream.write_all(&unknown_method(&message)?)?;
                    continue;
                }
                Dispatch::Call(call) => call,
            };
            match self.answer(&message.name, call) {
                Outcome::Reply(reply) => stream.write_all(&success(&message, &reply)?)?,
                Outcome::Garbage => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nnot thrift")?,
                Outcome::Close => break,
            }
        }
        // The registered clone keeps the socket open, so dropping is not enough.
        stream.shutdown(Shutdown::Both)?;
        Ok(())
    }

    fn answer(&self, method: &str, call: BoxFuture<'static, Reply>) -> Outcome {
        let work = async {
            match self.faults.before(method, self.service.backend_id()).await {
                Verdict::Proceed | Verdict::Truncate { .. } | Verdict::Corrupt => {
                    Outcome::Reply(call.await)
                }
                Verdict::Fail { code, message } => {
                    let code = code.map_or(TStatusCode::INTERNAL_ERROR, TStatusCode);
                    Outcome::Reply(encode(&OnlyStatus(TStatus::new(code, vec![message]))))
                }
                Verdict::ResetBefore => Outcome::Close,
                Verdict::ResetAfter => {
                    call.await;
                    Outcome::Close
                }
                Verdict::Garbage => Outcome::Garbage,
            }
        };
        let stopped = async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Outcome::Close,
                outcome = work => outcome,
            }
        };
        self.runtime.block_on(stopped)
    }
}

enum Outcome {
    Reply(Reply),
    Garbage,
    Close,
}

/// Every result struct of the interface has its status in field 1.
pub struct OnlyStatus(pub TStatus);

impl TSerializable for OnlyStatus {
    fn read_from_in_protocol(input: &mut dyn TInputProtocol) -> thrift::Result<Self> {
        TStatus::read_from_in_protocol(input).map(OnlyStatus)
    }

    fn write_to_out_protocol(&self, output: &mut dyn TOutputProtocol) -> thrift::Result<()> {
        output.write_struct_begin(&TStructIdentifier::new("TResult"))?;
        output.write_field_begin(&TFieldIdentifier::new("status", TType::Struct, 1))?;
        self.0.write_to_out_protocol(output)?;
        output.write_field_end()?;
        output.write_field_stop()?;
        output.write_struct_end()
    }
}

impl Reply {
    /// The same answer with members of a later version at the end of its struct: a number, a text and a struct, which readers have to skip.
    #[must_use]
    pub fn with_unknown_members(mut self) -> Self {
        if self.kind == TType::Struct && self.bytes.pop() == Some(0) {
            // Ids 30000 to 30002: i64, string, struct with a bool; then the stop byte of the answer itself.
            self.bytes.extend([10, 0x75, 0x30, 0, 0, 0, 0, 0, 0, 0, 7]);
            self.bytes.extend([11, 0x75, 0x31, 0, 0, 0, 5]);
            self.bytes.extend(b"later");
            self.bytes.extend([12, 0x75, 0x32, 2, 0, 1, 1, 0]);
            self.bytes.push(0);
        }
        self
    }
}

/// A success value that is a struct.
pub fn encode<T: TSerializable>(value: &T) -> Reply {
    encode_as(TType::Struct, |output| value.write_to_out_protocol(output))
}

/// A success value of any type, written by `write`.
pub fn encode_as(
    kind: TType,
    write: impl FnOnce(&mut dyn TOutputProtocol) -> thrift::Result<()>,
) -> Reply {
    let mut bytes = Vec::new();
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    write(&mut output).expect("invariant: writing to memory does not fail");
    Reply { kind, bytes }
}

/// Reads a method's argument: field 1 of the arguments struct; unknown fields are skipped.
///
/// # Errors
/// Malformed bytes or no field 1.
pub fn read_argument<T: TSerializable>(input: &mut dyn TInputProtocol) -> thrift::Result<T> {
    read_first(input, TType::Struct, |input| {
        T::read_from_in_protocol(input)
    })
}

/// As [`read_argument`], for a list of structs. `each` is called as the elements come, so that they need not be held.
///
/// # Errors
/// As [`read_argument`].
pub fn read_list_argument<T: TSerializable>(
    input: &mut dyn TInputProtocol,
    mut each: impl FnMut(T),
) -> thrift::Result<()> {
    read_first(input, TType::List, |input| {
        let list = input.read_list_begin()?;
        if list.size > 0 && list.element_type != TType::Struct {
            return Err(thrift::Error::Application(ApplicationError::new(
                ApplicationErrorKind::ProtocolError,
                "the list is not one of structs",
            )));
        }
        for _ in 0..list.size {
            each(T::read_from_in_protocol(input)?);
        }
        input.read_list_end()
    })
}

/// Passes over the arguments of a method.
///
/// # Errors
/// Malformed bytes.
pub fn skip_arguments(input: &mut dyn TInputProtocol) -> thrift::Result<()> {
    input.skip(TType::Struct)?;
    input.read_message_end()
}

/// Reads field 1 of the arguments struct.
///
/// # Errors
/// As [`read_argument`].
pub fn read_first<T>(
    input: &mut dyn TInputProtocol,
    kind: TType,
    read: impl FnOnce(&mut dyn TInputProtocol) -> thrift::Result<T>,
) -> thrift::Result<T> {
    input.read_struct_begin()?;
    let mut read = Some(read);
    let mut argument = None;
    loop {
        let field = input.read_field_begin()?;
        if field.field_type == TType::Stop {
            break;
        }
        let wanted = field.field_type == kind && field.id == Some(1);
        match read.take_if(|_| wanted) {
            Some(read) => argument = Some(read(input)?),
            None => input.skip(field.field_type)?,
        }
        input.read_field_end()?;
    }
    input.read_struct_end()?;
    input.read_message_end()?;
    argument.ok_or_else(|| {
        thrift::Error::Application(ApplicationError::new(
            ApplicationErrorKind::ProtocolError,
            "the arguments have no field 1",
        ))
    })
}

fn success(message: &TMessageIdentifier, reply: &Reply) -> thrift::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(reply.bytes.len() + 64);
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    output.write_message_begin(&TMessageIdentifier::new(
        message.name.clone(),
        TMessageType::Reply,
        message.sequence_number,
    ))?;
    output.write_field_begin(&TFieldIdentifier::new("success", reply.kind, 0))?;
    output.transport.extend_from_slice(&reply.bytes);
    output.write_field_stop()?;
    Ok(bytes)
}

fn unknown_method(message: &TMessageIdentifier) -> thrift::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    output.write_message_begin(&TMessageIdentifier::new(
        message.name.clone(),
        TMessageType::Exception,
        message.sequence_number,
    ))?;
    let error = ApplicationError::new(
        ApplicationErrorKind::UnknownMethod,
        format!("Invalid method name: '{}'", message.name),
    );
    thrift::Error::write_application_error_to_out_protocol(&error, &mut output)?;
    output.write_message_end()?;
    Ok(bytes)
}
