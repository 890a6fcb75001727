//! FEs of a cluster as the cluster itself names them, and where they are remembered beyond a process.

use std::time::Duration;

use crate::cluster::{DorisCluster, FrontendAddress};
use crate::hosts::Endpoint;
use crate::sql::Row;

/// Answer of SHOW FRONTENDS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontendList {
    /// Numeric id of the cluster, the same at all its FEs.
    pub cluster_id: Option<String>,
    /// All FEs, with the hosts by which the cluster names them, in order.
    pub frontends: Vec<FrontendAddress>,
}

impl FrontendList {
    /// Reads the rows. An FE without a host or a port is left out.
    pub fn of(rows: &[Row]) -> Self {
        let column = |row: &Row, name: &str| row.get(name).cloned().flatten();
        let port = |row: &Row, name: &str| column(row, name)?.trim().parse().ok();
        let frontend = |row: &Row| {
            let host = column(row, "Host")?;
            let query = Endpoint::reported(&host, port(row, "QueryPort")?)?;
            let thrift = Endpoint::reported(&host, port(row, "RpcPort")?)?;
            Some(FrontendAddress {
                host: query.host,
                query_port: query.port,
                thrift_port: thrift.port,
            })
        };
        let mut frontends: Vec<_> = rows.iter().filter_map(frontend).collect();
        frontends.sort();
        Self {
            cluster_id: rows.iter().find_map(|row| column(row, "ClusterId")),
            frontends,
        }
    }
}

/// Where the FEs of one cluster are remembered beyond a process.
pub trait FrontendMemory: Send + Sync + 'static {
    /// Returns the FEs as the cluster named them when it was last asked, by any process.
    fn recall(&self) -> Vec<FrontendAddress>;

    /// Takes the FEs that the cluster just named. Does not wait.
    fn learned(&self, frontends: &[FrontendAddress]);
}

/// How often the cluster is asked for its FEs while all goes well: one can be added or moved.
const LEARN_INTERVAL: Duration = Duration::from_secs(300);

/// What the cluster said of itself.
#[derive(Debug, Default)]
pub(crate) struct Known {
    list: FrontendList,
    /// When it was last asked, by the monotonic clock.
    asked_at: Option<Duration>,
}

impl DorisCluster {
    /// The FEs that are named, then those that the cluster named, as they are reached from here; each once.
    pub(crate) fn candidates(&self) -> Vec<FrontendAddress> {
        let mut all = self.address().frontends.clone();
        let recalled = self.memory().map(FrontendMemory::recall);
        let known = self.master().known().list.frontends.clone();
        for endpoints in recalled.unwrap_or_default().into_iter().chain(known) {
            let query = self.reach(&endpoints.query());
            let thrift = self.reach(&endpoints.thrift());
            let frontend = FrontendAddress {
                host: query.host,
                query_port: query.port,
                thrift_port: thrift.port,
            };
            if !all.contains(&frontend) {
                all.push(frontend);
            }
        }
        all
    }

    /// Takes in what an FE says of its cluster; refuses an FE of another cluster. A lone FE is reached as it is named in
    /// the address, whatever it calls itself.
    pub(crate) fn learn(&self, mut list: FrontendList) -> Result<(), String> {
        let mut known = self.master().known();
        let expected = self.address().cluster_id.as_ref();
        let expected = expected.or(known.list.cluster_id.as_ref());
        if let (Some(expected), Some(found)) = (expected, &list.cluster_id)
            && expected != found
        {
            return Err(format!(
                "this frontend belongs to cluster {found}, not to {expected}"
            ));
        }
        if list.frontends.len() <= 1 {
            list.frontends.clear();
        }
        known.asked_at = Some(self.clock().monotonic());
        if let Some(memory) = self.memory() {
            memory.learned(&list.frontends);
        }
        list.cluster_id = list.cluster_id.or_else(|| known.list.cluster_id.take());
        known.list = list;
        Ok(())
    }

    /// Asks the cluster for its FEs beside the work, now and then, where they are remembered.
    pub(crate) fn learn_again(&self) {
        if self.memory().is_none() {
            return;
        }
        let now = self.clock().monotonic();
        let mut known = self.master().known();
        if known.asked_at.is_some_and(|at| now < at + LEARN_INTERVAL) {
            return;
        }
        // Also when it fails: the next question is asked after the next interval.
        known.asked_at = Some(now);
        drop(known);
        let cluster = self.clone();
        tokio::spawn(async move {
            if let Err(error) = cluster.ask_frontends().await {
                tracing::debug!(%error, "frontends not learned");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frontends_that_can_be_reached_are_listed_in_order() {
        let row = |host: &str, query: &str, thrift: &str| -> Row {
            [
                ("Host", host),
                ("QueryPort", query),
                ("RpcPort", thrift),
                ("ClusterId", "77"),
            ]
            .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
            .into()
        };
        let rows = [
            row("fe2", "9030", "9020"),
            row("fe1", "9031", "9021"),
            row("", "9030", "9020"),
            row("fe3", "0", "9020"),
            row("fe4", "x", "9020"),
        ];
        let list = FrontendList::of(&rows);
        assert_eq!(list.cluster_id.as_deref(), Some("77"));
        let names: Vec<_> = list
            .frontends
            .iter()
            .map(|fe| format!("{}:{}:{}", fe.host, fe.query_port, fe.thrift_port))
            .collect();
        assert_eq!(names, ["fe1:9031:9021", "fe2:9030:9020"]);
        assert_eq!(FrontendList::of(&[]), FrontendList::default());
    }
}
