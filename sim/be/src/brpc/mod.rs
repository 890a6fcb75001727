//! The brpc port of a backend: `PBackendService` of Doris over gRPC, as frontends call it.
//!
//! Reading order: [`pb`] (messages), `service` (methods to calls), [`status`].

pub mod pb;
mod service;
pub mod status;

pub use service::{BackendRpc, PeerRpc};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

/// Serves until `stop`, then closes all connections.
pub async fn serve(listener: TcpListener, calls: BackendRpc, stop: CancellationToken) {
    let served = Server::builder()
        .add_service(calls.clone())
        .add_service(PeerRpc(calls))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        ended = served => {
            if let Err(error) = ended {
                tracing::warn!(%error, "the brpc port is served no more");
            }
        }
    }
}
