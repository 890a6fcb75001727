//! The listener: one task per connection, all ended by one token.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::session::SqlSession;
use super::shared::MysqlServer;

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
        let client = Client::new(session, Arc::clone(&self.faults));
        if let Err(error) = dorisim_mysql::serve(stream, client).await {
            tracing::debug!(connection = id, %error, "MySQL connection ended");
        }
    }
}
