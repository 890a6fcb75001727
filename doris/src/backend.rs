//! BE calls of a destination.

use async_trait::async_trait;
use ccr_schemas::{PartitionId, TabletId, TxnId};

use crate::error::Error;

/// Thrift address of a BE.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendEndpoint {
    /// Host.
    pub host: String,
    /// `be_port`.
    pub port: u16,
}

/// One replica's part of a transaction: fetch the rowset that a source tablet got at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestRequest {
    /// Destination transaction, or sub-transaction.
    pub txn: TxnId,
    /// Destination partition.
    pub partition: PartitionId,
    /// Destination tablet.
    pub tablet: TabletId,
    /// Source tablet.
    pub source_tablet: TabletId,
    /// Version of the source partition.
    pub source_version: i64,
    /// Source BE.
    pub source_host: String,
    /// Its HTTP port.
    pub source_http_port: u16,
}

/// Answer of ingest_binlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestOutcome {
    /// The data is in place.
    Done,
    /// Only queued: ask [`Backend::query_ingest`] until it is done.
    Queued,
    /// The destination tablet is not on this BE: refresh the layout.
    TabletMissing,
    /// The source BE could not deliver (unreachable, collected, damaged): try another source replica.
    SourceUnreachable {
        /// The server's text.
        text: String,
    },
    /// The destination BE refused or failed.
    Failed {
        /// The server's text.
        text: String,
    },
}

/// Answer of query_ingest_binlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestState {
    /// Not known (any more).
    NotFound,
    /// Running.
    Doing,
    /// In place.
    Done,
    /// Failed.
    Failed {
        /// The server's text.
        text: String,
    },
}

/// BE calls. Each is bounded in time; calls to one BE share a bounded pool of connections.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Ingests one rowset into one replica. Idempotent when repeated one after the other; never repeat concurrently.
    async fn ingest(
        &self,
        backend: &BackendEndpoint,
        request: &IngestRequest,
    ) -> Result<IngestOutcome, Error>;

    /// State of a queued ingest.
    async fn query_ingest(
        &self,
        backend: &BackendEndpoint,
        request: &IngestRequest,
    ) -> Result<IngestState, Error>;
}
