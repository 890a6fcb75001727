//! The listener: one task per connection, all ended by one token.

use std::sync::Arc;

use opensrv_mysql::{AsyncMysqlIntermediary, IntermediaryOptions};
use tokio::io::BufWriter;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::capabilities::{Capabilities, CapabilityReader};
use super::definition::Definitions;
use super::denial::Denial;
use super::replies::ReplacingWriter;
use super::session::SqlSession;
use super::shared::MysqlServer;
use super::shim::Shim;

/// Connections served at a time; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1_000;

impl MysqlServer {
    /// A session without a socket.
    #[must_use]
    pub fn session(self: &Arc<Self>, user: &str) -> SqlSession {
        SqlSession::new(Arc::clone(self), self.next_connection_id(), user)
    }

    /// Accepts connections until `stop`; connections end with it.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(Arc::clone(&self).connection(stream));
                    }
                    Err(error) => tracing::warn!(%error, "a MySQL connection could not be accepted"),
                },
            }
        }
        connections.shutdown().await;
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let session = self.session("");
        let id = session.connection_id();
        let denial = Denial::default();
        let definitions = Definitions::default();
        let capabilities = Capabilities::default();
        let (reader, writer) = stream.into_split();
        let options = IntermediaryOptions {
            process_use_statement_on_query: true,
            reject_connection_on_dbname_absence: false,
        };
        let shim = Shim::new(
            session,
            denial.clone(),
            definitions.clone(),
            capabilities.clone(),
            Arc::clone(&self.faults),
        );
        let served = AsyncMysqlIntermediary::run_with_options(
            shim,
            CapabilityReader::new(reader, capabilities),
            ReplacingWriter::new(BufWriter::new(writer), denial, definitions),
            &options,
        )
        .await;
        if let Err(error) = served {
            tracing::debug!(connection = id, %error, "MySQL connection ended");
        }
    }
}
