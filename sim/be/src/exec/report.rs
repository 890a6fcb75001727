//! `reportExecStatus`: the end of a fragment, told to the frontend that waits for it.

use std::collections::BTreeMap;
use std::time::Duration;

use dorisim_wire::plan::{
    FrontendServiceVersion, TQueryType, TReportExecStatusParams, TReportExecStatusResult,
};
use dorisim_wire::{TNetworkAddress, TStatus, TStatusCode, TTabletCommitInfo, TUniqueId};

use crate::brpc::pb::UniqueIdPb;
use dorisim_net::client::{CallError, Pool};

/// Limit of one call.
const CALL: Duration = Duration::from_secs(10);
/// How often it is told.
const ATTEMPTS: u32 = 3;
/// Counter of rows that were taken, as the frontend names it.
const NORMAL: &str = "dpp.norm.ALL";
/// Counter of rows that were refused.
const ABNORMAL: &str = "dpp.abnorm.ALL";

/// What a load did.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Rows taken.
    pub rows: i64,
    /// Rows refused.
    pub filtered: i64,
    /// Why.
    pub errors: Vec<String>,
    /// Tablets and the backends where they have the rowset.
    pub tablets: Vec<(i64, i64)>,
    /// Transaction.
    pub txn_id: Option<i64>,
}

/// A fragment that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub query: UniqueIdPb,
    pub fragment: i32,
    pub backend_id: i64,
    pub is_load: bool,
    pub outcome: Result<Loaded, (TStatusCode, String)>,
}

impl Ended {
    fn to_wire(&self) -> TReportExecStatusParams {
        let mut params = TReportExecStatusParams {
            protocol_version: FrontendServiceVersion::V1,
            query_id: Some(TUniqueId::new(self.query.hi, self.query.lo)),
            backend_num: None,
            fragment_instance_id: None,
            status: Some(TStatus::new(TStatusCode::OK, None)),
            done: Some(true),
            error_log: None,
            load_counters: None,
            tracking_url: None,
            commit_infos: None,
            loaded_rows: None,
            backend_id: Some(self.backend_id),
            loaded_bytes: None,
            error_tablet_infos: None,
            fragment_id: Some(self.fragment),
            query_type: Some(if self.is_load {
                TQueryType::LOAD
            } else {
                TQueryType::SELECT
            }),
            txn_id: None,
            label: None,
            first_error_msg: None,
        };
        match &self.outcome {
            Err((code, text)) => {
                params.status = Some(TStatus::new(*code, vec![text.clone()]));
            }
            Ok(loaded) if loaded.txn_id.is_some() => {
                let counted = [(NORMAL, loaded.rows), (ABNORMAL, loaded.filtered)];
                let counted = counted.map(|(name, rows)| (name.to_owned(), rows.to_string()));
                params.load_counters = Some(BTreeMap::from(counted));
                params.loaded_rows = Some(loaded.rows);
                params.loaded_bytes = Some(0);
                params.first_error_msg = loaded.errors.first().cloned();
                params.error_log = (!loaded.errors.is_empty()).then(|| loaded.errors.clone());
                let infos = loaded.tablets.iter();
                let infos = infos
                    .map(|(tablet, backend)| TTabletCommitInfo::new(*tablet, *backend, None))
                    .collect();
                params.commit_infos = Some(infos);
                params.txn_id = loaded.txn_id;
            }
            Ok(_) => {}
        }
        params
    }

    /// Tells it. The frontend gives a load up by itself when nobody does.
    pub async fn tell(&self, coordinator: Option<&TNetworkAddress>) {
        let address = coordinator.and_then(|a| Some((a, u16::try_from(a.port).ok()?)));
        let Some((address, port)) = address else {
            tracing::warn!(query = ?self.query, "no frontend to tell the end of a fragment");
            return;
        };
        let pool = Pool::new(&address.hostname, port);
        let params = self.to_wire();
        for attempt in 1..=ATTEMPTS {
            let answered: Result<TReportExecStatusResult, CallError> =
                pool.call("reportExecStatus", &params, CALL).await;
            match answered {
                Ok(_) => return,
                Err(error) => {
                    let error = error.text();
                    tracing::warn!(
                        query = ?self.query,
                        fragment = self.fragment,
                        attempt,
                        error,
                        "end of a fragment not told"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_tells_its_tablets_and_counters_and_a_failure_its_text() {
        let end = |outcome| Ended {
            query: UniqueIdPb { hi: 1, lo: 2 },
            fragment: 3,
            backend_id: 4,
            is_load: true,
            outcome,
        };
        let loaded = Loaded {
            rows: 5,
            filtered: 1,
            errors: vec!["why".to_owned()],
            tablets: vec![(6, 4)],
            txn_id: Some(7),
        };
        let told = end(Ok(loaded)).to_wire();
        assert_eq!(told.done, Some(true));
        assert_eq!(told.load_counters.unwrap()[NORMAL], "5");
        assert_eq!(told.first_error_msg.as_deref(), Some("why"));
        assert_eq!(told.commit_infos.unwrap()[0].tablet_id, 6);
        let failed = end(Err((TStatusCode::INTERNAL_ERROR, "no".to_owned()))).to_wire();
        assert_eq!(failed.status.unwrap().error_msgs.unwrap(), ["no"]);
        assert_eq!(failed.commit_infos, None);
    }
}
