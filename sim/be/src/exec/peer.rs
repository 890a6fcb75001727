//! What backends of this kind send each other at their brpc ports: rows of an exchange, rows of a tablet. A service of our own beside that of Doris.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use prost::Message;
use tonic::transport::{Channel, Endpoint};

use super::error::ExecError;
use super::table_sink::TabletRows;
use crate::brpc::pb::{StatusAnswerPb, UniqueIdPb};
use crate::sync::lock;
use dorisim_model::Row;

/// Name of the service.
pub const SERVICE: &str = "dorisim.Peer";
/// Metadata with the token of the cluster.
pub const TOKEN: &str = "x-dorisim-token";
/// Largest message.
pub const MAX_MESSAGE: usize = 256 << 20;
/// Rows in one message.
const ROWS: usize = 50_000;
/// Limit of one call.
const CALL: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
/// Backends that connections are kept to.
const MAX_PEERS: usize = 64;

/// `transmit_rows`
#[derive(Clone, PartialEq, Message)]
pub struct RowsPb {
    /// Query.
    #[prost(message, required, tag = "1")]
    pub query: UniqueIdPb,
    /// Exchange node.
    #[prost(int32, required, tag = "2")]
    pub node: i32,
    /// Senders that are through with this.
    #[prost(int32, required, tag = "3")]
    pub ended: i32,
    /// The rows as JSON.
    #[prost(bytes = "vec", required, tag = "4")]
    pub rows: Vec<u8>,
}

/// `write_tablet`
#[derive(Clone, PartialEq, Message)]
pub struct TabletPb {
    /// [`TabletRows`] as JSON.
    #[prost(bytes = "vec", required, tag = "1")]
    pub load: Vec<u8>,
}

/// Connections to other backends.
#[derive(Debug, Default)]
pub struct Peers(Mutex<HashMap<(String, u16), Channel>>);

impl Peers {
    fn channel(&self, address: &(String, u16)) -> Result<Channel, ExecError> {
        let mut channels = lock(&self.0);
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let (host, port) = address;
        let endpoint = Endpoint::from_shared(format!("http://{host}:{port}"));
        let endpoint = endpoint.map_err(|error| failed(address, error.to_string()))?;
        let channel = endpoint
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .connect_lazy();
        if channels.len() >= MAX_PEERS {
            channels.clear();
        }
        channels.insert(address.clone(), channel.clone());
        Ok(channel)
    }

    async fn call<M: Message + 'static>(
        &self,
        address: &(String, u16),
        token: &str,
        method: &str,
        message: M,
    ) -> Result<(), ExecError> {
        let mut client = tonic::client::Grpc::new(self.channel(address)?)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let bad = |error: String| failed(address, error);
        client
            .ready()
            .await
            .map_err(|error| bad(format!("not reachable: {error}")))?;
        let mut request = tonic::Request::new(message);
        let token = token
            .parse()
            .map_err(|_| bad("a token that is no text".into()))?;
        request.metadata_mut().insert(TOKEN, token);
        let path = format!("/{SERVICE}/{method}");
        let path = path
            .parse()
            .map_err(|_| bad(format!("{path} is no path")))?;
        let codec = tonic_prost::ProstCodec::<M, StatusAnswerPb>::default();
        let answer = client.unary(request, path, codec).await;
        let answer = answer.map_err(|error| bad(error.message().to_owned()))?;
        let status = answer.into_inner().status;
        if status.status_code == 0 {
            return Ok(());
        }
        Err(bad(status.error_msgs.join("; ")))
    }

    /// Sends rows to an exchange node there; the last message counts the senders.
    ///
    /// # Errors
    /// [`ExecError::Peer`].
    pub async fn send_rows(
        &self,
        address: &(String, u16),
        token: &str,
        query: UniqueIdPb,
        node: i32,
        rows: Vec<Row>,
        ended: i32,
    ) -> Result<(), ExecError> {
        let mut pieces = rows.chunks(ROWS).peekable();
        loop {
            let piece = pieces.next().unwrap_or_default();
            let last = pieces.peek().is_none();
            let message = RowsPb {
                query,
                node,
                ended: if last { ended } else { 0 },
                rows: json(address, &piece)?,
            };
            self.call(address, token, "transmit_rows", message).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// Sends the rows of a tablet.
    ///
    /// # Errors
    /// [`ExecError::Peer`].
    pub async fn send_tablet(
        &self,
        address: &(String, u16),
        token: &str,
        load: &TabletRows,
    ) -> Result<(), ExecError> {
        let message = TabletPb {
            load: json(address, load)?,
        };
        self.call(address, token, "write_tablet", message).await
    }
}

fn json<T: serde::Serialize>(address: &(String, u16), value: &T) -> Result<Vec<u8>, ExecError> {
    serde_json::to_vec(value).map_err(|error| failed(address, error.to_string()))
}

fn failed((host, port): &(String, u16), reason: String) -> ExecError {
    ExecError::Peer {
        address: format!("{host}:{port}"),
        reason,
    }
}
