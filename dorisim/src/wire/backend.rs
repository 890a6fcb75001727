//! `BackendService` of one backend.

use std::net::IpAddr;
use std::sync::Arc;

use thrift::protocol::TInputProtocol;

use super::server::{Dispatch, Service, encode, read_argument};
use crate::be::{Backend, BackendApi};

/// ingest_binlog and query_ingest_binlog; other methods are unknown.
#[derive(Debug)]
pub struct BackendService(pub Arc<Backend>);

impl Service for BackendService {
    fn dispatch(
        &self,
        method: &str,
        _peer: IpAddr,
        input: &mut dyn TInputProtocol,
    ) -> thrift::Result<Dispatch> {
        let backend = Arc::clone(&self.0);
        Ok(match method {
            "ingest_binlog" => {
                let request = read_argument(input)?;
                Dispatch::Call(Box::pin(async move {
                    encode(&backend.ingest_binlog(request).await)
                }))
            }
            "query_ingest_binlog" => {
                let request = read_argument(input)?;
                Dispatch::Call(Box::pin(async move {
                    encode(&backend.query_ingest_binlog(&request))
                }))
            }
            _ => Dispatch::Unknown,
        })
    }

    fn backend_id(&self) -> Option<i64> {
        Some(self.0.address().id)
    }
}
