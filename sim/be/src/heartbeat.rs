//! `HeartbeatService` of one backend.

use std::net::IpAddr;
use std::sync::Arc;

use thrift::protocol::TInputProtocol;

use crate::agent::Agent;
use dorisim_net::server::{Dispatch, Service, encode, read_argument};

/// The method `heartbeat`; others are unknown.
#[derive(Debug)]
pub struct HeartbeatService(pub Arc<Agent>);

impl Service for HeartbeatService {
    fn dispatch(
        &self,
        method: &str,
        _peer: IpAddr,
        input: &mut dyn TInputProtocol,
    ) -> thrift::Result<Dispatch> {
        let agent = Arc::clone(&self.0);
        Ok(match method {
            "heartbeat" => {
                let info = read_argument(input)?;
                Dispatch::Call(Box::pin(async move { encode(&agent.heartbeat(&info)) }))
            }
            _ => Dispatch::Unknown,
        })
    }

    fn backend_id(&self) -> Option<i64> {
        Some(self.0.backend().id())
    }
}
