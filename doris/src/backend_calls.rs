//! [`Backend`] over Thrift.

use async_trait::async_trait;
use ccr_doris_wire::{
    TIngestBinlogRequest, TIngestBinlogResult, TQueryIngestBinlogRequest, TQueryIngestBinlogResult,
    TUniqueId,
};

use crate::backend::{Backend, BackendEndpoint, IngestOutcome, IngestRequest, IngestState};
use crate::cluster::DorisCluster;
use crate::error::Error;
use crate::hosts::Endpoint;
use crate::rpc::{Call, Callee, Repeat};
use crate::status;

/// Must be set, means nothing.
const LOAD_ID: TUniqueId = TUniqueId { hi: -1, lo: -1 };

#[async_trait]
impl Backend for DorisCluster {
    async fn ingest(
        &self,
        backend: &BackendEndpoint,
        request: &IngestRequest,
    ) -> Result<IngestOutcome, Error> {
        let endpoint = self.reach(&Endpoint::new(&backend.host, backend.port));
        // The server may still be at it when the connection broke, and two at a time harm each other.
        let call = Call {
            method: "ingest_binlog",
            timeout: self.timeouts().ingest,
            repeat: Repeat::Unsent,
            callee: Callee::Backend,
        };
        let build = |_: &str| TIngestBinlogRequest {
            txn_id: Some(request.txn.0),
            remote_tablet_id: Some(request.source_tablet.0),
            binlog_version: Some(request.source_version),
            remote_host: Some(request.source_host.clone()),
            remote_port: Some(request.source_http_port.to_string()),
            partition_id: Some(request.partition.0),
            local_tablet_id: Some(request.tablet.0),
            load_id: Some(LOAD_ID),
        };
        let answer: TIngestBinlogResult = self
            .pool()
            .call(&endpoint, call, &build)
            .await
            .map_err(|failure| failure.error)?;
        let Some(status) = &answer.status else {
            return Err(Error::Protocol {
                call: call.method.to_owned(),
                address: endpoint.to_string(),
                text: "the answer has no status".to_owned(),
            });
        };
        let text = status::text_of(status);
        let is_async = answer.is_async.unwrap_or(false);
        Ok(status::ingest_outcome(status.status_code, &text, is_async))
    }

    async fn query_ingest(
        &self,
        backend: &BackendEndpoint,
        request: &IngestRequest,
    ) -> Result<IngestState, Error> {
        let endpoint = self.reach(&Endpoint::new(&backend.host, backend.port));
        let call = Call {
            method: "query_ingest_binlog",
            timeout: self.timeouts().call,
            repeat: Repeat::Safe,
            callee: Callee::Backend,
        };
        let build = |_: &str| TQueryIngestBinlogRequest {
            txn_id: Some(request.txn.0),
            partition_id: Some(request.partition.0),
            tablet_id: Some(request.tablet.0),
            load_id: Some(LOAD_ID),
        };
        let answer: TQueryIngestBinlogResult = self
            .pool()
            .call(&endpoint, call, &build)
            .await
            .map_err(|failure| failure.error)?;
        let text = status::cut(answer.err_msg.as_deref().unwrap_or_default());
        Ok(status::ingest_state(answer.status, &text))
    }
}
