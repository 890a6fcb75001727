//! Heartbeats: who is there, where it listens, who the master is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dorisim_wire::{THeartbeatResult, TMasterInfo, TNetworkAddress, TStatusCode};
use tokio_util::sync::CancellationToken;

use super::node::{Change, Node};
use super::queue::status_text;
use super::{MasterAddress, RemoteBackend};
use crate::Frontend;

impl Frontend {
    /// Sends heartbeats to all backends until cancelled: in each interval, and when somebody asks for a round.
    pub(crate) async fn heartbeats(self: Arc<Self>, stop: CancellationToken) {
        let interval = self.config().agent.heartbeat_interval;
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                () = self.nodes().beat.notified() => {}
            }
            let Some(master) = self.nodes().master() else {
                continue;
            };
            self.drop_decommissioned();
            for node in self.nodes().nodes() {
                // A backend that is slow to answer does not delay the others.
                if !node.beating.swap(true, Ordering::AcqRel) {
                    let (me, master) = (Arc::clone(&self), master.clone());
                    tokio::spawn(async move {
                        me.beat(&node, &master).await;
                        node.beating.store(false, Ordering::Release);
                    });
                }
            }
        }
    }

    async fn beat(&self, node: &Arc<Node>, master: &MasterAddress) {
        let info = self.master_info(node, master);
        let mut answered = self.ping(node, &info).await;
        if answered.is_err() {
            // Once more, because an old connection may have been reset.
            node.heartbeat.clear();
            answered = self.ping(node, &info).await;
        }
        let now = self.clock().now_ms();
        let change = match answered {
            Ok(result) => node.live_mut().heard(&result.backend_info, now),
            Err(error) => {
                let tolerance = self.config().agent.heartbeat_tolerance;
                let change = node.live_mut().missed(&error, tolerance);
                if change.life {
                    tracing::warn!(backend = node.id, error, "backend does not answer");
                }
                change
            }
        };
        self.follow(node, change);
    }

    /// What the rest of the frontend has to learn from a heartbeat.
    fn follow(&self, node: &Arc<Node>, change: Change) {
        if change == Change::default() {
            return;
        }
        if change.ports || change.restarted || change.life {
            node.renew_agent();
        }
        if let Some(address) = node.address().filter(|_| change.ports) {
            let channel = Arc::clone(self.nodes().channel());
            self.place_handle(Arc::new(RemoteBackend::new(
                Arc::clone(node),
                address,
                channel,
            )));
        }
        self.nodes().note_change();
    }

    async fn ping(&self, node: &Node, info: &TMasterInfo) -> Result<THeartbeatResult, String> {
        let within = self.config().agent.heartbeat_timeout;
        let answered = node.heartbeat.call("heartbeat", info, within).await;
        let result: THeartbeatResult = answered.map_err(|error| error.text())?;
        if result.status.status_code == TStatusCode::OK {
            Ok(result)
        } else {
            Err(status_text(&result.status))
        }
    }

    fn master_info(&self, node: &Node, master: &MasterAddress) -> TMasterInfo {
        TMasterInfo {
            network_address: TNetworkAddress::new(
                master.host.clone(),
                i32::from(master.thrift_port),
            ),
            cluster_id: self.config().cluster_id,
            epoch: master.epoch,
            token: Some(self.config().token.clone()),
            backend_ip: Some(node.host.clone()),
            http_port: Some(i32::from(master.http_port)),
            heartbeat_flags: Some(0),
            backend_id: Some(node.id),
            frontend_infos: Some(Vec::new()),
            meta_service_endpoint: None,
            cloud_unique_id: None,
            tablet_report_inactive_duration_ms: None,
            auth_token: None,
            cloud_cluster_info: None,
        }
    }
}
